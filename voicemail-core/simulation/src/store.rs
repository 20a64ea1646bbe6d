//! A store whose every call waits for the scheduler's leave, and may be dropped, applied without a reply, or held up and
//! applied later. A region may be away: then every call fails, and nothing is applied.
//!
//! What comes next to it in the product, second tries of calls, is here as well, drawn instead of learnt.

use super::ground::Ground;
use super::held_up::HeldUp;
use super::scheduler::{Fate, leave};
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use voicemail_model::{CallerTag, Time};
use voicemail_store::hedge::Hedges;
use voicemail_store::{
    Attempt, BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Put, Revision, Store, StoreError,
    Versioned,
};

/// The shared store behind the scheduler's gate. Its clock is the simulation's true one.
pub(super) struct SimStore {
    pub(super) ground: Arc<dyn Ground>,
    pub(super) away: Arc<AtomicBool>,
    pub(super) held_up: HeldUp,
    pub(super) hedges: Arc<Hedges>,
}

impl SimStore {
    async fn leave(&self) -> Result<(), StoreError> {
        leave().await;
        self.held_up.arrive().await;
        self.answers()
    }

    fn answers(&self) -> Result<(), StoreError> {
        let away = self.away.load(Ordering::SeqCst);
        if away { Err(StoreError::Unavailable("the region is away".into())) } else { Ok(()) }
    }

    /// A write under a fate; `conflict` is what a retried, applied write looks like.
    async fn write<T: Send + 'static>(
        &self,
        conflict: StoreError,
        call: impl FnOnce(Arc<dyn Ground>) -> BoxFuture<'static, Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let fate = leave().await;
        self.held_up.arrive().await;
        self.answers()?;
        let call = call(Arc::clone(&self.ground));
        match fate {
            Fate::Apply => call.await,
            Fate::Drop => Err(unclear()),
            Fate::HoldUp => {
                // Whatever comes of it, nobody is told.
                self.held_up.add(Box::pin(async move { drop(call.await) }));
                Err(unclear())
            }
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

    async fn put_bytes(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let key = key.clone();
        let body = stream::once(async { Ok(bytes) }).boxed();
        self.write(unclear(), |ground| Box::pin(async move { ground.put(&key, body).await.map(drop) })).await
    }
}

async fn gather(body: BodyStream) -> Result<Bytes, StoreError> {
    let parts: Vec<Bytes> = body.try_collect().await?;
    Ok(parts.concat().into())
}

fn unclear() -> StoreError {
    StoreError::Unclear("simulated".into())
}

#[async_trait]
impl Store for SimStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.leave().await?;
        self.ground.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.leave().await?;
        self.ground.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.leave().await?;
        self.ground.load(key).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        // An empty listing shows nothing that could change meanwhile: not worth a step of the schedule.
        if !self.ground.has_below(prefix) {
            return stream::empty().boxed();
        }
        let listed = move |left| match left {
            Ok(()) => self.ground.list_after(prefix, after),
            Err(error) => stream::iter([Err(error)]).boxed(),
        };
        stream::once(self.leave()).flat_map(listed).boxed()
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        let key = key.clone();
        let call = |ground: Arc<dyn Ground>| -> BoxFuture<'static, _> {
            Box::pin(async move { ground.create(&key, bytes).await })
        };
        self.write(StoreError::Exists, call).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        let bytes = gather(body).await?;
        let length = bytes.len() as u64;
        self.put_bytes(key, bytes).await.map(|()| length)
    }

    async fn put_attempts(
        &self,
        names: [&Key; 2],
        body: BodyStream,
        _: &CallerTag,
    ) -> Result<Put, StoreError> {
        let bytes = gather(body).await?;
        let send = |attempt: Attempt| self.put_bytes(names[attempt.number()], bytes.clone());
        self.hedges.put(bytes.len() as u64, send).await
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        let (key, basis) = (key.clone(), basis.cloned());
        let call = |ground: Arc<dyn Ground>| -> BoxFuture<'static, _> {
            Box::pin(async move { ground.replace(&key, basis.as_ref(), bytes).await })
        };
        self.write(StoreError::Conflict, call).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(unclear(), |ground| Box::pin(async move { ground.delete(&key).await })).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.ground.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.ground.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        self.ground.clock().await
    }
}
