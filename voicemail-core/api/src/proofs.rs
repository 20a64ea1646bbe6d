//! Checks a receipt: its signature over its exact words, with a public key that was kept apart from it. Pure.
//!
//! Shared by the `gdpr` command and kubectl's plugin. The key in the receipt itself isn't looked at: whoever forges a
//! receipt brings a key that fits.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// It isn't a receipt.
    #[error("it can't be read")]
    Unreadable,
    /// Its signature isn't one.
    #[error("its signature can't be read")]
    SignatureUnreadable,
    /// The keys' file holds none.
    #[error("there is no public key to check it with")]
    NoKey,
    /// Its words are not what a holder of the key has signed.
    #[error("no given key has signed it")]
    NotSigned,
}

#[derive(Deserialize)]
struct Signed {
    receipt: String,
    signature: String,
}

/// The receipt's words, if one of the keys has signed them. `signed` is the answer to `GET …/receipts/…`, `keys` that to
/// `GET …/gdpr/keys`, or one raw key in base64.
///
/// # Errors
/// [`ProofError`].
pub fn verify_receipt(signed: &str, keys: &str) -> Result<String, ProofError> {
    let signed: Signed = serde_json::from_str(signed).map_err(|_| ProofError::Unreadable)?;
    let signature = STANDARD.decode(&signed.signature).map_err(|_| ProofError::SignatureUnreadable)?;
    let keys = read_keys(keys);
    if keys.is_empty() {
        return Err(ProofError::NoKey);
    }
    let fits = |key: &Vec<u8>| {
        UnparsedPublicKey::new(&ED25519, key).verify(signed.receipt.as_bytes(), &signature).is_ok()
    };
    if keys.iter().any(fits) { Ok(signed.receipt) } else { Err(ProofError::NotSigned) }
}

/// One raw key in base64, or those of an answer to `GET …/gdpr/keys`.
fn read_keys(text: &str) -> Vec<Vec<u8>> {
    let decode = |text: &str| STANDARD.decode(text.trim()).ok().filter(|key| !key.is_empty());
    match serde_json::from_str::<Value>(text) {
        Ok(listed) => {
            let keys = listed["keys"].as_array().into_iter().flatten();
            keys.filter_map(|key| decode(key["publicKey"].as_str()?)).collect()
        }
        Err(_) => decode(text).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::json;

    const WORDS: &str = r#"{"case":"7","erased":3}"#;

    fn sign() -> (String, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let signature = STANDARD.encode(pair.sign(WORDS.as_bytes()));
        let signed = json!({"receipt": WORDS, "signature": signature, "publicKey": "of no interest"});
        (signed.to_string(), STANDARD.encode(pair.public_key()))
    }

    #[test]
    fn a_genuine_receipt_gives_its_words_for_either_form_of_the_key() {
        let (signed, key) = sign();
        let listed =
            json!({"keys": [{"publicKey": STANDARD.encode([1; 32])}, {"publicKey": key}]}).to_string();
        for keys in [key, listed] {
            assert_eq!(verify_receipt(&signed, &keys).as_deref(), Ok(WORDS));
        }
    }

    #[test]
    fn anything_else_proves_nothing() {
        let (signed, key) = sign();
        let changed = signed.replace("erased\\\":3", "erased\\\":4");
        assert_ne!(signed, changed);
        let cases = [
            ("no receipt", key.as_str(), ProofError::Unreadable),
            (r#"{"receipt":"x","signature":"!"}"#, &key, ProofError::SignatureUnreadable),
            (&signed, "", ProofError::NoKey),
            (&signed, r#"{"keys":[]}"#, ProofError::NoKey),
            (&changed, &key, ProofError::NotSigned),
            (&signed, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", ProofError::NotSigned),
        ];
        for (signed, keys, error) in cases {
            assert_eq!(verify_receipt(signed, keys), Err(error), "{signed}");
        }
    }
}
