//! Streams a body into an object of a name that only this attempt uses.
//!
//! A body of one part is one request; a longer one is sent in parts, one in flight, and appears only with
//! the last. An upload that fails or is given up half-way is aborted, also when the caller goes away. A crash leaves
//! invisible parts, which a lifecycle rule for unfinished uploads removes (Azure does by itself, in a week).

use super::super::{BodyStream, StoreError};
use super::budget::{Share, UploadBudget};
use super::errors::writing;
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

/// Sends a body; returns its size.
pub(super) async fn send(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    mut body: BodyStream,
    tags: TagSet,
    budget: &UploadBudget,
) -> Result<u64, StoreError> {
    let (mut share, mut total) = (budget.share().await, 0);
    let first = gather(&mut body, &mut share, &mut total).await?;
    if first.is_last {
        let options = PutOptions { tags, ..PutOptions::default() };
        store.put_opts(path, first.payload, options).await.map_err(writing)?;
        return Ok(total);
    }
    let options = PutMultipartOptions { tags, ..PutMultipartOptions::default() };
    let begun = store.put_multipart_opts(path, options).await.map_err(writing)?;
    let mut upload = Unfinished(Some(begun));
    let mut part = first;
    loop {
        let is_last = part.is_last;
        if part.payload.content_length() > 0 {
            upload.send(part.payload).await?;
        }
        share.release();
        if is_last {
            upload.complete().await?;
            return Ok(total);
        }
        part = gather(&mut body, &mut share, &mut total).await?;
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
