//! A shared POSIX file system as a store: a local disk, CephFS, or NFSv4.1 with locks.
//!
//! Objects are files, published by hard link and never written over ([`publish`]). Documents are
//! folders of numbered revisions ([`revisions`]); `link` is the compare-and-swap. Superseded ones that their writer didn't
//! live to prune are found by walking ([`history`]). All calls run on a
//! bounded number of blocking threads, so that a hung server can't exhaust the process.
//!
//! What can go wrong: a volume fills up: recordings are refused in time, and small writes live on a reserve
//! ([`space`], [`reserve`]). File systems without hard links or with locks that don't reach other clients
//! (SMB, blob mounts) look fine until two replicas write at once; [`medium`] refuses them at start.

#![allow(
    clippy::disallowed_methods,
    reason = "a file system's times are the machine's, and its caches and temporary names are of this process"
)]

mod beneath;
mod history;
mod medium;
mod mounts;
mod objects;
mod publish;
mod reserve;
mod revisions;
mod space;
mod walk;

pub use medium::{LockProbe, hold_lock_probe};

use super::probe::Finding;
use super::{
    BodyStream, Hindrance, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Revision, Store, StoreError,
    Versioned, WriteRefusal,
};
use async_trait::async_trait;
use bytes::Bytes;
use reserve::Reserve;
use revisions::Heads;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use voicemail_api::config::KeepFree;
use voicemail_model::Time;

/// How long a superseded revision stays: three times the age at which a writer abandons its basis.
pub const REVISION_LIFE: Duration = Duration::from_secs(30);

/// Blocking calls at a time.
const THREADS: usize = 64;

/// A store on a mounted folder.
#[derive(Clone)]
pub struct VolumeStore {
    root: Arc<PathBuf>,
    threads: Arc<Semaphore>,
    heads: Arc<Heads>,
    walk: Arc<history::Walk>,
    lock_probe: LockProbe,
    reserve: Option<Arc<Reserve>>,
    /// The reason why the last write was refused.
    refused: Arc<Mutex<Option<Hindrance>>>,
}

impl VolumeStore {
    /// Rooted at `mount/v1/<tenant>`.
    pub fn new(mount: &Path, tenant: &str, lock_probe: LockProbe) -> Self {
        Self {
            root: Arc::new(mount.join("v1").join(tenant)),
            threads: Arc::new(Semaphore::new(THREADS)),
            heads: Arc::new(Heads::default()),
            walk: Arc::default(),
            lock_probe,
            reserve: None,
            refused: Arc::default(),
        }
    }

    /// Refuses recordings while less than that is free, and keeps a reserve beyond.
    #[must_use]
    pub fn keeping_free(self, keep: KeepFree) -> Self {
        Self { reserve: Some(Arc::new(Reserve::new(keep))), ..self }
    }

    /// A small write: one that finds no room lets a piece of the reserve go and tries again.
    async fn small_write<T: Send + 'static>(
        &self,
        work: impl Fn(&Path, &Heads) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let outcome = self.blocking(move |root, heads| write_by_reserve(root, heads, work)).await;
        let refused = match &outcome {
            Err(error @ StoreError::WriteRefused { .. }) => Some(Hindrance::of(error)),
            Ok(_) => Some(None),
            Err(_) => None,
        };
        if let Some(refused) = refused {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        }
        outcome
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path, &Heads) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::Unavailable("shutting down".into());
        let permit = Arc::clone(&self.threads).acquire_owned().await.map_err(closed)?;
        let (root, heads) = (Arc::clone(&self.root), Arc::clone(&self.heads));
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&root, &heads);
            drop(permit);
            result
        });
        task.await.map_err(|error| StoreError::Unclear(format!("a blocking call ended badly: {error}")))?
    }
}

fn write_by_reserve<T>(
    root: &Path,
    heads: &Heads,
    work: impl Fn(&Path, &Heads) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    loop {
        match work(root, heads) {
            Err(StoreError::Full(_)) if reserve::release(root)? => {}
            other => return other,
        }
    }
}

