//! Small writes: their conditions and tags, and what their outcome tells about the next ones.

use super::ObjectBackend;
use super::errors::{contended, writing};
use crate::{Hindrance, Key, Revision, StoreError};
use bytes::Bytes;
use object_store::{Error, PutMode, PutOptions, PutResult, TagSet, UpdateVersion};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use voicemail_model::CallerTag;

impl ObjectBackend {
    pub(super) async fn write(
        &self,
        key: &Key,
        bytes: Bytes,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let written = self.small.put_opts(&self.path(key), bytes.into(), options).await?;
        if written.version.is_some() {
            self.service.note_version();
        }
        Ok(written)
    }

    /// Remembers what a write tells about the next ones. A write that failed for another reason tells nothing.
    pub(super) fn note<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let seen = match &outcome {
            Ok(_) => Some(None),
            Err(error) => Hindrance::of(error).map(Some),
        };
        if let Some(seen) = seen {
            *self.hindrance.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        }
        outcome
    }

    pub(super) async fn create_with(&self, key: &Key, bytes: Bytes, tags: TagSet) -> Result<(), StoreError> {
        self.note(self.try_create(key, bytes, tags).await)
    }

    async fn try_create(&self, key: &Key, bytes: Bytes, tags: TagSet) -> Result<(), StoreError> {
        let options = PutOptions { mode: PutMode::Create, tags, ..PutOptions::default() };
        match self.write(key, bytes, options).await {
            Ok(_) => Ok(()),
            Err(error @ (Error::AlreadyExists { .. } | Error::Precondition { .. })) => {
                Err(contended(error, StoreError::Exists))
            }
            Err(error) => Err(writing(error)),
        }
    }

    pub(super) fn tag_set(&self, tag: &CallerTag) -> TagSet {
        let mut tags = TagSet::default();
        if self.tags.load(Ordering::Relaxed) {
            tags.push(CallerTag::NAME, tag.reveal());
        }
        tags
    }

    pub(super) fn mode(&self, basis: Option<&Revision>) -> PutMode {
        match basis {
            None => PutMode::Create,
            Some(Revision(etag)) => {
                let bare = etag.trim_matches('"');
                let etag = if self.bare_etags.load(Ordering::Relaxed) {
                    bare.to_owned()
                } else {
                    format!("\"{bare}\"")
                };
                PutMode::Update(UpdateVersion { e_tag: Some(etag), version: None })
            }
        }
    }
}
