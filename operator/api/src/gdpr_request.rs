//! `GdprRequest`: a data-subject right exercised on one tenant, as something one can `kubectl get`.
//!
//! Flow: a privacy officer puts the identifiers into a labelled Secret and names it here; the controller
//! drives the tenant's core and mirrors the run into the status. The object itself never holds a phone
//! number: neither in its name, spec nor status. Its spec can't be changed but for what people decide about it
//! (`gdpr_decisions`), each once, so that history stays true.
//!
//! A request with `run` and nothing else is the mirror of a run that the API or the `gdpr` command opened.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]
// The lint takes columns of the same type for repetitions.
#![allow(clippy::duplicated_attributes)]

use super::SecretName;
pub use super::gdpr_decisions::{Approval, Cancellation, Decision, Extension, Ground, Verification};
pub use super::gdpr_status::{GdprRequestStatus, Phase, RegionProgress};
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
    validation = Rule::new(
        "self.tenant == oldSelf.tenant \
         && self.operation == oldSelf.operation \
         && self.caseId == oldSelf.caseId \
         && has(self.consumers) == has(oldSelf.consumers) && (!has(self.consumers) || self.consumers == oldSelf.consumers) \
         && has(self.messages) == has(oldSelf.messages) && (!has(self.messages) || self.messages == oldSelf.messages) \
         && has(self.run) == has(oldSelf.run) && (!has(self.run) || self.run == oldSelf.run) \
         && has(self.undoWindow) == has(oldSelf.undoWindow) && (!has(self.undoWindow) || self.undoWindow == oldSelf.undoWindow) \
         && has(self.receivedAt) == has(oldSelf.receivedAt) && (!has(self.receivedAt) || self.receivedAt == oldSelf.receivedAt) \
         && has(self.requestedBy) == has(oldSelf.requestedBy) && (!has(self.requestedBy) || self.requestedBy == oldSelf.requestedBy) \
         && has(self.verification) == has(oldSelf.verification) && (!has(self.verification) || self.verification == oldSelf.verification) \
         && has(self.dryRun) == has(oldSelf.dryRun) && (!has(self.dryRun) || self.dryRun == oldSelf.dryRun) \
         && has(self.requireApproval) == has(oldSelf.requireApproval) && (!has(self.requireApproval) || self.requireApproval == oldSelf.requireApproval) \
         && has(self.ttlAfterFinished) == has(oldSelf.ttlAfterFinished) && (!has(self.ttlAfterFinished) || self.ttlAfterFinished == oldSelf.ttlAfterFinished)"
    )
    .message("the spec of a GdprRequest can't be changed, apart from approval, extension and cancel: make another request instead"),
    validation = Rule::new(
        "self.operation == 'UndoForgetMe' ? !has(self.consumers) && !has(self.messages) \
         : [has(self.consumers), has(self.messages), has(self.run)].exists_one(given, given)"
    )
    .message("consumers: name a Secret, or messages, or a run that the API or the gdpr command opened; neither of the first two for UndoForgetMe, whose run knows them"),
    validation = Rule::new(
        "!has(self.run) || self.operation == 'UndoForgetMe' || !(has(self.undoWindow) || has(self.receivedAt) \
         || has(self.verification) || has(self.dryRun) || has(self.requireApproval))"
    )
    .message("run: a mirror only shows the run; undoWindow, receivedAt, verification, dryRun and requireApproval are the run's own"),
    validation = Rule::new("!has(self.undoWindow) || self.operation == 'ForgetMe'")
    .message("undoWindow: only ForgetMe has one"),
    validation = Rule::new("!has(self.dryRun) || !self.dryRun || self.operation != 'UndoForgetMe'")
    .message("dryRun: only ForgetMe and ExportMe have one"),
    validation = Rule::new("!has(self.requireApproval) || !self.requireApproval || self.operation == 'ForgetMe'")
    .message("requireApproval: only ForgetMe is approved"),
    validation = Rule::new("!has(self.approval) || self.operation != 'UndoForgetMe'")
    .message("approval: an undo isn't approved"),
    validation = Rule::new("!has(oldSelf.approval) || has(self.approval) && self.approval == oldSelf.approval")
    .message("approval: a decision can't be changed"),
    validation = Rule::new("!has(oldSelf.cancel) || has(self.cancel) && self.cancel == oldSelf.cancel")
    .message("cancel: a decision can't be changed"),
    validation = Rule::new(
        "!has(oldSelf.extension) || has(self.extension) \
         && (self.extension == oldSelf.extension || self.extension.months > oldSelf.extension.months)"
    )
    .message("extension: it can only become longer")
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
    pub consumers: Option<Consumers>,
    /// Messages by name instead, for callers who withheld their number; their forwarded copies go with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub messages: Option<Vec<MessageName>>,
    /// For UndoForgetMe: the run to take back; the case's latest marked one when absent. Otherwise the run
    /// that the API or the gdpr command opened, which this object shows.
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
    /// Who asks for it; never the data subject. Where the chart's admission policy is installed, the user who
    /// creates this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub requested_by: Option<String>,
    /// How it was made sure that the request comes from the data subject (Art. 12(6)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// Find and count, and change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// For ForgetMe: a second person must approve, whatever the tenant's own rule is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<bool>,
    /// This object goes that long after its end, such as 90d, and not before backups are cleared; it stays when absent. The
    /// register stays anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub ttl_after_finished: Option<String>,
    /// The decision of a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// A later deadline (Art. 12(3)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
    /// Takes the request back, before anything was hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancellation>,
}

impl GdprRequestSpec {
    /// Whether this only shows a run that the API or the `gdpr` command opened.
    pub fn is_mirror(&self) -> bool {
        self.run.is_some() && self.operation != GdprOperation::UndoForgetMe
    }
}

/// The Secret with the data subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Consumers {
    /// The Secret.
    pub secret: SecretName,
    /// Keep it when a request ends, this one or another that names it; otherwise it is deleted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<bool>,
}

/// A message by its place: what a list of a mailbox shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageName {
    /// Mailbox.
    #[schemars(length(min = 1, max = 64))]
    pub mailbox: String,
    /// The message's id.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
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
    pub fn on_the_wire(self) -> voicemail_api::gdpr::Operation {
        use voicemail_api::gdpr::Operation;
        match self {
            Self::ForgetMe => Operation::ForgetMe,
            Self::ExportMe => Operation::ExportMe,
            Self::UndoForgetMe => Operation::UndoForget,
        }
    }
}
