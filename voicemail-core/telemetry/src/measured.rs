//! Counts and times every call to a region's store, retries included, and keeps them within a number at a time.

use super::{Answered, Metrics, StoreLabels, note_store_call};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use voicemail_model::{CallerTag, Time};
use voicemail_store::probe::Finding;
use voicemail_store::{
    BodyStream, ErrorClass, Hindrance, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Put, Revision,
    Store, StoreError, Versioned,
};

/// A store whose calls are measured.
pub struct MeasuredStore {
    inner: Arc<dyn Store>,
    metrics: Metrics,
    labels: StoreLabels,
    places: Arc<Semaphore>,
}

impl MeasuredStore {
    /// Around that store, with as many calls under way at a time as there are places; further ones wait, and their time is
    /// counted from when they are made. Bodies on their way in have a budget of their own, in memory.
    pub fn new(inner: Arc<dyn Store>, metrics: Metrics, labels: StoreLabels, places: Arc<Semaphore>) -> Self {
        Self { inner, metrics, labels, places }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let waiting = UnderWay::begin(&self.metrics, &self.labels.region, "waiting");
        // It is never closed.
        let _place = self.places.acquire().await.ok();
        drop(waiting);
        let _under_way = UnderWay::begin(&self.metrics, &self.labels.region, "underWay");
        self.measured(operation, call).await
    }

    async fn measured<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        let result = call.await;
        self.count(operation, begun, result.as_ref().err());
        result
    }

    fn count(&self, operation: &'static str, begun: Instant, error: Option<&StoreError>) {
        let answered = error.map_or(Answered::Passed, judge);
        let (took, failed) = (begun.elapsed(), answered.reason());
        self.metrics.count_store_call(&self.labels, operation, answered, took);
        note_store_call(&self.labels.region, operation, took, failed);
    }
}

/// A call that is counted among those of its state as long as this is there, however it ends.
struct UnderWay<'a>(&'a Metrics, &'a str, &'static str);

impl<'a> UnderWay<'a> {
    fn begin(metrics: &'a Metrics, region: &'a str, state: &'static str) -> Self {
        metrics.add_store_calls(region, state, 1);
        Self(metrics, region, state)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.add_store_calls(self.1, self.2, -1);
    }
}

/// An object that exists already, or a sender that broke off, is no failure of the store.
fn judge(error: &StoreError) -> Answered {
    let code = match error {
        StoreError::Unavailable(_) => 1,
        StoreError::Unclear(_) => 2,
        StoreError::Credentials(_) => 3,
        StoreError::Body(_) => return Answered::Passed,
        error if error.class() == ErrorClass::Conflict => return Answered::Passed,
        _ => 0,
    };
    Answered::Failed { reason: error.reason(), code }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for MeasuredStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.timed("get", self.inner.get(key)).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.timed("read", self.inner.read(key, range)).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.timed("load", self.inner.load(key)).await
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        self.timed("load", self.inner.load_unless(key, known)).await
    }

    fn list<'a>(&'a self, prefix: &'a str) -> KeyStream<'a> {
        self.list_after(prefix, "")
    }

    /// Timed until the first key: how long the rest takes is its reader's.
    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        let keys = (self.inner.list_after(prefix, after), Some(Instant::now()));
        stream::unfold(keys, move |(mut keys, mut begun)| async move {
            let next = keys.next().await;
            let error = next.as_ref().and_then(|next| next.as_ref().err());
            if let Some(begun) = begun.take() {
                self.count("list", begun, error);
            }
            Some((next?, (keys, begun)))
        })
        .boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.timed("create", self.inner.create(key, bytes)).await
    }

    async fn create_tagged(&self, key: &Key, bytes: Bytes, tag: &CallerTag) -> Result<(), StoreError> {
        self.timed("create", self.inner.create_tagged(key, bytes, tag)).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.measured("put", self.inner.put(key, body)).await
    }

    async fn put_tagged(&self, key: &Key, body: BodyStream, tag: &CallerTag) -> Result<u64, StoreError> {
        self.measured("put", self.inner.put_tagged(key, body, tag)).await
    }

    async fn put_attempts(
        &self,
        names: [&Key; 2],
        body: BodyStream,
        tag: &CallerTag,
    ) -> Result<Put, StoreError> {
        self.measured("put", self.inner.put_attempts(names, body, tag)).await
    }

    async fn tag(&self, key: &Key) -> Result<Option<String>, StoreError> {
        self.timed("tag", self.inner.tag(key)).await
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        self.timed("replace", self.inner.replace(key, basis, bytes)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.timed("delete", self.inner.delete(key)).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.timed("prune", self.inner.prune_history(of, superseded)).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.timed("unpruned", self.inner.unpruned()).await
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.timed("clock", self.inner.clock()).await
    }

    async fn greet(&self) -> Result<(), StoreError> {
        self.timed("greet", self.inner.greet()).await
    }

    async fn examine(&self) -> Result<Vec<Finding>, StoreError> {
        self.inner.examine().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.timed("keeps", self.inner.keeps()).await
    }

    async fn dismantle(&self) -> Result<(), StoreError> {
        self.inner.dismantle().await
    }

    fn hindrance(&self) -> Option<Hindrance> {
        self.inner.hindrance()
    }

    async fn tend(&self) -> Result<(), StoreError> {
        self.inner.tend().await
    }

    fn is_metered(&self) -> bool {
        self.inner.is_metered()
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        self.timed("tidy", self.inner.tidy()).await
    }
}
