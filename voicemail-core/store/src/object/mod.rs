//! Object stores: S3 and Azure Blob behind one adapter.
//!
//! Flow: [`ObjectBackend::open_s3`] and [`ObjectBackend::open_azure`] connect by the configuration. [`ObjectBackend`] makes
//! one request of the client library of each call of [`Store`]. What S3 and Azure each do in their own way, such as tags and
//! versions, it asks of the trait in [`service`], which `s3.rs` and `azure.rs` implement. Conditional writes are sent once:
//! the caller reads back what is unclear (see [`super::documents`]). Bodies and listings go through a second
//! client that repeats by itself, since their names are used by one attempt alone.
//!
//! What can go wrong: credentials that are wrong or have expired (`Credentials`, cured by new files),
//! answers that are lost (`Unclear`), servers that accept conditions and ignore them (the probe refuses
//! them), settings of the bucket or account that keep what is deleted or delete what is kept (the probe
//! says so).
//!
//! Another kind of object store touches more than this folder: `docs/architecture.md`, "Where does a change go?", lists all
//! places.

mod azure;
mod budget;
mod client;
mod credentials;
mod errors;
mod findings;
mod lifecycle;
mod observe;
mod partition;
mod s3;
mod scope;
mod service;
mod signed;
mod upload;
mod writes;

pub use budget::UploadBudget;

use super::probe::Finding;
use super::{
    Attempt, BodyStream, Hindrance, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Put, Revision,
    Store, StoreError, Versioned,
};
use crate::Family;
use crate::hedge::Hedges;
use async_trait::async_trait;
use bytes::Bytes;
use client::Clients;
use errors::{contended, reading, writing};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt, PutOptions, PutResult, TagSet,
};
use observe::Observed;
use service::Service;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use upload::Sending;
use voicemail_api::config::{AzureBlobConfig, EtagQuoting, S3Config};
use voicemail_model::clock::World;
use voicemail_model::{CallerTag, Time};

/// Families whose superseded states may name a caller.
fn naming_callers() -> impl Iterator<Item = &'static str> {
    Family::ALL.into_iter().filter(|family| family.history_names_callers()).map(Family::segment)
}

/// How old an answer may be from which the store's clock is told: an idle sweeper asks more often than that. A
/// request of its own is made when none is younger, or one has failed since.
const CLOCK_AGE: Duration = Duration::from_secs(130);

/// A bucket or container, or a folder of one, rooted at the tenant's prefix.
pub struct ObjectBackend {
    small: Arc<dyn ObjectStore>,
    bulk: Arc<dyn ObjectStore>,
    service: Arc<dyn Service>,
    observed: Arc<Observed>,
    root: Path,
    budget: UploadBudget,
    hedges: Option<Arc<Hedges>>,
    world: World,
    quoting: Option<EtagQuoting>,
    bare_etags: AtomicBool,
    tags: AtomicBool,
    examined: AtomicBool,
    hindrance: Mutex<Option<Hindrance>>,
}

impl ObjectBackend {
    /// Connects to a bucket; nothing is sent yet.
    ///
    /// # Errors
    /// `Credentials` if the files can't be read, `Refused` for an endpoint that is no URL.
    pub fn open_s3(
        config: &S3Config,
        tenant: &str,
        budget: UploadBudget,
        world: &World,
    ) -> Result<Self, StoreError> {
        let observed = Observed::new(world.clone());
        let clients = s3::connect(config, world, &observed)?;
        let quoting = config.etag_quoting;
        Ok(Self::new(clients, observed, root(config.prefix.as_deref(), tenant), budget, world, quoting))
    }

    /// Connects to a container; nothing is sent yet.
    ///
    /// # Errors
    /// As for [`open_s3`](Self::open_s3).
    pub fn open_azure(
        config: &AzureBlobConfig,
        tenant: &str,
        budget: UploadBudget,
        world: &World,
    ) -> Result<Self, StoreError> {
        let observed = Observed::new(world.clone());
        let clients = azure::connect(config, world, &observed)?;
        let quoting = Some(EtagQuoting::Rfc);
        Ok(Self::new(clients, observed, root(config.prefix.as_deref(), tenant), budget, world, quoting))
    }

