//! Streams a body into an object of a name that only this attempt uses.
//!
//! A body of one part is one request; a longer one is sent in parts, one in flight, and appears only with
//! the last. An upload that fails or is given up half-way is aborted, also when the caller goes away. A crash leaves
//! invisible parts, which a lifecycle rule for unfinished uploads removes (Azure does by itself, in a week).
//!
//! The request of a body of one part is tried again under a second name when it lasts unusually long, since its bytes are
//! in memory until it is answered ([`crate::hedge`]). A longer body's parts are repeated by the client alone.

use super::super::{Attempt, BodyStream, Put, StoreError};
use super::budget::{Share, UploadBudget};
use super::errors::writing;
use crate::hedge::Hedges;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{
    MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutPayloadMut, TagSet,
};
use std::sync::Arc;

/// S3's smallest part that isn't the last.
const PART: usize = 5 * 1024 * 1024;

/// An upload in parts that is aborted unless it was completed.
struct Unfinished(Option<Box<dyn MultipartUpload>>);

impl Unfinished {
    async fn send(&mut self, part: PutPayload) -> Result<(), StoreError> {
        match &mut self.0 {
            Some(upload) => upload.put_part(part).await.map_err(writing),
            None => Err(StoreError::Unavailable("the upload has ended".into())),
        }
    }

    async fn complete(mut self) -> Result<(), StoreError> {
        match self.0.take() {
            Some(mut upload) => upload.complete().await.map(drop).map_err(writing),
            None => Err(StoreError::Unavailable("the upload has ended".into())),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(mut upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        runtime.spawn(async move {
            if upload.abort().await.is_err() {
                tracing::warn!(
                    "an unfinished upload couldn't be aborted: its parts stay until a rule removes them"
                );
            }
        });
    }
}

/// Where a body goes, and how.
pub(super) struct Sending<'a> {
    pub(super) store: &'a Arc<dyn ObjectStore>,
    pub(super) budget: &'a UploadBudget,
    pub(super) tags: TagSet,
}

impl Sending<'_> {
    /// Sends a body; returns its size.
    pub(super) async fn send(&self, path: &Path, mut body: BodyStream) -> Result<u64, StoreError> {
        let (mut share, mut total) = (self.budget.share().await, 0);
        let first = gather(&mut body, &mut share, &mut total).await?;
        match first.is_last {
            true => self.send_whole(path, first.payload).await?,
            false => self.send_parts(path, first, body, share, &mut total).await?,
        }
        Ok(total)
    }

    /// Sends a body under the first name, or under the second one where the request for the first lasts unusually long.
    pub(super) async fn send_attempts(
        &self,
        paths: [&Path; 2],
        mut body: BodyStream,
        hedges: &Hedges,
    ) -> Result<Put, StoreError> {
        let (mut share, mut total) = (self.budget.share().await, 0);
        let first = gather(&mut body, &mut share, &mut total).await?;
        if !first.is_last {
            self.send_parts(paths[0], first, body, share, &mut total).await?;
            return Ok(Put { attempt: Attempt::First, contended: false });
        }
        hedges.put(total, |attempt| self.send_whole(paths[attempt.number()], first.payload.clone())).await
    }

    async fn send_whole(&self, path: &Path, payload: PutPayload) -> Result<(), StoreError> {
        let options = PutOptions { tags: self.tags.clone(), ..PutOptions::default() };
        self.store.put_opts(path, payload, options).await.map(drop).map_err(writing)
    }

    async fn send_parts(
        &self,
        path: &Path,
        first: Part,
        mut body: BodyStream,
        mut share: Share,
        total: &mut u64,
    ) -> Result<(), StoreError> {
        let options = PutMultipartOptions { tags: self.tags.clone(), ..PutMultipartOptions::default() };
        let begun = self.store.put_multipart_opts(path, options).await.map_err(writing)?;
        let mut upload = Unfinished(Some(begun));
        let mut part = first;
        loop {
            let is_last = part.is_last;
            if part.payload.content_length() > 0 {
                upload.send(part.payload).await?;
            }
            share.release();
            if is_last {
                return upload.complete().await;
            }
            part = gather(&mut body, &mut share, total).await?;
        }
    }
}

struct Part {
    payload: PutPayload,
    is_last: bool,
}

/// Gathers the next part as the budget allows.
async fn gather(body: &mut BodyStream, share: &mut Share, total: &mut u64) -> Result<Part, StoreError> {
    const BLOCK: usize = 64 * 1024;
    let mut gathered = PutPayloadMut::new().with_block_size(BLOCK);
    while gathered.content_length() < PART {
        let Some(chunk) = body.next().await else {
            return Ok(Part { payload: gathered.freeze(), is_last: true });
        };
        let chunk = chunk?;
        share.grow(chunk.len()).await;
        *total += chunk.len() as u64;
        gathered.extend_from_slice(&chunk);
    }
    Ok(Part { payload: gathered.freeze(), is_last: false })
}
