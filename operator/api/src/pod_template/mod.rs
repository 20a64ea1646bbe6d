//! A tenant's additions to its pods: where they run, labels and annotations, and parts of core/v1's PodSpec.
//!
//! Flow: the spec has a [`PodTemplate`], [`read`] makes [`Additions`] of Kubernetes' own types of it, and
//! [`Additions::complete`] puts them into a pod that the operator has built. Containers, volumes, mounts and variables are
//! added to the operator's own. Where both have a variable of one name, a field of the security context or a DNS
//! configuration, the template's is taken; all else that the operator says stays.
//!
//! What can go wrong: a part that core/v1 doesn't know ([`TemplateError::Invalid`]), and one that the operator depends on
//! ([`TemplateError::Protected`]). Both name the field, and nothing of the template is carried out.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

mod additions;
mod protected;
#[cfg(test)]
mod tests;

pub use additions::{Additions, read};

use crate::pods::Metadata;
use crate::schema;
use k8s_openapi::api::core::v1::Toleration;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Additions to the pods that the operator makes. A change rolls the pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodTemplate {
    /// Labels and annotations of the pods alone.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// Where the pods may run, and what else is in them.
    #[serde(default)]
    pub spec: PodParts,
}

/// Parts of core/v1's PodSpec. Those without a schema here are checked when the pods are made.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodParts {
    /// Labels that a node must have, such as disk: fast.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Nodes and other pods that attract or repel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object")]
    pub affinity: Option<Map<String, Value>>,
    /// Taints of nodes that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// How pods are spread over zones and nodes, instead of over nodes where that is possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::objects")]
    pub topology_spread_constraints: Vec<Map<String, Value>>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,
    /// Scheduler that finds nodes for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub scheduler_name: Option<String>,
    /// Runtime class of the pods, such as gvisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class_name: Option<String>,
    /// The pods' security context, over the operator's: user and groups, SELinux, seccomp, AppArmor, sysctls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object")]
    pub security_context: Option<Map<String, Value>>,
    /// Addresses of names beside those that DNS has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::objects")]
    pub host_aliases: Vec<Map<String, Value>>,
    /// Servers and search domains of DNS beside the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object")]
    pub dns_config: Option<Map<String, Value>>,
    /// Volumes beside the operator's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::objects")]
    pub volumes: Vec<Map<String, Value>>,
    /// Containers that run before the others; with restartPolicy: Always beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::objects")]
    pub init_containers: Vec<Map<String, Value>>,
    /// The operator's container by its name, for env, envFrom and volumeMounts alone; every other one is added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::objects")]
    pub containers: Vec<Map<String, Value>>,
}

impl PodParts {
    /// The first part, by its field, that says more than where the pods run.
    pub fn beyond_placement(&self) -> Option<&'static str> {
        [
            ("securityContext", self.security_context.is_some()),
            ("hostAliases", !self.host_aliases.is_empty()),
            ("dnsConfig", self.dns_config.is_some()),
            ("volumes", !self.volumes.is_empty()),
            ("initContainers", !self.init_containers.is_empty()),
            ("containers", !self.containers.is_empty()),
        ]
        .into_iter()
        .find_map(|(field, given)| given.then_some(field))
    }
}

/// Why a template isn't carried out. Permanent: a person must change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A part isn't as core/v1 has it.
    #[error("podTemplate.spec.{field}: {fault}")]
    Invalid {
        /// The part.
        field: String,
        /// The fault.
        fault: String,
    },
    /// A part that the operator depends on, or gives a field of its own for.
    #[error("podTemplate.spec.{field}: {instead}")]
    Protected {
        /// The part.
        field: String,
        /// The other way to it.
        instead: String,
    },
}