    fn new(
        clients: Clients,
        observed: Arc<Observed>,
        root: Path,
        budget: UploadBudget,
        world: &World,
        quoting: Option<EtagQuoting>,
    ) -> Self {
        Self {
            small: clients.small,
            bulk: clients.bulk,
            service: clients.service,
            observed,
            root,
            budget,
            hedges: None,
            world: world.clone(),
            bare_etags: AtomicBool::new(quoting == Some(EtagQuoting::Bare)),
            quoting,
            tags: AtomicBool::new(false),
            examined: AtomicBool::new(false),
            hindrance: Mutex::default(),
        }
    }

    /// The same, with second tries of uploads that last unusually long.
    #[must_use]
    pub fn with_hedges(mut self, hedges: Arc<Hedges>) -> Self {
        self.hedges = Some(hedges);
        self
    }

    fn sending(&self, tags: TagSet) -> Sending<'_> {
        Sending { store: &self.bulk, budget: &self.budget, tags }
    }

    /// Requests sent so far, those of retries too.
    pub fn requests(&self) -> u64 {
        self.observed.requests()
    }

    fn path(&self, key: &Key) -> Path {
        self.root.parts().chain(Path::from(key.as_str()).parts()).collect()
    }

    fn path_of(&self, family: &str) -> Path {
        self.root.parts().chain(Path::from(family).parts()).collect()
    }

    /// An archived object is asked back where the configuration wants that; the error says so.
    async fn restoring(&self, path: &Path, error: StoreError) -> StoreError {
        let StoreError::Archived(text) = &error else { return error };
        match self.service.restore(path).await {
            Ok(false) => error,
            Ok(true) => StoreError::Restoring(text.clone()),
            Err(refused) => StoreError::Archived(format!("{text}; it can't be asked back: {refused}")),
        }
    }
}

fn root(prefix: Option<&str>, tenant: &str) -> Path {
    Path::from(format!("{}/v1/{tenant}", prefix.unwrap_or_default()))
}

async fn receive(found: GetResult) -> Result<Versioned, StoreError> {
    let none = || StoreError::Refused("the server gives no ETag".into());
    let revision = Revision(found.meta.e_tag.clone().ok_or_else(none)?);
    Ok(Versioned { bytes: found.bytes().await.map_err(reading)?, revision })
}

/// A range that the server understands; `None` for an empty one, which none does.
fn get_range(range: &Range<u64>) -> Option<GetRange> {
    (range.start < range.end).then(|| GetRange::Bounded(range.clone()))
}

