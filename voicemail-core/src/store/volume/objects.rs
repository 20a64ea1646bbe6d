//! Immutable objects as files.

use super::publish::{link, remove_file, sync_folder, temporary, write_temporary};
use super::{path_of, unavailable};
use crate::store::{BodyStream, Key, ObjectBody, StoreError};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use std::fs;
use std::io::{self, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Bytes that are gathered before they are written, and read at a time; hundreds of uploads may be under way.
const CHUNK: usize = 64 * 1024;

pub(super) fn get(root: &Path, key: &Key) -> Result<Option<Bytes>, StoreError> {
    match fs::read(path_of(root, key)) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(unavailable("an object can't be read")(error)),
    }
}

pub(super) async fn read(
    root: &Path,
    key: &Key,
    range: Option<Range<u64>>,
) -> Result<Option<ObjectBody>, StoreError> {
    let failed = unavailable("an object can't be read");
    let mut file = match tokio::fs::File::open(path_of(root, key)).await {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let size = file.metadata().await.map_err(&failed)?.len();
    let range = range.unwrap_or(0..size);
    let (start, end) = (range.start.min(size), range.end.min(size));
    file.seek(SeekFrom::Start(start)).await.map_err(&failed)?;
    let part = file.take(end.saturating_sub(start));
    let bytes = ReaderStream::with_capacity(part, CHUNK)
        .map_err(|error| StoreError::Unavailable(format!("an object can't be read on: {error}")));
    Ok(Some(ObjectBody { size, bytes: bytes.boxed() }))
}

pub(super) fn create(root: &Path, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
    link(&write_temporary(root, bytes)?, &path_of(root, key))
}

/// Writes a body into a temporary file as it comes; dropped, or after an error, nothing is left.
pub(super) async fn receive(root: &Path, mut body: BodyStream) -> Result<(NamedTempFile, u64), StoreError> {
    let folder = root.to_owned();
    let mut file = in_background(move || temporary(&folder)).await?;
    let (mut size, mut gathered) = (0, BytesMut::with_capacity(CHUNK));
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        if gathered.len() + chunk.len() > CHUNK {
            (file, gathered) = append(file, gathered).await?;
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok((append(file, gathered).await?.0, size))
}

/// Writes what was gathered and gives its memory back for more.
async fn append(
    mut file: NamedTempFile,
    mut gathered: BytesMut,
) -> Result<(NamedTempFile, BytesMut), StoreError> {
    in_background(move || {
        file.write_all(&gathered).map_err(unavailable("audio can't be written"))?;
        gathered.clear();
        Ok((file, gathered))
    })
    .await
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = |error| StoreError::Unavailable(format!("a blocking call ended badly: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

pub(super) fn publish_received(root: &Path, key: &Key, file: NamedTempFile) -> Result<(), StoreError> {
    file.as_file().sync_all().map_err(unavailable("audio can't be synced"))?;
    link(&file, &path_of(root, key))
}

pub(super) fn delete(root: &Path, key: &Key) -> Result<(), StoreError> {
    let path = path_of(root, key);
    if !remove_file(&path)? {
        return Ok(());
    }
    let Some(folder) = path.parent() else { return Ok(()) };
    sync_folder(folder)?;
    remove_empty_folders(root, folder);
    Ok(())
}

/// Folders of hours, minutes and callers go with their last file. One that fills again meanwhile stays:
/// the operating system refuses to remove it.
fn remove_empty_folders(root: &Path, folder: &Path) {
    for path in folder.ancestors().take_while(|path| path.parent() != Some(root) && *path != root) {
        if fs::remove_dir(path).is_err() {
            return;
        }
    }
}

pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
