//! Hashes of passwords, argon2id (PHC form) and bcrypt, and their comparison. CPU-bound: run it off the runtime.

use argon2::{Algorithm, Argon2, Params, PasswordHash as Phc, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use voicemail_engine::digests;

/// The dearest bcrypt that is accepted: 2^14 rounds take a second.
const DEAREST_BCRYPT: u32 = 14;
/// Most passes of an argon2id hash that are accepted.
const MOST_PASSES: u32 = 16;
/// bcrypt looks at no more than this; a longer password would match by its beginning.
const LONGEST_FOR_BCRYPT: usize = 72;

/// A hash of a password.
#[derive(Clone)]
pub(super) enum PasswordHash {
    /// `$argon2id$…`
    Argon2id(String),
    /// `$2a$…`, `$2b$…`, `$2x$…` or `$2y$…`
    Bcrypt(String),
}

impl PasswordHash {
    /// Reads a hash; one that would take too long or too much memory to check is refused.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "HASH: write an argon2id hash in PHC form ($argon2id$…) or a bcrypt hash ($2b$…)";
        if text.starts_with("$argon2id$") {
            let hash = Phc::new(text).map_err(|_| FORM)?;
            let number = |name: &str| hash.params.get_decimal(name).unwrap_or(0);
            if hash.salt.is_none() || hash.hash.is_none() {
                return Err(FORM);
            }
            if number("m") > digests::LARGEST_KIB || number("t") > MOST_PASSES {
                return Err("HASH: use at most m=65536 (64 MiB) and t=16: a pod has no more memory for it");
            }
            return Ok(Self::Argon2id(text.to_owned()));
        }
        let parts: bcrypt::HashParts = text.parse().map_err(|_| FORM)?;
        if parts.get_cost() > DEAREST_BCRYPT {
            return Err("HASH: use a cost of at most 14");
        }
        Ok(Self::Bcrypt(text.to_owned()))
    }

    /// Whether the password is the one.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2id(hash) => matches_argon(hash, password).unwrap_or(false),
            Self::Bcrypt(hash) => {
                // The comparison is made in any case, so that time tells nothing.
                let same = bcrypt::verify(password, hash).unwrap_or(false);
                same && password.len() <= LONGEST_FOR_BCRYPT
            }
        }
    }
}

/// `None` for a hash that can't be carried out.
fn matches_argon(hash: &str, password: &[u8]) -> Option<bool> {
    let hash = Phc::new(hash).ok()?;
    let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let version = hash.version.map_or(Some(Version::default()), |number| Version::try_from(number).ok())?;
    let argon = Argon2::new(Algorithm::Argon2id, version, Params::try_from(&hash).ok()?);
    let mut made = vec![0; expected.as_ref().len()];
    digests::make(&argon, password, salt.as_ref(), &mut made).ok()?;
    Some(verify_slices_are_equal(&made, expected.as_ref()).is_ok())
}

impl PasswordHash {
    /// The hash as written.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Argon2id(text) | Self::Bcrypt(text) => text,
        }
    }
}
