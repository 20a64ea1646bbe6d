//! How a tenant's pods are reached, and by whom.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::rules::{forbidden, invalid};
use super::schema;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Clients that may open connections to the pods, where the cluster enforces NetworkPolicies. The operator always may.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Clients of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<Sources>,
    /// Readers of metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Sources>,
}

/// Peers of a NetworkPolicy.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// Pods, namespaces and addresses, as in networking.k8s.io; everybody when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::peers")]
    pub from: Vec<NetworkPolicyPeer>,
}

/// The Service of the API.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = forbidden(
        "self.type == 'LoadBalancer' || !(has(self.externalTrafficPolicy) || has(self.loadBalancerClass) || has(self.loadBalancerSourceRanges))",
        "service: externalTrafficPolicy, loadBalancerClass and loadBalancerSourceRanges need type LoadBalancer"
    ).field_path(".type"),
    validation = forbidden(
        "has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass) || self.type != oldSelf.type",
        "loadBalancerClass can't be changed while type is LoadBalancer: write type ClusterIP first"
    ).field_path(".loadBalancerClass")
)]
pub struct ServiceTemplate {
    /// ClusterIP, or LoadBalancer for clients outside the cluster.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// Annotations, such as those that a cloud's load balancer reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::texts")]
    pub annotations: BTreeMap<String, String>,
    /// Labels; the operator's own win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// How many families of addresses it has; the cluster's rule when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// Families of addresses, the first one first; the cluster's order when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "atomic"))]
    pub ip_families: Option<Vec<IpFamily>>,
    /// Whether a load balancer keeps to nodes with a pod, which keeps clients' addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<ExternalTrafficPolicy>,
    /// Which load balancer takes it; the cluster's usual one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub load_balancer_class: Option<String>,
    /// Addresses that the load balancer lets in, such as 192.0.2.0/24.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 43)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = invalid(
        "self.all(range, isCIDR(range))",
        "loadBalancerSourceRanges: write ranges of addresses, such as 192.0.2.0/24"
    ))]
    pub load_balancer_source_ranges: Option<Vec<String>>,
}

/// Kind of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// An address inside the cluster.
    #[default]
    ClusterIP,
    /// One outside, too.
    LoadBalancer,
}

/// How many families of addresses a Service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Two, where the cluster has two.
    PreferDualStack,
    /// Two.
    RequireDualStack,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IpFamily {
    /// Of 32 bits.
    IPv4,
    /// Of 128 bits.
    IPv6,
}

/// To which nodes a load balancer turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalTrafficPolicy {
    /// To all.
    Cluster,
    /// To those that have a pod.
    Local,
}
