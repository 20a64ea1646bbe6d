//! A store that can be switched off, as a region that is away, or made silent, as one that hangs, and that counts its
//! calls.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use voicemail_model::Time;
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Revision, Store, StoreError, Versioned,
};

/// Whether the store answers, and how often it was called.
#[derive(Default)]
pub struct Switch {
    off: AtomicBool,
    silent: AtomicBool,
    bodies_held: AtomicBool,
    calls: AtomicU64,
    writes: AtomicU64,
    broken: Mutex<Option<Broken>>,
    elsewhere: Mutex<Option<Time>>,
}

/// A part that fails for ever while everything else works: a bad block, a stale handle, an archived object.
#[derive(Clone, Debug)]
pub enum Broken {
    /// The object or document can't be read.
    Reading(Key),
    /// It can't be removed.
    Removing(Key),
    /// A listing below that prefix fails at its beginning, and goes on.
    Listing(String),
    /// The store's clock can't be told.
    Clock,
}

impl Switch {
    pub fn turn(&self, on: bool) {
        self.off.store(!on, Ordering::SeqCst);
    }

    /// Calls that could have changed something.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// From now on; `None` mends it.
    pub fn break_one(&self, broken: Option<Broken>) {
        *self.broken.lock().unwrap() = broken;
    }

    async fn pass_unless(&self, fails: impl Fn(&Broken) -> bool + Send) -> Result<(), StoreError> {
        if self.broken.lock().unwrap().as_ref().is_some_and(fails) {
            return Err(StoreError::Unavailable("broken".into()));
        }
        self.pass().await
    }

    /// From now on the store is a service on another machine, whose clock stands at that time.
    pub fn is_elsewhere_at(&self, time: Time) {
        *self.elsewhere.lock().unwrap() = Some(time);
    }

    /// Whether it hangs: then no call ends.
    pub fn hang(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Whether bodies on their way in hang while all else is answered.
    pub fn hold_bodies(&self, held: bool) {
        self.bodies_held.store(held, Ordering::SeqCst);
    }

    async fn pass(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        while self.silent.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        if self.off.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("switched off".into()))
        } else {
            Ok(())
        }
    }

    async fn pass_write(&self) -> Result<(), StoreError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.pass().await
    }
}

pub struct Switched(pub Arc<dyn Store>, pub Arc<Switch>);

#[async_trait]
impl Store for Switched {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.1.pass_unless(|broken| matches!(broken, Broken::Reading(bad) if bad == key)).await?;
        self.0.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.1.pass().await?;
        self.0.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.1.pass_unless(|broken| matches!(broken, Broken::Reading(bad) if bad == key)).await?;
        self.0.load(key).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        let broken = matches!(&*self.1.broken.lock().unwrap(), Some(Broken::Listing(bad)) if bad == prefix);
        let first = broken.then(|| Err(StoreError::Unavailable("broken".into())));
        let listed = move || stream::iter(first.clone()).chain(self.0.list_after(prefix, after));
        stream::once(self.1.pass()).map_ok(move |()| listed()).try_flatten().boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.1.pass_write().await?;
        self.0.create(key, bytes).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.1.pass_write().await?;
        let stored = self.0.put(key, body).await;
        while self.1.bodies_held.load(Ordering::SeqCst) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        stored
    }

    async fn replace(&self, key: &Key, on: Option<&Revision>, bytes: Bytes) -> Result<Revision, StoreError> {
        self.1.pass_write().await?;
        self.0.replace(key, on, bytes).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.1.pass_unless(|broken| matches!(broken, Broken::Removing(bad) if bad == key)).await?;
        self.1.pass_write().await?;
        self.0.delete(key).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.1.pass_write().await?;
        self.0.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.1.pass().await?;
        self.0.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.1.pass().await?;
        self.0.keeps().await
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.1.pass_unless(|broken| matches!(broken, Broken::Clock)).await?;
        let elsewhere = *self.1.elsewhere.lock().unwrap();
        match elsewhere {
            Some(time) => Ok(time),
            None => self.0.clock().await,
        }
    }

    fn is_metered(&self) -> bool {
        self.1.elsewhere.lock().unwrap().is_some() || self.0.is_metered()
    }

    async fn dismantle(&self) -> Result<(), StoreError> {
        self.0.dismantle().await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        self.0.tidy().await
    }
}