#[async_trait]
impl Store for ObjectBackend {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.load(key).await?.map(|found| found.bytes))
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        let path = self.path(key);
        let options = GetOptions { range: range.as_ref().and_then(get_range), ..GetOptions::default() };
        if range.is_none() || options.range.is_some() {
            match self.bulk.get_opts(&path, options).await {
                Ok(found) => {
                    let size = found.meta.size;
                    return Ok(Some(ObjectBody {
                        size,
                        bytes: found.into_stream().map_err(reading).boxed(),
                    }));
                }
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) if range.is_none() => return Err(self.restoring(&path, reading(error)).await),
                // A range that begins past the end is an error to the server, and empty to us.
                Err(error) => match self.bulk.head(&path).await {
                    Ok(meta) if range.is_some_and(|range| range.start >= meta.size) => {
                        return Ok(Some(ObjectBody { size: meta.size, bytes: stream::empty().boxed() }));
                    }
                    _ => return Err(self.restoring(&path, reading(error)).await),
                },
            }
        }
        match self.bulk.head(&path).await {
            Ok(meta) => Ok(Some(ObjectBody { size: meta.size, bytes: stream::empty().boxed() })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(reading(error)),
        }
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let found = match self.small.get(&self.path(key)).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(reading(error)),
        };
        receive(found).await.map(Some)
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        let options = GetOptions { if_none_match: Some(known.0.clone()), ..GetOptions::default() };
        match self.small.get_opts(&self.path(key), options).await {
            Err(Error::NotModified { .. }) => Ok(Loaded::Unchanged),
            Err(Error::NotFound { .. }) => Ok(Loaded::Missing),
            Err(error) => Err(reading(error)),
            Ok(found) => Ok(Loaded::Changed(receive(found).await?)),
        }
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        let (below, begin) = (self.path_of(prefix), self.path_of(after));
        let found = match self.service.lists_from_anywhere() && !after.is_empty() {
            true => self.bulk.list_with_offset(Some(&below), &begin),
            false => self.bulk.list(Some(&below)),
        };
        let root = format!("{}/", self.root);
        let keys = found.map(move |found| match found {
            // Compared here as well: a server may not know the parameter.
            Ok(meta) => {
                Ok(meta.location.as_ref().strip_prefix(&root).filter(|key| *key > after).map(str::to_owned))
            }
            Err(error) => Err(reading(error)),
        });
        keys.try_filter_map(|key| async move { Ok(key) }).boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.create_with(key, bytes, TagSet::default()).await
    }

    async fn create_tagged(&self, key: &Key, bytes: Bytes, tag: &CallerTag) -> Result<(), StoreError> {
        self.create_with(key, bytes, self.tag_set(tag)).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.note(self.sending(TagSet::default()).send(&self.path(key), body).await)
    }

    async fn put_tagged(&self, key: &Key, body: BodyStream, tag: &CallerTag) -> Result<u64, StoreError> {
        self.note(self.sending(self.tag_set(tag)).send(&self.path(key), body).await)
    }

    async fn put_attempts(
        &self,
        names: [&Key; 2],
        body: BodyStream,
        tag: &CallerTag,
    ) -> Result<Put, StoreError> {
        let Some(hedges) = &self.hedges else {
            self.put_tagged(names[0], body, tag).await?;
            return Ok(Put { attempt: Attempt::First, contended: false });
        };
        let paths = names.map(|name| self.path(name));
        let sending = self.sending(self.tag_set(tag));
        self.note(sending.send_attempts([&paths[0], &paths[1]], body, hedges).await)
    }

    async fn tag(&self, key: &Key) -> Result<Option<String>, StoreError> {
        self.service.read_tag(&self.path(key)).await
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        let options = PutOptions { mode: self.mode(basis), ..PutOptions::default() };
        self.note(match self.write(key, bytes, options).await {
            Ok(PutResult { e_tag: Some(etag), .. }) => Ok(Revision(etag)),
            Ok(_) => Err(StoreError::Unclear("the server gives no ETag".into())),
            Err(error @ (Error::AlreadyExists { .. } | Error::Precondition { .. })) => {
                Err(contended(error, StoreError::Conflict))
            }
            // A condition on a name that isn't there: AWS and MinIO say 404.
            Err(Error::NotFound { .. }) if basis.is_some() => Err(StoreError::Conflict),
            Err(error) => Err(writing(error)),
        })
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let path = self.path(key);
        self.service.delete(&path).await?;
        self.service.erase_versions(&path).await
    }

    async fn prune_history(&self, of: History<'_>, _: Time) -> Result<Option<Time>, StoreError> {
        match of {
            History::Of(key) => self.service.prune_versions(&self.path(key)).await?,
            History::All => {
                for family in naming_callers() {
                    self.service.prune_all_versions(&self.path_of(family)).await?;
                }
            }
        }
        Ok(None)
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        let mut unpruned = Vec::new();
        for family in naming_callers() {
            unpruned.extend(self.service.find_superseded(&self.path_of(family)).await?);
        }
        let root = format!("{}/", self.root);
        Ok(unpruned.iter().filter_map(|path| path.strip_prefix(&root)).map(str::to_owned).collect())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        if let Some(time) = self.observed.clock(CLOCK_AGE) {
            return Ok(time);
        }
        self.service.greet().await?;
        let none = || StoreError::Refused("the server's answers carry no Date".into());
        self.observed.clock(CLOCK_AGE).ok_or_else(none)
    }

    async fn greet(&self) -> Result<(), StoreError> {
        self.service.greet().await
    }

    async fn examine(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings: Vec<Finding> = self.find_simulator().into_iter().collect();
        findings.extend(self.find_quoting().await?);
        findings.extend(self.find_tags().await?);
        findings.extend(self.service.examine(&self.root).await);
        self.examined.store(true, Ordering::Relaxed);
        Ok(findings)
    }

    fn hindrance(&self) -> Option<Hindrance> {
        self.hindrance.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests cost, so one is sent only while something hinders: its success says that nothing does any more. A
    /// store that was opened while it refused writes is examined then.
    async fn tend(&self) -> Result<(), StoreError> {
        if self.hindrance().is_none() {
            return Ok(());
        }
        let key = Key::probe(self.world.now(), &self.world.random_hex());
        self.create(&key, Bytes::from_static(b"tend")).await?;
        if !self.examined.load(Ordering::Relaxed) {
            self.examine().await?;
        }
        self.delete(&key).await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.service.keeps().await
    }

    fn is_metered(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod header_tests;
