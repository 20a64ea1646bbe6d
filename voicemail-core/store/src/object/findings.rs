//! What is found out about a server before it is used: a simulator, the form of its ETags, whether it keeps tags and encrypts.

use super::ObjectBackend;
use crate::probe::Finding;
use crate::{Key, Store, StoreError};
use bytes::Bytes;
use object_store::TagSet;
use std::sync::atomic::Ordering;
use voicemail_model::CallerTag;

impl ObjectBackend {
    /// A server for development that says so itself, such as moto's: it looks at a condition first and writes
    /// afterwards, in one interpreter's thread at a time, so that races hardly ever show it.
    pub(super) fn find_simulator(&self) -> Option<Finding> {
        let is_one = self.observed.server().is_some_and(|name| name.starts_with("Werkzeug/"));
        is_one.then(|| {
            let words = "the server is a simulator for tests (Werkzeug's development server): it looks at a condition \
                         first and writes afterwards, and two replicas would lose messages; use another";
            Finding::fails("no-simulator", words.into())
        })
    }

    /// Ceph-style servers want ETags back without quotes: found by trying, on a throw-away name.
    pub(super) async fn find_quoting(&self) -> Result<Option<Finding>, StoreError> {
        if self.quoting.is_some() {
            return Ok(None);
        }
        let key = Key::probe(self.world.now(), &self.world.random_hex());
        let first = self.replace(&key, None, Bytes::from_static(b"1")).await?;
        let quoted = self.replace(&key, Some(&first), Bytes::from_static(b"2")).await;
        let mut finding = None;
        if quoted == Err(StoreError::Conflict) {
            self.bare_etags.store(true, Ordering::Relaxed);
            let bare = self.replace(&key, Some(&first), Bytes::from_static(b"3")).await;
            self.bare_etags.store(bare.is_ok(), Ordering::Relaxed);
            finding = bare.is_ok().then(|| {
                Finding::note(
                    "etag-quoting",
                    "the server wants ETags without quotes, and gets them so".into(),
                )
            });
        }
        self.delete(&key).await?;
        Ok(finding)
    }

    /// Tags are a help for operators: our own index finds a caller's messages without them.
    pub(super) async fn find_tags(&self) -> Result<Vec<Finding>, StoreError> {
        const PROPERTY: &str = "index-tags";
        let key = Key::probe(self.world.now(), &self.world.random_hex());
        let mut tags = TagSet::default();
        tags.push(CallerTag::NAME, "probe");
        let read = match self.create_with(&key, Bytes::from_static(b"tagged"), tags).await {
            Ok(()) => self.service.read_tag(&self.path(&key)).await,
            Err(error) => Err(error),
        };
        let encrypted = self.service.find_encryption(&self.path(&key)).await;
        self.delete(&key).await?;
        let works = read.as_ref().is_ok_and(|tag| tag.as_deref() == Some("probe"));
        self.tags.store(works, Ordering::Relaxed);
        let without = |why: String| {
            format!("aren't used ({why}): messages carry no caller_id tag, and are found by our own index")
        };
        let tagged = match read {
            Ok(_) if works => Finding::holds(PROPERTY),
            Ok(_) => Finding::note(PROPERTY, without("they aren't read back".into())),
            Err(error) => Finding::note(PROPERTY, without(error.to_string())),
        };
        Ok(encrypted.into_iter().chain([tagged]).collect())
    }
}
