//! A store that can't be changed: for tools that only look, so that they can't do harm by construction.
//!
//! Every call that writes is `Refused`, also the store's clock, which a volume reads by making a file.

use super::probe::Finding;
use super::{
    BodyStream, Hindrance, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Put, Revision, Store,
    StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use voicemail_model::{CallerTag, Time};

/// Reads of another store.
pub struct ReadOnlyStore(Arc<dyn Store>);

impl ReadOnlyStore {
    /// Over that store.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self(inner)
    }
}

fn refuse<T>() -> Result<T, StoreError> {
    Err(StoreError::Refused("this program was told to change nothing".into()))
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for ReadOnlyStore {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.0.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.0.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.0.load(key).await
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        self.0.load_unless(key, known).await
    }

    fn list<'a>(&'a self, prefix: &'a str) -> KeyStream<'a> {
        self.0.list(prefix)
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        self.0.list_after(prefix, after)
    }

    async fn tag(&self, key: &Key) -> Result<Option<String>, StoreError> {
        self.0.tag(key).await
    }

    async fn create(&self, _key: &Key, _bytes: Bytes) -> Result<(), StoreError> {
        refuse()
    }

    async fn create_tagged(&self, _: &Key, _: Bytes, _: &CallerTag) -> Result<(), StoreError> {
        refuse()
    }

    async fn put(&self, _key: &Key, _body: BodyStream) -> Result<u64, StoreError> {
        refuse()
    }

    async fn put_tagged(&self, _: &Key, _: BodyStream, _: &CallerTag) -> Result<u64, StoreError> {
        refuse()
    }

    async fn put_attempts(&self, _: [&Key; 2], _: BodyStream, _: &CallerTag) -> Result<Put, StoreError> {
        refuse()
    }

    async fn replace(&self, _: &Key, _: Option<&Revision>, _: Bytes) -> Result<Revision, StoreError> {
        refuse()
    }

    async fn delete(&self, _key: &Key) -> Result<(), StoreError> {
        refuse()
    }

    async fn prune_history(&self, _: History<'_>, _: Time) -> Result<Option<Time>, StoreError> {
        refuse()
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.0.unpruned().await
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        refuse()
    }

    /// A volume greets by its clock, which writes; any read shows as much.
    async fn greet(&self) -> Result<(), StoreError> {
        self.0.get(&Key::tenant()).await.map(drop)
    }

    async fn examine(&self) -> Result<Vec<Finding>, StoreError> {
        refuse()
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        self.0.keeps().await
    }

    async fn dismantle(&self) -> Result<(), StoreError> {
        refuse()
    }

    fn is_metered(&self) -> bool {
        self.0.is_metered()
    }

    fn hindrance(&self) -> Option<Hindrance> {
        self.0.hindrance()
    }

    async fn tend(&self) -> Result<(), StoreError> {
        refuse()
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{LockProbe, VolumeStore};
    use futures::{StreamExt, TryStreamExt, stream};

    /// Every path below a folder.
    fn paths(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            found.push(entry.path());
            if entry.path().is_dir() {
                found.extend(paths(&entry.path()));
            }
        }
        found
    }

    #[tokio::test]
    async fn reads_pass_and_every_write_is_refused_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let inner: Arc<dyn Store> = Arc::new(VolumeStore::new(folder.path(), "t", LockProbe(Vec::new())));
        let (object, document) = (Key::listed("a/b").unwrap(), Key::tenant());
        inner.create(&object, "x".into()).await.unwrap();
        inner.replace(&document, None, "y".into()).await.unwrap();
        let before = paths(folder.path());
        let store = ReadOnlyStore::new(inner);
        assert_eq!(store.get(&object).await.unwrap().unwrap(), "x");
        assert_eq!(store.load(&document).await.unwrap().unwrap().bytes, "y");
        assert_eq!(store.list("a/").try_collect::<Vec<_>>().await.unwrap(), ["a/b"]);
        let body = || stream::iter([Ok(Bytes::from_static(b"z"))]).boxed();
        let probe = Key::probe(crate::real_world().now(), "1");
        let outcomes = [
            store.create(&probe, "z".into()).await,
            store.put(&probe, body()).await.map(|_| ()),
            store.replace(&document, None, "z".into()).await.map(|_| ()),
            store.delete(&object).await,
            store.prune_history(History::Of(&document), Time(0)).await.map(|_| ()),
            store.clock().await.map(|_| ()),
            store.examine().await.map(|_| ()),
            store.tidy().await,
        ];
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Err(StoreError::Refused(_)))),
            "{outcomes:?}"
        );
        assert_eq!(paths(folder.path()), before);
    }
}
