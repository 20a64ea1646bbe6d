//! Checks a receipt: its signature over its exact words, with a public key that was kept apart from it.

use super::Failure;
use crate::model::SignedReceipt;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::Write;
use std::path::Path;

pub(super) fn verify(receipt: &Path, key: &Path) -> Result<(), Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| Failure::Local(format!("{}: {error}", path.display())))
    };
    let signed: SignedReceipt =
        serde_json::from_str(&read(receipt)?).map_err(|_| Failure::NotGenuine("it can't be read"))?;
    let signature =
        STANDARD.decode(&signed.signature).map_err(|_| Failure::NotGenuine("its signature can't be read"))?;
    let keys = read_keys(&read(key)?);
    if keys.is_empty() {
        return Err(Failure::Local(format!("{}: there is no public key in it", key.display())));
    }
    let fits = |key: &Vec<u8>| {
        UnparsedPublicKey::new(&ED25519, key).verify(signed.receipt.as_bytes(), &signature).is_ok()
    };
    if !keys.iter().any(fits) {
        return Err(Failure::NotGenuine("no given key has signed it"));
    }
    writeln!(std::io::stdout(), "{}", signed.receipt).map_err(|error| Failure::Local(error.to_string()))
}

/// One raw key in base64, or those of an answer to `GET …/gdpr/keys`.
fn read_keys(text: &str) -> Vec<Vec<u8>> {
    let decode = |text: &str| STANDARD.decode(text.trim()).ok();
    match serde_json::from_str::<Value>(text) {
        Ok(listed) => {
            let keys = listed["keys"].as_array().into_iter().flatten();
            keys.filter_map(|key| decode(key["publicKey"].as_str()?)).collect()
        }
        Err(_) => decode(text).into_iter().collect(),
    }
}
