//! A store in which every call takes one tick of tokio's virtual time, so that a test can say exactly how many round
//! trips of an operation stand one behind the other, and that counts its requests as an object store would bill them.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use voicemail_model::Time;
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Revision, Store, StoreError, Versioned,
};

/// What one round trip takes, in virtual time.
pub const TICK: Duration = Duration::from_millis(30);

/// Keys that an object store names in one answer.
const PAGE: usize = 1_000;

/// Counts requests while it is switched on; calls take no time before.
#[derive(Default)]
pub struct Requests {
    on: AtomicBool,
    near: AtomicBool,
    made: AtomicU64,
    under_way: AtomicU64,
    most: AtomicU64,
    places: Places,
}

/// Calls that a tenant may have under way at a time, as the product keeps them: further ones wait in a queue.
struct Places(Semaphore);

impl Default for Places {
    fn default() -> Self {
        Self(Semaphore::new(64))
    }
}

/// The price of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Round trips that stand one behind the other.
    pub round_trips: u64,
    /// Requests in all.
    pub requests: u64,
}

/// Ticks between two moments of virtual time.
pub fn ticks(from: Instant, to: Instant) -> u64 {
    let (all, tick) = ((to - from).as_millis(), TICK.as_millis());
    u64::try_from(all.div_ceil(tick)).unwrap()
}

impl Requests {
    /// The cost of some work. Tokio's clock must be paused.
    pub async fn cost_of<T>(&self, work: impl Future<Output = T>) -> (Cost, T) {
        let (before, begun) = (self.made.load(Ordering::SeqCst), Instant::now());
        self.most.store(0, Ordering::SeqCst);
        self.on.store(true, Ordering::SeqCst);
        let answer = work.await;
        self.on.store(false, Ordering::SeqCst);
        let requests = self.made.load(Ordering::SeqCst) - before;
        (Cost { round_trips: ticks(begun, Instant::now()), requests }, answer)
    }

    /// The store is a volume: its requests cost nothing, and its clock is this machine's.
    pub fn come_near(&self) {
        self.near.store(true, Ordering::SeqCst);
    }

    /// From now on calls take a tick, or none.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// Most requests that were under way at a time during the work that was priced last.
    pub fn most_at_a_time(&self) -> u64 {
        self.most.load(Ordering::SeqCst)
    }

    async fn one(&self) {
        if !self.on.load(Ordering::SeqCst) {
            return;
        }
        let _place = self.places.0.acquire().await.unwrap();
        self.made.fetch_add(1, Ordering::SeqCst);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(TICK).await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An object store somewhere else.
pub struct Slow(pub Arc<dyn Store>, pub Arc<Requests>);

#[async_trait]
impl Store for Slow {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.1.one().await;
        self.0.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.1.one().await;
        self.0.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.1.one().await;
        self.0.load(key).await
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        self.1.one().await;
        self.0.load_unless(key, known).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        let pages = stream::once(async move {
            self.1.one().await;
            self.0.list_after(prefix, after).enumerate().then(move |(number, key)| async move {
                if number > 0 && number % PAGE == 0 {
                    self.1.one().await;
                }
                key
            })
        });
        pages.flatten().boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.1.one().await;
        self.0.create(key, bytes).await
    }

    /// The body comes first, at its sender's pace; the tick is the answer's.
    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        let stored = self.0.put(key, body).await;
        self.1.one().await;
        stored
    }

    async fn replace(&self, key: &Key, on: Option<&Revision>, bytes: Bytes) -> Result<Revision, StoreError> {
        self.1.one().await;
        self.0.replace(key, on, bytes).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.1.one().await;
        self.0.delete(key).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.1.one().await;
        self.0.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.0.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.1.one().await;
        self.0.keeps().await
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.1.one().await;
        self.0.clock().await
    }

    fn is_metered(&self) -> bool {
        !self.1.near.load(Ordering::SeqCst)
    }
}
