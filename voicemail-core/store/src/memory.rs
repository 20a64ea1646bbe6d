//! A store in memory: the contract's simplest back end, for tests and for trying things out.
//!
//! Not durable. Every call is atomic; revisions are numbers that are never used twice.

use super::{
    BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Revision, Store, StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use voicemail_model::Time;
use voicemail_model::clock::World;

/// How long a superseded state stays, as on a volume.
const HISTORY_LIFE: Duration = crate::volume::REVISION_LIFE;

/// Keys that a page of a list holds, as those of object stores.
const PAGE: usize = 1_000;

/// Objects and documents in one map, as an object store has them.
pub struct MemoryStore {
    world: World,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    revision: u64,
    items: BTreeMap<String, (u64, Bytes)>,
    /// As a volume keeps them; none unless the store was asked to.
    superseded: Vec<Superseded>,
    keeps_history: bool,
}

/// A state that a document had.
struct Superseded {
    key: String,
    at: Time,
    bytes: Bytes,
}

impl Superseded {
    fn is_of(&self, of: History<'_>) -> bool {
        match of {
            History::Of(key) => self.key == key.as_str(),
            History::All => true,
        }
    }
}

impl MemoryStore {
    /// Empty.
    pub fn new(world: World) -> Self {
        Self { world, state: Mutex::default() }
    }

    /// Keeps superseded states of documents until they are pruned, as a volume does, whatever became of their writers.
    #[must_use]
    pub fn with_history(self) -> Self {
        self.with(|state| state.keeps_history = true);
        self
    }

    /// Every superseded state that is still there: key, when it was superseded, and bytes.
    pub fn superseded(&self) -> Vec<(String, Time, Bytes)> {
        let show = |old: &Superseded| (old.key.clone(), old.at, old.bytes.clone());
        self.with(|state| state.superseded.iter().map(show).collect())
    }

    /// Every key and value, for tests that look for leftovers.
    pub fn dump(&self) -> BTreeMap<String, Bytes> {
        self.with(|state| state.items.iter().map(|(key, (_, bytes))| (key.clone(), bytes.clone())).collect())
    }

    /// Whether any key lies below a prefix.
    pub fn has_below(&self, prefix: &str) -> bool {
        self.with(|state| {
            let next = state.items.range(prefix.to_owned()..).next();
            next.is_some_and(|(key, _)| key.starts_with(prefix))
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn write(&mut self, key: &Key, bytes: Bytes) -> Revision {
        self.revision += 1;
        self.items.insert(key.as_str().to_owned(), (self.revision, bytes));
        Revision(self.revision.to_string())
    }

    /// The first keys below a prefix that come after one.
    fn page(&self, prefix: &str, after: &str) -> Vec<String> {
        let first = if after < prefix { Included(prefix) } else { Excluded(after) };
        let from_there = self.items.range::<str, _>((first, Unbounded)).map(|(key, _)| key);
        from_there.take_while(|key| key.starts_with(prefix)).take(PAGE).cloned().collect()
    }

    fn find(&self, key: &Key) -> Option<Versioned> {
        let (revision, bytes) = self.items.get(key.as_str())?;
        Some(Versioned { bytes: bytes.clone(), revision: Revision(revision.to_string()) })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        Ok(self.with(|state| state.find(key)).map(|found| found.bytes))
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        let Some(found) = self.with(|state| state.find(key)) else { return Ok(None) };
        let size = found.bytes.len() as u64;
        let range = range.unwrap_or(0..size);
        let (start, end) = (range.start.min(size) as usize, range.end.min(size) as usize);
        let part = found.bytes.slice(start..end.max(start));
        Ok(Some(ObjectBody { size, bytes: stream::once(async move { Ok(part) }).boxed() }))
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        Ok(self.with(|state| state.find(key)))
    }

    /// In pages, as an object store lists: a long list is no picture of one moment.
    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        let pages = stream::unfold(Some(after.to_owned()), move |after| async move {
            let after = after?;
            let page = self.with(|state| state.page(prefix, &after));
            let last = page.last().filter(|_| page.len() == PAGE).cloned();
            Some((stream::iter(page).map(Ok), last))
        });
        pages.flatten().boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.with(|state| match state.find(key) {
            Some(_) => Err(StoreError::Exists),
            None => {
                state.write(key, bytes);
                Ok(())
            }
        })
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        let bytes = body
            .try_fold(BytesMut::new(), |mut all, chunk| async move {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await?;
        let size = bytes.len() as u64;
        self.with(|state| state.write(key, bytes.freeze()));
        Ok(size)
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        let at = self.world.now();
        self.with(|state| {
            let current = state.find(key);
            if current.as_ref().map(|found| &found.revision) != basis {
                return Err(StoreError::Conflict);
            }
            if let Some(old) = current.filter(|_| state.keeps_history) {
                state.superseded.push(Superseded { key: key.to_string(), at, bytes: old.bytes });
            }
            Ok(state.write(key, bytes))
        })
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.with(|state| {
            state.items.remove(key.as_str());
            state.superseded.retain(|old| old.key != key.as_str());
        });
        Ok(())
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        let now = self.world.now();
        Ok(self.with(|state| {
            state.superseded.retain(|old| !old.is_of(of) || old.at.plus(HISTORY_LIFE) > now);
            let left = state.superseded.iter().filter(|old| old.is_of(of) && old.at <= superseded);
            left.map(|old| old.at.plus(HISTORY_LIFE)).max()
        }))
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        let horizon = self.world.now().minus(HISTORY_LIFE * 2);
        Ok(self.with(|state| {
            let mut counts: BTreeMap<&String, u32> = BTreeMap::new();
            for old in state.superseded.iter().filter(|old| old.at <= horizon) {
                *counts.entry(&old.key).or_default() += 1;
            }
            counts.into_iter().filter(|(_, count)| *count > 1).map(|(key, _)| key.clone()).collect()
        }))
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        Ok(self.world.now())
    }
}
