//! Checks a receipt from a file with public keys from another.

use super::Failure;
use std::io::Write;
use std::path::Path;
use voicemail_api::proofs::{ProofError, verify_receipt};

pub(super) fn verify(receipt: &Path, key: &Path) -> Result<(), Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| Failure::Local(format!("{}: {error}", path.display())))
    };
    let words = verify_receipt(&read(receipt)?, &read(key)?).map_err(|error| match error {
        ProofError::NoKey => Failure::Local(format!("{}: there is no public key in it", key.display())),
        error => Failure::NotGenuine(error),
    })?;
    writeln!(std::io::stdout(), "{words}").map_err(|error| Failure::Local(error.to_string()))
}
