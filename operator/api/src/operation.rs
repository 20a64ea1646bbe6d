//! How a tenant's pods are run: replicas by load, who may reach them, and what monitors them.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::storage::Label;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Replicas by load. A HorizontalPodAutoscaler sets them; spec.replicas is then ignored.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.min <= self.max").message("autoscaling: min must not be above max")
)]
pub struct Autoscaling {
    /// Fewest pods. 2 when absent.
    #[serde(default = "default_min")]
    #[schemars(range(min = 1, max = 50))]
    pub min: i32,
    /// Most pods.
    #[schemars(range(min = 1, max = 50))]
    pub max: i32,
    /// Average use of the requested CPU that is aimed at, in percent. 70 when absent.
    #[serde(default = "default_target", rename = "targetCpuPercent")]
    #[schemars(range(min = 10, max = 100))]
    pub target_cpu_percent: i32,
}

fn default_min() -> i32 {
    2
}

fn default_target() -> i32 {
    70
}

/// Clients that may open connections to the pods, where the cluster enforces NetworkPolicies. The operator always may.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkAccess {
    /// Clients that reach the API; everybody when absent or empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub api_from: Vec<Peer>,
    /// Clients that reach metrics; everybody when absent or empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub metrics_from: Vec<Peer>,
}

/// Pods of a namespace, or addresses.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.namespace) != has(self.cidr)")
    .message("networkAccess: write namespace or cidr, exactly one of them"),
    validation = Rule::new("!has(self.podLabels) || has(self.namespace)")
    .message("networkAccess: podLabels choose pods of a namespace, so write namespace too")
)]
pub struct Peer {
    /// All pods of that namespace, or those with podLabels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Labels that the pods must carry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub pod_labels: BTreeMap<String, Label>,
    /// Addresses, such as 10.20.0.0/16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("isCIDR(self)").message("cidr: write addresses as 10.20.0.0/16"))]
    pub cidr: Option<String>,
}

/// Where the pods may run.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: BTreeMap<String, Label>,
    /// Taints of nodes that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
}

/// A taint that is tolerated: all of a key when value is absent, all of any key when key is absent too.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.value) || has(self.key)")
    .message("tolerations: a value needs the key that it is of")
)]
pub struct Toleration {
    /// Key of the taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Its effect; every one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,
}

/// The effect of a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// No new pods.
    NoSchedule,
    /// No new pods if others will do.
    PreferNoSchedule,
    /// No pods at all.
    NoExecute,
}

/// Objects for the Prometheus operator, made where the cluster serves its kinds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Whether a PodMonitor and a PrometheusRule are made.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Labels by which a Prometheus chooses them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub labels: BTreeMap<String, Label>,
}

fn default_enabled() -> bool {
    true
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { enabled: true, labels: BTreeMap::new() }
    }
}
