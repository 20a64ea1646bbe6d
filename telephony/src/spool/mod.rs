//! Recordings on their way to the core: sealed files in a folder of this process alone.
//!
//! ```text
//! call ─▶ Writer ─▶ ID.open ──commit──▶ ID.ready ─▶ courier ─▶ core, under ID, until it answers
//! ```
//!
//! A file's name is the message's id and says nothing else. What is open when the process begins was cut off by its end:
//! it is closed as it is and deposited. What can go wrong: a full disk ends the recording with what is written; a file
//! that can't be opened stays until its age destroys it, and is told.

mod courier;
mod reporter;
pub mod seal;
mod writer;

pub use courier::{Courier, Deposited};
pub use reporter::Reporter;
pub use writer::Writer;

use crate::config::SpoolConfig;
use seal::{Description, Recording, SALT, SealError, Sealer, SpoolKey};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;
use voicemail_api::ErrorClass;

const OPEN: &str = "open";
const READY: &str = "ready";
/// Of the size, in percent: more isn't begun.
const NEARLY_FULL: u64 = 90;

/// Why a recording can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk.
    #[error("the spool's folder: {0}")]
    Disk(#[from] std::io::Error),
    /// The seal.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl SpoolError {
    /// Whether trying again may help.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Disk(_) => ErrorClass::Transient,
            Self::Seal(error) => error.class(),
        }
    }
}

/// The folder.
pub struct Spool {
    folder: PathBuf,
    key: SpoolKey,
    most: u64,
    bytes: Arc<AtomicU64>,
}

impl Spool {
    /// Opens the folder and closes what a former process left open.
    ///
    /// # Errors
    /// [`SpoolError`] if the key or the folder can't be used.
    pub fn open(config: &SpoolConfig) -> Result<Self, SpoolError> {
        let key = SpoolKey::new(&std::fs::read(&config.key_file)?)?;
        std::fs::create_dir_all(&config.folder)?;
        let spool =
            Self { folder: config.folder.clone(), key, most: config.size_mib << 20, bytes: Arc::default() };
        for file in spool.files(OPEN)? {
            std::fs::rename(&file, file.with_extension(READY))?;
        }
        let mut bytes = 0;
        for file in spool.files(READY)? {
            bytes += std::fs::metadata(&file)?.len();
        }
        spool.bytes.store(bytes, Ordering::Relaxed);
        Ok(spool)
    }

    /// Whether there is no room for another recording.
    pub fn is_nearly_full(&self) -> bool {
        self.bytes() >= self.most / 100 * NEARLY_FULL
    }

