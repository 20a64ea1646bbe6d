//! Documents: compare-and-swap that survives lost replies.
//!
//! Every write carries a random nonce, and a document keeps the nonces of all its writes of the last
//! 60 s. A conflict or an unclear error may hide that our own write was applied, and another writer
//! may have followed: so [`Documents::update`] reads back and looks for its nonces before it decides
//! anew. A basis older than 10 s is abandoned, because superseded revisions are pruned after 30 s.
//!
//! A document that was read or written a moment ago needs no other read before it is written: whether it is still the
//! one in the store, the conditional write says. Only a decision to write nothing is never made by such a memory.
//!
//! Unknown fields are kept; a newer schema is read but never written.

mod cache;
mod nonces;

pub use cache::Cache;
pub use nonces::Body;

use super::{Key, Loaded, Revision, Store, StoreError, Versioned};
use cache::Known;
use nonces::{decode, encode};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use std::time::Duration;
use voicemail_model::Time;
use voicemail_model::clock::World;

/// How old the state that a write is based on may be.
pub const BASIS_LIMIT: Duration = Duration::from_secs(10);

/// How long a document that was read or written may be the basis of a write without another read.
const FRESH: Duration = Duration::from_secs(5);

/// How many times a write is tried before the caller is told to come back.
const ATTEMPTS: u32 = 40;

/// The decision of a change about the document it is shown.
pub enum Decision<D, T> {
    /// Write this; answer that.
    Write(D, T),
    /// Write nothing; answer that.
    Keep(T),
}

/// Typed, conditional access to documents.
#[derive(Clone)]
pub struct Documents {
    store: Arc<dyn Store>,
    world: World,
}

