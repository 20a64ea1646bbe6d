//! Receipts: signed statements, without personal data, of how each run ended and what is left.
//!
//! Each is decided in the chain of receipts, which holds nothing but their hashes, so that a receipt can expire and
//! the chain still be checked. A run gets one receipt: a second worker finds the first's.

use super::chain::{self, Link, Once, RECEIPTS};
use super::runs::{change, load_run};
use super::{Gdpr, GdprError};
use crate::context::Context;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use voicemail_api::gdpr::RunState;
use voicemail_model::{CopyKeeper, Receipt, Run, RunId, SignedReceipt, Time};
use voicemail_store::codec::decode;
use voicemail_store::{Key, StoreError};

/// The tenant's keys for receipts, Ed25519: one signs, those before it are only shown.
pub struct ReceiptKey {
    signing: Ed25519KeyPair,
    former: Vec<Vec<u8>>,
}

impl ReceiptKey {
    /// Reads a PKCS#8 private key in PEM.
    ///
    /// # Errors
    /// A sentence that says what the file should hold.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let expected = || "expected an Ed25519 private key, PKCS#8 in PEM".to_owned();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body.trim()).map_err(|_| expected())?;
        let signing = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| expected())?;
        Ok(Self { signing, former: Vec::new() })
    }

    /// The same after another one: it signs from now on, and receipts of the other can still be checked.
    #[must_use]
    pub fn after(mut self, former: &Self) -> Self {
        self.former = former.public_keys();
        self
    }

    /// Public keys, raw, the signing one last.
    pub fn public_keys(&self) -> Vec<Vec<u8>> {
        let mut keys = self.former.clone();
        keys.push(self.signing.public_key().as_ref().to_vec());
        keys
    }

    /// The signature of a text, in base64.
    pub(super) fn sign_text(&self, text: &str) -> String {
        STANDARD.encode(self.signing.sign(text.as_bytes()))
    }

    /// Signs a receipt.
    fn sign(&self, receipt: &Receipt) -> Result<SignedReceipt, StoreError> {
        let failed = |error| StoreError::Refused(format!("a receipt can't be encoded: {error}"));
        let text = serde_json::to_string(receipt).map_err(failed)?;
        let signature = self.sign_text(&text);
        let public_key = STANDARD.encode(self.signing.public_key());
        Ok(SignedReceipt { receipt: text, signature, public_key })
    }
}

/// Writes the receipt of a run that ends, or of an export that is ready, and notes its number in the run.
pub(super) async fn issue(gdpr: &Gdpr, id: &RunId, outcome: RunState) -> Result<Option<Run>, GdprError> {
    let context = &gdpr.context;
    let Some(run) = load_run(context, id).await? else { return Ok(None) };
    let number = write(gdpr, &run, outcome).await?;
    let note = |run: &mut Run, _| {
        let fresh = run.receipt.is_none() && number.is_some();
        run.receipt = run.receipt.or(number);
        (fresh, ())
    };
    Ok(change(context, id, note).await?.map(|(run, ())| run))
}

/// Writes the receipt of a run as it was just read, or finds the one that there is. Its number, which the caller notes
/// in the run; none if the receipt is of before the chain.
pub(super) async fn write(gdpr: &Gdpr, run: &Run, outcome: RunState) -> Result<Option<u64>, GdprError> {
    let context = &gdpr.context;
    let (key, now) = (Key::receipt(&run.id), context.world().now());
    let make = |number, previous: &str| {
        let receipt =
            Receipt { number, previous: previous.to_owned(), ..describe(context, run, outcome, now) };
        let signed = gdpr.receipts.sign(&receipt)?;
        let hash = chain::hash(&signed.receipt);
        let link = json!({ "number": number, "previous": previous, "hash": hash });
        let failed = |error| StoreError::Refused(format!("a receipt can't be encoded: {error}"));
        let text = serde_json::to_string(&signed).map_err(failed)?;
        Ok(Link { hash, text: link.to_string(), beside: Some((key.clone(), text)) })
    };
    match chain::append(context, RECEIPTS, async { Ok(0) }, Once::Object(&key), make).await? {
        Some(number) => Ok(Some(number)),
        None => Ok(read_number(context, &key).await?),
    }
}

/// Receipts of before the chain have no number.
async fn read_number(context: &Context, key: &Key) -> Result<Option<u64>, StoreError> {
    let Some(bytes) = context.store().get(key).await? else { return Ok(None) };
    let signed: SignedReceipt = decode(&bytes)?;
    Ok(serde_json::from_str::<Receipt>(&signed.receipt).ok().map(|receipt| receipt.number))
}

fn describe(context: &Context, run: &Run, outcome: RunState, now: Time) -> Receipt {
    let text = |time: Option<Time>| time.map(Time::rfc3339);
    let residual = run.residual.clone().unwrap_or_default();
    Receipt {
        schema: 2,
        number: 0,
        previous: String::new(),
        tenant: context.config().tenant_id.clone(),
        store_id: context.identity().store_id.clone(),
        case: run.case.as_str().to_owned(),
        run: run.id.clone(),
        subject_digest: run.subject_digest.clone(),
        operation: run.operation,
        outcome,
        received_at: run.received_at().rfc3339(),
        due_at: run.due_at().rfc3339(),
        marked_at: text(run.marked_at),
        purge_at: text(run.purge_at),
        erased_at: text(run.erased_at),
        issued_at: now.rfc3339(),
        matched: run.matched,
        erased: run.erased,
        exported: run.exported,
        held: run.held(),
        kept: run.kept_view(),
        regions: run.region_views(&context.master()),
        rounds: run.round_done,
        rule_sets: context.identity().rule_sets.iter().map(|rules| rules.id).collect(),
        withheld_not_searched: run.by_number,
        messages_named: run.by_message,
        residual_copies: residual.copies.iter().map(CopyKeeper::view).collect(),
        backups_clear_after: text(residual.clear_after),
        denial: run.handling.denial.as_ref().and_then(|denial| denial.ground),
        replayed: run.handling.replayed,
        version: env!("CARGO_PKG_VERSION").into(),
    }
}