#[async_trait]
impl Store for VolumeStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let key = key.clone();
        self.blocking(move |root, _| objects::get(root, &key)).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        objects::read(&self.root, key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        let key = key.clone();
        self.blocking(move |root, heads| revisions::load(root, heads, &key)).await
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        let (key, known) = (key.clone(), known.clone());
        self.blocking(move |root, heads| revisions::load_unless(root, heads, &key, &known)).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        walk::list_after(Arc::clone(&self.root), prefix, after)
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let key = key.clone();
        self.small_write(move |root, _| objects::create(root, &key, &bytes)).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        let (received, size) = objects::receive(&self.root, body, self.reserve.clone()).await?;
        let key = key.clone();
        // From here on it is the folder's entry alone that may find no room.
        self.small_write(move |root, _| objects::publish_received(root, &key, &received)).await?;
        Ok(size)
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        let (key, basis) = (key.clone(), basis.cloned());
        self.small_write(move |root, heads| revisions::replace(root, heads, &key, basis.as_ref(), &bytes))
            .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let key = key.clone();
        self.blocking(move |root, heads| {
            objects::delete(root, &key)?;
            revisions::delete(root, heads, &key)
        })
        .await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        match of {
            History::Of(key) => {
                let key = key.clone();
                self.blocking(move |root, _| revisions::prune(root, &key, superseded)).await
            }
            History::All => self.blocking(move |root, _| history::prune_all(root, superseded)).await,
        }
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.blocking(|root, _| history::find_unpruned(root)).await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.small_write(|root, _| publish::file_system_time(root)).await
    }

    /// A volume that refuses to write answers nevertheless.
    async fn greet(&self) -> Result<(), StoreError> {
        match self.clock().await {
            Err(error) if error.is_hindrance() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn examine(&self) -> Result<Vec<Finding>, StoreError> {
        let probe = self.lock_probe.clone();
        let examined = self.small_write(move |root, _| medium::probe(root, &probe)).await;
        Ok(vec![Finding::of("medium", examined)])
    }

    async fn dismantle(&self) -> Result<(), StoreError> {
        self.blocking(|root, _| publish::dismantle(root)).await
    }

    fn hindrance(&self) -> Option<Hindrance> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        refused.or_else(|| self.reserve.as_ref()?.last_seen())
    }

    async fn tend(&self) -> Result<(), StoreError> {
        // Any small write shows whether the volume can be written; this one needs no room.
        self.small_write(|root, _| publish::file_system_time(root)).await?;
        let Some(reserve) = self.reserve.clone() else { return Ok(()) };
        self.blocking(move |root, _| reserve.tend(root)).await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let walk = Arc::clone(&self.walk);
        self.small_write(move |root, heads| {
            // Each by itself: a folder that can't be pruned keeps nothing else from being tidied.
            let outcomes = [
                revisions::prune_scheduled(root, heads),
                walk.go_on(root, heads),
                publish::remove_stale_temporaries(root),
            ];
            outcomes.into_iter().collect()
        })
        .await
    }
}

/// An operating system's error before anything was written.
fn unavailable(what: &str) -> impl Fn(io::Error) -> StoreError + '_ {
    move |error| match error.kind() {
        _ if is_full(&error) => StoreError::Full(format!("{what}: no room is left")),
        io::ErrorKind::PermissionDenied => {
            let user = rustix::process::geteuid().as_raw();
            StoreError::Refused(format!("{what}: {error}: let user {user} write to the volume"))
        }
        io::ErrorKind::ReadOnlyFilesystem => read_only(),
        io::ErrorKind::Unsupported => StoreError::Refused(format!("{what}: {error}")),
        _ => StoreError::Unavailable(format!("{what}: {error}")),
    }
}

/// As a failing disk goes; nothing was applied.
fn read_only() -> StoreError {
    StoreError::WriteRefused { cause: WriteRefusal::Lock, text: "the volume is read-only".into() }
}

/// By space, inodes or quota.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An operating system's error after which the change may stand.
fn unclear(what: &str) -> impl Fn(io::Error) -> StoreError + '_ {
    move |error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => read_only(),
        _ => StoreError::Unclear(format!("{what}: {error}")),
    }
}

fn path_of(root: &Path, key: &Key) -> PathBuf {
    root.join(key.as_str())
}
