//! How a tenant is, as the operator sees it from its cluster.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::conditions::{Condition, ConditionStatus, REACHABLE, find_condition};
use super::references::{CaRef, Reference};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The observed state of a tenant.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoicemailTenantStatus {
    /// Ready, Reconciling, Stalled, StorageReady and others: all from the first look, Unknown until they are known.
    #[serde(default)]
    #[schemars(length(max = 24))]
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
    #[serde(rename = "storeID", default, skip_serializing_if = "Option::is_none")]
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
    /// Where the tenant is reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub endpoints: Vec<Endpoint>,
    /// The authority of the API's certificate, under the key ca.crt; none where clients trust it anyway.
    #[serde(rename = "caRef", default, skip_serializing_if = "Option::is_none")]
    pub ca_ref: Option<CaRef>,
    /// The Secret by which workloads are bound to the API, as the Service Binding Specification has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Reference>,
    /// The regions as seen from this cluster.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub regions: Vec<RegionStatus>,
    /// The telephone's pods; none without spec.telephony.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telephony: Option<TelephonyStatus>,
}

/// The pods that take calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TelephonyStatus {
    /// Pods.
    #[serde(default)]
    pub replicas: i32,
    /// Pods that take calls.
    #[serde(default)]
    pub ready_replicas: i32,
}

/// A way to reach the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Name of the interface: api, sip, web.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its URL, such as `https://acme-voicemail.voice.svc:8081`.
    #[schemars(length(max = 512))]
    pub url: String,
    /// Audience that tokens of service accounts need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub audience: Option<String>,
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
    /// Whether it holds all, or audio alone.
    pub role: RegionRole,
    /// Reachable: whether the store answers, and why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

impl RegionStatus {
    /// Whether its store is known not to answer.
    pub fn is_unreachable(&self) -> bool {
        find_condition(&self.conditions, REACHABLE)
            .is_some_and(|condition| condition.status == ConditionStatus::False)
    }
}

/// Contents of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegionRole {
    /// Everything: mailboxes, messages, records, and the audio of those who call there.
    Primary,
    /// Audio alone.
    Audio,
}
