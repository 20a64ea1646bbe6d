//! Checks a receipt from a file with public keys from another; or all receipts and the audit log by their chains.

use super::client::connect;
use super::{Arguments, Failure};
use std::io::Write;
use std::path::Path;
use voicemail_api::gdpr::{LedgerHead, ProofsView};
use voicemail_api::proofs::{ProofError, verify_chains, verify_receipt};

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

/// The chains as the service has them, by keys and a head that were kept elsewhere.
pub(super) async fn verify_all(
    arguments: &Arguments,
    key: &Path,
    head: Option<&Path>,
) -> Result<(), Failure> {
    let local = |path: &Path, error: String| Failure::Local(format!("{}: {error}", path.display()));
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| local(path, error.to_string()));
    let keys = read(key)?;
    let kept = head
        .map(|path| {
            serde_json::from_str::<LedgerHead>(&read(path)?)
                .map_err(|_| local(path, "it isn't head.json of the ledger's Secret".into()))
        })
        .transpose()?;
    let tenant = connect(arguments, None).await?;
    let proofs: ProofsView = tenant.get("gdpr/proofs", &[]).await?;
    let faults =
        verify_chains(&proofs, kept.as_ref(), &keys).map_err(|error| local(key, error.to_string()))?;
    if !faults.is_empty() {
        return Err(Failure::Broken(faults.join("\n")));
    }
    let words = format!(
        "{} receipts and {} seals are as they were made; the audit log is whole up to hour {}{}",
        proofs.receipts.len(),
        proofs.seals.len(),
        if proofs.sealed_up_to.is_empty() { "none" } else { &proofs.sealed_up_to },
        if kept.is_some() { "" } else { "; without --head nobody knows of newer ones that were removed" },
    );
    writeln!(std::io::stdout(), "{words}").map_err(|error| Failure::Local(error.to_string()))
}
