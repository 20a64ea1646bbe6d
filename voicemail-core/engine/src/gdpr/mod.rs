//! Data-subject rights: find, hide, take back, erase and export everything of a caller.
//!
//! Flow: a request becomes a [`Run`](voicemail_model::Run) of its case. A forget writes the caller's mark,
//! then lists their envelopes and flags the entries: hidden at once, everywhere. At `purge_at` the
//! sweeper erases them, proves it by searching again, and signs a receipt; until then an undo brings
//! everything back as it was. All work is found by the caller's hash: never a walk over mailboxes.
//!
//! What can go wrong is a [`GdprError`]. A crash anywhere is resumed from the run's due items.

mod archive;
mod case_list;
mod cases;
mod chain;
mod copies;
mod dry_run;
mod due;
mod emailed;
mod erase;
mod error;
mod export;
mod forget;
mod holds;
mod in_time;
mod intake;
mod ledger;
mod named;
mod narrow;
mod open_runs;
mod promise;
mod receipt;
mod register;
mod replay;
mod round;
mod runs;
mod seals;
mod search;
mod spooled;
mod subject;
mod target;
mod told;
mod undo;

use crate::principal::Principal;
pub use case_list::CaseFilter;
pub use error::GdprError;
pub(crate) use ledger::find_restore;
pub use open_runs::{Writes, find_open};
pub use receipt::ReceiptKey;
pub use register::{RegisterPage, RegisterPart};
pub use replay::Replayed;
pub(crate) use seals::proofs;
pub use subject::SoughtCaller;
pub use subject::find_caller;

pub(crate) use cases::take_up;
pub use chain::ChainHead;
pub(crate) use due::move_run_on;
pub(crate) use holds::end_release;
pub(crate) use ledger::expire as expire_ledger;
pub(crate) use runs::is_run;

use crate::context::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::hash::RandomState;
use std::sync::Arc;
use voicemail_api::gdpr::{
    ApproveBody, CancelBody, CasePage, CaseView, DenyBody, ExtendBody, GdprAnswer, GdprBody, LedgerView,
    Operation, ProofsView, PublicKey, RunView,
};
use voicemail_model::{CaseId, RunId, SignedReceipt, Time};
use voicemail_store::{Key, StoreError};

/// The data-subject rights of one tenant.
#[derive(Clone)]
pub struct Gdpr {
    context: Context,
    receipts: Arc<ReceiptKey>,
    open_runs: Arc<open_runs::OpenRuns>,
    /// Of this process alone: nobody can tell from its marks what they stand for.
    salt: RandomState,
}

impl Gdpr {
    /// Over a tenant's context; receipts are signed with that key.
    pub fn new(context: Context, receipts: Arc<ReceiptKey>) -> Self {
        Self { context, receipts, open_runs: Arc::default(), salt: RandomState::new() }
    }

    /// Art. 17: hides everything of the consumers now and erases it after the undo window.
    ///
    /// # Errors
    /// See [`GdprError`]; nothing has changed after one of its permanent kind.
    pub async fn forget(&self, body: GdprBody) -> Result<GdprAnswer, GdprError> {
        Box::pin(forget::forget(self, body)).await
    }

    /// Art. 15: collects everything of the consumers for an archive that can be fetched for some days.
    ///
    /// # Errors
    /// See [`GdprError`].
    pub async fn export(&self, body: GdprBody) -> Result<GdprAnswer, GdprError> {
        Box::pin(export::export(self, body)).await
    }

    /// Takes a forget back within its window.
    ///
    /// # Errors
    /// See [`GdprError`].
    pub async fn undo(&self, body: GdprBody) -> Result<GdprAnswer, GdprError> {
        Box::pin(undo::undo(self, body)).await
    }

    /// All runs of a case.
    ///
    /// # Errors
    /// `UnknownCase`, or the store's.
    pub async fn case(&self, case: &CaseId) -> Result<CaseView, GdprError> {
        let runs = runs::list_runs(&self.context, case).await?;
        if runs.is_empty() {
            return Err(GdprError::UnknownCase);
        }
        Ok(CaseView {
            caseid: case.as_str().to_owned(),
            runs: runs
                .iter()
                .map(|run| run.view(self.context.world().now(), &self.context.master()))
                .collect(),
        })
    }

