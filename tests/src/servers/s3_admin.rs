//! Requests to an S3 server that make and set up buckets, signed as S3 wants it.

use anyhow::{Context, Result, bail};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};

const REGION: &str = "us-east-1";

/// A server and a key pair that may set it up.
pub struct S3Admin {
    endpoint: String,
    credential: AwsCredential,
}

/// An answer with a body.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// XML.
    pub body: String,
}

impl S3Admin {
    /// Sends nothing yet.
    pub fn new(endpoint: &str, id: &str, secret: &str) -> Self {
        let credential = AwsCredential { key_id: id.into(), secret_key: secret.into(), token: None };
        Self { endpoint: endpoint.into(), credential }
    }

    /// Whether the server answers and takes the keys.
    pub async fn list_buckets(&self) -> Result<()> {
        self.expect("GET", "/", None).await.map(drop)
    }

    /// Makes a bucket.
    pub async fn make_bucket(&self, name: &str) -> Result<()> {
        self.expect("PUT", &format!("/{name}"), None).await.map(drop)
    }

    /// Keeps every version of every object from now on.
    pub async fn keep_versions(&self, bucket: &str) -> Result<()> {
        let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        self.expect("PUT", &format!("/{bucket}?versioning="), Some(body)).await.map(drop)
    }

    /// Sets the lifecycle rules: the `Rule` elements.
    pub async fn set_lifecycle(&self, bucket: &str, rules: &str) -> Result<()> {
        let body = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        self.expect("PUT", &format!("/{bucket}?lifecycle="), Some(&body)).await.map(drop)
    }

    /// Keys of all versions and delete markers below a prefix, one for each.
    pub async fn list_versions(&self, bucket: &str, prefix: &str) -> Result<Vec<String>> {
        let query = format!("/{bucket}?prefix={}&versions=", prefix.replace('/', "%2F"));
        let answer = self.expect("GET", &query, None).await?;
        let keys = answer.body.split("<Key>").skip(1);
        Ok(keys.filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect())
    }

    /// Sends a signed request; a status that isn't a success is an error with the server's words.
    pub async fn expect(&self, method: &str, path: &str, body: Option<&str>) -> Result<Answer> {
        let answer = self.send(method, path, body).await?;
        if !(200..300).contains(&answer.status) {
            bail!("{method} {path} was answered {}: {}", answer.status, answer.body);
        }
        Ok(answer)
    }

    async fn send(&self, method: &str, path: &str, body: Option<&str>) -> Result<Answer> {
        let bytes = body.unwrap_or_default().to_owned();
        let mut builder = http::Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        if body.is_some() {
            builder = builder.header("content-md5", content_md5(bytes.as_bytes()));
        }
        let mut request = builder.body(HttpRequestBody::from(bytes))?;
        AwsAuthorizer::new(&self.credential, "s3", REGION).try_authorize(&mut request, None)?;
        send(request).await
    }
}

pub(super) async fn send(request: object_store::client::HttpRequest) -> Result<Answer> {
    use http_body_util::BodyExt;
    let client: HttpClient =
        ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true))?;
    let response = client.execute(request).await.context("the server can't be asked")?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// S3 wants a checksum of every set-up document.
fn content_md5(bytes: &[u8]) -> String {
    use base64::Engine;
    use md5::Digest;
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(bytes))
}
