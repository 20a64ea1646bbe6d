//! A volume that all pods of the core mount: a claim that the operator makes, or one that exists.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use crate::quantity::{self, Amount};
use crate::references::Reference;
use crate::rules::{amount, forbidden, required};
use crate::schema::{label_selector, texts};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A claim to make, or one that exists.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "has(self.claim) != has(self.existingClaimRef)",
        "volume: write exactly one of claim and existingClaimRef"
    ),
    validation = forbidden(
        "has(self.claim) == has(oldSelf.claim)",
        "volume: claim and existingClaimRef can't be exchanged: the messages would stay behind"
    )
)]
pub struct Volume {
    /// The claim that the operator makes, always ReadWriteMany.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// A ReadWriteMany claim in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_claim_ref: Option<Reference>,
    /// Room that recordings leave free, for listening, deleting and erasing; the smaller of the two counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_free: Option<KeepFree>,
}

/// Room of a volume that recordings leave free. A change rolls the pods.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeepFree {
    /// Bytes, such as 64Mi; each MiB stands for an inode, too.
    #[serde(default = "usual_free_size")]
    #[x_kube(validation = amount("1Mi", "1Ti", "keepFree.size: write 1Mi to 1Ti, such as 64Mi"))]
    pub size: Amount,
    /// Per cent of the volume, such as 5.
    #[serde(default = "usual_free_percent")]
    #[schemars(range(min = 1, max = 50))]
    pub percent: i32,
}

fn usual_free_size() -> Amount {
    Amount::of_mebibytes(64)
}

fn usual_free_percent() -> i32 {
    5
}

/// A claim as the operator makes it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = forbidden(
        "!has(self.volumeName) || !has(self.selector)",
        "claim: write volumeName or selector, not both"
    ).field_path(".selector")
)]
pub struct Claim {
    /// Storage class, such as nfs; empty for a volume without a class.
    #[schemars(length(max = 253))]
    pub storage_class_name: String,
    /// Size, such as 20Gi.
    #[x_kube(
        validation = quantity::any("size: write an amount of bytes, such as 20Gi"),
        validation = forbidden(
            "quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0",
            "size can grow but not shrink"
        )
    )]
    pub size: Amount,
    /// Binds to that volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub volume_name: Option<String>,
    /// Binds to a volume with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<LabelSelector>,
    /// Labels of the claim, such as servicename: voice-voicemail.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, Label>,
    /// Annotations of the claim, such as those that a provisioner reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "texts")]
    pub annotations: BTreeMap<String, String>,
}

/// Value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Label(#[schemars(length(max = 63))] pub String);
