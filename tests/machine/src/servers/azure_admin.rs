//! Administration of an Azure Blob account, which `object_store` lacks: containers, service properties, SAS tokens.
//!
//! Requests are signed by `object_store`'s own authorizer with the account's first key.

use std::sync::Arc;

use anyhow::Result;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderValue, Method, Request};
use jiff::Timestamp;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{ClientOptions, HttpClient};

use crate::servers::answer::{Answer, build_client, send};

const SAS_VERSION: &str = "2023-11-03";

/// A storage account.
#[derive(Clone, Debug)]
pub struct AzureAccount {
    /// 3 to 24 lower-case letters and digits.
    pub name: String,
    /// 64 bytes in base64.
    pub key: String,
    /// Another key that is valid at the same time.
    pub second_key: Option<String>,
}

impl AzureAccount {
    /// An account with a random key.
    pub fn random(name: &str) -> Self {
        Self { name: name.to_owned(), key: random_key(), second_key: None }
    }
}

/// A new account key.
pub fn random_key() -> String {
    let bytes: Vec<u8> = (0..4).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    STANDARD.encode(bytes)
}

/// Where an account is reached.
#[derive(Clone, Debug)]
pub struct AzureEndpoint {
    /// URL with the account in its path, without a slash at its end.
    pub url: String,
    /// Name and keys.
    pub account: AzureAccount,
}

impl AzureEndpoint {
    /// An account at a URL.
    pub fn new(url: impl Into<String>, account: AzureAccount) -> Self {
        Self { url: url.into(), account }
    }

    /// The same account behind another address (`host:port`), as of a proxy.
    #[must_use]
    pub fn at(&self, address: std::net::SocketAddr) -> Self {
        Self { url: format!("http://{address}/{}", self.account.name), account: self.account.clone() }
    }

    /// `object_store`'s client for one container, with the account's first key, to be built or set up further.
    pub fn builder(&self, container: &str) -> MicrosoftAzureBuilder {
        crate::install_crypto();
        MicrosoftAzureBuilder::new()
            .with_endpoint(self.url.clone())
            .with_account(&self.account.name)
            .with_access_key(&self.account.key)
            .with_container_name(container)
            .with_client_options(ClientOptions::new().with_allow_http(true))
    }

    /// Containers, properties and SAS tokens of the account.
    pub fn admin(&self) -> Result<AzureAdmin> {
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(&self.account.key)?);
        Ok(AzureAdmin { endpoint: self.clone(), credential: Arc::new(credential), client: build_client()? })
    }
}

/// Signed requests beside `object_store`'s own.
#[derive(Clone, Debug)]
pub struct AzureAdmin {
    endpoint: AzureEndpoint,
    credential: Arc<AzureCredential>,
    client: HttpClient,
}

impl AzureAdmin {
    /// Creates a container; an error if it exists.
    pub async fn create_container(&self, container: &str) -> Result<()> {
        let path = format!("/{container}?restype=container");
        self.request(Method::PUT, &path, &[], Bytes::new()).await?.check().map(drop)
    }

    /// Deletes a container with all that is in it.
    pub async fn delete_container(&self, container: &str) -> Result<()> {
        let path = format!("/{container}?restype=container");
        self.request(Method::DELETE, &path, &[], Bytes::new()).await?.check().map(drop)
    }

    /// Turns soft delete of blobs on, for this many days, or off.
    pub async fn set_soft_delete(&self, days: Option<u32>) -> Result<()> {
        let policy = days.map_or_else(
            || "<Enabled>false</Enabled>".to_owned(),
            |days| format!("<Enabled>true</Enabled><Days>{days}</Days>"),
        );
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><DeleteRetentionPolicy>{policy}\
             </DeleteRetentionPolicy></StorageServiceProperties>"
        );
        let path = "/?restype=service&comp=properties";
        self.request(Method::PUT, path, &[], body.into()).await?.check().map(drop)
    }

    /// The service properties as XML.
    pub async fn service_properties(&self) -> Result<String> {
        let path = "/?restype=service&comp=properties";
        Ok(self.request(Method::GET, path, &[], Bytes::new()).await?.check()?.text())
    }

    /// A signed request of any kind; `path` begins with a slash below the account and may have a query.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer> {
        let uri = format!("{}{path}", self.endpoint.url);
        let length = HeaderValue::from(body.len());
        let mut request = Request::builder().method(method).uri(uri).body(body.into())?;
        request.headers_mut().insert(CONTENT_LENGTH, length);
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name)?, HeaderValue::try_from(*value)?);
        }
        AzureAuthorizer::new(&self.credential, &self.endpoint.account.name).try_authorize(&mut request)?;
        send(&self.client, request).await
    }

    /// A token for one container until `expires`, without a question mark at its start.
    ///
    /// `permissions` are letters in the order `racwdxltmeop`, such as `rwdl`.
    pub fn container_sas(&self, container: &str, permissions: &str, expires: Timestamp) -> Result<String> {
        let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let resource = format!("/blob/{}/{container}", self.endpoint.account.name);
        let fields = [permissions, "", &expires, &resource, "", "", "", SAS_VERSION, "c"];
        // Snapshot, encryption scope and five response headers stay empty.
        let text = format!("{}{}", fields.join("\n"), "\n".repeat(7));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(&self.endpoint.account.key)?);
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        let parts =
            [("sv", SAS_VERSION), ("sr", "c"), ("sp", permissions), ("se", &expires), ("sig", &signature)];
        let url = reqwest::Url::parse_with_params("http://sas.invalid/", parts)?;
        Ok(url.query().unwrap_or_default().to_owned())
    }
}
