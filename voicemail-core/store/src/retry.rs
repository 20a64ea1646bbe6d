//! Time-outs and retries around a store: 5 s a call, 3 retries of what is safe to repeat, 9 s in all, so that whoever waits
//! for one call has an answer within ten.
//!
//! These are the limits of a store that hangs as a whole; a single call that lasts longer than is usual for its store has a
//! second try long before ([`super::hedge`]). Reads, deletes and listings that have shown nothing yet are repeated; a listing's every step has 5 s. A conditional write is not: a time-out there
//! is *unclear*, and the caller reads back (see [`super::documents`]). An upload has its own time limit.

use super::probe::Finding;
use super::{
    BodyStream, ErrorClass, Hindrance, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Put, Revision,
    Store, StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use voicemail_model::clock::World;
use voicemail_model::{CallerTag, Time};

const CALL: Duration = Duration::from_secs(5);
const IN_ALL: Duration = Duration::from_secs(9);
const RETRIES: u32 = 3;

/// A store with patience.
pub struct RetryStore {
    inner: Arc<dyn Store>,
    world: World,
}

impl RetryStore {
    /// Around that store.
    pub fn new(inner: Arc<dyn Store>, world: World) -> Self {
        Self { inner, world }
    }

    async fn once<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            result = call => result,
            () = self.world.sleep(CALL) => Err(StoreError::Unclear("no answer within 5 s".into())),
        }
    }

    async fn repeat<T, C, F>(&self, call: C) -> Result<T, StoreError>
    where
        C: Fn() -> F,
        F: Future<Output = Result<T, StoreError>>,
    {
        let start = self.world.monotonic();
        let mut attempt = 0;
        loop {
            match self.once(call()).await {
                Err(error) if self.may_repeat(&error, attempt, start) => {
                    attempt += 1;
                    self.world.back_off(attempt + 3).await;
                }
                other => return other,
            }
        }
    }

    fn may_repeat(&self, error: &StoreError, attempt: u32, start: Duration) -> bool {
        let spent = self.world.monotonic().saturating_sub(start);
        let in_vain = error.is_hindrance() || error.class() != ErrorClass::Transient;
        !in_vain && attempt < RETRIES && spent + CALL <= IN_ALL
    }
}

/// A listing under way. It begins again as long as nothing was handed on.
struct Listing<'a> {
    store: &'a RetryStore,
    prefix: &'a str,
    after: &'a str,
    keys: KeyStream<'a>,
    start: Duration,
    /// None once a key was handed on.
    attempt: Option<u32>,
}

impl Listing<'_> {
    async fn next(mut self) -> Result<Option<(String, Self)>, StoreError> {
        loop {
            let step = async { self.keys.try_next().await };
            match (self.store.once(step).await, self.attempt) {
                (Ok(found), _) => {
                    self.attempt = None;
                    return Ok(found.map(|key| (key, self)));
                }
                (Err(error), Some(attempt)) if self.store.may_repeat(&error, attempt, self.start) => {
                    self.attempt = Some(attempt + 1);
                    self.store.world.back_off(attempt + 4).await;
                    self.keys = self.store.inner.list_after(self.prefix, self.after);
                }
                (Err(error), _) => return Err(error),
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for RetryStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.repeat(|| self.inner.get(key)).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.repeat(|| self.inner.read(key, range.clone())).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.repeat(|| self.inner.load(key)).await
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        self.repeat(|| self.inner.load_unless(key, known)).await
    }

    fn list<'a>(&'a self, prefix: &'a str) -> KeyStream<'a> {
        self.list_after(prefix, "")
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        let (keys, start) = (self.inner.list_after(prefix, after), self.world.monotonic());
        let listing = Listing { store: self, prefix, after, keys, start, attempt: Some(0) };
        stream::try_unfold(listing, Listing::next).boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.once(self.inner.create(key, bytes)).await
    }

    async fn create_tagged(&self, key: &Key, bytes: Bytes, tag: &CallerTag) -> Result<(), StoreError> {
        self.once(self.inner.create_tagged(key, bytes, tag)).await
    }

    async fn put_tagged(&self, key: &Key, body: BodyStream, tag: &CallerTag) -> Result<u64, StoreError> {
        self.inner.put_tagged(key, body, tag).await
    }

    async fn put_attempts(
        &self,
        names: [&Key; 2],
        body: BodyStream,
        tag: &CallerTag,
    ) -> Result<Put, StoreError> {
        self.inner.put_attempts(names, body, tag).await
    }

    async fn tag(&self, key: &Key) -> Result<Option<String>, StoreError> {
        self.repeat(|| self.inner.tag(key)).await
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
        self.once(self.inner.replace(key, basis, bytes)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.repeat(|| self.inner.delete(key)).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        match of {
            History::Of(_) => self.repeat(|| self.inner.prune_history(of, superseded)).await,
            // A walk takes as long as there are documents; whoever asked for it asks again.
            History::All => self.inner.prune_history(of, superseded).await,
        }
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.inner.unpruned().await
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.repeat(|| self.inner.clock()).await
    }

    async fn greet(&self) -> Result<(), StoreError> {
        self.repeat(|| self.inner.greet()).await
    }

    async fn examine(&self) -> Result<Vec<Finding>, StoreError> {
        self.inner.examine().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.inner.keeps().await
    }

    async fn dismantle(&self) -> Result<(), StoreError> {
        self.inner.dismantle().await
    }

    fn hindrance(&self) -> Option<Hindrance> {
        self.inner.hindrance()
    }

    async fn tend(&self) -> Result<(), StoreError> {
        self.once(self.inner.tend()).await
    }

    fn is_metered(&self) -> bool {
        self.inner.is_metered()
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        self.inner.tidy().await
    }
}
