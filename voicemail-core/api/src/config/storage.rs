//! Where a tenant's regions keep their objects, and which files hold the credentials.
//!
//! Secrets are named by the folder they are mounted in, never inlined. They are read again when they change.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One region of a tenant and its store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionConfig {
    /// Name, as in the tenant's `spec.regions`.
    pub name: String,
    /// True for the one region that holds the metadata.
    #[serde(default)]
    pub master: bool,
    /// The region's store.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub storage: StorageConfig,
}

/// Where a region's objects live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum StorageConfig {
    /// A mounted POSIX file system that all replicas share.
    Volume {
        /// The mount's path.
        path: PathBuf,
        /// Room that recordings leave free, for listening, deleting and erasing.
        #[serde(default, rename = "keepFree", skip_serializing_if = "KeepFree::is_usual")]
        keep_free: KeepFree,
    },
    /// A container of an Azure storage account.
    AzureBlob(AzureBlobConfig),
    /// A bucket of S3 or of a server that speaks its protocol.
    S3(S3Config),
}

/// Room that stays free of a volume: the smaller of an amount and a share, by bytes and by inodes. Below it no
/// recording is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KeepFree {
    /// MiB, 1 to 1048576; each stands for 64 inodes, too.
    pub mebibytes: u32,
    /// Per cent of the volume, 1 to 50.
    pub percent: u32,
}

impl KeepFree {
    /// Whether it need not be written: a former release's core doesn't know it.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for KeepFree {
    fn default() -> Self {
        Self { mebibytes: 64, percent: 5 }
    }
}

/// A container, or a folder of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureBlobConfig {
    /// Storage account.
    pub account: String,
    /// Container.
    pub container: String,
    /// Folder in the container, such as `voicemail/acme`; the container's root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Blob endpoint of a sovereign cloud or an emulator; `https://ACCOUNT.blob.core.windows.net` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How requests are signed.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub credentials: AzureCredentials,
    /// Which key encrypts what is written; the account's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<AzureEncryption>,
    /// What becomes of a recording that a rule has archived, when somebody wants to hear it; told, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_archived: Option<AzureRestoration>,
}

/// Exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureEncryption {
    /// Name of an encryption scope of the account, for every write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// File with a key of the customer's, 32 bytes in base64, for every write and read. Read once: what was written by another
    /// key can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_key_file: Option<PathBuf>,
}

/// Archived blobs are moved back when they are asked for, which takes hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AzureRestoration {
    /// To which tier.
    pub tier: AzureTier,
}

/// A tier that is read at once, as Azure calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AzureTier {
    Hot,
    Cool,
    Cold,
}

impl AzureTier {
    /// As the header has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hot => "Hot",
            Self::Cool => "Cool",
            Self::Cold => "Cold",
        }
    }
}

/// How requests to Azure are signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum AzureCredentials {
    /// A folder with the file `accountKey` (base64) or `sasToken`, and perhaps `ca.crt` for a private CA.
    Files {
        /// The folder.
        dir: PathBuf,
    },
    /// The pod's federated token, as the workload identity webhook provides it in the environment.
    WorkloadIdentity {},
}

/// A bucket, or a folder of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Config {
    /// Bucket.
    pub bucket: String,
    /// Folder in the bucket, such as `voicemail/acme`; the bucket's root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The region that requests are signed for, such as `eu-west-1`.
    pub region: String,
    /// Endpoint of a server other than AWS; buckets are then named by path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How ETags are sent back; found by the probe when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag_quoting: Option<EtagQuoting>,
    /// Where a web identity is exchanged for credentials; the partition's own endpoint of that region when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts_endpoint: Option<String>,
    /// How requests are signed.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub credentials: S3Credentials,
    /// The encryption that every write asks for; the bucket's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<S3Encryption>,
    /// What becomes of a recording that a rule has archived, when somebody wants to hear it; told, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_archived: Option<S3Restoration>,
}

/// Encryption at the server, asked for by each write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Encryption {
    /// By whose keys.
    pub algorithm: S3Algorithm,
    /// The key's id, alias or ARN, for `KMS` alone; the account's own for S3 when absent.
    #[serde(default, rename = "kmsKeyID", skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// Whose keys encrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum S3Algorithm {
    /// The store's own: header `AES256`.
    #[serde(rename = "AES256")]
    Aes256,
    /// A key management service's: header `aws:kms`.
    #[serde(rename = "KMS")]
    Kms,
}

impl S3Algorithm {
    /// As the header has it.
    pub fn header(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
            Self::Kms => "aws:kms",
        }
    }
}

/// A copy that can be read is asked for when an archived object is, which takes hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3Restoration {
    /// For how many days the copy stays, 1 to 365.
    pub days: u32,
}

/// How ETags are sent back in conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EtagQuoting {
    /// In quotes, as RFC 9110 says.
    Rfc,
    /// Without, as some Ceph gateways want it.
    Bare,
}

/// How requests to S3 are signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum S3Credentials {
    /// A folder with the files `accessKeyId` and `secretAccessKey`, perhaps `sessionToken`, and perhaps
    /// `ca.crt` for a private CA.
    Files {
        /// The folder.
        dir: PathBuf,
    },
    /// The pod's projected token, as IRSA or EKS Pod Identity provide it in the environment.
    WebIdentity {},
}

impl StorageConfig {
    /// The place, without credentials: two regions may not share it.
    pub fn place(&self) -> String {
        let folder = |prefix: &Option<String>| prefix.clone().unwrap_or_default();
        match self {
            Self::Volume { path, .. } => path.display().to_string(),
            Self::AzureBlob(azure) => {
                format!("{}/{}/{}", azure.account, azure.container, folder(&azure.prefix))
            }
            Self::S3(s3) => {
                let endpoint = s3.endpoint.clone().unwrap_or_else(|| s3.region.clone());
                format!("{endpoint}/{}/{}", s3.bucket, folder(&s3.prefix))
            }
        }
    }

    /// Which servers answer for it: kind, endpoint and place. Another one must be probed anew.
    pub fn identity(&self) -> String {
        let endpoint = match self {
            Self::AzureBlob(azure) => azure.endpoint.clone().unwrap_or_default(),
            Self::Volume { .. } | Self::S3(_) => String::new(),
        };
        format!("{} {endpoint}{}{}", self.kind(), self.place(), self.encryption())
    }

    /// Which encryption writes ask for; nothing where they ask for none.
    fn encryption(&self) -> String {
        match self {
            Self::S3(S3Config { encryption: Some(asked), .. }) => {
                format!(" {} {}", asked.algorithm.header(), asked.kms_key_id.as_deref().unwrap_or_default())
            }
            Self::AzureBlob(AzureBlobConfig { encryption: Some(asked), .. }) => {
                format!(" scope {}", asked.scope.as_deref().unwrap_or("of the customer"))
            }
            _ => String::new(),
        }
    }

    /// Name of the kind, as in manifests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Volume { .. } => "volume",
            Self::AzureBlob(_) => "azureBlob",
            Self::S3(_) => "s3",
        }
    }
}
