//! The store under a simulation: one in memory, or a real one whose every call is carried out at once.
//!
//! The scheduler polls operations without a runtime, so a real store's calls block until they are done. Its
//! clock is the simulation's, and superseded revisions of a volume count as gone when pruning was asked for:
//! the thirty seconds that they are kept are the file system's, which the simulation's clock doesn't move.

use super::world::SimWorld;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;
use voicemail_model::Time;
use voicemail_model::clock::Surroundings;
use voicemail_store::Family;
use voicemail_store::memory::MemoryStore;
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Revision, Store, StoreError, Versioned,
};

/// A store that a simulation can look into.
pub(super) trait Ground: Store {
    /// Every key, with the bytes of all but audio.
    fn dump(&self) -> BTreeMap<String, Bytes>;
    /// Whether a listing below the prefix may show anything.
    fn has_below(&self, prefix: &str) -> bool;
    /// States that documents had and that nobody has pruned, where that can be seen.
    fn superseded(&self) -> Vec<(String, Time, Bytes)> {
        Vec::new()
    }
}

impl Ground for MemoryStore {
    fn dump(&self) -> BTreeMap<String, Bytes> {
        Self::dump(self)
    }

    fn has_below(&self, prefix: &str) -> bool {
        Self::has_below(self, prefix)
    }

    fn superseded(&self) -> Vec<(String, Time, Bytes)> {
        Self::superseded(self)
    }
}

/// A real store, one call at a time.
pub(super) struct RealGround {
    store: Arc<dyn Store>,
    runtime: Runtime,
    world: SimWorld,
    /// Keys that were ever written, so that the many empty listings of a sweep cost nothing.
    written: Mutex<BTreeSet<String>>,
}

impl RealGround {
    pub(super) fn new(store: Arc<dyn Store>, world: SimWorld) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { store, runtime, world, written: Mutex::default() }
    }

    fn wait<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    fn note(&self, key: &Key) {
        self.written.lock().unwrap().insert(key.as_str().to_owned());
    }
}

impl Ground for RealGround {
    fn dump(&self) -> BTreeMap<String, Bytes> {
        let mut all = BTreeMap::new();
        for family in Family::ALL.into_iter().filter(|family| !family.is_single()) {
            let keys: Vec<String> = self.wait(self.store.list(family.prefix()).try_collect()).unwrap();
            for text in keys {
                let key = Key::listed(&text).unwrap();
                // Whether a name is an object's or a document's only its reader knows.
                let bytes = match family {
                    Family::Audio => Some(Bytes::new()),
                    _ => self.wait(self.store.get(&key)).unwrap(),
                };
                let document = || self.wait(self.store.load(&key)).unwrap().map(|found| found.bytes);
                all.extend(bytes.or_else(document).map(|bytes| (text, bytes)));
            }
        }
        all
    }

    fn has_below(&self, prefix: &str) -> bool {
        let written = self.written.lock().unwrap();
        let next = written.range(prefix.to_owned()..).next();
        next.is_some_and(|key| key.starts_with(prefix))
    }
}

#[async_trait]
impl Store for RealGround {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.wait(self.store.get(key))
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        let Some(found) = self.wait(self.store.read(key, range))? else { return Ok(None) };
        let parts: Vec<Bytes> = self.wait(found.bytes.try_collect())?;
        Ok(Some(ObjectBody { size: found.size, bytes: stream::iter(parts.into_iter().map(Ok)).boxed() }))
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.wait(self.store.load(key))
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        self.wait(self.store.load_unless(key, known))
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        let keys: Vec<Result<String, StoreError>> = self.wait(self.store.list_after(prefix, after).collect());
        stream::iter(keys).boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.note(key);
        self.wait(self.store.create(key, bytes))
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.note(key);
        self.wait(self.store.put(key, body))
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        self.note(key);
        self.wait(self.store.replace(key, basis, bytes))
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.wait(self.store.delete(key))?;
        self.written.lock().unwrap().remove(key.as_str());
        Ok(())
    }

    async fn prune_history(&self, of: History<'_>, _: Time) -> Result<Option<Time>, StoreError> {
        self.wait(async {
            let now = self.store.clock().await?;
            self.store.prune_history(of, now).await
        })?;
        Ok(None)
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.wait(self.store.unpruned())
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        Ok(self.world.now())
    }
}
