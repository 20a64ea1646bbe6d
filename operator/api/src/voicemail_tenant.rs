//! `VoicemailTenant`: one contact centre's voicemail, its storage, people and deadlines.
//!
//! Flow: a user writes the spec; the tenant controller turns it into the tenant's children and reports
//! in the status. What can't be taken back (tenant id, every storage location) can't be changed.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]
// The lint takes columns of the same type for repetitions.
#![allow(clippy::duplicated_attributes)]

use super::SecretSource;
pub use super::access::{
    Algorithm, Audit, Auth, Basic, Browser, Introspection, Issuer, Limits, LookedUpRole, Role, ServiceAccount,
};
use super::conditions::Condition;
pub use super::numbers::{CallerTag, NumberPrefix, Numbers};
pub use super::operation::{
    Autoscaling, Monitoring, NetworkAccess, Peer, Scheduling, TaintEffect, Toleration,
};
pub use super::storage::{
    AzureBlob, AzureCloud, AzureCredentials, Claim, EtagQuoting, KeepFree, KeyVault, KeyVaultEntry, Label,
    Region, S3, S3Credentials, Selector, Storage, StorageKind, Volume, VolumeMode, WebIdentity,
    WorkloadIdentity,
};
pub use super::telemetry::{Otlp, Telemetry};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The desired state of a tenant's voicemail.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "voicemail.dev",
    version = "v1alpha1",
    kind = "VoicemailTenant",
    plural = "voicemailtenants",
    shortname = "vmt",
    category = "voicemail",
    namespaced,
    status = "VoicemailTenantStatus",
    derive = "PartialEq",
    doc = "One contact centre's voicemail: its storage, people and deadlines.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Storage", type_ = "string", json_path = ".status.regions[0].storage"),
    printcolumn(name = "Unreachable", type_ = "string", json_path = ".status.regions[?(@.reachable==false)].name", priority = 1),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name: write 1 to 40 lower-case letters, digits and dashes, beginning with a letter: Services are named after it"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.regions.exists(r, r.name == self.region)")
    .message("region: write the name of one of spec.regions"),
    validation = Rule::new("self.regions.filter(r, r.master).size() == 1")
    .message("regions: mark exactly one region as master"),
    validation = Rule::new("!self.regions.exists(r, has(r.storage.volume)) || self.regions.size() == 1")
    .message("regions: a tenant on a volume has one region only"),
    validation = Rule::new("oldSelf.regions.all(o, self.regions.exists(r, r.name == o.name))")
    .message("regions: a region can't be removed or renamed, since its messages would be lost"),
    validation = Rule::new(
    "self.regions.all(a, !has(a.storage.azureBlob) || self.regions.filter(b, has(b.storage.azureBlob) && b.storage.azureBlob.account == a.storage.azureBlob.account && b.storage.azureBlob.container == a.storage.azureBlob.container && has(b.storage.azureBlob.prefix) == has(a.storage.azureBlob.prefix) && (!has(a.storage.azureBlob.prefix) || b.storage.azureBlob.prefix == a.storage.azureBlob.prefix)).size() == 1)")
    .message("regions: two regions name the same account, container and prefix: give each a place of its own"),
    validation = Rule::new(
    "self.regions.all(a, !has(a.storage.s3) || self.regions.filter(b, has(b.storage.s3) && b.storage.s3.bucket == a.storage.s3.bucket && has(b.storage.s3.prefix) == has(a.storage.s3.prefix) && (!has(a.storage.s3.prefix) || b.storage.s3.prefix == a.storage.s3.prefix) && has(b.storage.s3.endpoint) == has(a.storage.s3.endpoint) && (!has(a.storage.s3.endpoint) || b.storage.s3.endpoint == a.storage.s3.endpoint)).size() == 1)")
    .message("regions: two regions name the same bucket and prefix of a server: give each a place of its own"),
    validation = Rule::new(
    "self.regions.all(a, !has(a.storage.azureBlob) || !has(a.storage.azureBlob.credentials.workloadIdentity) || self.regions.all(b, !has(b.storage.azureBlob) || !has(b.storage.azureBlob.credentials.workloadIdentity) || (a.storage.azureBlob.credentials.workloadIdentity.clientId == b.storage.azureBlob.credentials.workloadIdentity.clientId && has(b.storage.azureBlob.credentials.workloadIdentity.tenantId) == has(a.storage.azureBlob.credentials.workloadIdentity.tenantId) && (!has(a.storage.azureBlob.credentials.workloadIdentity.tenantId) || b.storage.azureBlob.credentials.workloadIdentity.tenantId == a.storage.azureBlob.credentials.workloadIdentity.tenantId))))")
    .message("regions: all workload identities must be the same: the pods have one service account"),
    validation = Rule::new(
    "self.regions.all(a, !has(a.storage.s3) || !has(a.storage.s3.credentials.webIdentity) || self.regions.all(b, !has(b.storage.s3) || !has(b.storage.s3.credentials.webIdentity) || a.storage.s3.credentials.webIdentity.roleArn == b.storage.s3.credentials.webIdentity.roleArn))")
    .message("regions: all web identities must name the same role: the pods have one service account")
)]
pub struct VoicemailTenantSpec {
    /// Contact-centre id (ccid): names the tenant's tree in every store.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("tenantId can't be changed: it names the tenant's data; make another tenant instead"))]
    pub tenant_id: String,
    /// The region that this cluster serves.
    #[schemars(length(min = 1, max = 56))]
    pub region: String,
    /// The tenant's regions; the master holds all but audio.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub regions: Vec<Region>,
    /// Tenant key and receipt key, given instead of made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<SecretSource>,
    /// Pods of the core.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 50))]
    pub replicas: i32,
    /// Replicas by load; then replicas is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// Clients that may open connections to the pods; hints between replicas are always for replicas alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_access: Option<NetworkAccess>,
    /// Where the pods may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
    /// Objects for the Prometheus operator, made where the cluster serves its kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Image of the core; the operator's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// CPU and memory of each pod of the core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Limits and retention by name; `standard` exists always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub classes_of_service: Vec<ClassOfService>,
    /// How phone numbers are read.
    pub numbers: Numbers,
    /// Defaults of mailboxes that receive callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reception: Option<Reception>,
    /// Clients that may use the API, and their roles.
    #[serde(default)]
    pub auth: Auth,
    /// Web pages that may call the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<Browser>,
    /// The limits of one client at a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The record of who listened, searched, exported and erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// The collector for the pods' spans; none are exported when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// A serving certificate, brought instead of made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SecretSource>,
    /// The data-subject rights: deadlines, approvals, and unavailable regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gdpr: Option<Gdpr>,
    /// Whether the stored data, the claim and the keys are kept or deleted with the tenant. Delete needs the annotation
    /// voicemail.dev/confirm-deletion with the tenant's name as its value.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn default_replicas() -> i32 {
    2
}

