//! `GdprRequest`: a data-subject right exercised on one tenant, as something one can `kubectl get`.
//!
//! Flow: a privacy officer puts the identifiers into a labelled Secret and names it here; the controller
//! drives the tenant's core and mirrors the run into the status. The object itself never holds a phone
//! number: neither in its name, spec nor status. Its spec can't be changed, so that history stays true.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]
// The lint takes columns of the same type for repetitions.
#![allow(clippy::duplicated_attributes)]

use super::SecretSource;
use super::conditions::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which right is exercised, on whom, and when it was asked for.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "voicemail.dev",
    version = "v1alpha1",
    kind = "GdprRequest",
    plural = "gdprrequests",
    shortname = "gdpr",
    category = "voicemail",
    namespaced,
    status = "GdprRequestStatus",
    derive = "PartialEq",
    doc = "A data-subject right exercised on one tenant. Holds no phone number.",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenant"),
    printcolumn(name = "Operation", type_ = "string", json_path = ".spec.operation"),
    printcolumn(name = "Case", type_ = "string", json_path = ".spec.caseId"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Matched", type_ = "integer", json_path = ".status.matched"),
    printcolumn(name = "Due", type_ = "string", json_path = ".status.dueAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf")
    .message("the spec of a GdprRequest can't be changed: make another request instead"),
    validation = Rule::new("(self.operation == 'UndoForgetMe') != has(self.consumers)")
    .message("consumers: name a Secret for ForgetMe and ExportMe, and none for UndoForgetMe, whose run knows them"),
    validation = Rule::new("!has(self.run) || self.operation == 'UndoForgetMe'")
    .message("run: only UndoForgetMe names the run that it takes back"),
    validation = Rule::new("!has(self.undoWindow) || self.operation == 'ForgetMe'")
    .message("undoWindow: only ForgetMe has one")
)]
pub struct GdprRequestSpec {
    /// Name of the VoicemailTenant in the same namespace.
    #[schemars(length(min = 1, max = 40))]
    pub tenant: String,
    /// Which right.
    pub operation: GdprOperation,
    /// The requester's case number. Not a phone number: it is shown everywhere.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._:/#-]*$"))]
    pub case_id: String,
    /// Secret with input.json, labelled voicemail.dev/gdpr-consumers=true; read when used, never copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<SecretSource>,
    /// For UndoForgetMe: the run to take back; the case's latest marked one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub run: Option<String>,
    /// For ForgetMe: from the mark to the erasure, such as 24h; at most 30d. The tenant's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub undo_window: Option<String>,
    /// When the data subject asked; the creation of this object when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Time>,
    /// Who handles the case. A name or ticket, not the data subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub requested_by: Option<String>,
}

/// Which right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GdprOperation {
    /// Erasure, Art. 17.
    ForgetMe,
    /// Access, Art. 15.
    ExportMe,
    /// Takes an erasure back within its window.
    UndoForgetMe,
}

impl GdprOperation {
    /// The same operation in the core's API.
    pub fn on_the_wire(self) -> voicemail_core::gdpr_api::Operation {
        use voicemail_core::gdpr_api::Operation;
        match self {
            Self::ForgetMe => Operation::ForgetMe,
            Self::ExportMe => Operation::ExportMe,
            Self::UndoForgetMe => Operation::UndoForget,
        }
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The core hasn't accepted it yet.
    #[default]
    Pending,
    /// Messages are being found and marked.
    Searching,
    /// Hidden everywhere; can be undone until the deadline.
    Marked,
    /// An erasure is being taken back.
    Undoing,
    /// Being erased.
    Erasing,
    /// Done.
    Completed,
    /// The erasure was taken back.
    Undone,
    /// Can't be done as written.
    Failed,
}

impl Phase {
    /// Whether nothing will change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Undone | Self::Failed)
    }
}

/// The mirror of the run.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GdprRequestStatus {
    /// Where the request stands.
    #[serde(default)]
    pub phase: Phase,
    /// Completed and Failed.
    #[serde(default)]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The run that does the work; for an undo, the run that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub run: Option<String>,
    /// By when the data subject must have an answer: one month after receipt, Art. 12(3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// When the messages were hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<Time>,
    /// Until when an undo is possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_deadline: Option<Time>,
    /// When the last trace was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Time>,
    /// Messages found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<i64>,
    /// Messages erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<i64>,
    /// Messages in the export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<i64>,
}
