//! Recordings as they are played: as they are stored, but for the size fields that their recorders left wrong.
//!
//! Stored bytes are never changed. The digest that clients see is of what they get, so that it is made anew, of what
//! the store holds, for the few recordings of which some bytes are other ones.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use std::sync::OnceLock;
use voicemail_audio::RecordingInfo;
use voicemail_model::{AudioDigest, Mend};
use voicemail_store::{Key, Store, StoreError};

type Chunks = BoxStream<'static, Result<Bytes, StoreError>>;

/// The bytes of a recording from `start` on, as they are played.
pub(crate) fn as_played(bytes: Chunks, start: u64, mends: Vec<Mend>) -> Chunks {
    if mends.is_empty() {
        return bytes;
    }
    let mended = stream::unfold((bytes, start, mends), |(mut bytes, at, mends)| async move {
        let chunk = bytes.next().await?.map(|chunk| mend(chunk, at, &mends));
        let next = at + chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Some((chunk, (bytes, next, mends)))
    });
    mended.boxed()
}

fn mend(chunk: Bytes, at: u64, mends: &[Mend]) -> Bytes {
    let size = chunk.len() as u64;
    if !mends.iter().any(|mend| mend.touches(at, size)) {
        return chunk;
    }
    let mut bytes = chunk.to_vec();
    mends.iter().for_each(|mend| mend.apply(at, &mut bytes));
    bytes.into()
}

/// The facts about a recording that was just stored, with the digest of its audio as it is played.
///
/// # Errors
/// The store's; and `Refused` for a recording whose facts are missing.
pub(super) async fn known_as_played(
    store: &dyn Store,
    key: &Key,
    info: &OnceLock<RecordingInfo>,
) -> Result<RecordingInfo, StoreError> {
    let unfinished = || StoreError::Refused("a recording ended without its facts".into());
    let known = info.get().cloned().ok_or_else(unfinished)?;
    if known.mends.is_empty() {
        return Ok(known);
    }
    let lost = || StoreError::Unavailable("a recording that was just stored isn't there".into());
    let body = store.read(key, None).await?.ok_or_else(lost)?;
    let mut played = as_played(body.bytes, 0, known.mends.clone());
    let mut digest = Context::new(&SHA256);
    while let Some(chunk) = played.next().await {
        digest.update(&chunk?);
    }
    Ok(RecordingInfo { digest: AudioDigest(hex::encode(digest.finish())), ..known })
}
