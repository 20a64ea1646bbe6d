//! Values that the tenant's cores alone can make and read: `base64url(nonce, AES-256-GCM(JSON))` by a key derived from the
//! tenant's.
//!
//! Every replica has that key, so that no replica need keep anything. What is sealed for one purpose isn't read for another,
//! and neither is what another tenant sealed.

use crate::TenantKey;
use crate::clock::World;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a text isn't read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It isn't a sealed value, or one that is too long.
    #[error("this isn't a sealed value")]
    Malformed,
    /// It was sealed by others, or for something else.
    #[error("the seal is another's")]
    Signature,
}

/// A key for one purpose.
pub struct Seal {
    cipher: LessSafeKey,
    longest: usize,
}

impl Seal {
    /// For values of one purpose, told apart further by `of`, which are sealed in at most `longest` characters.
    ///
    /// # Errors
    /// `Malformed`, which never happens: it stands for a cipher that refuses its key.
    pub fn new(key: &TenantKey, purpose: &str, of: &[u8], longest: usize) -> Result<Self, SealError> {
        let key =
            UnboundKey::new(&AES_256_GCM, &key.derive(purpose, of)).map_err(|_| SealError::Malformed)?;
        Ok(Self { cipher: LessSafeKey::new(key), longest })
    }

    /// Seals a value.
    ///
    /// # Errors
    /// `Malformed` for one that is too long.
    pub fn seal<T: Serialize>(&self, world: &World, value: &T) -> Result<String, SealError> {
        let mut sealed = serde_json::to_vec(value).map_err(|_| SealError::Malformed)?;
        let nonce: [u8; NONCE_LEN] = world.random();
        let once = Nonce::assume_unique_for_key(nonce);
        let done = self.cipher.seal_in_place_append_tag(once, Aad::empty(), &mut sealed);
        done.map_err(|_| SealError::Malformed)?;
        let bytes: Vec<u8> = nonce.into_iter().chain(sealed).collect();
        let text = URL_SAFE_NO_PAD.encode(bytes);
        if text.len() > self.longest { Err(SealError::Malformed) } else { Ok(text) }
    }

    /// The value in a text that was sealed here.
    ///
    /// # Errors
    /// `Malformed`, or `Signature` for what was sealed by others or for something else.
    pub fn open<T: DeserializeOwned>(&self, text: &str) -> Result<T, SealError> {
        if text.len() > self.longest {
            return Err(SealError::Malformed);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Malformed)?;
        if bytes.len() <= NONCE_LEN {
            return Err(SealError::Malformed);
        }
        let mut sealed = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| SealError::Malformed)?;
        let opened = self.cipher.open_in_place(nonce, Aad::empty(), &mut sealed);
        serde_json::from_slice(opened.map_err(|_| SealError::Signature)?).map_err(|_| SealError::Malformed)
    }
}