/// CPU and memory of a pod.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// The reserved CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Amounts>,
    /// The highest CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Amounts>,
    /// Memory of each pod for messages on their way into a region's object store; more uploads wait. 64 when
    /// absent. It must fit into the memory limit once for each region.
    #[serde(default, rename = "uploadBufferMiB", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 4096))]
    pub upload_buffer_mib: Option<i32>,
}

/// Amounts of CPU and memory.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Amounts {
    /// CPU, such as 250m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), regex(pattern = r"^[0-9]+(\.[0-9]{1,3})?m?$"))]
    pub cpu: Option<String>,
    /// Memory, such as 256Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), regex(pattern = r"^[1-9][0-9]*([KMGT]i|[kMGT])?$"))]
    pub memory: Option<String>,
}

/// Limits and retention of a kind of mailbox.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.quotaSeconds) || self.quotaSeconds >= self.maxSeconds")
    .message("quotaSeconds: write at least maxSeconds, or the longest message never fits")
)]
pub struct ClassOfService {
    /// Name that mailboxes refer to.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Messages a mailbox may hold, trash not counted.
    #[serde(default = "default_max_messages")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_messages: i32,
    /// Longest message, in seconds.
    #[serde(default = "default_max_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub max_seconds: i32,
    /// Seconds below which a media server throws a recording away.
    #[serde(default = "default_min_seconds")]
    #[schemars(range(min = 0, max = 60))]
    pub min_seconds: i32,
    /// Seconds of messages a mailbox may hold in all, trash not counted; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub quota_seconds: Option<i32>,
    /// Days from deposit to automatic deletion.
    #[serde(default = "default_retention_days")]
    #[schemars(range(min = 1, max = 3650))]
    pub retention_days: i32,
    /// Hours that a deleted message can be restored for.
    #[serde(default = "default_trash_hours")]
    #[schemars(range(min = 0, max = 720))]
    pub trash_hours: i32,
}

