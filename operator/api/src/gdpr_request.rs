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

pub use super::gdpr_decisions::{Approval, Cancellation, Decision, Extension, Ground, Verification};
pub use super::gdpr_status::{GdprRequestStatus, Phase, RegionProgress};
use super::references::Reference;
use super::rules::{forbidden, form, required, wait};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which right is exercised, on whom, and when it was asked for.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "voicemail.dev",
    version = "v1beta1",
    kind = "GdprRequest",
    plural = "gdprrequests",
    shortname = "gdpr",
    category = "voicemail",
    namespaced,
    status = "GdprRequestStatus",
    derive = "PartialEq",
    doc = "A data-subject right exercised on one tenant. Holds no phone number.",
    selectable = ".spec.tenantRef.name",
    selectable = ".spec.operation",
    selectable = ".spec.caseID",
    selectable = ".status.phase",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "Operation", type_ = "string", json_path = ".spec.operation"),
    printcolumn(name = "Case", type_ = "string", json_path = ".spec.caseID"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Matched", type_ = "integer", json_path = ".status.matched"),
    printcolumn(name = "Erased", type_ = "integer", json_path = ".status.erased"),
    printcolumn(name = "Due", type_ = "string", json_path = ".status.dueAt"),
    printcolumn(
        name = "Finished",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Finished\")].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Run", type_ = "string", json_path = ".status.run", priority = 1),
    printcolumn(name = "Requested-By", type_ = "string", json_path = ".spec.requestedBy", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "self.operation == 'UndoForgetMe' ? !has(self.consumers) && !has(self.messages) \
         : [has(self.consumers), has(self.messages), has(self.run)].exists_one(given, given)",
        "consumers: name a Secret, or messages, or a run that the API or the gdpr command opened; neither of the first two for UndoForgetMe, whose run knows them"
    ).field_path(".consumers"),
    validation = forbidden(
        "!has(self.run) || self.operation == 'UndoForgetMe' || !(has(self.undoWindow) || has(self.receivedAt) \
         || has(self.verification) || self.dryRun || self.requireApproval)",
        "run: a mirror only shows the run; undoWindow, receivedAt, verification, dryRun and requireApproval are the run's own"
    ).field_path(".run"),
    validation = forbidden(
        "self.operation == 'UndoForgetMe' || has(self.run) || self.caseID.matches('[A-Za-z]') || !self.caseID.matches('([0-9][^0-9]*){7,}')",
        "caseID: seven digits and more without a letter may be a phone number: write a letter before them, such as C-20260131"
    ).field_path(".caseID"),
    validation = forbidden(
        "!has(self.undoWindow) || self.operation == 'ForgetMe'",
        "undoWindow: only ForgetMe has one"
    ).field_path(".undoWindow"),
    validation = forbidden(
        "!self.dryRun || self.operation != 'UndoForgetMe'",
        "dryRun: only ForgetMe and ExportMe have one"
    ).field_path(".dryRun"),
    validation = forbidden(
        "!self.requireApproval || self.operation != 'UndoForgetMe'",
        "requireApproval: an undo isn't approved"
    ).field_path(".requireApproval"),
    validation = forbidden(
        "!has(self.approval) || self.operation != 'UndoForgetMe'",
        "approval: an undo isn't approved"
    ).field_path(".approval"),
    validation = forbidden(
        "!has(oldSelf.approval) || has(self.approval) && self.approval == oldSelf.approval",
        "approval: a decision can't be changed"
    ).field_path(".approval"),
    validation = forbidden(
        "!has(oldSelf.cancellation) || has(self.cancellation) && self.cancellation == oldSelf.cancellation",
        "cancellation: a decision can't be changed"
    ).field_path(".cancellation"),
    validation = forbidden(
        "!has(oldSelf.extension) || has(self.extension) \
         && (self.extension == oldSelf.extension || self.extension.months > oldSelf.extension.months)",
        "extension: it can only become longer"
    ).field_path(".extension")
)]
pub struct GdprRequestSpec {
    /// The VoicemailTenant, of the same namespace.
    pub tenant_ref: TenantRef,
    /// Which right.
    pub operation: GdprOperation,
    /// The requester's case number. Not a phone number: it is shown everywhere.
    #[serde(rename = "caseID")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(
        validation = form(
            "[A-Za-z0-9][A-Za-z0-9._:/#-]*",
            "caseID: write letters, digits and . _ : / # -, beginning with a letter or digit, such as A-1042"
        )
    )]
    pub case_id: String,
    /// Secret with input.json, labelled voicemail.dev/gdpr-consumers=true; read when used, never copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<Consumers>,
    /// Messages by name instead, for callers who withheld their number; their forwarded copies go with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["mailbox".into(), "id".into()]))]
    pub messages: Option<Vec<MessageName>>,
    /// For UndoForgetMe: the run to take back; the case's latest marked one when absent. Otherwise the run
    /// that the API or the gdpr command opened, which this object shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub run: Option<String>,
    /// For ForgetMe: from the mark to the erasure, such as 24h; at most 720h. The tenant's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait("720h", "undoWindow: write at most 720h, such as 24h"))]
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
    #[serde(default)]
    pub dry_run: bool,
    /// For ForgetMe and ExportMe: a second person must approve, whatever the tenant's own rule is.
    #[serde(default)]
    pub require_approval: bool,
    /// This object goes that long after its end, such as 7776000, and not before backups are cleared; it stays when absent.
    /// The register stays anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3_153_600_000_i64))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// The decision of a second person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// A later deadline (Art. 12(3)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<Extension>,
    /// Takes the request back, before anything was hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<Cancellation>,
}

impl GdprRequestSpec {
    /// Whether this only shows a run that the API or the `gdpr` command opened.
    pub fn is_mirror(&self) -> bool {
        self.run.is_some() && self.operation != GdprOperation::UndoForgetMe
    }
}

/// The tenant that a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TenantRef {
    /// Name of the VoicemailTenant, such as acme.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// The Secret with the data subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Consumers {
    /// The Secret.
    pub secret_ref: Reference,
    /// When the Secret is deleted: OnFinish, or Never for one that other requests name.
    #[serde(default)]
    pub deletion: ConsumersDeletion,
}

/// When the Secret with the data subjects is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConsumersDeletion {
    /// When the request ends.
    #[default]
    OnFinish,
    /// Not by the operator.
    Never,
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
