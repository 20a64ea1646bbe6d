//! Receipts: a signed statement, without personal data, that an erasure was carried out and when.
//!
//! Written once beside the run, before the run ends; a second writer finds the first's and leaves it.

use super::{Gdpr, GdprError};
use crate::mailbox::encode;
use crate::model::{Receipt, Run, SignedReceipt};
use crate::store::patience::ensure;
use crate::store::{Key, StoreError};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The tenant's key for receipts, Ed25519.
pub struct ReceiptKey(Ed25519KeyPair);

impl ReceiptKey {
    /// Reads a PKCS#8 private key in PEM.
    ///
    /// # Errors
    /// A sentence that says what the file should hold.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let expected = || "receipt.key: expected an Ed25519 private key, PKCS#8 in PEM".to_owned();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body.trim()).map_err(|_| expected())?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self).map_err(|_| expected())
    }

    /// Signs a receipt.
    pub(super) fn sign(&self, receipt: &Receipt) -> Result<SignedReceipt, StoreError> {
        let failed = |error| StoreError::Refused(format!("a receipt can't be encoded: {error}"));
        let text = serde_json::to_string(receipt).map_err(failed)?;
        let signature = STANDARD.encode(self.0.sign(text.as_bytes()));
        let public_key = STANDARD.encode(self.0.public_key());
        Ok(SignedReceipt { receipt: text, signature, public_key })
    }
}

/// Writes the receipt of a run that is about to end.
pub(super) async fn write_receipt(gdpr: &Gdpr, run: &Run) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let text = |time: Option<crate::model::Time>| time.map(crate::model::Time::rfc3339).unwrap_or_default();
    let receipt = Receipt {
        schema: 1,
        tenant: context.config().tenant_id.clone(),
        store_id: context.identity().store_id.clone(),
        case: run.case.as_str().to_owned(),
        run: run.id.clone(),
        subject: run.subject.clone(),
        marked_at: text(run.marked_at),
        purge_at: text(run.purge_at),
        erased_at: context.world().now().rfc3339(),
        matched: run.matched,
        erased: run.erased,
        rounds: run.round_done,
        rule_sets: context.identity().rule_sets.iter().map(|rules| rules.id).collect(),
        withheld_not_searched: true,
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let signed = gdpr.receipts.sign(&receipt)?;
    Ok(ensure(context.store(), context.world(), &Key::receipt(&run.id), &encode(&signed)?).await?)
}
