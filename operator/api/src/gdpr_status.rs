//! How far a data-subject request is: the mirror of its run, without personal data.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::conditions::Condition;
use super::tenant_status::RegionRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The phase of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Its tenant isn't there or can't be reached yet.
    #[default]
    Pending,
    /// The Secrets and the tenant that it names are being read, or one is missing.
    Validating,
    /// A second person must approve before anything is hidden.
    AwaitingApproval,
    /// Messages are being found and marked.
    Searching,
    /// The messages are hidden everywhere; the request can be undone until the deadline.
    Marked,
    /// An erasure is being undone.
    Undoing,
    /// Being erased.
    Erasing,
    /// Everything that was found is erased; the search is repeated and old revisions are deleted.
    Verifying,
    /// A region is unavailable, and nothing was changed: the operator tries again.
    Blocked,
    /// The deadline has passed while a region is unavailable: the others are erased, and that region is tried again.
    PartiallyFailed,
    /// Done.
    Completed,
    /// The erasure was undone.
    Undone,
    /// Refused, with a ground.
    Denied,
    /// Taken back before anything was hidden.
    Cancelled,
    /// Can't be done as written.
    Failed,
}

impl Phase {
    /// Whether nothing will change any more, but for what backups hold.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Undone | Self::Denied | Self::Cancelled | Self::Failed)
    }

    /// Whether messages are hidden or erased, or may be.
    pub fn has_hidden(self) -> bool {
        !matches!(
            self,
            Self::Pending
                | Self::Validating
                | Self::AwaitingApproval
                | Self::Blocked
                | Self::Denied
                | Self::Cancelled
                | Self::Failed
        )
    }

    /// Whether a request has ended, as it is stored: one whose phase can't be read hasn't.
    pub fn has_ended(stored: &Value) -> bool {
        let phase = stored.pointer("/status/phase").cloned().unwrap_or_default();
        serde_json::from_value::<Self>(phase).is_ok_and(Self::is_terminal)
    }
}

/// How far one region is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionProgress {
    /// Its name.
    #[schemars(length(max = 64))]
    pub name: String,
    /// Whether it holds all, or audio alone.
    pub role: RegionRole,
    /// Messages found whose audio is there.
    pub matched: i64,
    /// Of these, erased.
    pub erased: i64,
    /// The region was unavailable at the last attempt.
    pub blocked: bool,
    /// How many times it was tried in vain.
    pub attempts: i64,
    /// When all of it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Time>,
    /// Stable name of what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_error: Option<String>,
}

/// The mirror of the run.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GdprRequestStatus {
    /// The phase of the request.
    #[serde(default)]
    pub phase: Phase,
    /// Ready, Finished, Succeeded and others: all from the first look, Unknown until they are known.
    #[serde(default)]
    #[schemars(length(max = 24))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// How far each region is, the primary one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub regions: Vec<RegionProgress>,
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The run that does the work; for an undo, the run that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run: Option<String>,
    /// Keyed digest of the data subjects, of this run alone: it says nothing about who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub subject_digest: Option<String>,
    /// UID of the Secret that was read, which goes at the end: one that wasn't read is never deleted.
    #[serde(rename = "consumersUID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub consumers_uid: Option<String>,
    /// When the person's request was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Time>,
    /// By when the data subject must have an answer: one month after receipt, Art. 12(3), or as extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// When a second person approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Time>,
    /// When the messages were hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<Time>,
    /// Until when an undo is possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_deadline: Option<Time>,
    /// When the last trace was removed, and the search repeated without a find.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Time>,
    /// When the request ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Until when an export can be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When the last backup that may hold copies is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups_clear_after: Option<Time>,
    /// When the Secret with the consumers was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers_deleted_at: Option<Time>,
    /// Messages found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<i64>,
    /// Messages hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<i64>,
    /// Messages erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<i64>,
    /// Messages that legal holds keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<i64>,
    /// Messages whose region is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<i64>,
    /// Messages in the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<i64>,
    /// Copies that appeared after the end and were erased then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<i64>,
    /// Path of the signed receipt in the tenant's API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub receipt: Option<String>,
    /// The receipt's number in the tenant's chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_number: Option<i64>,
}
