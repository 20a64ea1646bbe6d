//! A store whose reads, listings and conditional writes have a second try when they last unusually long.

use super::{Call, Hedges};
use crate::probe::Finding;
use crate::{
    BodyStream, Family, Hindrance, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Put, Revision, Store,
    StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use voicemail_model::{CallerTag, Time};

/// A store with second tries.
pub struct HedgedStore {
    inner: Arc<dyn Store>,
    hedges: Arc<Hedges>,
}

impl HedgedStore {
    /// Around that store.
    pub fn new(inner: Arc<dyn Store>, hedges: Arc<Hedges>) -> Self {
        Self { inner, hedges }
    }

    /// A listing whose first name is there.
    async fn begin_list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Result<KeyStream<'a>, StoreError> {
        let begin = |_| async {
            let mut keys = self.inner.list_after(prefix, after);
            Ok((keys.try_next().await?, keys))
        };
        let (first, rest) = self.hedges.ask(Call::list(), begin).await?;
        // A listing that has ended must not be asked again.
        Ok(match first {
            Some(first) => stream::iter([Ok(first)]).chain(rest).boxed(),
            None => stream::empty().boxed(),
        })
    }

    /// A conditional write. A probe's is made once: it wants to know what a single write meets.
    async fn write<T, F>(&self, key: &Key, call: Call, attempt: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        match key.as_str().starts_with(Family::Probe.prefix()) {
            true => attempt().await,
            false => self.hedges.ask(call, |_| attempt()).await,
        }
    }
}

fn size_of(bytes: &Bytes) -> u64 {
    bytes.len() as u64
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for HedgedStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.hedges.ask(Call::read("get"), |_| self.inner.get(key)).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.hedges.ask(Call::open(), |_| self.inner.read(key, range.clone())).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.hedges.ask(Call::read("load"), |_| self.inner.load(key)).await
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        self.hedges.ask(Call::read("load"), |_| self.inner.load_unless(key, known)).await
    }

    fn list<'a>(&'a self, prefix: &'a str) -> KeyStream<'a> {
        self.list_after(prefix, "")
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        stream::once(self.begin_list(prefix, after)).try_flatten().boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let call = Call::write("create", size_of(&bytes));
        self.write(key, call, || self.inner.create(key, bytes.clone())).await
    }

    async fn create_tagged(&self, key: &Key, bytes: Bytes, tag: &CallerTag) -> Result<(), StoreError> {
        let call = Call::write("create", size_of(&bytes));
        self.write(key, call, || self.inner.create_tagged(key, bytes.clone(), tag)).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.inner.put(key, body).await
    }

    async fn put_tagged(&self, key: &Key, body: BodyStream, tag: &CallerTag) -> Result<u64, StoreError> {
        self.inner.put_tagged(key, body, tag).await
    }

    /// By the store itself, which knows whether it still has the bytes.
    async fn put_attempts(
        &self,
        names: [&Key; 2],
        body: BodyStream,
        tag: &CallerTag,
    ) -> Result<Put, StoreError> {
        self.inner.put_attempts(names, body, tag).await
    }

    async fn tag(&self, key: &Key) -> Result<Option<String>, StoreError> {
        self.hedges.ask(Call::read("tag"), |_| self.inner.tag(key)).await
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        let call = Call::write("replace", size_of(&bytes));
        self.write(key, call, || self.inner.replace(key, basis, bytes.clone())).await
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

    async fn clock(&self) -> Result<Time, StoreError> {
        self.hedges.ask(Call::greet("clock"), |_| self.inner.clock()).await
    }

    async fn greet(&self) -> Result<(), StoreError> {
        self.hedges.ask(Call::greet("greet"), |_| self.inner.greet()).await
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
        self.inner.tend().await
    }

    fn is_metered(&self) -> bool {
        self.inner.is_metered()
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        self.inner.tidy().await
    }
}
