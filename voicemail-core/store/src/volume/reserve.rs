//! Room that stands ready for the small writes of listening, deleting and erasing when others have filled a volume.
//!
//! The reserve is a folder of numbered pieces, shared by all replicas. A piece is a file of random bytes, so that no
//! file system compresses it away or stores it twice, and some empty files, each of which holds an inode. A small
//! write that finds no room lets one piece go and tries again. When there is room once more, whoever tends the
//! volume writes what is missing.
//!
//! What can go wrong: two replicas let the same piece go at once: one of them finds it gone, and room was made all
//! the same. A replica that dies half-way through a piece leaves a temporary file, which is removed as any other, or
//! empty files, which the next refilling finds. The largest piece goes first, so that pieces are made from the lowest.

use super::objects::is_missing;
use super::publish::{link, make_folders, remove_file, write_temporary};
use super::space::{Amount, Bounds, PIECES, Space};
use super::unavailable;
use crate::{Hindrance, StoreError};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use voicemail_api::config::KeepFree;

/// How long a measurement counts while bytes are written.
const FRESH: Duration = Duration::from_secs(1);

/// The reserve that a volume keeps free, and its last measurement.
pub(super) struct Reserve {
    keep: KeepFree,
    seen: Mutex<Option<Seen>>,
}

/// A measurement.
struct Seen {
    at: Instant,
    hindrance: Option<Hindrance>,
    /// The amount that may still be written on the strength of that measurement.
    allowance: Amount,
}

impl Reserve {
    pub(super) fn new(keep: KeepFree) -> Self {
        Self { keep, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The obstacle to writing, as last measured.
    pub(super) fn last_seen(&self) -> Option<Hindrance> {
        self.seen().as_ref().and_then(|seen| seen.hindrance.clone())
    }

    /// Whether that much of a recording may be written, by a measurement of the last second and what was written since.
    pub(super) fn require_room(&self, root: &Path, wanted: Amount) -> Result<(), StoreError> {
        if let Some(seen) = self.seen().as_mut().filter(|seen| seen.at.elapsed() < FRESH)
            && seen.allowance.holds(wanted)
        {
            seen.allowance = seen.allowance.minus(wanted);
            return Ok(());
        }
        match self.measure(root)?.2 {
            Some(Hindrance::Full(text)) => Err(StoreError::Full(text)),
            _ => Ok(()),
        }
    }

    fn measure(&self, root: &Path) -> Result<(Space, Bounds, Option<Hindrance>), StoreError> {
        let space = read_space(root)?;
        let bounds = Bounds::of(&space, self.keep);
        let reserved = bounds.reserved(count(root)?);
        let (hindrance, allowance) = (bounds.judge(&space, reserved), bounds.allowance(&space, reserved));
        *self.seen() = Some(Seen { at: Instant::now(), hindrance: hindrance.clone(), allowance });
        Ok((space, bounds, hindrance))
    }

    /// Measures, and writes what is missing of the reserve if there is room.
    pub(super) fn tend(&self, root: &Path) -> Result<(), StoreError> {
        let (space, bounds, _) = self.measure(root)?;
        let (pieces, piece) = (list(root)?, bounds.piece());
        // The pieces of a volume that has grown are small ones; sizes that sway a little are left alone.
        let is_good = |number: &u64| pieces.get(number).is_some_and(|bytes| bytes * 2 > piece.bytes);
        let missing: Vec<u64> = (0..PIECES).filter(|number| !is_good(number)).collect();
        if missing.is_empty() || !bounds.may_refill(&space, bounds.reserved(PIECES - missing.len() as u64)) {
            return Ok(());
        }
        let Some(_turn) = take_turn(root)? else { return Ok(()) };
        for number in missing {
            if pieces.contains_key(&number) {
                remove_piece(root, number)?;
            }
            match make_piece(root, number, piece) {
                Ok(()) => {}
                // Somebody was faster with the room that there was.
                Err(StoreError::Full(_)) => break,
                Err(error) => return Err(error),
            }
        }
        self.measure(root).map(drop)
    }
}

/// Lets one piece go. False if there was none left.
pub(super) fn release(root: &Path) -> Result<bool, StoreError> {
    let Some((number, _)) = list(root)?.pop_last() else { return Ok(false) };
    remove_piece(root, number)?;
    Ok(true)
}

fn remove_piece(root: &Path, number: u64) -> Result<(), StoreError> {
    let folder = folder(root);
    for entry in read(&folder)? {
        if parse(&entry).is_some_and(|(found, _)| found == number) || spare_of(&entry) == Some(number) {
            remove_file(&folder.join(entry))?;
        }
    }
    Ok(())
}

fn folder(root: &Path) -> PathBuf {
    root.join("tmp").join("reserve")
}

fn read_space(root: &Path) -> Result<Space, StoreError> {
    make_folders(&root.join("tmp"))?;
    let failed = |error: rustix::io::Errno| unavailable("the volume can't be measured")(error.into());
    let found = rustix::fs::statvfs(root).map_err(failed)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space {
        total: Amount { bytes: bytes(found.f_blocks), inodes: found.f_files },
        free: Amount { bytes: bytes(found.f_bavail), inodes: found.f_favail },
    })
}

fn read(folder: &Path) -> Result<Vec<String>, StoreError> {
    let failed = unavailable("the reserve can't be listed");
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry.map_err(&failed)?.file_name().to_string_lossy().into_owned()))
            .collect(),
        Err(error) if is_missing(&error) => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// The pieces that are whole, since their bytes are written last, and the bytes of each.