fn default_max_messages() -> i32 {
    10
}

fn default_max_seconds() -> i32 {
    180
}

fn default_min_seconds() -> i32 {
    3
}

fn default_retention_days() -> i32 {
    30
}

fn default_trash_hours() -> i32 {
    24
}

/// For mailboxes that prefer nothing else.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reception {
    /// Where a caller who doesn't want to leave a message may be connected to: a number or an address of the
    /// telephony's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[!-~]+$"))]
    pub opt_out: Option<String>,
    /// Language of prompts, such as en-GB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 35), regex(pattern = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"))]
    pub language: Option<String>,
    /// Time zone by its IANA name, such as Europe/London. UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// The data-subject rights. Times are written as 90s, 24h or 7d.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gdpr {
    /// From the mark to the erasure; at most 30d. 24h when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub undo_window: Option<String>,
    /// How long an export can be fetched. 7d when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub export_lifetime: Option<String>,
    /// How long backups of the store live, and so how long the ledger of erasures is kept. 35d when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]{1,7}[dhms]){1,4}$"))]
    pub backup_retention: Option<String>,
    /// Whether a second person must approve an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Whether an erasure waits or is refused while a region other than the master is unavailable. refuse when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_down: Option<RegionDown>,
}

/// Four eyes on erasures.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Which erasures need approval.
    #[serde(default)]
    pub required: ApprovalRule,
    /// Number of matches from which on a search counts as large, as that of a switchboard does. 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub large_matches: Option<i32>,
}

/// When a second person must approve an erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalRule {
    /// Only if a request asks for it.
    #[default]
    Never,
    /// If the search finds many messages.
    Large,
    /// Every erasure.
    Always,
}

/// How an erasure treats a region that is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RegionDown {
    /// The request is refused with the region's name.
    Refuse,
    /// Messages are hidden now, erased where that is possible, and the region is tried until it answers.
    MarkAndRetry,
}

/// Whether a deleted tenant's data, claim and keys are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Data, claim and keys are kept.
    #[default]
    Retain,
    /// Data, claim and keys are deleted, once confirmed.
    Delete,
}

impl VoicemailTenant {
    /// Whether a core has served the tenant's store: from then on keys and claim are never made anew.
    pub fn has_known_store(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.store_id.is_some())
    }
}

/// The observed state of a tenant.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoicemailTenantStatus {
    /// Ready, Reconciling, Stalled, StorageReady and, while being deleted, DeletionBlocked.
    #[serde(default)]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the annotation voicemail.dev/reconcile-at that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// Image of the core that the pods were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub image: Option<String>,
    /// Id of the tenant's store; once known, lost keys are never made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub store_id: Option<String>,
    /// Pods of the core.
    #[serde(default)]
    pub replicas: i32,
    /// Pods that serve.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Label selector of the pods, for autoscalers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// The regions as seen from this cluster.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub regions: Vec<RegionStatus>,
}

/// A region as seen from this cluster.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegionStatus {
    /// Name of the region.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Kind of storage.
    #[schemars(length(max = 32))]
    pub storage: String,
    /// True for the region that holds all but audio.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub master: bool,
    /// Whether the store answers.
    pub reachable: bool,
    /// Why it doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
