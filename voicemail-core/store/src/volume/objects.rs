//! Immutable objects as files.

use super::beneath::{open_file, require_plain, unreadable};
use super::path_of;
use super::publish::{TemporaryFile, link, remove_file, sync_folder, temporary, write_temporary};
use super::reserve::Reserve;
use super::space::Amount;
use crate::{BodyStream, Key, ObjectBody, StoreError};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use std::fs;
use std::io::{self, Read, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Bytes that are gathered before they are written, and read at a time; hundreds of uploads may be under way.
const CHUNK: usize = 64 * 1024;

pub(super) fn get(root: &Path, key: &Key) -> Result<Option<Bytes>, StoreError> {
    match read_file(root, &path_of(root, key)) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(unreadable("an object can't be read")(error)),
    }
}

/// A whole file of the volume, which no link leads to.
pub(super) fn read_file(root: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(root, path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) async fn read(
    root: &Path,
    key: &Key,
    range: Option<Range<u64>>,
) -> Result<Option<ObjectBody>, StoreError> {
    let failed = unreadable("an object can't be read");
    let (base, path) = (root.to_owned(), path_of(root, key));
    let opened = in_background(move || Ok(open_file(&base, &path))).await?;
    let mut file = match opened {
        Ok(file) => tokio::fs::File::from_std(file),
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let size = file.metadata().await.map_err(&failed)?.len();
    let range = range.unwrap_or(0..size);
    let (start, end) = (range.start.min(size), range.end.min(size));
    file.seek(SeekFrom::Start(start)).await.map_err(&failed)?;
    let part = ReaderStream::with_capacity(file.take(end.saturating_sub(start)), CHUNK);
    let reading = Reading(Some(part));
    let bytes = stream::unfold(reading, |mut reading| async move {
        let chunk = reading.0.as_mut()?.next().await?;
        let failed = |error| StoreError::Unavailable(format!("an object can't be read on: {error}"));
        Some((chunk.map_err(failed), reading))
    });
    Ok(Some(ObjectBody { size, bytes: bytes.boxed() }))
}

/// A file that is being read. Closing one waits for the server on some file systems, and that must not stop a thread
/// that others wait for.
struct Reading(Option<ReaderStream<tokio::io::Take<tokio::fs::File>>>);

impl Drop for Reading {
    fn drop(&mut self) {
        let (file, runtime) = (self.0.take(), tokio::runtime::Handle::try_current());
        if let (Some(file), Ok(runtime)) = (file, runtime) {
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

pub(super) fn create(root: &Path, key: &Key, bytes: &[u8]) -> Result<(), StoreError> {
    require_plain(root, &path_of(root, key))?;
    link(&write_temporary(root, bytes)?, &path_of(root, key))
}

/// A body under a temporary name, and whether there is room for it.
///
/// Its name may go while a server hangs, and that must not stop a thread that others wait for.
pub(super) struct Received {
    file: Option<TemporaryFile>,
    root: PathBuf,
    reserve: Option<Arc<Reserve>>,
}

impl Received {
    fn begin(root: PathBuf, reserve: Option<Arc<Reserve>>) -> Result<Self, StoreError> {
        let mut begun = Self { file: None, root, reserve };
        // The recording's file and what is made around it.
        begun.require_room(Amount { bytes: 0, inodes: 8 })?;
        begun.file = Some(temporary(&begun.root)?);
        Ok(begun)
    }

    fn require_room(&self, wanted: Amount) -> Result<(), StoreError> {
        self.reserve.as_ref().map_or(Ok(()), |reserve| reserve.require_room(&self.root, wanted))
    }

    fn file(&self) -> Result<&TemporaryFile, StoreError> {
        self.file.as_ref().ok_or_else(|| StoreError::Unavailable("a temporary file is gone".into()))
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let (file, runtime) = (self.file.take(), tokio::runtime::Handle::try_current());
        if let (Some(file), Ok(runtime)) = (file, runtime) {
            runtime.spawn_blocking(move || drop(file));
        }
    }
}

/// Writes a body into a temporary file as it comes; dropped, or after an error, nothing is left. Where a reserve is
/// kept, a body is refused as soon as there is too little room, and never lives on the reserve.
pub(super) async fn receive(
    root: &Path,
    mut body: BodyStream,
    reserve: Option<Arc<Reserve>>,
) -> Result<(Received, u64), StoreError> {
    let folder = root.to_owned();
    let mut received = in_background(move || Received::begin(folder, reserve)).await?;
    let (mut size, mut gathered) = (0, BytesMut::with_capacity(CHUNK));
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        if gathered.len() + chunk.len() > CHUNK {
            (received, gathered) = append(received, gathered).await?;
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok((append(received, gathered).await?.0, size))
}

/// Writes what was gathered and gives its memory back for more.
async fn append(received: Received, mut gathered: BytesMut) -> Result<(Received, BytesMut), StoreError> {
    in_background(move || {
        received.require_room(Amount { bytes: gathered.len() as u64, inodes: 0 })?;
        received.file()?.write_all(&gathered, "audio can't be written")?;
        gathered.clear();
        Ok((received, gathered))
    })
    .await
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = |error| StoreError::Unavailable(format!("a blocking call ended badly: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

pub(super) fn publish_received(root: &Path, key: &Key, received: &Received) -> Result<(), StoreError> {
    require_plain(root, &path_of(root, key))?;
    let file = received.file()?;
    file.sync("audio can't be synced")?;
    link(file, &path_of(root, key))
}

pub(super) fn delete(root: &Path, key: &Key) -> Result<(), StoreError> {
    let path = path_of(root, key);
    require_plain(root, &path)?;
    if !remove_file(&path)? {
        return Ok(());
    }
    let Some(folder) = path.parent() else { return Ok(()) };
    sync_folder(folder)?;
    remove_empty_folders(root, folder);
    Ok(())
}

/// Folders of hours, minutes and callers go with their last file. A folder that fills again meanwhile stays:
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