fn list(root: &Path) -> Result<BTreeMap<u64, u64>, StoreError> {
    Ok(read(&folder(root))?.iter().filter_map(|name| parse(name)).collect())
}

fn count(root: &Path) -> Result<u64, StoreError> {
    Ok(list(root)?.len() as u64)
}

/// Number and size, from the name alone: a folder is read without a request for each file.
fn parse(name: &str) -> Option<(u64, u64)> {
    let (number, bytes) = name.strip_prefix("bytes.")?.split_once('.')?;
    Some((number.parse().ok()?, bytes.parse().ok()?))
}

fn spare_of(name: &str) -> Option<u64> {
    name.strip_prefix("inode.")?.split('.').next()?.parse().ok()
}

fn make_piece(root: &Path, number: u64, piece: Amount) -> Result<(), StoreError> {
    let folder = folder(root);
    // The bytes' own file is an inode, too.
    for spare in 1..piece.inodes {
        let failed = unavailable("an inode can't be reserved");
        let path = folder.join(format!("inode.{number:02}.{spare:03}"));
        File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    }
    let mut bytes = vec![0; usize::try_from(piece.bytes).unwrap_or_default()];
    let no_random = |_| StoreError::Unavailable("there are no random bytes".into());
    aws_lc_rs::rand::fill(&mut bytes).map_err(no_random)?;
    match link(&write_temporary(root, &bytes)?, &folder.join(format!("bytes.{number:02}.{}", piece.bytes))) {
        Err(StoreError::Exists) => Ok(()),
        other => other,
    }
}

/// Only one replica refills at a time; the lock ends with the file.
fn take_turn(root: &Path) -> Result<Option<File>, StoreError> {
    let folder = folder(root);
    make_folders(&folder)?;
    let open = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
    let file = open.map_err(unavailable("the reserve's lock can't be opened"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(unavailable("the reserve's lock can't be taken")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_written_let_go_by_two_at_once_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let (root, reserve) = (folder.path(), Reserve::new(KeepFree::default()));
        reserve.tend(root).unwrap();
        assert_eq!(count(root).unwrap(), PIECES);
        let before = read(&super::folder(root)).unwrap().len();
        let both = [0, 1].map(|_| {
            let root = root.to_owned();
            std::thread::spawn(move || (0..PIECES).filter(|_| release(&root).unwrap()).count())
        });
        let made_room: usize = both.map(|thread| thread.join().unwrap()).iter().sum();
        assert!(made_room as u64 >= PIECES, "{made_room}");
        assert_eq!(read(&super::folder(root)).unwrap(), ["lock"]);
        reserve.tend(root).unwrap();
        assert_eq!(read(&super::folder(root)).unwrap().len(), before);
    }

    #[test]
    fn a_piece_is_random_and_as_large_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let piece = Amount { bytes: 10_000, inodes: 3 };
        for number in [0, 1] {
            make_folders(&super::folder(folder.path())).unwrap();
            make_piece(folder.path(), number, piece).unwrap();
        }
        let [one, other] = [0, 1].map(|number| {
            fs::read(super::folder(folder.path()).join(format!("bytes.{number:02}.10000"))).unwrap()
        });
        assert!(one.len() == 10_000 && one != other);
        assert_eq!(read(&super::folder(folder.path())).unwrap().len(), 6);
    }
}