impl Documents {
    /// Over that store, with that clock and randomness.
    pub fn new(store: Arc<dyn Store>, world: World) -> Self {
        Self { store, world }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// The store's, or `Undecodable`.
    pub async fn load<D: DeserializeOwned>(&self, key: &Key) -> Result<Option<D>, StoreError> {
        match self.store.load(key).await? {
            Some(found) => Ok(Some(decode::<D>(&found.bytes)?.body)),
            None => Ok(None),
        }
    }

    /// Reads a document, which isn't sent and decoded again if it is the one known, with its revision.
    ///
    /// # Errors
    /// The store's, or `Undecodable`.
    pub async fn load_known<D: DeserializeOwned>(
        &self,
        cache: &Cache<D>,
        key: &Key,
    ) -> Result<Option<(Arc<D>, Revision)>, StoreError> {
        Ok(self.read(Some(cache), key).await?.map(|known| (known.body, known.revision)))
    }

    /// Sees to it that the next write of the document needs no read before it.
    ///
    /// # Errors
    /// As those of `load_known`.
    pub async fn freshen<D: DeserializeOwned>(&self, cache: &Cache<D>, key: &Key) -> Result<(), StoreError> {
        match self.fresh(cache, key) {
            Some(_) => Ok(()),
            None => self.read(Some(cache), key).await.map(drop),
        }
    }

    fn fresh<D>(&self, cache: &Cache<D>, key: &Key) -> Option<Known<D>> {
        let now = self.world.monotonic();
        cache.get(key).filter(|known| now.saturating_sub(known.read_at) <= FRESH)
    }

    /// Shows the document to `change`, writes what it decides if nothing else was written meanwhile,
    /// and otherwise shows it the newer state. `change` may run several times and must be idempotent.
    ///
    /// # Errors
    /// The store's; `Unavailable` when too many others were faster; `NewerSchema`.
    pub async fn update<D, T, F>(&self, key: &Key, change: F) -> Result<T, StoreError>
    where
        D: Serialize + DeserializeOwned + Clone + Send + Sync,
        T: Clone + Send,
        F: FnMut(Option<D>, Time) -> Decision<D, T> + Send,
    {
        self.update_in((None, Memory::Nothing), key, change).await
    }

    /// As [`update`](Self::update), of a document that most probably isn't there yet.
    ///
    /// # Errors
    /// As those of `update`.
    pub async fn update_new<D, T, F>(&self, key: &Key, change: F) -> Result<T, StoreError>
    where
        D: Serialize + DeserializeOwned + Clone + Send + Sync,
        T: Clone + Send,
        F: FnMut(Option<D>, Time) -> Decision<D, T> + Send,
    {
        self.update_in((None, Memory::Missing), key, change).await
    }

    /// As [`update`](Self::update), beginning from the document known if it is still the one in the store.
    ///
    /// # Errors
    /// As those of `update`.
    pub async fn update_known<D, T, F>(&self, cache: &Cache<D>, key: &Key, change: F) -> Result<T, StoreError>
    where
        D: Serialize + DeserializeOwned + Clone + Send + Sync,
        T: Clone + Send,
        F: FnMut(Option<D>, Time) -> Decision<D, T> + Send,
    {
        let memory = self.fresh(cache, key).map_or(Memory::Nothing, Memory::Known);
        self.update_in((Some(cache), memory), key, change).await
    }

    async fn update_in<D, T, F>(
        &self,
        (cache, memory): (Option<&Cache<D>>, Memory<D>),
        key: &Key,
        mut change: F,
    ) -> Result<T, StoreError>
    where
        D: Serialize + DeserializeOwned + Clone + Send + Sync,
        T: Clone + Send,
        F: FnMut(Option<D>, Time) -> Decision<D, T> + Send,
    {
        let mut written: Vec<(String, T)> = Vec::new();
        let mut last = StoreError::Conflict;
        let mut remembered = Some(memory).filter(|memory| !matches!(memory, Memory::Nothing));
        for attempt in 0..ATTEMPTS {
            let from_memory = remembered.is_some();
            let read = match remembered.take() {
                Some(Memory::Known(known)) => Ok(Some(known)),
                Some(_) => Ok(None),
                None => self.read(cache, key).await,
            };
            let basis = match read {
                Ok(found) => found,
                Err(error) if error.class() == super::ErrorClass::Transient && !written.is_empty() => {
                    last = error;
                    self.world.back_off(attempt).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let read_at = basis.as_ref().map_or_else(|| self.world.monotonic(), |known| known.read_at);
            if let Some(answer) = find_own(&written, basis.as_ref()) {
                return Ok(answer);
            }
            let now = self.world.now();
            let (revision, header, body) = match basis {
                Some(Known { revision, header, body, .. }) => (Some(revision), Some(header), Some(body)),
                None => (None, None, None),
            };
            let (new, answer) = match change(body.map(Arc::unwrap_or_clone), now) {
                // The memory may be of a state that is no more.
                Decision::Keep(_) if from_memory => continue,
                Decision::Keep(answer) => return Ok(answer),
                Decision::Write(new, answer) => (new, answer),
            };
            let (nonce, written_at) = (self.world.random_hex(), self.world.monotonic());
            let (bytes, header) = encode(&new, header, &nonce, now)?;
            written.push((nonce, answer.clone()));
            if self.world.monotonic().saturating_sub(read_at) > BASIS_LIMIT {
                continue;
            }
            match self.store.replace(key, revision.as_ref(), bytes).await {
                Ok(revision) => {
                    if let Some(cache) = cache {
                        cache.put(key, Known { revision, header, body: Arc::new(new), read_at: written_at });
                    }
                    return Ok(answer);
                }
                // Somebody else was faster since it was read: that is no quarrel yet.
                Err(StoreError::Conflict | StoreError::Exists) if from_memory => continue,
                Err(error) if error.may_be_applied() => last = error,
                Err(error) => return Err(error),
            }
            self.world.back_off(attempt).await;
        }
        Err(StoreError::Unavailable(format!("gave up after {ATTEMPTS} attempts: {last}")))
    }

    async fn read<D: DeserializeOwned>(
        &self,
        cache: Option<&Cache<D>>,
        key: &Key,
    ) -> Result<Option<Known<D>>, StoreError> {
        let read_at = self.world.monotonic();
        let Some((cache, known)) = cache.and_then(|cache| Some((cache, cache.get(key)?))) else {
            return self.settle(cache, key, self.store.load(key).await?, read_at);
        };
        match self.store.load_unless(key, &known.revision).await? {
            Loaded::Unchanged => {
                let known = Known { read_at, ..known };
                cache.put(key, known.clone());
                Ok(Some(known))
            }
            Loaded::Missing => self.settle(Some(cache), key, None, read_at),
            Loaded::Changed(found) => {
                // The cached copy goes before the new one is decoded, so that a large document isn't in memory twice.
                drop(known);
                self.settle(Some(cache), key, Some(found), read_at)
            }
        }
    }

    /// Decodes what was read, and remembers it.
    fn settle<D: DeserializeOwned>(
        &self,
        cache: Option<&Cache<D>>,
        key: &Key,
        found: Option<Versioned>,
        read_at: Duration,
    ) -> Result<Option<Known<D>>, StoreError> {
        if let Some(cache) = cache {
            cache.forget(key);
        }
        let Some(found) = found else { return Ok(None) };
        let stored = decode::<D>(&found.bytes)?;
        let known =
            Known { revision: found.revision, header: stored.header, body: Arc::new(stored.body), read_at };
        if let Some(cache) = cache {
            cache.put(key, known.clone());
        }
        Ok(Some(known))
    }
}

/// What is remembered of a document that is to be changed.
enum Memory<D> {
    /// Nothing: it is read.
    Nothing,
    /// That there was none.
    Missing,
    /// A state of a moment ago.
    Known(Known<D>),
}

fn find_own<D, T: Clone>(written: &[(String, T)], stored: Option<&Known<D>>) -> Option<T> {
    let header = &stored?.header;
    written.iter().find(|(nonce, _)| header.has_nonce(nonce)).map(|(_, answer)| answer.clone())
}
