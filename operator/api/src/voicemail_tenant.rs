//! `VoicemailTenant`: one contact centre's voicemail, its storage, people and deadlines.
//!
//! Flow: a user writes the spec; the tenant controller turns it into the tenant's children and reports
//! in the status. What can't be taken back (tenant id, primary region, every storage location) can't be changed.
//!
//! Absent parts mean what is usual: their defaults are in the schema, and what is computed stands in the status. The
//! operator never writes into a spec.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]
// The lint takes columns of the same type for repetitions.
#![allow(clippy::duplicated_attributes)]

pub use super::access::{
    Algorithm, Audit, Auth, Basic, ClientLimits, Cors, Identity, Introspection, Issuer, LookedUpRole, Person,
    Role, ServiceAccount,
};
pub use super::data_subject_rights::{Approval, ApprovalRule, Gdpr, RegionDown};
pub use super::email::{Email, Smtp, SmtpTls};
pub use super::mailboxes::{ClassOfService, Directory, EmailContent, Reception, UTC};
pub use super::mwi::{Mwi, Webhook};
pub use super::network::{
    ExternalTrafficPolicy, IpFamily, IpFamilyPolicy, NetworkPolicy, ServiceTemplate, ServiceType, Sources,
};
pub use super::numbers::{CallerTag, NumberPrefix, Numbers};
pub use super::outgoing::Proxy;
pub use super::pod_template::{PodParts, PodTemplate};
pub use super::pods::{Autoscaling, ImagePullPolicy, Metadata, Monitoring, MonitoringMode, Resources};
use super::quantity::Amount;
use super::references::{CaRef, Reference, SecretSource};
use super::rules::{amount, forbidden, form, invalid, required};
pub use super::storage::{
    AzureBlob, AzureCloud, AzureCredentials, AzureEncryption, AzureRestoration, AzureTier, Claim,
    EtagQuoting, KeepFree, KeyVault, KeyVaultEntry, Label, Region, S3, S3Algorithm, S3Credentials,
    S3Encryption, S3Restoration, Storage, StorageKind, Volume, WebIdentity, WorkloadIdentity,
};
pub use super::telemetry::{Otlp, Telemetry};
pub use super::telephony::{
    Advertised, ClientCertificates, Dialogue, DigestAlgorithm, MailboxRange, OwnPrompts, PortBlock, Spool,
    SpoolClaim, Telephony, TelephonyNetwork, TelephonyPorts, TelephonyTls, Trunk, TrunkDigest, TrunkLimits,
    TrunkNotify, TrunkNumber, TrunkTransport, Trust,
};
pub use super::tenant_status::{Endpoint, RegionRole, RegionStatus, TelephonyStatus, VoicemailTenantStatus};
pub use super::web::{IdentityFrom, Login, MaskCallers, Passwords, Session, Web};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The desired state of a tenant's voicemail.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "voicemail.dev",
    version = "v1beta1",
    kind = "VoicemailTenant",
    plural = "voicemailtenants",
    shortname = "vmt",
    category = "voicemail",
    namespaced,
    status = "VoicemailTenantStatus",
    derive = "PartialEq",
    doc = "One contact centre's voicemail: its storage, people and deadlines.",
    selectable = ".spec.tenantID",
    selectable = ".spec.localRegion",
    selectable = ".spec.deletionPolicy",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.localRegion"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Serving", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Storage", type_ = "string", json_path = ".status.regions[0].storage", priority = 1),
    printcolumn(name = "Unreachable", type_ = "string", json_path = ".status.regions[?(@.conditions[0].status==\"False\")].name", priority = 1),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image", priority = 1),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoints[?(@.name==\"api\")].url", priority = 1),
    validation = invalid(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')",
        "metadata.name: write 1 to 40 lower-case letters, digits and dashes, beginning with a letter: Services are named after it"
    ),
    validation = invalid(
        "!has(self.spec.telephony) || self.metadata.name.size() <= 38",
        "telephony: the tenant's name may have 38 characters at most, since pods bear it in a label: make another tenant"
    ).field_path(".spec.telephony"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = invalid(
        "self.regions.exists(r, r.name == self.localRegion)",
        "localRegion: write the name of one of spec.regions"
    ).field_path(".localRegion"),
    validation = invalid(
        "self.regions.exists(r, r.name == self.primaryRegion)",
        "primaryRegion: write the name of one of spec.regions"
    ).field_path(".primaryRegion"),
    validation = forbidden(
        "!self.regions.exists(r, has(r.storage.volume)) || self.regions.size() == 1",
        "regions: a tenant on a volume has one region only"
    ).field_path(".regions"),
    validation = forbidden(
        "oldSelf.regions.all(o, self.regions.exists(r, r.name == o.name))",
        "regions: a region can't be removed or renamed, since its messages would be lost"
    ).field_path(".regions"),
    validation = invalid(
        "self.regions.all(a, !has(a.storage.azureBlob) || self.regions.filter(b, has(b.storage.azureBlob) && b.storage.azureBlob.account == a.storage.azureBlob.account && b.storage.azureBlob.container == a.storage.azureBlob.container && has(b.storage.azureBlob.prefix) == has(a.storage.azureBlob.prefix) && (!has(a.storage.azureBlob.prefix) || b.storage.azureBlob.prefix == a.storage.azureBlob.prefix)).size() == 1)",
        "regions: two regions name the same account, container and prefix: give each a place of its own"
    ).field_path(".regions"),
    validation = invalid(
        "self.regions.all(a, !has(a.storage.s3) || self.regions.filter(b, has(b.storage.s3) && b.storage.s3.bucket == a.storage.s3.bucket && has(b.storage.s3.prefix) == has(a.storage.s3.prefix) && (!has(a.storage.s3.prefix) || b.storage.s3.prefix == a.storage.s3.prefix) && has(b.storage.s3.endpoint) == has(a.storage.s3.endpoint) && (!has(a.storage.s3.endpoint) || b.storage.s3.endpoint == a.storage.s3.endpoint)).size() == 1)",
        "regions: two regions name the same bucket and prefix of a server: give each a place of its own"
    ).field_path(".regions"),
    validation = invalid(
        "self.regions.all(a, !has(a.storage.azureBlob) || !has(a.storage.azureBlob.credentials.workloadIdentity) || self.regions.all(b, !has(b.storage.azureBlob) || !has(b.storage.azureBlob.credentials.workloadIdentity) || (a.storage.azureBlob.credentials.workloadIdentity.clientID == b.storage.azureBlob.credentials.workloadIdentity.clientID && has(b.storage.azureBlob.credentials.workloadIdentity.tenantID) == has(a.storage.azureBlob.credentials.workloadIdentity.tenantID) && (!has(a.storage.azureBlob.credentials.workloadIdentity.tenantID) || b.storage.azureBlob.credentials.workloadIdentity.tenantID == a.storage.azureBlob.credentials.workloadIdentity.tenantID))))",
        "regions: all workload identities must be the same: the pods have one service account"
    ).field_path(".regions"),
    validation = invalid(
        "self.regions.all(a, !has(a.storage.s3) || !has(a.storage.s3.credentials.webIdentity) || self.regions.all(b, !has(b.storage.s3) || !has(b.storage.s3.credentials.webIdentity) || a.storage.s3.credentials.webIdentity.roleARN == b.storage.s3.credentials.webIdentity.roleARN))",
        "regions: all web identities must name the same role: the pods have one service account"
    ).field_path(".regions"),
    validation = invalid(
        "!has(self.web) || !has(self.web.login) || self.web.login.all(l, has(self.auth.issuers) && self.auth.issuers.exists(i, i.issuer == l.issuer))",
        "login: name issuers of spec.auth.issuers alone: their claims and role maps say who has signed in"
    ).field_path(".web.login"),
    validation = required(
        "!has(self.web) || self.web.passwords != 'Allowed' || has(self.auth.basic)",
        "basic: name a Secret with users in spec.auth.basic, or write web.passwords: Forbidden"
    ).field_path(".auth.basic"),
    validation = required(
        "has(self.web) || !has(self.classesOfService) || self.classesOfService.all(c, !has(c.email) || c.email != 'Link')",
        "web: give the host by which browsers reach the Inbox, since a class of service sends links to it"
    ).field_path(".web")
)]
pub struct VoicemailTenantSpec {
    /// Contact-centre id (ccid), such as 2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d: names the tenant's tree in every store.
    #[serde(rename = "tenantID")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = form("[A-Za-z0-9-]*", "tenantID: write letters, digits and dashes, usually a UUID"))]
    pub tenant_id: String,
    /// The region that this cluster serves, such as eu-west.
    #[schemars(length(min = 1, max = 56))]
    pub local_region: String,
    /// The region that holds all but audio, such as eu-west.
    #[schemars(length(min = 1, max = 56))]
    pub primary_region: String,
    /// The tenant's regions, each with a store.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub regions: Vec<Region>,
    /// Image of the core; the operator's when absent, and the one in force is in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// When the image is fetched.
    #[serde(default)]
    pub image_pull_policy: ImagePullPolicy,
    /// Secrets for private registries, beside those that the operator was installed with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<Reference>,
    /// Pods of the core.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 50))]
    pub replicas: i32,
    /// Replicas by load; then replicas is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// CPU and memory of each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Memory of each pod for messages on their way into a region's object store, such as 64Mi; once for each region
    /// within the memory limit. More uploads wait.
    #[serde(default = "default_upload_buffer")]
    #[x_kube(validation = amount("16Mi", "4Gi", "uploadBuffer: write 16Mi to 4Gi, such as 64Mi"))]
    pub upload_buffer: Amount,
    /// Calls of each pod to a region's store that are under way at a time; one operation makes at most half of them. More
    /// make erasures and exports faster where a store answers slowly.
    #[serde(default = "default_store_calls")]
    #[schemars(range(min = 4, max = 1024))]
    pub store_calls: u32,
    /// What the pods have beside what the operator gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
    /// Labels and annotations of all children.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited_metadata: Option<Metadata>,
    /// The Service of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceTemplate>,
    /// A serving certificate, brought instead of made: a Secret with tls.crt, tls.key and perhaps ca.crt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SecretSource>,
    /// Tenant key and receipt key, given instead of made: a Secret with tenant.key and receipt.key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<SecretSource>,
    /// The way of the pods' requests to other hosts: stores, issuers, receivers of MWI states, the collector of spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// Authorities that are trusted beside the system's, wherever no other one is named.
    #[serde(rename = "trustedCARef", default, skip_serializing_if = "Option::is_none")]
    pub trusted_ca_ref: Option<CaRef>,
    /// Clients that may use the API, and their roles.
    #[serde(default)]
    pub auth: Auth,
    /// Web pages that may call the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// Clients that may open connections to the pods; hints between replicas are always for replicas alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
    /// The limits of one client at a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_limits: Option<ClientLimits>,
    /// How phone numbers are read.
    pub numbers: Numbers,
    /// Defaults of mailboxes that receive callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reception: Option<Reception>,
    /// Whether agents find mailboxes that aren't theirs, to forward messages to: Closed, or Open, where they see number and label.
    #[serde(default, skip_serializing_if = "Directory::is_closed")]
    pub directory: Directory,
    /// Message waiting indication: event streams, and receivers that are told by requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mwi: Option<Mwi>,
    /// E-mails about new messages, as far as classes of service allow any; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The pages that people use in their browsers, such as the Inbox; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
    /// Limits and retention by name; `standard` exists always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub classes_of_service: Vec<ClassOfService>,
    /// The data-subject rights: deadlines, approvals, and unavailable regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gdpr: Option<Gdpr>,
    /// The record of who listened, searched, exported and erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Whether the stored data, the claim and the keys are kept or deleted with the tenant. Delete needs the annotation
    /// voicemail.dev/confirm-deletion with the tenant's name as its value.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Objects for the Prometheus operator, made where the cluster serves its kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// The collector for the pods' spans; none are exported when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// The telephone: trunks may call, owners dial in, and desk phones show that messages wait (MWI). There is none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephony: Option<Telephony>,
}

fn default_replicas() -> i32 {
    2
}

fn default_upload_buffer() -> Amount {
    Amount::of_mebibytes(64)
}

fn default_store_calls() -> u32 {
    64
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
