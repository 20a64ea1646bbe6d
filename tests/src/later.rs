//! A day later, now: a tenant's store as a sweeper of tomorrow sees it.
//!
//! Orphans are removed after a day. A test can't wait for that, and a sweeper whose clock alone were
//! ahead would refuse to destroy anything. So both clocks, ours and the store's, are moved together,
//! over the very files that the pods have written.

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use voicemail_api::config::{StorageConfig, TenantConfig};
use voicemail_engine::core::{Core, TenantKeys};
use voicemail_engine::sweep::{Sweeper, Swept};
use voicemail_model::Time;
use voicemail_model::clock::{Surroundings, World};
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Revision, Store, StoreError, Versioned,
};

/// Sweeps a tenant's volume as if that much time had passed, until a pass finds nothing more to do.
///
/// # Errors
/// When the store can't be opened or a pass fails.
pub async fn sweep_later(config: &TenantConfig, keys: &Path, volume: &Path, by: Duration) -> Result<Swept> {
    let mut config = config.clone();
    config.regions.iter_mut().for_each(|region| {
        region.storage = StorageConfig::Volume { path: volume.into(), keep_free: Default::default() }
    });
    let store: Arc<dyn Store> = Arc::new(LaterStore {
        inner: VolumeStore::new(volume, &config.tenant_id, LockProbe(Vec::new())),
        by,
    });
    let region = config.region.clone();
    let keys = TenantKeys::read(keys).context("reading the tenant's keys")?;
    let world = World::new(LaterClock { by, start: Instant::now() });
    let core = Core::open_on(&config, keys, BTreeMap::from([(region, store)]), world).await?;
    let mut last = Swept::default();
    for _ in 0..3 {
        last = Sweeper::new(core.context.clone(), core.gdpr.clone()).pass().await?;
    }
    Ok(last)
}

struct LaterClock {
    by: Duration,
    start: Instant,
}

impl Surroundings for LaterClock {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from((since + self.by).as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(16) {
            part.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..part.len()]);
        }
    }
}

/// A volume whose clock is ahead.
struct LaterStore {
    inner: VolumeStore,
    by: Duration,
}

#[async_trait]
impl Store for LaterStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.inner.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.inner.load(key).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        self.inner.list_after(prefix, after)
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.create(key, bytes).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.inner.put(key, body).await
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        self.inner.replace(key, basis, bytes).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.inner.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.inner.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.inner.keeps().await
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        Ok(self.inner.clock().await?.plus(self.by))
    }
}
