//! The wire types of the GDPR API, shared by the core's routes, the operator and the `gdpr` command.
//!
//! Flow: a caller posts a [`GdprBody`] to `/api/v1/gdpr/{forgetme|exportme|undoforget}` and gets a
//! [`GdprAnswer`]; it follows the run by `GET /api/v1/gdpr/cases/{caseid}`, a [`CaseView`].
//! People decide about it by `POST …/cases/{caseid}/{approve|deny|extend|cancel}`.
//! Answers to a POST echo the identifiers that the caller itself sent; a case view never holds one.

mod input;
mod ledger;
mod packed;
mod request;
mod run;
mod seal;

pub use input::{InputError, read_input};
pub use ledger::{LedgerHead, LedgerLink, LedgerText, LedgerView, PublicKey, ReceiptsHead};
pub use packed::{LEDGER_FILE, LEDGER_HEAD, unpack_ledger};
pub use seal::{AuditHour, ProofsView, ReceiptLink, Seal, SignedSeal};

pub use request::{
    ApproveBody, CancelBody, DenialGround, DenyBody, ExtendBody, GdprBody, HoldBody, HoldView, MessageRef,
    Verification,
};
pub use run::{
    ApprovalView, DenialView, ExtensionView, KeptView, RegionView, ResidualCopy, RunState, RunView,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The value of `gdprMark` in a core's `/readyz` while it knows of no case that its tenant ever had.
pub const MARK_OF_NO_CASE: &str = "none";

/// Which right is exercised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub enum Operation {
    /// Erasure, Art. 17.
    #[default]
    ForgetMe,
    /// Access, Art. 15.
    ExportMe,
    /// Takes an erasure back within its window.
    UndoForget,
}

impl Operation {
    /// The path segment of the operation.
    pub fn segment(self) -> &'static str {
        match self {
            Self::ForgetMe => "forgetme",
            Self::ExportMe => "exportme",
            Self::UndoForget => "undoforget",
        }
    }
}

/// The answer to an operation.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct GdprAnswer {
    /// The case, as given.
    pub caseid: String,
    /// Each phone identifier exactly as given, with the ids of the messages found, `[]` for none.
    #[cfg_attr(feature = "utoipa", schema(value_type = Object))]
    pub consumers: Map<String, Value>,
    /// Messages found of those that the request named, with their forwarded copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageRef>,
    /// How many identifiers were not phone numbers and so don't apply.
    pub not_applicable: u32,
    /// The run that does the work.
    pub run: RunView,
}

/// All runs of a case, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct CaseView {
    /// The case, as given.
    pub caseid: String,
    /// Its runs.
    pub runs: Vec<RunView>,
}

/// A page of cases, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct CasePage {
    /// Cases that have a run of those asked for.
    pub cases: Vec<CaseView>,
    /// `cursor` of the next page, if there is one: a page may hold fewer cases than asked for, or none, and have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// RFC 9457 problem document, as every error of the API is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Stable name of the kind of problem, a URI reference such as `/problems/mailbox-full`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// The problem and its remedy.
    pub detail: String,
}
