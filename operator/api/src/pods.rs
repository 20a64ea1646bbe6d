//! How a tenant's pods are made: how many, on which nodes, with what, and what monitors them.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::quantity::Amount;
use super::rules::invalid;
use super::schema;
use super::storage::Label;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Replicas by load. A HorizontalPodAutoscaler sets them; spec.replicas is then ignored.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = invalid(
        "self.minReplicas <= self.maxReplicas",
        "minReplicas: write at most maxReplicas"
    ).field_path(".minReplicas")
)]
pub struct Autoscaling {
    /// Fewest pods.
    #[serde(default = "default_min")]
    #[schemars(range(min = 1, max = 50))]
    pub min_replicas: i32,
    /// Most pods, such as 6.
    #[schemars(range(min = 1, max = 50))]
    pub max_replicas: i32,
    /// Average use of the requested CPU that is aimed at, in percent.
    #[serde(default = "default_target", rename = "targetCPUUtilizationPercentage")]
    #[schemars(range(min = 10, max = 100))]
    pub target_cpu_utilization_percentage: i32,
}

fn default_min() -> i32 {
    2
}

fn default_target() -> i32 {
    70
}

/// CPU, memory and other resources of a pod's container, as in core/v1.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Amounts that are reserved, such as cpu: 250m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::amounts")]
    pub requests: Option<BTreeMap<String, Amount>>,
    /// Amounts that are never passed, such as memory: 512Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::amounts")]
    pub limits: Option<BTreeMap<String, Amount>>,
}

/// When an image is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At each start of a pod.
    Always,
    /// Unless the node has it.
    #[default]
    IfNotPresent,
    /// Not at all: the node has it.
    Never,
}

impl ImagePullPolicy {
    /// As in core/v1.
    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Labels and annotations that a tenant gives to all of its children (`inheritedMetadata`), or to its pods alone
/// (`podTemplate`). A name that the operator has given already keeps the operator's value.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Labels, such as team: voice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, such as example.com/owner: voice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::texts")]
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}

/// Objects for the Prometheus operator, made where the cluster serves its kinds.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Whether a PodMonitor and a PrometheusRule are made.
    #[serde(default)]
    pub mode: MonitoringMode,
    /// Labels by which a Prometheus chooses them, such as release: prometheus.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub labels: BTreeMap<String, Label>,
}

/// Whether objects for the Prometheus operator are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MonitoringMode {
    /// Where the cluster serves its kinds.
    #[default]
    Enabled,
    /// Not at all.
    Disabled,
}
