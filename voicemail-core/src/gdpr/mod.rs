//! Data-subject rights: find, hide, take back, erase and export everything of a caller.
//!
//! Flow: a request becomes a [`Run`](crate::model::Run) of its case. A forget writes the caller's mark,
//! then lists their envelopes and flags the entries: hidden at once, everywhere. At `purge_at` the
//! sweeper erases them, proves it by searching again, and signs a receipt; until then an undo brings
//! everything back as it was. All work is found by the caller's hash: never a walk over mailboxes.
//!
//! What can go wrong is a [`GdprError`]. A crash anywhere is resumed from the run's due items.

mod archive;
mod due;
mod erase;
mod error;
mod export;
mod forget;
mod receipt;
mod runs;
mod search;
mod subject;
mod undo;

pub(crate) use subject::caller_hashes;

pub use error::GdprError;
pub use receipt::ReceiptKey;

pub(crate) use due::move_run_on;
pub(crate) use runs::is_run;

use crate::context::Context;
use crate::gdpr_api::{CaseView, GdprAnswer, GdprBody, Operation};
use crate::model::{CaseId, RunId, SignedReceipt};
use crate::store::{Key, StoreError};
use bytes::Bytes;
use futures::stream::BoxStream;
use std::sync::Arc;

/// The data-subject rights of one tenant.
#[derive(Clone)]
pub struct Gdpr {
    context: Context,
    receipts: Arc<ReceiptKey>,
}

impl Gdpr {
    /// Over a tenant's context; receipts are signed with that key.
    pub fn new(context: Context, receipts: Arc<ReceiptKey>) -> Self {
        Self { context, receipts }
    }

    /// Art. 17: hides everything of the consumers now and erases it after the undo window.
    ///
    /// # Errors
    /// See [`GdprError`]; nothing has changed after one of its permanent kind.
    pub async fn forget(&self, body: GdprBody) -> Result<GdprAnswer, GdprError> {
        forget::forget(self, body).await
    }

    /// Art. 15: collects everything of the consumers for an archive that can be fetched for some days.
    ///
    /// # Errors
    /// See [`GdprError`].
    pub async fn export(&self, body: GdprBody) -> Result<GdprAnswer, GdprError> {
        export::export(self, body).await
    }

    /// Takes a forget back within its window.
    ///
    /// # Errors
    /// See [`GdprError`].
    pub async fn undo(&self, body: GdprBody) -> Result<GdprAnswer, GdprError> {
        undo::undo(self, body).await
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
            runs: runs.iter().map(crate::model::Run::view).collect(),
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

    /// The signed receipt of an erasure.
    ///
    /// # Errors
    /// `UnknownCase` when there is none, or the store's.
    pub async fn receipt(&self, case: &CaseId, number: u32) -> Result<SignedReceipt, GdprError> {
        let key = Key::receipt(&RunId::new(case, Operation::ForgetMe, number));
        let bytes = self.context.store().get(&key).await?.ok_or(GdprError::UnknownCase)?;
        Ok(crate::mailbox::decode(&bytes)?)
    }
}
