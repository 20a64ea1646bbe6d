//! Documents as folders of numbered revisions: `<key>.doc/r.<20 digits>.json`.
//!
//! Replacing links a new file to the next number; who links first wins. A lock file queues writers
//! but decides nothing. Superseded revisions go 30 s after they were superseded, oldest first: so a
//! writer that slept and links a number long pruned finds its basis gone, and nobody takes its file
//! for the head, because the head is the highest number there is.

use super::beneath::{require_plain, unreadable};
use super::objects::{is_missing, read_file};
use super::publish::{file_system_time, link, sync_folder, write_temporary};
use super::{REVISION_LIFE, unavailable, unclear};
use crate::{Key, Loaded, Revision, StoreError, Versioned};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use voicemail_model::Time;

/// How long a head that was seen may be probed forward from: less than a superseded revision's life.
const HEAD_LIFE: Duration = Duration::from_secs(10);
/// How long a writer queues.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(2);
const MOST_HEADS: usize = 20_000;

/// Heads seen lately, and documents whose superseded revisions this process made.
#[derive(Default)]
pub(super) struct Heads {
    seen: Mutex<HashMap<PathBuf, (u64, Instant)>>,
    to_prune: Mutex<BTreeMap<PathBuf, Instant>>,
}

impl Heads {
    fn recent(&self, folder: &Path) -> Option<u64> {
        let (number, at) = *guard(&self.seen).get(folder)?;
        (at.elapsed() < HEAD_LIFE).then_some(number)
    }

    fn note(&self, folder: &Path, number: u64) {
        let mut seen = guard(&self.seen);
        if seen.len() >= MOST_HEADS {
            seen.clear();
        }
        seen.insert(folder.to_owned(), (number, Instant::now()));
    }

    fn forget(&self, folder: &Path) {
        guard(&self.seen).remove(folder);
    }

    pub(super) fn schedule(&self, folder: &Path) {
        guard(&self.to_prune).entry(folder.to_owned()).or_insert_with(|| Instant::now() + REVISION_LIFE);
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn folder_of(root: &Path, key: &Key) -> PathBuf {
    root.join(format!("{key}.doc"))
}

fn file_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("r.{number:020}.json"))
}

pub(super) fn load(root: &Path, heads: &Heads, key: &Key) -> Result<Option<Versioned>, StoreError> {
    let folder = folder_of(root, key);
    for _ in 0..8 {
        let Some(number) = find_head(&folder, heads)? else { return Ok(None) };
        match read_file(root, &file_of(&folder, number)) {
            Ok(bytes) => {
                let revision = Revision(number.to_string());
                return Ok(Some(Versioned { bytes: bytes.into(), revision }));
            }
            // Pruned between the look and the read, or deleted: look again.
            Err(error) if is_missing(&error) => heads.forget(&folder),
            Err(error) => return Err(unreadable("a document can't be read")(error)),
        }
    }
    Err(StoreError::Unavailable("a document's revisions change faster than they can be read".into()))
}

/// Without reading it when the head is the revision known.
pub(super) fn load_unless(
    root: &Path,
    heads: &Heads,
    key: &Key,
    known: &Revision,
) -> Result<Loaded, StoreError> {
    match find_head(&folder_of(root, key), heads)? {
        Some(number) if number.to_string() == known.0 => return Ok(Loaded::Unchanged),
        _ => {}
    }
    Ok(load(root, heads, key)?.map_or(Loaded::Missing, Loaded::Changed))
}

fn find_head(folder: &Path, heads: &Heads) -> Result<Option<u64>, StoreError> {
    let found = match heads.recent(folder) {
        Some(number) if file_of(folder, number).exists() => Some(probe_forward(folder, number)),
        _ => list_revisions(folder)?.last().copied(),
    };
    if let Some(number) = found {
        heads.note(folder, number);
    }
    Ok(found)
}

fn probe_forward(folder: &Path, mut number: u64) -> u64 {
    while file_of(folder, number + 1).exists() {
        number += 1;
    }
    number
}

