//! Superseded revisions whose writer didn't live to prune them: found by walking the documents, since nobody
//! remembers them.
//!
//! A process walks all documents once after its start and once a day, a slice at each tidying, so that a start is as
//! fast with a million messages as with none. A caller that must be sure that nothing is left, such as an erasure,
//! walks them all at once, level by level with several threads. Families of objects have no revisions, and most of the files: they are left out.
//!
//! What can go wrong: a folder that can't be read. The others are pruned, and the walk says that it isn't whole.

use super::publish::file_system_time;
use super::revisions::{self, Heads, Pruned};
use super::{REVISION_LIFE, unavailable};
use crate::{Family, Kind, StoreError};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use voicemail_model::Time;

const DAY: Duration = Duration::from_secs(86_400);
/// How long one tidying walks.
const SLICE: Duration = Duration::from_millis(200);
/// Folders that are looked at at a time by a walk that somebody waits for: behind a network each look is some round trips.
const ABREAST: usize = 16;
/// A document may have this many superseded revisions at any time: one is always the last.
const USUAL: usize = 1;

/// How far the walk of this process is.
#[derive(Default)]
pub(super) struct Walk(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    begun: Option<Instant>,
    left: Vec<PathBuf>,
}

impl Walk {
    /// A slice of the walk, or nothing until a new one is due.
    pub(super) fn go_on(&self, root: &Path, heads: &Heads) -> Result<(), StoreError> {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.left.is_empty() {
            if progress.begun.is_some_and(|begun| begun.elapsed() < DAY) {
                return Ok(());
            }
            *progress = Progress { begun: Some(Instant::now()), left: families(root)? };
        }
        let (end, now) = (Instant::now() + SLICE, file_system_time(root)?);
        let mut failed = Ok(());
        while Instant::now() < end {
            let Some(folder) = progress.left.pop() else { break };
            match visit(&folder, now, now, &mut progress.left) {
                // Too young yet: from here on it is remembered as if this process had written it.
                Ok(pruned) if pruned.some_left => heads.schedule(&folder),
                Ok(_) => {}
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        failed
    }
}

/// Prunes every document, several at a time. `Some`: when the rest of what was superseded up to then can go.
pub(super) fn prune_all(root: &Path, superseded: Time) -> Result<Option<Time>, StoreError> {
    let (mut level, now) = (families(root)?, file_system_time(root)?);
    let mut all = Share::default();
    while !level.is_empty() {
        let share = |folders: &[PathBuf]| Share::visit(folders, superseded, now);
        for part in side_by_side(&level, share)? {
            all.later = all.later.max(part.later);
            all.failed = all.failed.or(part.failed);
            all.below.extend(part.below);
        }
        level = std::mem::take(&mut all.below);
    }
    all.failed.map_or(Ok(all.later), Err)
}

/// What one of several threads found in its folders.
#[derive(Default)]
struct Share {
    below: Vec<PathBuf>,
    later: Option<Time>,
    failed: Option<StoreError>,
}

impl Share {
    fn visit(folders: &[PathBuf], superseded: Time, now: Time) -> Self {
        let mut share = Self::default();
        for folder in folders {
            match visit(folder, superseded, now, &mut share.below) {
                Ok(pruned) => share.later = share.later.max(pruned.later),
                Err(error) => share.failed = share.failed.or(Some(error)),
            }
        }
        share
    }
}

/// Does the work for these folders, by as many threads as are of use.
fn side_by_side<T: Send>(
    folders: &[PathBuf],
    work: impl Fn(&[PathBuf]) -> T + Sync,
) -> Result<Vec<T>, StoreError> {
    let each = folders.len().div_ceil(ABREAST).max(1);
    let ended_badly = |_| StoreError::Unclear("a thread that prunes ended badly".into());
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = folders.chunks(each).map(|part| scope.spawn(move || work(part))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(ended_badly)).collect()
    })
}

/// Documents with more than one superseded revision that could have gone a while ago. Reads alone.
pub(super) fn find_unpruned(root: &Path) -> Result<Vec<String>, StoreError> {
    let mut left = families(root)?;
    let mut found = Vec::new();
    while let Some(folder) = left.pop() {
        if !is_document(&folder) {
            left.extend(folders_in(&folder)?);
        } else if revisions::count_outdated(&folder, REVISION_LIFE * 2)? > USUAL {
            found.extend(key_of(root, &folder));
        }
    }
    found.sort();
    Ok(found)
}

fn key_of(root: &Path, folder: &Path) -> Option<String> {
    folder.strip_prefix(root).ok()?.to_str()?.strip_suffix(".doc").map(str::to_owned)
}

/// One folder: prunes it if it is a document's, else adds what is in it.
fn visit(folder: &Path, superseded: Time, now: Time, left: &mut Vec<PathBuf>) -> Result<Pruned, StoreError> {
    if is_document(folder) {
        return revisions::prune_folder(folder, superseded, now);
    }
    left.extend(folders_in(folder)?);
    Ok(Pruned::default())
}

fn is_document(folder: &Path) -> bool {
    folder.extension().is_some_and(|extension| extension == "doc")
}

/// Where the walk begins.
fn families(root: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut folders = folders_in(root)?;
    let of_objects =
        |folder: &PathBuf| folder.file_name().and_then(|name| name.to_str()).is_some_and(holds_objects_alone);
    folders.retain(|folder| !of_objects(folder));
    Ok(folders)
}

/// Families without documents, and the volume's own temporary files.
fn holds_objects_alone(folder: &str) -> bool {
    let of_family = |family: Family| family.segment() == folder && family.kind() == Kind::Objects;
    folder == "tmp" || Family::ALL.into_iter().any(of_family)
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = unavailable("a folder can't be listed");
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if super::objects::is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(&failed)?;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders.push(entry.path()),
            Ok(_) => {}
            Err(error) if super::objects::is_missing(&error) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(folders)
}
