//! Administration of an S3 server, which `object_store` lacks: buckets, versions, lifecycle rules, tags.
//!
//! Requests are signed by `object_store`'s own authorizer (SigV4) and use addresses with the bucket in the
//! path. Names of buckets and keys are put into addresses as they are: keep to letters, digits and `/-._`.

use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderValue, Method, Request};
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::{ClientOptions, HttpClient};
use serde::Deserialize;

use crate::servers::answer::{Answer, build_client, send};

/// The region that all servers of the tests are in.
pub const REGION: &str = "us-east-1";
const SERVICE: &str = "s3";

/// One pair of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Keys {
    /// The public part.
    pub access_key: String,
    /// The secret part.
    pub secret_key: String,
}

impl S3Keys {
    /// New keys.
    pub fn random() -> Self {
        let part = || uuid::Uuid::new_v4().simple().to_string();
        Self { access_key: part()[..20].to_owned(), secret_key: part() }
    }
}

/// Where a server is reached.
#[derive(Clone, Debug)]
pub struct S3Endpoint {
    /// URL without a slash at its end.
    pub url: String,
    /// Keys to sign with.
    pub keys: S3Keys,
}

impl S3Endpoint {
    /// A server at a URL.
    pub fn new(url: impl Into<String>, keys: S3Keys) -> Self {
        Self { url: url.into(), keys }
    }

    /// The same server behind another address (`host:port`), as of a proxy.
    #[must_use]
    pub fn at(&self, address: std::net::SocketAddr) -> Self {
        Self { url: format!("http://{address}"), keys: self.keys.clone() }
    }

    /// `object_store`'s client for one bucket, to be built or set up further.
    pub fn builder(&self, bucket: &str) -> AmazonS3Builder {
        crate::install_crypto();
        AmazonS3Builder::new()
            .with_endpoint(&self.url)
            .with_region(REGION)
            .with_bucket_name(bucket)
            .with_access_key_id(&self.keys.access_key)
            .with_secret_access_key(&self.keys.secret_key)
            .with_client_options(ClientOptions::new().with_allow_http(true))
    }

    /// Buckets, versions and rules of the server.
    pub fn admin(&self) -> Result<S3Admin> {
        let credential = AwsCredential {
            key_id: self.keys.access_key.clone(),
            secret_key: self.keys.secret_key.clone(),
            token: None,
        };
        Ok(S3Admin { url: self.url.clone(), credential: Arc::new(credential), client: build_client()? })
    }
}

/// One version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Key of the object.
    pub key: String,
    /// Its version; `null` for one from before versions.
    pub version_id: String,
    /// Whether it is what a plain GET sees.
    pub is_latest: bool,
    /// Whether it only says that the object was deleted.
    pub is_delete_marker: bool,
}

/// Signed requests beside `object_store`'s own.
#[derive(Clone, Debug)]
pub struct S3Admin {
    url: String,
    credential: Arc<AwsCredential>,
    client: HttpClient,
}

impl S3Admin {
    /// Creates a bucket.
    pub async fn create_bucket(&self, bucket: &str) -> Result<()> {
        self.request(Method::PUT, &format!("/{bucket}"), &[], Bytes::new()).await?.check().map(drop)
    }

    /// Creates a bucket that can hold objects fast; it keeps versions.
    pub async fn create_locking_bucket(&self, bucket: &str) -> Result<()> {
        let headers = [("x-amz-bucket-object-lock-enabled", "true")];
        self.request(Method::PUT, &format!("/{bucket}"), &headers, Bytes::new()).await?.check().map(drop)
    }

    /// Holds new objects fast for a time such as `<Days>30</Days>`, against all but those who may bypass it.
    pub async fn set_retention(&self, bucket: &str, time: &str) -> Result<()> {
        let body = format!(
            "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><ObjectLockEnabled>Enabled\
             </ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode>{time}</DefaultRetention></Rule>\
             </ObjectLockConfiguration>"
        );
        self.request(Method::PUT, &format!("/{bucket}?object-lock"), &[], body.into())
            .await?
            .check()
            .map(drop)
    }

    /// Keeps versions from now on, or, when it did, makes no new ones.
    pub async fn set_versioning(&self, bucket: &str, enabled: bool) -> Result<()> {
        let status = if enabled { "Enabled" } else { "Suspended" };
        let body = format!(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{status}\
             </Status></VersioningConfiguration>"
        );
        self.request(Method::PUT, &format!("/{bucket}?versioning"), &[], body.into()).await?.check().map(drop)
    }

