//! S3, and servers that speak its protocol.
//!
//! Buckets are named by path. A bucket with versions keeps what is deleted: a deletion then also removes all
//! versions and delete markers of the name, data first and markers last, so that a crash in between never
//! lets an older version come to light.

mod answers;
mod client;
mod versions;

use super::super::probe::Finding;
use super::super::{Keeper, StoreError};
use super::client::{Clients, Patience, client_options};
use super::lifecycle;
use super::observe::{Observed, ObservingConnector};
use super::partition::endpoint_of;
use super::service::{ENCRYPTION, Service};
use super::signed::{Answer, build_request, send};
use answers::{LockRetention, ObjectLock, Tagging, Versioning, parse};
use async_trait::async_trait;
use client::{build_client, find_credentials, folder_of};
use http::Method;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpClient;
use object_store::client::HttpConnector;
use object_store::path::Path;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use voicemail_api::config::{S3Algorithm, S3Config};
use voicemail_model::CallerTag;
use voicemail_model::clock::World;

/// Connects to a bucket.
pub(super) fn connect(
    config: &S3Config,
    world: &World,
    observed: &Arc<Observed>,
) -> Result<Clients, StoreError> {
    let credentials = find_credentials(config, world)?;
    let build = |patience| build_client(config, credentials.as_ref(), observed, patience);
    let (small, bulk) = (build(Patience::Call)?, build(Patience::Transfer)?);
    let connector = ObservingConnector(Arc::clone(observed));
    let options = client_options(folder_of(config), &endpoint_of(config), Patience::Call)?;
    let client = connector.connect(&options).map_err(super::errors::reading)?;
    let service = S3Service {
        bucket_url: format!("{}/{}", endpoint_of(config), config.bucket),
        region: config.region.clone(),
        credentials: Arc::clone(small.credentials()),
        client,
        versioned: AtomicBool::new(false),
        held: AtomicBool::new(false),
        encryption: config.encryption.as_ref().map(|asked| asked.algorithm),
        restored_for: config.restore_archived.map(|asked| asked.days),
    };
    Ok(Clients { small: Arc::new(small), bulk: Arc::new(bulk), service: Arc::new(service) })
}

struct S3Service {
    bucket_url: String,
    region: String,
    credentials: AwsCredentialProvider,
    client: HttpClient,
    versioned: AtomicBool,
    /// A lock kept a version from being deleted.
    held: AtomicBool,
    encryption: Option<S3Algorithm>,
    /// Days for which a copy of what was archived is asked for.
    restored_for: Option<u32>,
}

impl S3Service {
    async fn send(&self, method: Method, path_and_query: &str) -> Result<Answer, StoreError> {
        self.send_body(method, path_and_query, String::new()).await
    }

    async fn send_body(
        &self,
        method: Method,
        path_and_query: &str,
        body: String,
    ) -> Result<Answer, StoreError> {
        let mut request = build_request(method, &format!("{}{path_and_query}", self.bucket_url), body)?;
        let credential = self.credentials.get_credential().await.map_err(super::errors::reading)?;
        let authorizer = AwsAuthorizer::new(&credential, "s3", &self.region);
        authorizer.try_authorize(&mut request, None).map_err(super::errors::reading)?;
        send(&self.client, request).await
    }

    async fn find_versioning(&self) -> Finding {
        let status = match self.send(Method::GET, "/?versioning").await {
            Ok(answer) => answer.found().and_then(|body| parse::<Versioning>(&body.unwrap_or_default())),
            Err(error) => Err(error),
        };
        match status {
            Ok(Versioning { status: Some(status) }) => {
                self.versioned.store(true, Ordering::Relaxed);
                let now = if status == "Enabled" { "keeps" } else { "has kept" };
                Finding::note(
                    "versions",
                    format!(
                        "the bucket {now} versions: deletions remove them too, at the cost of more requests"
                    ),
                )
            }
            Ok(Versioning { status: None }) => {
                Finding::note("versions", "the bucket keeps no versions".into())
            }
            Err(error) => Finding::note(
                "versions",
                format!(
                    "can't be read ({error}): allow s3:GetBucketVersioning, s3:ListBucketVersions and \
                     s3:DeleteObjectVersion if the bucket keeps versions"
                ),
            ),
        }
    }

    async fn find_lifecycle(&self, folder: &Path) -> Finding {
        match self.send(Method::GET, "/?lifecycle").await {
            Ok(answer) => lifecycle::judge(answer, folder),
            Err(error) => lifecycle::unreadable(&error),
        }
    }
}

impl S3Service {
    /// A lock on new objects keeps their versions from being deleted.
    async fn find_lock(&self) -> Result<Option<Keeper>, StoreError> {
        let Some(body) = self.send(Method::GET, "/?object-lock").await?.setting()? else { return Ok(None) };
        let rule = parse::<ObjectLock>(&body)?.rule.and_then(|rule| rule.default_retention);
        let days = |lock: LockRetention| lock.days.or(lock.years.map(|years| years.saturating_mul(366)));
        Ok(rule.map(|lock| Keeper { kind: "immutability", days: days(lock) }))
    }

    /// Deletions of versions are never replicated.
    async fn find_replication(&self) -> Result<Option<Keeper>, StoreError> {
        let body = self.send(Method::GET, "/?replication").await?.setting()?;
        Ok(body.map(|_| Keeper { kind: "replication", days: None }))
    }