fn list_revisions(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(unavailable("a document's revisions can't be listed")(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(unavailable("a document's revisions can't be listed"))?.file_name();
        numbers.extend(parse_revision(&name.to_string_lossy()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn parse_revision(name: &str) -> Option<u64> {
    name.strip_prefix("r.")?.strip_suffix(".json")?.parse().ok()
}

pub(super) fn replace(
    root: &Path,
    heads: &Heads,
    key: &Key,
    basis: Option<&Revision>,
    bytes: &[u8],
) -> Result<Revision, StoreError> {
    let folder = folder_of(root, key);
    require_plain(root, &folder)?;
    let basis =
        basis.map(|revision| revision.0.parse::<u64>().map_err(|_| StoreError::Conflict)).transpose()?;
    let _turn = queue_for_turn(&folder)?;
    if find_head(&folder, heads)? != basis {
        return Err(StoreError::Conflict);
    }
    let next = basis.unwrap_or(0) + 1;
    let file = write_temporary(root, bytes)?;
    match link(&file, &file_of(&folder, next)) {
        Err(StoreError::Exists) => {
            heads.forget(&folder);
            return Err(StoreError::Conflict);
        }
        other => other?,
    }
    check_basis(&folder, basis, next)?;
    heads.note(&folder, next);
    if basis.is_some() {
        heads.schedule(&folder);
    }
    Ok(Revision(next.to_string()))
}

/// A basis that is gone means that we slept while it was superseded and pruned: what we linked is no head.
fn check_basis(folder: &Path, basis: Option<u64>, linked: u64) -> Result<(), StoreError> {
    let stands = match basis {
        Some(number) => file_of(folder, number).exists(),
        None => list_revisions(folder)?.last() == Some(&linked) || file_of(folder, linked + 1).exists(),
    };
    if stands {
        Ok(())
    } else {
        Err(StoreError::Unclear("the basis was superseded and pruned meanwhile".into()))
    }
}

/// Takes the document's lock, or goes on without it after 2 s: it only queues.
fn queue_for_turn(folder: &Path) -> Result<Option<File>, StoreError> {
    fs::create_dir_all(folder).map_err(unavailable("a folder can't be made"))?;
    let path = folder.join("lock");
    let open = || File::options().create(true).truncate(false).write(true).open(&path);
    let file = open().map_err(unavailable("a lock file can't be opened"))?;
    let start = Instant::now();
    while start.elapsed() < LOCK_WAIT {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
            Err(TryLockError::Error(error)) => return Err(unavailable("a lock can't be taken")(error)),
        }
    }
    Ok(None)
}

pub(super) fn delete(root: &Path, heads: &Heads, key: &Key) -> Result<(), StoreError> {
    let folder = folder_of(root, key);
    require_plain(root, &folder)?;
    heads.forget(&folder);
    let failed = unclear("a document can't be removed");
    match fs::remove_dir_all(&folder) {
        Ok(()) => sync_folder(folder.parent().unwrap_or(root)),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// No revision is older than this program: 2020, in milliseconds.
const IMPLAUSIBLE_MS: i64 = 1_577_836_800_000;

/// The outcome of a pruning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pruned {
    /// When the rest of what was superseded up to the time asked for can go.
    pub(super) later: Option<Time>,
    /// There are superseded revisions left.
    pub(super) some_left: bool,
}

/// Removes what was superseded 30 s ago or earlier, oldest first. `Some`: when the rest of what was superseded up to
/// then can go.
pub(super) fn prune(root: &Path, key: &Key, superseded: Time) -> Result<Option<Time>, StoreError> {
    let folder = folder_of(root, key);
    if list_revisions(&folder)?.len() < 2 {
        return Ok(None);
    }
    Ok(prune_folder(&folder, superseded, file_system_time(root)?)?.later)
}

/// `now` is the file system's.
pub(super) fn prune_folder(folder: &Path, superseded: Time, now: Time) -> Result<Pruned, StoreError> {
    let numbers = list_revisions(folder)?;
    let (mut pruned, mut removed) = (Pruned::default(), false);
    for pair in numbers.windows(2) {
        let Some(at) = linked_at(&file_of(folder, pair[1]))? else { continue };
        // A network file system may show another client's new file with a time of 1970 for a moment.
        let at = if at.0 < IMPLAUSIBLE_MS { now } else { at };
        let end = at.plus(REVISION_LIFE);
        if end <= now && !pruned.some_left {
            removed |= remove_revision(&file_of(folder, pair[0]))?;
            continue;
        }
        pruned.some_left = true;
        if at <= superseded {
            pruned.later = pruned.later.max(Some(end));
        }
    }
    if removed {
        sync_folder(folder)?;
    }
    Ok(pruned)
}

/// Whether it was there. An object of its name that stays, such as a folder that a copying tool made, keeps an erasure
/// from being sure that nothing is left.
fn remove_revision(file: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(unclear("a superseded revision can't be removed")(error)),
    }
}

/// How many revisions were superseded that long ago.
pub(super) fn count_outdated(folder: &Path, by: Duration) -> Result<usize, StoreError> {
    let now = super::publish::to_time(std::time::SystemTime::now());
    let mut count = 0;
    for pair in list_revisions(folder)?.windows(2) {
        let superseded = linked_at(&file_of(folder, pair[1]))?;
        count += usize::from(superseded.is_some_and(|at| at.plus(by) <= now));
    }
    Ok(count)
}

/// When a revision was linked, at the latest: linking changes a file's ctime, its mtime is older.
fn linked_at(path: &Path) -> Result<Option<Time>, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(Time(metadata.ctime() * 1_000 + metadata.ctime_nsec() / 1_000_000))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(unavailable("a revision can't be examined")(error)),
    }
}

/// Prunes the documents that this process replaced, when their time has come.
pub(super) fn prune_scheduled(root: &Path, heads: &Heads) -> Result<(), StoreError> {
    let now = Instant::now();
    let due: Vec<PathBuf> = {
        let mut scheduled = guard(&heads.to_prune);
        let due =
            scheduled.iter().filter(|(_, at)| **at <= now).map(|(path, _)| path.clone()).collect::<Vec<_>>();
        due.iter().for_each(|path| {
            scheduled.remove(path);
        });
        due
    };
    if due.is_empty() {
        return Ok(());
    }
    let now = match file_system_time(root) {
        Ok(now) => now,
        Err(error) => {
            due.iter().for_each(|folder| heads.schedule(folder));
            return Err(error);
        }
    };
    let mut failed = Ok(());
    for folder in due {
        match prune_folder(&folder, now, now) {
            Ok(pruned) if pruned.some_left => heads.schedule(&folder),
            Ok(_) => {}
            // The others are pruned all the same, and this one is tried again.
            Err(error) => {
                heads.schedule(&folder);
                failed = failed.and(Err(error));
            }
        }
    }
    failed
}
