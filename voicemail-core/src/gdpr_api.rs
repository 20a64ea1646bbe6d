//! The wire types of the GDPR API, shared by the core's routes, the operator and the `gdpr` command.
//!
//! Flow: a caller posts a [`GdprBody`] to `/api/v1/gdpr/{forgetme|exportme|undoforget}` and gets a
//! [`GdprAnswer`]; it follows the run by `GET /api/v1/gdpr/cases/{caseid}`, a [`CaseView`].
//! Answers to a POST echo the identifiers that the caller itself sent; a case view never holds one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which right is exercised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum Operation {
    /// Erasure, Art. 17.
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

/// The body of all three operations, as the vendor's script sends it, plus what a controller adds.
///
/// `consumers` comes in two nestings: `[{"phone": ["+44…"]}]` and
/// `[{"consumer": [{"name": "…"}, {"phone": "+44…"}]}]`; identifiers other than `phone` don't apply to voicemail.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct GdprBody {
    /// The requester's case number.
    pub caseid: String,
    /// Contact-centre id; must be the tenant's when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ccid: Option<String>,
    /// The data subjects, in either nesting. Empty for an undo: the case's run knows them.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = Vec<Object>))]
    pub consumers: Vec<Value>,
    /// A name for this request for ever: the same key returns the same run (a resource's namespace/name).
    #[serde(default, rename = "requestKey", skip_serializing_if = "Option::is_none")]
    pub request_key: Option<String>,
    /// From the mark to the erasure, such as `24h`; the tenant's default when absent.
    #[serde(default, rename = "undoWindow", skip_serializing_if = "Option::is_none")]
    pub undo_window: Option<String>,
    /// For an undo: the run to take back; the latest marked one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Fields of the vendor's format that mean nothing here are kept out of the way.
    #[serde(flatten)]
    #[cfg_attr(feature = "server", schema(ignore))]
    pub other: Map<String, Value>,
}

impl std::fmt::Debug for GdprBody {
    /// Identifiers are personal data: only the case and the count are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GdprBody {{ case: {:?}, consumers: {} }}", self.caseid, self.consumers.len())
    }
}

/// The answer to an operation.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct GdprAnswer {
    /// The case, as given.
    pub caseid: String,
    /// Each phone identifier exactly as given, with the ids of the messages found, `[]` for none.
    #[cfg_attr(feature = "server", schema(value_type = Object))]
    pub consumers: Map<String, Value>,
    /// How many identifiers were not phone numbers and so don't apply.
    pub not_applicable: u32,
    /// The run that does the work.
    pub run: RunView,
}

/// State of a run, from its start to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub enum RunState {
    /// Created, nothing done yet.
    Opening,
    /// Marks and flags are being set.
    Marking,
    /// Hidden everywhere; can be undone until `purgeAt`.
    Marked,
    /// Being taken back.
    Undoing,
    /// Everything as it was.
    Undone,
    /// Being erased.
    Purging,
    /// Erased and verified.
    Purged,
    /// An export whose messages are being found and held.
    Collecting,
    /// An export that can be fetched.
    Ready,
    /// An export whose time is over.
    Expired,
}

/// A run without any personal data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Id within the tenant, such as `123456789/forgetme.1`.
    pub id: String,
    /// Which right.
    pub operation: Operation,
    /// Where it stands.
    pub state: RunState,
    /// When the request was accepted, RFC 3339.
    pub created_at: String,
    /// When the messages were hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<String>,
    /// Until when an undo is possible; from then on the messages count as erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<String>,
    /// When the last trace was removed and the search repeated without a find.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
    /// When the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Until when an export can be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Messages found.
    pub matched: u64,
    /// Messages erased.
    pub erased: u64,
    /// Messages in an export.
    pub exported: u64,
    /// Path of the signed receipt once erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

/// All runs of a case, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct CaseView {
    /// The case, as given.
    pub caseid: String,
    /// Its runs.
    pub runs: Vec<RunView>,
}

/// RFC 9457 problem document, as every error of the API is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Stable name of the kind of problem, a URI reference such as `/problems/mailbox-full`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and what to do about it.
    pub detail: String,
}