    /// The case's latest export that can still be fetched, as a tar stream from the live objects.
    ///
    /// # Errors
    /// `UnknownCase`, `NotExportable`, or the store's.
    pub async fn export_archive(
        &self,
        case: &CaseId,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, GdprError> {
        archive::stream(self, case).await
    }

    /// The signed receipt of a run.
    ///
    /// # Errors
    /// `UnknownCase` when there is none, or the store's.
    pub async fn receipt(
        &self,
        case: &CaseId,
        operation: Operation,
        number: u32,
    ) -> Result<SignedReceipt, GdprError> {
        let key = Key::receipt(&RunId::new(case, operation, number));
        let bytes = self.context.store().get(&key).await?.ok_or(GdprError::UnknownCase)?;
        Ok(voicemail_store::codec::decode(&bytes)?)
    }

    /// Keys that receipts are checked with, the signing one last.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let keys = self.receipts.public_keys();
        let last = keys.len().saturating_sub(1);
        let show = |(position, key): (usize, &Vec<u8>)| PublicKey {
            id: hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key))[..16].to_owned(),
            algorithm: "Ed25519".into(),
            public_key: STANDARD.encode(key),
            signing: position == last,
        };
        keys.iter().enumerate().map(show).collect()
    }

    /// Cases, in the order of their ids.
    ///
    /// # Errors
    /// The store's.
    pub async fn cases(&self, filter: &CaseFilter) -> Result<CasePage, GdprError> {
        case_list::list(self, filter).await
    }

    /// A second person approves the case's run, which goes on at once.
    ///
    /// # Errors
    /// `Decision`, `UnknownCase`, or as those of a forget.
    pub async fn approve(
        &self,
        case: &CaseId,
        body: &ApproveBody,
        by: &Principal,
    ) -> Result<RunView, GdprError> {
        Box::pin(cases::approve(self, case, body, by)).await
    }

    /// Denies the case's run, on a ground, before anything was hidden.
    ///
    /// # Errors
    /// `Decision`, `InvalidField`, `UnknownCase`, or the store's.
    pub async fn deny(&self, case: &CaseId, body: &DenyBody, by: &str) -> Result<RunView, GdprError> {
        Box::pin(cases::deny(self, case, body, by)).await
    }

    /// Extends the deadline of the case's run by a month or two.
    ///
    /// # Errors
    /// `Decision`, `InvalidField`, `UnknownCase`, or the store's.
    pub async fn extend(&self, case: &CaseId, body: &ExtendBody, by: &str) -> Result<RunView, GdprError> {
        cases::extend(self, case, body, by).await
    }

    /// Withdraws the case's run before anything was hidden.
    ///
    /// # Errors
    /// `Decision`, `InvalidField`, `UnknownCase`, or the store's.
    pub async fn cancel(&self, case: &CaseId, body: &CancelBody, by: &str) -> Result<RunView, GdprError> {
        Box::pin(cases::cancel(self, case, body, by)).await
    }

    /// The register of requests received in that time.
    ///
    /// # Errors
    /// `InvalidField`, or the store's.
    pub async fn register(&self, from: Time, to: Time) -> Result<RegisterPart, GdprError> {
        register::read(&self.context, (from, to), None).await
    }

    /// A page of the same, at the price of a page.
    ///
    /// # Errors
    /// See [`GdprError`].
    pub async fn register_page(
        &self,
        from: Time,
        to: Time,
        page: &RegisterPage,
    ) -> Result<RegisterPart, GdprError> {
        register::read(&self.context, (from, to), Some(page)).await
    }

    /// The ledger of erasures after that one.
    ///
    /// # Errors
    /// The store's.
    pub async fn ledger(&self, after: u64) -> Result<LedgerView, GdprError> {
        ledger::read(&self.context, after).await
    }

    /// Seals the hours of the audit log that are closed and had acts, after the one that was looked at before. Gives the
    /// newest that has been looked at.
    ///
    /// # Errors
    /// The store's: what is left is sealed the next time.
    pub async fn seal_audit(&self, looked_at: Option<&str>) -> Result<String, GdprError> {
        seals::seal(self, looked_at).await
    }

    /// What the chains of receipts and of seals are checked by.
    ///
    /// # Errors
    /// The store's.
    pub async fn proofs(&self) -> Result<ProofsView, GdprError> {
        seals::proofs(&self.context).await
    }

    /// Erases again what a restore brought back.
    ///
    /// # Errors
    /// `LedgerMismatch` before anything was done; else as those of an erasure, after which it may be repeated.
    pub async fn replay(&self, ledger: &LedgerView) -> Result<Replayed, GdprError> {
        replay::replay(self, ledger).await
    }
}
