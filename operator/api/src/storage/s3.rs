//! A bucket of S3, or of a server that speaks its protocol, and the kinds of credentials for it.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use crate::references::Reference;
use crate::rules::{forbidden, form, required};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bucket, or a folder of one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    /// Bucket.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(validation = form("[a-z0-9][a-z0-9.-]*[a-z0-9]", "bucket: write lower-case letters, digits, dots and dashes, such as contact-centre"))]
    pub bucket: String,
    /// Folder in the bucket, such as voicemail/acme; the bucket's root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = form(crate::storage::FOLDER, "prefix: write names of folders with slashes between them, such as voicemail/acme"))]
    pub prefix: Option<String>,
    /// The region that requests are signed for, such as eu-west-1.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = form("[A-Za-z0-9-]*", "region: write letters, digits and dashes, such as eu-west-1"))]
    pub region: String,
    /// Endpoint of a server other than AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form(crate::storage::ENDPOINT, "endpoint: write a URL without a query, such as https://store.example.com"))]
    pub endpoint: Option<String>,
    /// How ETags are sent back in conditions; found out when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag_quoting: Option<EtagQuoting>,
    /// Where a web identity is exchanged for credentials; the partition's own endpoint of that region when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = form(crate::storage::ENDPOINT, "stsEndpoint: write a URL without a query, such as https://sts.example.com"))]
    pub sts_endpoint: Option<String>,
    /// How requests are signed; may change at any time.
    pub credentials: S3Credentials,
    /// The encryption that every write asks for; the bucket's default when absent. What is there stays as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<S3Encryption>,
    /// Asks for a copy of an archived recording that somebody wants to hear, which takes hours; it is told, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_archived: Option<S3Restoration>,
}

/// Encryption at the store.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = forbidden(
        "!has(self.kmsKeyID) || self.algorithm == 'KMS'",
        "kmsKeyID: leave it out, or write algorithm: KMS"
    ).field_path(".kmsKeyID")
)]
pub struct S3Encryption {
    /// By whose keys.
    pub algorithm: S3Algorithm,
    /// The key's id, alias or ARN; the account's own for S3 when absent.
    #[serde(default, rename = "kmsKeyID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = form(r"\S+", "kmsKeyID: write the key's id, alias or ARN"))]
    pub kms_key_id: Option<String>,
}

/// The owner of the keys that encrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum S3Algorithm {
    /// The store's own: header AES256.
    #[serde(rename = "AES256")]
    Aes256,
    /// A key management service's: header aws:kms.
    #[serde(rename = "KMS")]
    Kms,
}

/// How long a copy of what was archived stays.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Restoration {
    /// Days.
    #[schemars(range(min = 1, max = 365))]
    pub days: i32,
}

/// How ETags are sent back in conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EtagQuoting {
    /// In quotes, as RFC 9110 says.
    #[serde(rename = "RFC")]
    Rfc,
    /// Without, as some Ceph gateways want it.
    Bare,
}

/// Exactly one kind of credentials.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = required(
        "has(self.secretRef) != has(self.webIdentity)",
        "credentials: write exactly one of secretRef and webIdentity"
    )
)]
pub struct S3Credentials {
    /// Secret with accessKeyId and secretAccessKey, and perhaps sessionToken, and ca.crt for a private CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<Reference>,
    /// A role of AWS that the pods' service account assumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
}

/// A role of AWS. All regions of a tenant that use one must name the same.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebIdentity {
    /// The role, such as arn:aws:iam::123456789012:role/voicemail.
    #[serde(rename = "roleARN")]
    #[schemars(length(min = 20, max = 512))]
    #[x_kube(validation = form(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+", "roleARN: write the role's name in AWS, such as arn:aws:iam::123456789012:role/voicemail"))]
    pub role_arn: String,
}