    /// `Enabled` or `Suspended`; `None` when it was never set.
    pub async fn versioning(&self, bucket: &str) -> Result<Option<String>> {
        let path = format!("/{bucket}?versioning");
        let answer = self.request(Method::GET, &path, &[], Bytes::new()).await?.check()?;
        let found: VersioningXml = quick_xml::de::from_str(&answer.text())?;
        Ok(found.status.filter(|status| !status.is_empty()))
    }

    /// Replaces the lifecycle configuration by this XML (`<LifecycleConfiguration>…`).
    pub async fn set_lifecycle(&self, bucket: &str, configuration: &str) -> Result<()> {
        let path = format!("/{bucket}?lifecycle");
        let body = Bytes::copy_from_slice(configuration.as_bytes());
        self.request(Method::PUT, &path, &[], body).await?.check().map(drop)
    }

    /// All versions and delete markers below a prefix, in key order and newest first (at most 1,000).
    pub async fn list_versions(&self, bucket: &str, prefix: &str) -> Result<Vec<ObjectVersion>> {
        let path = format!("/{bucket}?versions&prefix={}", prefix.replace('/', "%2F"));
        let answer = self.request(Method::GET, &path, &[], Bytes::new()).await?.check()?;
        let list: VersionsXml = quick_xml::de::from_str(&answer.text()).context("a list of versions")?;
        Ok(list.entries.into_iter().filter_map(read_entry).collect())
    }

    /// Deletes one version or delete marker for good.
    pub async fn delete_version(&self, bucket: &str, key: &str, version_id: &str) -> Result<()> {
        let path = format!("/{bucket}/{key}?versionId={version_id}");
        self.request(Method::DELETE, &path, &[], Bytes::new()).await?.check().map(drop)
    }

    /// The tags of an object, sorted by name.
    pub async fn tags(&self, bucket: &str, key: &str) -> Result<Vec<(String, String)>> {
        let path = format!("/{bucket}/{key}?tagging");
        let answer = self.request(Method::GET, &path, &[], Bytes::new()).await?.check()?;
        let found: TaggingXml = quick_xml::de::from_str(&answer.text()).context("tags")?;
        let mut tags: Vec<_> = found.tag_set.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        tags.sort();
        Ok(tags)
    }

    /// A signed request of any kind; `path` begins with a slash and may have a query.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let checksum = STANDARD.encode(digest(&SHA256, &body));
        let has_body = !body.is_empty();
        let uri = format!("{}{path}", self.url);
        let mut request = Request::builder().method(method).uri(uri).body(body.into())?;
        if has_body {
            let value = HeaderValue::try_from(checksum)?;
            request.headers_mut().insert("x-amz-checksum-sha256", value);
        }
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        AwsAuthorizer::new(&self.credential, SERVICE, REGION).try_authorize(&mut request, None)?;
        send(&self.client, request).await
    }
}

#[derive(Deserialize)]
struct VersioningXml {
    #[serde(rename = "Status")]
    status: Option<String>,
}

#[derive(Deserialize)]
struct VersionsXml {
    #[serde(rename = "$value", default)]
    entries: Vec<EntryXml>,
}

/// Versions and delete markers alternate with what the list says about itself.
#[derive(Deserialize)]
enum EntryXml {
    Version(VersionXml),
    DeleteMarker(VersionXml),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct VersionXml {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "VersionId")]
    version_id: String,
    #[serde(rename = "IsLatest")]
    is_latest: bool,
}

fn read_entry(entry: EntryXml) -> Option<ObjectVersion> {
    let (found, is_delete_marker) = match entry {
        EntryXml::Version(found) => (found, false),
        EntryXml::DeleteMarker(found) => (found, true),
        EntryXml::Other => return None,
    };
    let VersionXml { key, version_id, is_latest } = found;
    Some(ObjectVersion { key, version_id, is_latest, is_delete_marker })
}

#[derive(Deserialize)]
struct TaggingXml {
    #[serde(rename = "TagSet", default)]
    tag_set: TagSetXml,
}

#[derive(Default, Deserialize)]
struct TagSetXml {
    #[serde(rename = "Tag", default)]
    tags: Vec<TagXml>,
}

#[derive(Deserialize)]
struct TagXml {
    #[serde(rename = "Key")]
    key: String,
    #[serde(rename = "Value", default)]
    value: String,
}
