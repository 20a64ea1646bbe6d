//! Azure Blob storage.
//!
//! Blob versions and soft delete keep what was deleted, where a container's own calls can't be sure to
//! remove it: the probe refuses an account that has them on.

use super::super::probe::Finding;
use super::super::{Keeper, StoreError};
use super::client::{Clients, Patience, client_options};
use super::credentials::{FileCredentials, read_azure};
use super::observe::{Observed, ObservingConnector};
use super::scope::ScopedConnector;
use super::service::Service;
use super::signed::{Answer, build_request, send};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use object_store::azure::{AzureAuthorizer, AzureCredentialProvider, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use voicemail_api::config::{AzureBlobConfig, AzureCredentials, AzureTier};
use voicemail_model::CallerTag;
use voicemail_model::clock::World;

/// Connects to a container.
pub(super) fn connect(
    config: &AzureBlobConfig,
    world: &World,
    observed: &Arc<Observed>,
) -> Result<Clients, StoreError> {
    let credentials: Option<AzureCredentialProvider> = match &config.credentials {
        AzureCredentials::Files { dir } => Some(FileCredentials::open(dir, read_azure, world)?),
        AzureCredentials::WorkloadIdentity {} => {
            require_identity()?;
            None
        }
    };
    let build = |patience| build_client(config, credentials.as_ref(), observed, patience);
    let (small, bulk) = (build(Patience::Call)?, build(Patience::Transfer)?);
    let connector = connector_of(config, observed, credentials.as_ref());
    let options = client_options(folder_of(config), &endpoint_of(config), Patience::Call)?;
    let service = AzureService {
        account: config.account.clone(),
        account_url: endpoint_of(config),
        container: config.container.clone(),
        credentials: Arc::clone(small.credentials()),
        client: connector.connect(&options).map_err(super::errors::reading)?,
        versioned: AtomicBool::new(false),
        restored_to: config.restore_archived.map(|asked| asked.tier),
    };
    Ok(Clients { small: Arc::new(small), bulk: Arc::new(bulk), service: Arc::new(service) })
}

/// Writes name the encryption scope, if there is one.
fn connector_of(
    config: &AzureBlobConfig,
    observed: &Arc<Observed>,
    credentials: Option<&AzureCredentialProvider>,
) -> ScopedConnector {
    ScopedConnector {
        inner: ObservingConnector(Arc::clone(observed)),
        scope: config.encryption.as_ref().and_then(|asked| asked.scope.clone()),
        account: config.account.clone(),
        credentials: credentials.cloned(),
    }
}

/// The customer's own key, in base64.
fn read_customer_key(config: &AzureBlobConfig) -> Result<Option<String>, StoreError> {
    let Some(file) = config.encryption.as_ref().and_then(|asked| asked.customer_key_file.as_ref()) else {
        return Ok(None);
    };
    let unusable =
        |why: String| StoreError::Credentials(format!("the customer's key {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
    let key = text.trim();
    match STANDARD.decode(key) {
        Ok(bytes) if bytes.len() == KEY_LENGTH => Ok(Some(key.to_owned())),
        _ => Err(unusable("write 32 bytes in base64".into())),
    }
}

/// Bytes of a key of the customer's.
const KEY_LENGTH: usize = 32;

fn require_identity() -> Result<(), StoreError> {
    let given = |name: &str| std::env::var_os(name).is_some();
    if ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"].into_iter().all(given) {
        return Ok(());
    }
    Err(StoreError::Credentials(
        "the pod has no workload identity: AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE \
         aren't set; is the identity webhook installed, and the service account annotated?"
            .into(),
    ))
}

fn build_client(
    config: &AzureBlobConfig,
    credentials: Option<&AzureCredentialProvider>,
    observed: &Arc<Observed>,
    patience: Patience,
) -> Result<MicrosoftAzure, StoreError> {
    let endpoint = endpoint_of(config);
    let builder = match credentials {
        Some(credentials) => MicrosoftAzureBuilder::new().with_credentials(Arc::clone(credentials)),
        None => MicrosoftAzureBuilder::from_env().with_credential_type("workload_identity"),
    };
    let builder = builder
        .with_account(&config.account)
        .with_container_name(&config.container)
        .with_retry(patience.retries())
        .with_client_options(client_options(folder_of(config), &endpoint, patience)?)
        .with_endpoint(endpoint)
        .with_http_connector(connector_of(config, observed, credentials));
    let builder = match read_customer_key(config)? {
        Some(key) => builder.with_encryption_key(key),
        None => builder,
    };
    builder.build().map_err(super::errors::reading)
}

fn endpoint_of(config: &AzureBlobConfig) -> String {
    let public = || format!("https://{}.blob.core.windows.net", config.account);
    config.endpoint.clone().unwrap_or_else(public).trim_end_matches('/').to_owned()
}

fn folder_of(config: &AzureBlobConfig) -> Option<&std::path::Path> {
    match &config.credentials {
        AzureCredentials::Files { dir } => Some(dir),
        AzureCredentials::WorkloadIdentity {} => None,
    }
}

struct AzureService {
    account: String,
    account_url: String,
    container: String,
    credentials: AzureCredentialProvider,
    client: HttpClient,
    versioned: AtomicBool,
    /// The tier to which what was archived is moved back.
    restored_to: Option<AzureTier>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    tag_set: TagSet,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagSet {
    #[serde(default)]
    tag: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    delete_retention_policy: Option<RetentionPolicy>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RetentionPolicy {
    enabled: bool,
    days: Option<u32>,
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, StoreError> {
    let unreadable =
        |_| StoreError::Unavailable("the server's answer isn't the XML that Azure answers".into());
    // Azure begins its documents with a byte order mark.
    quick_xml::de::from_reader(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).map_err(unreadable)
}

impl AzureService {
    async fn send(&self, method: Method, path_and_query: &str) -> Result<Answer, StoreError> {
        self.send_with(method, path_and_query, None).await
    }

    async fn send_with(
        &self,
        method: Method,
        path_and_query: &str,
        header: Option<(&'static str, &'static str)>,
    ) -> Result<Answer, StoreError> {
        let url = format!("{}{path_and_query}", self.account_url);
        let mut request = build_request(method, &url, String::new())?;
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        let credential = self.credentials.get_credential().await.map_err(super::errors::reading)?;
        let authorizer = AzureAuthorizer::new(&credential, &self.account);
        authorizer.try_authorize(&mut request).map_err(super::errors::reading)?;
        send(&self.client, request).await
    }

    async fn find_soft_delete(&self) -> Finding {
        const PROPERTY: &str = "no-soft-delete";
        let properties = match self.send(Method::GET, "/?restype=service&comp=properties").await {
            Ok(answer) => answer.found().and_then(|body| parse::<Properties>(&body.unwrap_or_default())),
            Err(error) => Err(error),
        };
        match properties {
            Ok(Properties { delete_retention_policy: Some(RetentionPolicy { enabled: true, .. }) }) => Finding::fails(
                PROPERTY,
                "the account keeps deleted blobs (soft delete): an erasure couldn't remove them; turn blob soft \
                 delete off for this account"
                    .into(),
            ),
            Ok(_) => Finding::holds(PROPERTY),
            Err(error) => Finding::note(
                PROPERTY,
                format!("can't be read ({error}): make sure that blob soft delete is off for this account"),
            ),
        }
    }

    fn find_versions(&self) -> Finding {
        const PROPERTY: &str = "no-versions";
        if self.versioned.load(Ordering::Relaxed) {
            return Finding::fails(
                PROPERTY,
                "the account keeps versions of blobs: an erasure couldn't remove them; turn blob versioning off"
                    .into(),
            );
        }
        Finding::holds(PROPERTY)
    }
}

const UNKNOWN: Keeper = Keeper { kind: "unknown", days: None };

impl AzureService {
    async fn find_kept_deletions(&self) -> Result<Option<Keeper>, StoreError> {
        let body = match self.send(Method::GET, "/?restype=service&comp=properties").await?.setting() {
            Err(StoreError::Credentials(_)) => return Ok(Some(UNKNOWN)),
            other => other?.unwrap_or_default(),
        };
        let policy = parse::<Properties>(&body)?.delete_retention_policy.filter(|policy| policy.enabled);
        Ok(policy.map(|policy| Keeper { kind: "softDelete", days: policy.days }))
    }

    /// Time-based retention, or a legal hold of the container's own.
    async fn find_immutability(&self) -> Result<Option<Keeper>, StoreError> {
        let answer = self.send(Method::GET, &format!("/{}?restype=container", self.container)).await?;
        if matches!(answer.status, http::StatusCode::UNAUTHORIZED | http::StatusCode::FORBIDDEN) {
            return Ok(Some(UNKNOWN));
        }
        let says = |name: &str| answer.headers.get(name).is_some_and(|value| value.as_bytes() == b"true");
        let locked = says("x-ms-has-immutability-policy") || says("x-ms-has-legal-hold");
        Ok(locked.then_some(Keeper { kind: "immutability", days: None }))
    }
}

#[async_trait]
impl Service for AzureService {
    async fn greet(&self) -> Result<(), StoreError> {
        // A SAS for blobs may not read the container's properties, but it may list.
        let query = format!("/{}?restype=container&comp=list&maxresults=1", self.container);
        self.send(Method::GET, &query).await?.found().and_then(|found| {
            found.map(drop).ok_or_else(|| StoreError::Refused("there is no such container".into()))
        })
    }

    /// The version of the protocol that we speak has no parameter for it.
    fn lists_from_anywhere(&self) -> bool {
        false
    }

    async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        let path_and_query = format!("/{}/{}", self.container, path.as_ref());
        self.send(Method::DELETE, &path_and_query).await?.found().map(drop)
    }

    async fn read_tag(&self, path: &Path) -> Result<Option<String>, StoreError> {
        let query = format!("/{}/{}?comp=tags", self.container, path.as_ref());
        let Some(body) = self.send(Method::GET, &query).await?.found()? else { return Ok(None) };
        let tags = parse::<Tags>(&body)?.tag_set.tag;
        Ok(tags.into_iter().find(|tag| tag.key == CallerTag::NAME).map(|tag| tag.value))
    }

    /// A scope or a key that can't be used fails the write itself.
    async fn find_encryption(&self, _path: &Path) -> Option<Finding> {
        None
    }

    async fn restore(&self, path: &Path) -> Result<bool, StoreError> {
        let Some(tier) = self.restored_to else { return Ok(false) };
        let query = format!("/{}/{}?comp=tier", self.container, path.as_ref());
        let answer = self.send_with(Method::PUT, &query, Some(("x-ms-access-tier", tier.name()))).await?;
        // 409: it is on its way.
        if answer.status.is_success() || answer.status == http::StatusCode::CONFLICT {
            return Ok(true);
        }
        Err(answer.refusal())
    }

    async fn erase_versions(&self, _path: &Path) -> Result<(), StoreError> {
        self.refuse_versions()
    }

    async fn prune_versions(&self, _path: &Path) -> Result<(), StoreError> {
        self.refuse_versions()
    }

    async fn prune_all_versions(&self, _folder: &Path) -> Result<(), StoreError> {
        self.refuse_versions()
    }

    async fn find_superseded(&self, _folder: &Path) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        let mut keepers: Vec<Keeper> = self.find_kept_deletions().await?.into_iter().collect();
        if self.versioned.load(Ordering::Relaxed) {
            keepers.push(Keeper { kind: "versions", days: None });
        }
        keepers.extend(self.find_immutability().await?);
        keepers.dedup();
        Ok(keepers)
    }

    fn note_version(&self) {
        self.versioned.store(true, Ordering::Relaxed);
    }

    async fn examine(&self, _folder: &Path) -> Vec<Finding> {
        let rules = "can't be read with a data key: make sure that no lifecycle rule of the account deletes blobs \
                     of this folder";
        vec![
            self.find_soft_delete().await,
            self.find_versions(),
            Finding::note("no-lifecycle-rule", rules.into()),
        ]
    }
}

impl AzureService {
    /// An account that was given versions while we ran: an erasure must not call itself done.
    fn refuse_versions(&self) -> Result<(), StoreError> {
        if self.versioned.load(Ordering::Relaxed) {
            return Err(StoreError::Refused(
                "the account keeps versions of deleted blobs: turn blob versioning off and remove them"
                    .into(),
            ));
        }
        Ok(())
    }
}
