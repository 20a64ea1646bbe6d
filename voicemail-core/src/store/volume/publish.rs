//! Durable publication of a file: write it under a temporary name, sync it, link it to its own name,
//! sync the folders. A reader sees all of it or nothing, also after a crash; a name is never written over.

use super::{unavailable, unclear};
use crate::model::Time;
use crate::store::StoreError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// Temporary names older than this belong to nobody: an attempt gives up after 15 minutes.
const TEMPORARY_LIFE: Duration = Duration::from_secs(3_600);

/// How often a folder that a deletion removed under us is made again.
const FOLDER_RACES: u32 = 20;

/// A new temporary file on the same file system.
pub(super) fn temporary(root: &Path) -> Result<NamedTempFile, StoreError> {
    let folder = root.join("tmp");
    make_folders(&folder)?;
    tempfile::Builder::new()
        .prefix("t.")
        .tempfile_in(&folder)
        .map_err(without_name)
        .map_err(unavailable("a temporary file can't be made"))
}

/// The name is another one each time, and whoever reports a failure would report a new one each time.
fn without_name(error: io::Error) -> io::Error {
    io::Error::from(error.kind())
}

/// Makes the folder of temporary files.
pub(super) fn make_probe_folder(root: &Path) -> Result<(), StoreError> {
    make_folders(&root.join("tmp"))
}

/// A temporary file with these bytes, synced.
pub(super) fn write_temporary(root: &Path, bytes: &[u8]) -> Result<NamedTempFile, StoreError> {
    let mut file = temporary(root)?;
    file.write_all(bytes).map_err(unavailable("a file can't be written"))?;
    file.as_file().sync_all().map_err(unavailable("a file can't be synced"))?;
    Ok(file)
}

/// Links a synced temporary file to its name. `Exists` unless the name is already this very file.
pub(super) fn link(file: &NamedTempFile, target: &Path) -> Result<(), StoreError> {
    let folder = target.parent().unwrap_or(target);
    let mut races = 0;
    loop {
        make_folders(folder)?;
        match fs::hard_link(file.path(), target) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound && races < FOLDER_RACES => races += 1,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if is_same_file(file, target)? {
                    break;
                } else {
                    return Err(StoreError::Exists);
                }
            }
            Err(error) => return Err(unclear("a file can't be published")(error)),
        }
    }
    sync_folder(folder)
}

/// A lost reply of a network file system shows as "exists" although the link is ours.
fn is_same_file(file: &NamedTempFile, target: &Path) -> Result<bool, StoreError> {
    let ours = file.as_file().metadata().map_err(unclear("a file can't be examined"))?;
    match fs::metadata(target) {
        Ok(theirs) => Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unclear("a file can't be examined")(error)),
    }
}

/// Makes missing folders and syncs every parent up to the first that was there before.
fn make_folders(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let missing: Vec<PathBuf> =
        folder.ancestors().take_while(|path| !path.is_dir()).map(Path::to_path_buf).collect();
    fs::create_dir_all(folder).map_err(unavailable("a folder can't be made"))?;
    for path in missing.iter().rev().filter_map(|path| path.parent()) {
        sync_folder(path)?;
    }
    Ok(())
}

/// Makes what happened in a folder durable. A folder that is gone again has nothing to sync.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    match File::open(folder) {
        Ok(opened) => opened.sync_all().map_err(unclear("a folder can't be synced")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unclear("a folder can't be opened")(error)),
    }
}

/// The file system's clock: the time it gives to a file made now.
pub(super) fn file_system_time(root: &Path) -> Result<Time, StoreError> {
    let mut file = temporary(root)?;
    file.write_all(b".").map_err(unavailable("a file can't be written"))?;
    let metadata = file.as_file().metadata().map_err(unavailable("a file can't be examined"))?;
    metadata.modified().map(to_time).map_err(unavailable("a file has no time"))
}

pub(super) fn to_time(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Removes temporary files that a crash left behind.
pub(super) fn remove_stale_temporaries(root: &Path) -> Result<(), StoreError> {
    let folder = root.join("tmp");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unavailable("temporary files can't be listed")(error)),
    };
    let now = file_system_time(root)?;
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|at| now.since(to_time(at)) > TEMPORARY_LIFE) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Unlinks a file; a missing one is success. Says whether it was there.
pub(super) fn remove_file(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(false),
        Err(error) => Err(unclear("a file can't be removed")(error)),
    }
}
