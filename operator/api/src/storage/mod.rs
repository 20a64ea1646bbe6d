//! Where a tenant's messages live. No location can be changed: the messages would stay behind.
//!
//! A location is an account and container, or a bucket, with the folder in it. An endpoint is no location but
//! the way there: it may change, for a server may get another name or move behind a proxy with all its data.
//! The same goes for the region that requests to S3 are signed for, and for credentials of every kind.
//!
//! Another kind of store touches more than this folder: `docs/architecture.md`, "Where does a change go?", lists all places.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

mod azure;
mod s3;
mod volume;

pub use azure::{
    AzureBlob, AzureCloud, AzureCredentials, AzureEncryption, AzureRestoration, AzureTier, KeyVault,
    KeyVaultEntry, WorkloadIdentity,
};
pub use s3::{EtagQuoting, S3, S3Algorithm, S3Credentials, S3Encryption, S3Restoration, WebIdentity};
pub use volume::{Claim, KeepFree, Label, Volume};

use crate::rules::{forbidden, form, required};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A folder in a container or bucket.
const FOLDER: &str = r"[\w-][\w.-]*(/[\w-][\w.-]*)*";
/// The address of a store.
const ENDPOINT: &str = r"https?://[^\s/?#@]+(/[^\s?#]*)?";

/// One region and its store.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// Name of the region.
    #[schemars(length(min = 1, max = 56))]
    #[x_kube(validation = form("[a-z0-9]([-a-z0-9]*[a-z0-9])?", "name: write lower-case letters, digits and dashes, such as eu-west"))]
    pub name: String,
    /// The store of the region's messages.
    pub storage: Storage,
}

/// Exactly one kind of storage.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "[has(self.volume), has(self.azureBlob), has(self.s3)].exists_one(given, given)",
        "storage: write exactly one of volume, azureBlob and s3"
    ),
    validation = forbidden(
        "has(self.volume) == has(oldSelf.volume) && has(self.azureBlob) == has(oldSelf.azureBlob) && has(self.s3) == has(oldSelf.s3)",
        "storage: the kind of storage can't be changed: the messages would stay behind"
    )
)]
pub struct Storage {
    /// A persistent volume that all pods of the core mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    /// A container of an Azure storage account, or a folder of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_blob: Option<AzureBlob>,
    /// A bucket of S3, or a folder of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3>,
}

/// The kind of storage that was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StorageKind<'a> {
    /// A volume.
    Volume(&'a Volume),
    /// Azure Blob.
    AzureBlob(&'a AzureBlob),
    /// S3.
    S3(&'a S3),
}

impl Storage {
    /// The one kind that was written. None only for an object that the API server would refuse.
    pub fn kind(&self) -> Option<StorageKind<'_>> {
        match (&self.volume, &self.azure_blob, &self.s3) {
            (Some(volume), None, None) => Some(StorageKind::Volume(volume)),
            (None, Some(azure), None) => Some(StorageKind::AzureBlob(azure)),
            (None, None, Some(s3)) => Some(StorageKind::S3(s3)),
            _ => None,
        }
    }
}

impl StorageKind<'_> {
    /// Its name, as in manifests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Volume(_) => "volume",
            Self::AzureBlob(_) => "azureBlob",
            Self::S3(_) => "s3",
        }
    }
}
