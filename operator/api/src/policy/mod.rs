//! `VoicemailPolicy`: what the platform team lets tenants be, in namespaces that it chooses.
//!
//! Flow: policies are cluster-wide objects, which who edits tenants can't touch. The chart's admission policies refuse what
//! breaks one; [`bind`] says the same to the operator, for tenants that are older than the policy, and where no admission
//! policy can be installed. A tenant has to keep every policy that applies to its namespace, so the strictest wins.
//!
//! An absent list allows all, an empty one nothing.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]
// The lint takes columns of the same type for repetitions.
#![allow(clippy::duplicated_attributes)]

mod binding;
#[cfg(test)]
mod binding_tests;
mod hosts;
mod rules;
mod secrets;

pub use binding::{Bound, applies, bind};
pub use rules::Rules;
pub use secrets::{is_usable, named_secrets};

use super::data_subject_rights::ApprovalRule;
use super::rules::{forms, wait};
use super::storage::Label;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What tenants may be.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "voicemail.dev",
    version = "v1beta1",
    kind = "VoicemailPolicy",
    plural = "voicemailpolicies",
    shortname = "vmp",
    derive = "PartialEq",
    doc = "What the platform team lets tenants be; every policy that applies must be kept.",
    printcolumn(name = "Digest", type_ = "string", json_path = ".spec.images.digest"),
    printcolumn(name = "Approval", type_ = "string", json_path = ".spec.floors.approval"),
    printcolumn(name = "Undo-Window", type_ = "string", json_path = ".spec.floors.undoWindow"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct VoicemailPolicySpec {
    /// Labels that a namespace must have for the policy to apply there, such as stage: production; everywhere when absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub namespace_labels: BTreeMap<String, Label>,
    /// Images that tenants may name. The operator's own is always allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// Issuers whose tokens may be accepted, each exactly, such as `https://id.example.com`. Key sets and introspection
    /// endpoints must be below one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(r"https://[^\s?#]+", "issuers: write URLs that begin with https://, without ? and #")
    )]
    pub issuers: Option<Vec<String>>,
    /// Hosts of stores, collectors, mail servers and receivers of MWI states; behind a dot every host that ends so, such as
    /// .blob.core.windows.net.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(
            r"[a-z0-9.:-]+",
            "endpoints: write hosts in lower case without a port, such as minio.storage.svc, or a dot and the end of their names"
        )
    )]
    pub endpoints: Option<Vec<String>>,
    /// Namespaces whose service accounts may be given roles, such as voice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub service_account_namespaces: Option<Vec<String>>,
    /// Kinds of credentials for stores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub identities: Option<Vec<StoreIdentity>>,
    /// Which Secrets of its namespace a tenant may name. Labelled ones have voicemail.dev/tenant-usable, with true or the
    /// tenant's name.
    #[serde(default)]
    pub secrets: SecretRule,
    /// What tenants may write into the templates of their pods.
    #[serde(default)]
    pub pod_template: TemplateRule,
    /// The least that tenants and requests must have. Where they have less, the operator raises it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<Floors>,
}

/// Which images.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// Beginnings of their names, such as registry.example/voicemail/.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = forms(
            r"\S*[/:@]",
            "prefixes: write beginnings that end in / : or @, for else the names of other registries and images begin so, too"
        )
    )]
    pub prefixes: Option<Vec<String>>,
    /// Whether an image must be named by its digest, which nobody can move.
    #[serde(default)]
    pub digest: DigestRule,
}

/// Whether an image must be named by its digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DigestRule {
    /// A tag will do.
    #[default]
    Optional,
    /// As in core@sha256:….
    Required,
}

/// A kind of credentials for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoreIdentity {
    /// A Secret.
    Secret,
    /// The pods' own identity at Microsoft Entra.
    WorkloadIdentity,
    /// The pods' own identity at AWS.
    WebIdentity,
    /// A vault that the pods' own identity reads.
    KeyVaultWorkload,
    /// A vault that the node's identity reads, which every pod of the node has.
    KeyVaultNode,
}

impl StoreIdentity {
    /// Its name, as in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::WorkloadIdentity => "WorkloadIdentity",
            Self::WebIdentity => "WebIdentity",
            Self::KeyVaultWorkload => "KeyVaultWorkload",
            Self::KeyVaultNode => "KeyVaultNode",
        }
    }
}

/// Which Secrets a tenant may name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecretRule {
    /// All of its namespace.
    #[default]
    All,
    /// Those that somebody who may write them has labelled.
    Labelled,
}

/// What may stand in the templates of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TemplateRule {
    /// Nothing.
    None,
    /// Where pods run, and their labels and annotations.
    #[default]
    Placement,
    /// Containers, volumes and variables, too: whoever edits a tenant then reads every Secret and volume of its namespace.
    Full,
}

/// The least that tenants and requests must have.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Floors {
    /// Which erasures need a second person.
    #[serde(default)]
    pub approval: ApprovalRule,
    /// Which exports need one.
    #[serde(default)]
    pub exports: ApprovalRule,
    /// The highest number of matches that may be called large, such as 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub large_matches_at_most: Option<i32>,
    /// Shortest time from the mark to the erasure, such as 24h; for requests, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = wait("720h", "floors.undoWindow: write at most 720h, such as 24h"))]
    pub undo_window: Option<String>,
    /// Days for which the record of who did what is kept, such as 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub audit_retention_days: Option<i32>,
    /// Whether a tenant's data may be deleted with it.
    #[serde(default)]
    pub deletion: DeletionRule,
}

/// Whether a tenant's data may be deleted with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionRule {
    /// As the tenant says.
    #[default]
    AsWritten,
    /// They are kept.
    RetainOnly,
}
