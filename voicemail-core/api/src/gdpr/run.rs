//! A run as it is shown: what a `GdprRequest`'s status mirrors. Nothing here is personal data.
//!
//! Fields are only ever added, each absent where an older core has nothing to say.

use super::{DenialGround, Operation, Verification};
use serde::{Deserialize, Serialize};

/// State of a run, from its start to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub enum RunState {
    /// Created, nothing done yet.
    #[default]
    Opening,
    /// Found and counted; a second person must approve before anything is hidden.
    AwaitingApproval,
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
    /// The deadline has passed while a region is away: all else is erased, and that region is still tried.
    PartiallyFailed,
    /// Erased and verified.
    Purged,
    /// An export whose messages are being found and held.
    Collecting,
    /// An export that can be fetched.
    Ready,
    /// An export whose time is over.
    Expired,
    /// Refused, with its ground.
    Denied,
    /// Withdrawn before anything was done.
    Cancelled,
    /// Found and counted, and nothing was changed: no run was made.
    DryRun,
}

impl RunState {
    /// Whether the service is still at what a request asked for at once: to hide, to show again or to collect.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Opening | Self::Marking | Self::Undoing | Self::Collecting)
    }
}

/// A run without any personal data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Id within the tenant, such as `123456789/forgetme.1`.
    pub id: String,
    /// Which right.
    pub operation: Operation,
    /// Where it stands.
    pub state: RunState,
    /// When the request was accepted, RFC 3339.
    pub created_at: String,
    /// When the person's request was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// Until when it must be carried out: one month from its receipt, or as extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// When the messages were hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<String>,
    /// Until when an undo is possible; from then on the messages count as erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_at: Option<String>,
    /// When the last trace was removed and the search repeated without a find.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Until when an export can be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Messages found.
    pub matched: u64,
    /// Messages hidden.
    #[serde(default)]
    pub marked: u64,
    /// Messages erased.
    pub erased: u64,
    /// Messages kept by a legal hold.
    #[serde(default)]
    pub held: u64,
    /// Messages that couldn't be erased yet because their region is away.
    #[serde(default)]
    pub failed: u64,
    /// Messages in an export.
    pub exported: u64,
    /// Copies that appeared after the end and were erased then.
    #[serde(default)]
    pub late: u64,
    /// How many messages each legal hold keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptView>,
    /// How far each region is, the master first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionView>,
    /// The name that its sender gave the request, such as a resource's namespace and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_key: Option<String>,
    /// The cluster whose operator opened it; absent for runs of other doors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_by: Option<String>,
    /// A keyed digest of whom it is about, of this run alone: it tells whether two answers are about the same people,
    /// and nothing about who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_digest: Option<String>,
    /// The requester.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// How the person was identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// The second person's approval, where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// The deadline's extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<ExtensionView>,
    /// Why it was denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<DenialView>,
    /// Whether no backup, version or deleted copy can hold the messages any more; absent before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups_cleared: Option<bool>,
    /// When the last of them is gone; absent if nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups_clear_after: Option<String>,
    /// Keepers of copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residual_copies: Vec<ResidualCopy>,
    /// Path of the signed receipt once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// The receipt's number in the tenant's chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_number: Option<u64>,
}

/// Messages that a legal hold keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct KeptView {
    /// The hold's reason.
    pub reason: String,
    /// How many.
    pub messages: u64,
}

/// How far a run is in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct RegionView {
    /// Its name.
    pub name: String,
    /// Whether it holds the metadata.
    pub master: bool,
    /// Messages found whose audio is there.
    pub matched: u64,
    /// Of these, erased.
    pub erased: u64,
    /// It was away when it was last tried: what is left is tried again.
    pub blocked: bool,
    /// How many times it was tried in vain.
    pub attempts: u32,
    /// When all of it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
    /// Stable name of what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Where an approval stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ApprovalView {
    /// Whether it was given.
    pub given: bool,
    /// Why it is needed: `always`, `large` or `requested`.
    pub reason: String,
    /// The person who gave it, as authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// An extension of the deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ExtensionView {
    /// By how many months.
    pub months: u8,
    /// Why.
    pub reason: String,
    /// Who, as authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at: String,
}

/// A denial, or the cancellation of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct DenialView {
    /// On which ground; absent for a cancellation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground: Option<DenialGround>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who, as authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at: String,
}

/// Something that keeps copies of what was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct ResidualCopy {
    /// In which region's store.
    pub region: String,
    /// `backups`, `versions`, `softDelete`, `immutability`, `replication`, or `unknown` for settings that can't be read; `email`
    /// for mails that told of the caller, which can't be recalled: their readers must be told (Art. 19 GDPR); `spool` for
    /// recordings of any callers that waited at telephones then: those of an erased one are erased when they come.
    pub kind: String,
    /// For how many days; absent if nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// How many; of mails and of what waits at telephones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u64>,
}

impl ResidualCopy {
    /// The kind of mails that told of a caller.
    pub const MAILS: &str = "email";
    /// The kind of recordings that wait at telephones.
    pub const SPOOL: &str = "spool";
}
