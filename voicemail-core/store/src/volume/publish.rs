//! Durable publication of a file: write it under a temporary name, sync it, link it to its own name,
//! sync the folders. A reader sees all of it or nothing, also after a crash; a name is never written over.

use super::{is_full, unavailable, unclear};
use crate::StoreError;
use rustix::fs::{Timespec, Timestamps};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;
use voicemail_model::Time;

/// Temporary names older than this belong to nobody: an attempt gives up after 15 minutes.
const TEMPORARY_LIFE: Duration = Duration::from_secs(3_600);

/// The file whose time tells the file system's.
const CLOCK: &str = "clock";

/// 2020: no file of ours is older, and a time before it is one that isn't known yet.
const LEAST_TIME: Time = Time(1_577_836_800_000);

/// How often a folder that a deletion removed under us is made again.
const FOLDER_RACES: u32 = 20;

/// A file under a name of its own, which goes with it.
pub(super) struct TemporaryFile(NamedTempFile);

impl TemporaryFile {
    /// Writes on; a failure names no file, since the name is another one each time.
    pub(super) fn write_all(&self, bytes: &[u8], what: &str) -> Result<(), StoreError> {
        self.0.as_file().write_all(bytes).map_err(unavailable(what))
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self, what: &str) -> Result<(), StoreError> {
        self.0.as_file().sync_all().map_err(unavailable(what))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A new temporary file on the same file system. Its name tells when it was made.
pub(super) fn temporary(root: &Path) -> Result<TemporaryFile, StoreError> {
    let folder = root.join("tmp");
    make_folders(&folder)?;
    let file = tempfile::Builder::new()
        .prefix(&format!("t.{}.", to_time(SystemTime::now()).0))
        .tempfile_in(&folder)
        .map_err(without_name)
        .map_err(unavailable("a temporary file can't be made"))?;
    Ok(TemporaryFile(file))
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
pub(super) fn write_temporary(root: &Path, bytes: &[u8]) -> Result<TemporaryFile, StoreError> {
    let file = temporary(root)?;
    file.write_all(bytes, "a file can't be written")?;
    file.sync("a file can't be synced")?;
    Ok(file)
}

/// Links a synced temporary file to its name. `Exists` unless the name is already this very file.
pub(super) fn link(file: &TemporaryFile, target: &Path) -> Result<(), StoreError> {
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
            // Nothing was linked for want of room.
            Err(error) if is_full(&error) => return Err(unavailable("a file can't be published")(error)),
            Err(error) => return Err(unclear("a file can't be published")(error)),
        }
    }
    sync_folder(folder)
}

/// A lost reply of a network file system shows as "exists" although the link is ours.
fn is_same_file(file: &TemporaryFile, target: &Path) -> Result<bool, StoreError> {
    let ours = file.0.as_file().metadata().map_err(unclear("a file can't be examined"))?;
    match fs::metadata(target) {
        Ok(theirs) => Ok((ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unclear("a file can't be examined")(error)),
    }
}

/// Makes missing folders and syncs every parent up to the first that was there before.
pub(super) fn make_folders(folder: &Path) -> Result<(), StoreError> {
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

/// The file system's clock: the time that it gives to a file that is touched now. The file stays, so that the time
/// can be told when there is no room for another.
pub(super) fn file_system_time(root: &Path) -> Result<Time, StoreError> {
    let folder = root.join("tmp");
    make_folders(&folder)?;
    let open = File::options().create(true).truncate(false).write(true).open(folder.join(CLOCK));
    let file = open.map_err(unavailable("the clock's file can't be opened"))?;
    let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let touched = rustix::fs::futimens(&file, &Timestamps { last_access: now, last_modification: now });
    touched.map_err(|error| unavailable("the clock's file can't be touched")(error.into()))?;
    let metadata = file.metadata().map_err(unavailable("a file can't be examined"))?;
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
        let name = entry.file_name().to_string_lossy().into_owned();
        // The reserve is a folder.
        let Some(metadata) = entry.metadata().ok().filter(|metadata| !metadata.is_dir()) else { continue };
        let modified = metadata.modified().ok().map(to_time);
        if is_stale(&name, modified, now) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether a temporary name belongs to nobody any more. Another client of NFS may see a new file's time as 1970 for
/// a moment, and a replica's own clock may be wrong: each time that is known and can be true must be long ago.
fn is_stale(name: &str, modified: Option<Time>, now: Time) -> bool {
    let is_plausible = |time: &Time| *time > LEAST_TIME && *time < now.plus(TEMPORARY_LIFE);
    let times = [born(name), modified.filter(is_plausible)];
    let is_old = |time: &Time| now.since(*time) > TEMPORARY_LIFE;
    name != CLOCK && times.iter().any(Option::is_some) && times.iter().flatten().all(is_old)
}

/// When a file was made, by its name; files of former releases don't tell.
fn born(name: &str) -> Option<Time> {
    let (millis, _) = name.strip_prefix("t.")?.split_once('.')?;
    millis.parse().ok().map(Time)
}

/// Removes temporary files, the clock and the reserve, and all folders that hold no file: their names tell of
/// mailboxes.
pub(super) fn dismantle(root: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(root.join("tmp")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(unclear("temporary files can't be removed")(error));
        }
        _ => {}
    }
    remove_bare_folders(root)
}

/// A folder that holds something stays: the operating system refuses to remove it.
fn remove_bare_folders(folder: &Path) -> Result<(), StoreError> {
    let failed = unclear("folders can't be removed");
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_bare_folders(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
            Err(failed(error))
        }
        _ => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_000_000_000);

    fn ago(duration: Duration) -> Time {
        NOW.minus(duration)
    }

    #[test]
    fn a_fresh_file_whose_time_is_1970_at_another_client_is_kept() {
        let (fresh, old) = (ago(Duration::from_secs(2)), ago(2 * TEMPORARY_LIFE));
        let named = |born: Time| format!("t.{}.abc", born.0);
        assert!(!is_stale(&named(fresh), Some(Time(0)), NOW));
        assert!(!is_stale("t.abcdef", Some(Time(0)), NOW), "a name of a former release tells nothing");
        assert!(is_stale(&named(old), Some(Time(0)), NOW));
        assert!(is_stale("t.abcdef", Some(old), NOW));
    }

    #[test]
    fn a_wrong_clock_of_the_writer_or_of_the_file_system_removes_nothing_fresh() {
        let (fresh, old) = (ago(Duration::from_secs(2)), ago(2 * TEMPORARY_LIFE));
        let named = |born: Time| format!("t.{}.abc", born.0);
        assert!(!is_stale(&named(old), Some(fresh), NOW), "a writer whose clock is behind");
        assert!(!is_stale(&named(fresh), Some(old), NOW), "a file system whose clock was behind");
        assert!(is_stale(&named(old), Some(old), NOW));
        assert!(!is_stale(CLOCK, Some(old), NOW));
    }

    #[test]
    fn the_clock_tells_the_file_systems_time_from_one_file_that_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (before, first) = (to_time(SystemTime::now()), file_system_time(folder.path()).unwrap());
        let second = file_system_time(folder.path()).unwrap();
        assert!(first.since(before) < Duration::from_secs(2) && second >= first);
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |text: &str| folder.path().join(text);
        fs::write(at("v1"), "no folder").unwrap();
        let failures = [0, 1].map(|_| write_temporary(&at("v1"), b"x").err().unwrap().to_string());
        assert_eq!(failures[0], failures[1]);
    }
}
