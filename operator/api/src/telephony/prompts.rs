//! Prompts of a tenant's own.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use crate::references::Reference;
use crate::rules::invalid;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where a tenant's own prompts are: clips, NAME.wav, and prompts.yaml, which says in which language they are. Changes are used
/// within minutes, without new pods.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = invalid(
    "has(self.configMapRef) != has(self.existingClaimRef)",
    "prompts: write exactly one of configMapRef and existingClaimRef"
))]
pub struct OwnPrompts {
    /// A ConfigMap with the clips as binaryData: a few of them, since it holds 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<Reference>,
    /// A claim with the clips in its root, such as a whole language. It is mounted read-only, by all pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_claim_ref: Option<Reference>,
}
