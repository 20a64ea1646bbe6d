//! Where each region's pods get their credentials from, and what a Secret with credentials must hold. Pure.
//!
//! Flow: [`plan_source`] reads a region's spec; the build mounts what it names at [`folder`], or marks the
//! service account; dereference reads the Secrets' keys and [`SecretKind::missing`] names the one that lacks.
//! Only names of keys are looked at here, never their content.

use crate::tenant::build::names::provider_class_name;
use kube::ResourceExt;
use std::fmt;
use std::path::{Path, PathBuf};
use voicemail_resources::voicemail_tenant::{
    AzureCredentials, KeyVault, Region, S3Credentials, StorageKind, VoicemailTenant, WebIdentity,
    WorkloadIdentity,
};

/// Folder with a folder of credentials for each region.
pub const REGIONS_DIR: &str = "/etc/voicemail/regions";

/// The folder in the pods with a region's credentials.
pub fn folder(region: &str) -> PathBuf {
    Path::new(REGIONS_DIR).join(region)
}

/// A region on an object store, and where its credentials come from.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionPlan {
    /// Name of the region.
    pub region: String,
    /// The source of its credentials.
    pub source: Source,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A Secret, mounted.
    Secret {
        /// Its name.
        name: String,
        /// The kind of credentials that it must hold.
        kind: SecretKind,
    },
    /// A vault, mounted by the Secrets Store CSI driver.
    KeyVault {
        /// Name of the SecretProviderClass.
        class: String,
        /// The vault and secret that the class names.
        vault: KeyVault,
    },
    /// The service account, as an identity of Azure.
    WorkloadIdentity(WorkloadIdentity),
    /// The service account, as a role of AWS.
    WebIdentity(WebIdentity),
}

/// The use of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// An account of Azure.
    Azure,
    /// A bucket of S3.
    S3,
}

impl SecretKind {
    /// All keys that the core reads. Others are never mounted.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Azure => &["accountKey", "sasToken", "ca.crt"],
            Self::S3 => &["accessKeyId", "secretAccessKey", "sessionToken", "ca.crt"],
        }
    }

    /// The first required key that is missing among these.
    pub fn missing(self, present: &[&'static str]) -> Option<&'static str> {
        let has = |key: &str| present.contains(&key);
        match self {
            Self::Azure => (!has("accountKey") && !has("sasToken")).then_some("accountKey or sasToken"),
            Self::S3 => ["accessKeyId", "secretAccessKey"].into_iter().find(|key| !has(key)),
        }
    }

    /// The required keys, for a message.
    pub fn needs(self) -> &'static str {
        match self {
            Self::Azure => "accountKey or sasToken",
            Self::S3 => "accessKeyId and secretAccessKey",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { name, kind } => write!(f, "Secret {name} ({})", kind.needs()),
            Self::KeyVault { vault, .. } => {
                write!(f, "secret {} of Key Vault {}", vault.secret_name, vault.vault_name)
            }
            Self::WorkloadIdentity(identity) => write!(f, "workload identity {}", identity.client_id),
            Self::WebIdentity(identity) => write!(f, "role {}", identity.role_arn),
        }
    }
}

/// A region's source. None on a volume, and for a spec that the API server would refuse.
pub fn plan_source(tenant: &VoicemailTenant, region: &Region) -> Option<Source> {
    match region.storage.kind()? {
        StorageKind::Volume(_) => None,
        StorageKind::AzureBlob(azure) => plan_azure(tenant, region, &azure.credentials),
        StorageKind::S3(s3) => plan_s3(&s3.credentials),
    }
}

fn plan_azure(tenant: &VoicemailTenant, region: &Region, given: &AzureCredentials) -> Option<Source> {
    match (&given.secret_ref, &given.key_vault, &given.workload_identity) {
        (Some(secret), None, None) => {
            Some(Source::Secret { name: secret.name.clone(), kind: SecretKind::Azure })
        }
        (None, Some(vault), None) => {
            let class = provider_class_name(&tenant.name_any(), &region.name);
            Some(Source::KeyVault { class, vault: vault.clone() })
        }
        (None, None, Some(identity)) => Some(Source::WorkloadIdentity(identity.clone())),
        _ => None,
    }
}

fn plan_s3(given: &S3Credentials) -> Option<Source> {
    match (&given.secret_ref, &given.web_identity) {
        (Some(secret), None) => Some(Source::Secret { name: secret.name.clone(), kind: SecretKind::S3 }),
        (None, Some(identity)) => Some(Source::WebIdentity(identity.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_needs_a_key_or_a_token_and_a_bucket_both_keys() {
        assert_eq!(SecretKind::Azure.missing(&["sasToken"]), None);
        assert_eq!(SecretKind::Azure.missing(&["accountKey", "ca.crt"]), None);
        assert_eq!(SecretKind::Azure.missing(&["ca.crt"]), Some("accountKey or sasToken"));
        assert_eq!(SecretKind::S3.missing(&["accessKeyId", "secretAccessKey"]), None);
        assert_eq!(SecretKind::S3.missing(&["accessKeyId"]), Some("secretAccessKey"));
        assert_eq!(SecretKind::S3.missing(&[]), Some("accessKeyId"));
    }
}
