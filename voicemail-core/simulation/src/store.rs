//! A store whose every call waits for the scheduler's leave, and may be dropped or applied without a reply. A
//! region may be away: then every call fails, and nothing is applied.

use super::ground::Ground;
use super::scheduler::{Fate, leave};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use voicemail_model::Time;
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Revision, Store, StoreError, Versioned,
};

/// The shared store behind the scheduler's gate. Its clock is the simulation's true one.
pub(super) struct SimStore(pub(super) Arc<dyn Ground>, pub(super) Arc<AtomicBool>);

impl SimStore {
    async fn leave(&self) -> Result<(), StoreError> {
        leave().await;
        self.answers()
    }

    fn answers(&self) -> Result<(), StoreError> {
        let away = self.1.load(Ordering::SeqCst);
        if away { Err(StoreError::Unavailable("the region is away".into())) } else { Ok(()) }
    }

    /// A write under a fate; `conflict` is what a retried, applied write looks like.
    async fn write<T>(
        &self,
        conflict: StoreError,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fate = leave().await;
        self.answers()?;
        match fate {
            Fate::Apply => call.await,
            Fate::Drop => Err(unclear()),
            Fate::LoseReply { as_conflict } => {
                let applied = call.await;
                match applied {
                    Ok(_) if as_conflict => Err(conflict),
                    Ok(_) => Err(unclear()),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

fn unclear() -> StoreError {
    StoreError::Unclear("simulated".into())
}

#[async_trait]
impl Store for SimStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.leave().await?;
        self.0.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.leave().await?;
        self.0.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.leave().await?;
        self.0.load(key).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        // An empty listing shows nothing that could change meanwhile: not worth a step of the schedule.
        if !self.0.has_below(prefix) {
            return stream::empty().boxed();
        }
        let listed = move |left| match left {
            Ok(()) => self.0.list_after(prefix, after),
            Err(error) => stream::iter([Err(error)]).boxed(),
        };
        stream::once(self.leave()).flat_map(listed).boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.write(StoreError::Exists, self.0.create(key, bytes)).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.write(unclear(), self.0.put(key, body)).await
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        self.write(StoreError::Conflict, self.0.replace(key, basis, bytes)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.write(unclear(), self.0.delete(key)).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.0.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.0.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.0.clock().await
    }
}
