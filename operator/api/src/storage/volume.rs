//! A volume that all pods of the core mount: a claim that the operator makes, or one that exists.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A claim to make, or one that exists.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.claim) != has(self.existingClaim)")
    .message("volume: write exactly one of claim and existingClaim"),
    validation = Rule::new("has(self.claim) == has(oldSelf.claim)")
    .message("volume: claim and existingClaim can't be exchanged, since the messages would stay behind"),
    validation = Rule::new(
    "!has(self.existingClaim) || !has(oldSelf.existingClaim) || self.existingClaim == oldSelf.existingClaim")
    .message("existingClaim can't be changed: the messages are there")
)]
pub struct Volume {
    /// The claim that the operator makes, always ReadWriteMany.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Name of a ReadWriteMany claim in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub existing_claim: Option<String>,
    /// Room that recordings leave free, for listening, deleting and erasing; the smaller of the two counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_free: Option<KeepFree>,
}

/// Room of a volume that recordings leave free. A change rolls the pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeepFree {
    /// MiB, 64 by default; each stands for 64 inodes, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub mebibytes: Option<i32>,
    /// Per cent of the volume, 5 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub percent: Option<i32>,
}

/// A claim as the operator makes it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.storageClassName == oldSelf.storageClassName")
    .message("claim.storageClassName can't be changed: the messages are on that class"),
    validation = Rule::new("has(self.volumeName) == has(oldSelf.volumeName) && (!has(self.volumeName) || self.volumeName == oldSelf.volumeName)")
    .message("claim.volumeName can't be changed: the messages are on that volume"),
    validation = Rule::new("has(self.selector) == has(oldSelf.selector) && (!has(self.selector) || self.selector == oldSelf.selector)")
    .message("claim.selector can't be changed: the messages are on the volume that it chose"),
    validation = Rule::new("quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0")
    .message("claim.size can grow but not shrink"),
    validation = Rule::new("!has(self.volumeName) || !has(self.selector)")
    .message("claim: write volumeName or selector, not both")
)]
pub struct Claim {
    /// Storage class; empty for a volume without a class.
    #[schemars(length(max = 253))]
    pub storage_class_name: String,
    /// Size, such as 20Gi.
    #[schemars(length(min = 1, max = 20), regex(pattern = r"^[1-9][0-9]{0,14}([KMGTP]i|[kMGTP])?$"))]
    pub size: String,
    /// Binds to that volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub volume_name: Option<String>,
    /// Binds to a volume with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Labels of the claim, such as servicename.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: BTreeMap<String, Label>,
    /// How the volume is used.
    #[serde(default)]
    pub volume_mode: VolumeMode,
}

/// Value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Label(#[schemars(length(max = 63))] pub String);

/// Chooses a volume by its labels.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Labels that the volume must carry.
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: BTreeMap<String, Label>,
}

/// How a volume is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VolumeMode {
    /// Mounted as a file system.
    #[default]
    Filesystem,
}