    /// Versions are removed with what they are of, if we may see whether there are any.
    async fn find_versions(&self) -> Result<Option<Keeper>, StoreError> {
        let body = self.send(Method::GET, "/?versioning").await?.setting()?;
        if body
            .map(|body| parse::<Versioning>(&body))
            .transpose()?
            .is_some_and(|found| found.status.is_some())
        {
            self.versioned.store(true, Ordering::Relaxed);
        }
        Ok(None)
    }
}

/// A setting that we may not read may keep anything.
fn or_unknown(found: Result<Option<Keeper>, StoreError>) -> Result<Option<Keeper>, StoreError> {
    match found {
        Err(StoreError::Credentials(_)) => Ok(Some(Keeper { kind: "unknown", days: None })),
        other => other,
    }
}

#[async_trait]
impl Service for S3Service {
    async fn greet(&self) -> Result<(), StoreError> {
        self.send(Method::GET, "/?list-type=2&max-keys=1").await?.found().and_then(|found| {
            found.map(drop).ok_or_else(|| StoreError::Refused("there is no such bucket".into()))
        })
    }

    fn lists_from_anywhere(&self) -> bool {
        true
    }

    async fn delete(&self, path: &Path) -> Result<(), StoreError> {
        self.send(Method::DELETE, &format!("/{}", path.as_ref())).await?.found().map(drop)
    }

    async fn read_tag(&self, path: &Path) -> Result<Option<String>, StoreError> {
        let answer = self.send(Method::GET, &format!("/{}?tagging", path.as_ref())).await?;
        let Some(body) = answer.found()? else { return Ok(None) };
        let tags = parse::<Tagging>(&body)?.tag_set.tag;
        Ok(tags.into_iter().find(|tag| tag.key == CallerTag::NAME).map(|tag| tag.value))
    }

    async fn find_encryption(&self, path: &Path) -> Option<Finding> {
        let asked = self.encryption?.header();
        let answer = self.send(Method::HEAD, &format!("/{}", path.as_ref())).await;
        let said = answer.map(|answer| {
            let header = answer.headers.get("x-amz-server-side-encryption");
            header.and_then(|value| value.to_str().ok()).map(str::to_owned)
        });
        Some(match said {
            Ok(Some(found)) if found == asked => Finding::holds(ENCRYPTION),
            Ok(found) => Finding::fails(
                ENCRYPTION,
                format!(
                    "{asked} was asked for, and the store says {}: it doesn't encrypt as `encryption` says; leave that out, or \
                     use another store",
                    found.as_deref().unwrap_or("nothing of encryption")
                ),
            ),
            Err(error) => Finding::fails(ENCRYPTION, error.to_string()),
        })
    }

    async fn restore(&self, path: &Path) -> Result<bool, StoreError> {
        let Some(days) = self.restored_for else { return Ok(false) };
        let body = format!(
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>{days}</Days>\
             <GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>"
        );
        let answer = self.send_body(Method::POST, &format!("/{}?restore", path.as_ref()), body).await?;
        // 409: it is on its way.
        if answer.status.is_success() || answer.status == http::StatusCode::CONFLICT {
            return Ok(true);
        }
        Err(answer.refusal())
    }

    async fn erase_versions(&self, path: &Path) -> Result<(), StoreError> {
        if !self.versioned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (versions, markers) = self.list_versions(path).await?;
        let mut gone = true;
        for version in &versions {
            gone &= self.delete_version(path, version).await?;
        }
        // The delete marker stays while object lock retains a version, or that version would become current again.
        for marker in markers.iter().filter(|_| gone) {
            self.delete_version(path, marker).await?;
        }
        Ok(())
    }

    async fn prune_versions(&self, path: &Path) -> Result<(), StoreError> {
        if !self.versioned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (versions, markers) = self.list_versions(path).await?;
        for version in versions.iter().chain(&markers).filter(|version| !version.is_latest) {
            self.delete_version(path, version).await?;
        }
        Ok(())
    }

    async fn prune_all_versions(&self, folder: &Path) -> Result<(), StoreError> {
        if !self.versioned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut from = Some(String::new());
        while let Some(begin) = from.take() {
            let (found, next) = self.list_below(folder, &begin).await?;
            for version in found.iter().filter(|version| !version.is_latest) {
                let path = Path::parse(&version.key).map_err(|_| strange_name())?;
                self.delete_version(&path, version).await?;
            }
            from = next;
        }
        Ok(())
    }

    async fn find_superseded(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        if !self.versioned.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let mut from = Some(String::new());
        while let Some(begin) = from.take() {
            let (found, next) = self.list_below(folder, &begin).await?;
            for version in found.into_iter().filter(|version| !version.is_latest) {
                *counts.entry(version.key).or_default() += 1;
            }
            from = next;
        }
        Ok(counts.into_iter().filter(|(_, count)| *count > 1).map(|(key, _)| key).collect())
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        let mut keepers = Vec::new();
        let asked = [self.find_versions().await, self.find_lock().await, self.find_replication().await];
        for found in asked {
            keepers.extend(or_unknown(found)?);
        }
        // A rule of before, or a hold that somebody else has put.
        if self.held.load(Ordering::Relaxed) && !keepers.iter().any(|keeper| keeper.kind == "immutability") {
            keepers.push(Keeper { kind: "immutability", days: None });
        }
        keepers.dedup();
        Ok(keepers)
    }

    fn note_version(&self) {
        self.versioned.store(true, Ordering::Relaxed);
    }

    async fn examine(&self, folder: &Path) -> Vec<Finding> {
        vec![self.find_versioning().await, self.find_lifecycle(folder).await]
    }
}

fn strange_name() -> StoreError {
    StoreError::Unavailable("the server lists a name that can't be one".into())
}
