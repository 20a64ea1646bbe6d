//! A store whose clock is the test's.

use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use voicemail_model::Time;
use voicemail_model::clock::World;
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Revision, Store, StoreError, Versioned,
};

pub(super) struct Clocked(pub Arc<dyn Store>, pub World);

#[async_trait]
impl Store for Clocked {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.0.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.0.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.0.load(key).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        self.0.list_after(prefix, after)
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.0.create(key, bytes).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.0.put(key, body).await
    }

    async fn replace(&self, key: &Key, on: Option<&Revision>, bytes: Bytes) -> Result<Revision, StoreError> {
        self.0.replace(key, on, bytes).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.0.delete(key).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.0.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.0.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.0.keeps().await
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        Ok(self.1.now())
    }

    async fn dismantle(&self) -> Result<(), StoreError> {
        self.0.dismantle().await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        self.0.tidy().await
    }
}
