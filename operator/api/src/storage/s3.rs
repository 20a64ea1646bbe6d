//! A bucket of S3, or of a server that speaks its protocol, and the kinds of credentials for it.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use crate::SecretName;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bucket, or a folder of one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.bucket == oldSelf.bucket")
    .message("s3.bucket can't be changed: the messages are in that bucket"),
    validation = Rule::new(
    "has(self.prefix) == has(oldSelf.prefix) && (!has(self.prefix) || self.prefix == oldSelf.prefix)")
    .message("s3.prefix can't be changed: the messages are in that folder")
)]
pub struct S3 {
    /// Bucket.
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket: String,
    /// Folder in the bucket, such as voicemail/acme; the bucket's root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[\w-][\w.-]*(/[\w-][\w.-]*)*$"))]
    pub prefix: Option<String>,
    /// The region that requests are signed for, such as eu-west-1.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub region: String,
    /// Endpoint of a server other than AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"))]
    pub endpoint: Option<String>,
    /// How ETags are sent back in conditions; found out when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag_quoting: Option<EtagQuoting>,
    /// How requests are signed; may change at any time.
    pub credentials: S3Credentials,
}

/// How ETags are sent back in conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EtagQuoting {
    /// In quotes, as RFC 9110 says.
    Rfc,
    /// Without, as some Ceph gateways want it.
    Bare,
}

/// Exactly one kind of credentials.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.secret) != has(self.webIdentity)")
    .message("s3.credentials: write exactly one of secret and webIdentity")
)]
pub struct S3Credentials {
    /// Secret with accessKeyId and secretAccessKey, and perhaps sessionToken, and ca.crt for a private CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
    /// A role of AWS that the pods' service account assumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
}

/// A role of AWS. All regions of a tenant that use one must name the same.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebIdentity {
    /// The role, such as arn:aws:iam::123456789012:role/voicemail.
    #[schemars(length(max = 512), regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$"))]
    pub role_arn: String,
}