    /// What lies there, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Begins a recording.
    ///
    /// # Errors
    /// [`SpoolError`].
    pub fn begin(&self, description: &Description) -> Result<Writer, SpoolError> {
        let mut salt = [0; SALT];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| SealError::Refused)?;
        let (sealer, begin) = Sealer::begin(&self.key, &salt, description)?;
        let path = self.folder.join(&description.id).with_extension(OPEN);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        std::io::Write::write_all(&mut file, &begin)?;
        self.bytes.fetch_add(begin.len() as u64, Ordering::Relaxed);
        Ok(Writer::new(sealer, file, path, Arc::clone(&self.bytes)))
    }

    /// Files that wait for the courier, oldest first.
    fn waiting(&self) -> Result<Vec<PathBuf>, SpoolError> {
        let mut files = self.files(READY)?;
        // Names are UUIDv7, which sort by time.
        files.sort();
        Ok(files)
    }

    /// How long the oldest has waited; none is no time. A name has the time at which the call began.
    pub fn oldest(&self, now: jiff::Timestamp) -> Duration {
        let begun = |file: &PathBuf| {
            let id = Uuid::try_parse(file.file_stem()?.to_str()?).ok()?;
            let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
            Some(Duration::new(seconds, nanoseconds))
        };
        let oldest = self.waiting().ok().and_then(|files| files.iter().find_map(begun));
        let now = Duration::from_millis(u64::try_from(now.as_millisecond()).unwrap_or_default());
        oldest.map_or(Duration::ZERO, |begun| now.saturating_sub(begun))
    }

    /// How many wait.
    pub fn count_waiting(&self) -> usize {
        self.files(READY).map_or(0, |files| files.len())
    }

    fn read(&self, file: &Path) -> Result<Recording, SpoolError> {
        Ok(seal::open(&self.key, &std::fs::read(file)?)?)
    }

    fn remove(&self, file: &Path) -> Result<(), SpoolError> {
        let size = File::open(file)?.metadata()?.len();
        std::fs::remove_file(file)?;
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        Ok(())
    }

    fn files(&self, extension: &str) -> Result<Vec<PathBuf>, SpoolError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|known| known == extension) {
                found.push(path);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::seal::Ending;
    use super::*;
    use voicemail_api::telephony::Law;

    pub(super) fn spool(folder: &Path) -> Spool {
        let key_file = folder.join("key");
        std::fs::write(&key_file, [7; 32]).unwrap();
        let folder = folder.join("spool");
        Spool::open(&SpoolConfig {
            folder,
            key_file,
            size_mib: 1,
            max_age: Duration::from_secs(3_600),
            emptying: Duration::from_secs(1),
        })
        .unwrap()
    }

    pub(super) fn description(id: &str) -> Description {
        Description {
            id: id.into(),
            mailbox: "1001".into(),
            caller: None,
            caller_name: None,
            left: jiff::Timestamp::now().to_string(),
            min_millis: 500,
            law: Law::Mulaw,
        }
    }

    #[test]
    fn a_recording_is_the_couriers_when_it_is_committed_or_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        for (id, committed) in [("a", true), ("b", false)] {
            let mut writer = spool.begin(&description(id)).unwrap();
            writer.write(&[5; 12_345]).unwrap();
            assert_eq!(spool.count_waiting(), usize::from(!committed));
            if committed {
                writer.commit(Ending { urgent: true }).unwrap();
            }
        }
        let files = spool.waiting().unwrap();
        assert_eq!(spool.read(&files[0]).unwrap().samples, vec![5; 12_345]);
        assert_eq!(spool.read(&files[1]).unwrap().ending, Some(Ending { urgent: false }));
    }

    #[test]
    fn the_oldest_is_known_by_the_time_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(spool.oldest(now), Duration::ZERO);
        for seconds in [1_799_999_900, 1_799_999_400] {
            let id = Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0)).to_string();
            spool.begin(&description(&id)).unwrap().commit(Ending::default()).unwrap();
        }
        assert_eq!(spool.oldest(now), Duration::from_secs(600));
    }

    #[test]
    fn what_is_thrown_away_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let mut writer = spool.begin(&description("a")).unwrap();
        writer.write(&[5; 20_000]).unwrap();
        writer.discard();
        assert_eq!((spool.count_waiting(), spool.bytes()), (0, 0));
    }

    #[test]
    fn what_a_former_process_left_open_waits_for_the_courier() {
        let folder = tempfile::tempdir().unwrap();
        let first = spool(folder.path());
        let mut writer = first.begin(&description("a")).unwrap();
        writer.write(&[5; 20_000]).unwrap();
        std::mem::forget(writer);
        let second = spool(folder.path());
        assert_eq!(second.read(&second.waiting().unwrap()[0]).unwrap().samples, vec![5; 16_000]);
        assert!(second.bytes() > 16_000);
    }

    #[test]
    fn nothing_is_begun_when_the_folder_is_nearly_full() {
        let folder = tempfile::tempdir().unwrap();
        let spool = spool(folder.path());
        let mut writer = spool.begin(&description("a")).unwrap();
        writer.write(&vec![5; 900_000]).unwrap();
        assert!(!spool.is_nearly_full());
        writer.write(&vec![5; 100_000]).unwrap();
        assert!(spool.is_nearly_full());
    }
}
