//! A recording on its way to the disk: a sealed record each second.

use super::seal::{Ending, Sealer};
use super::{READY, SpoolError};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Samples of a record.
const SECOND: usize = 8_000;

/// A recording in progress. Dropped without a word it is kept: a message is lost by being thrown away on purpose only.
#[derive(Debug)]
pub struct Writer {
    sealer: Sealer,
    file: File,
    path: PathBuf,
    waiting: Vec<u8>,
    bytes: Arc<AtomicU64>,
    over: bool,
}

impl Writer {
    pub(super) fn new(sealer: Sealer, file: File, path: PathBuf, bytes: Arc<AtomicU64>) -> Self {
        Self { sealer, file, path, waiting: Vec::with_capacity(SECOND), bytes, over: false }
    }

    /// Takes samples; each full second is written.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&mut self, samples: &[u8]) -> Result<(), SpoolError> {
        self.waiting.extend_from_slice(samples);
        while self.waiting.len() >= SECOND {
            let rest = self.waiting.split_off(SECOND);
            let record = self.sealer.audio(&std::mem::replace(&mut self.waiting, rest))?;
            self.append(&record)?;
        }
        Ok(())
    }

    /// Closes it for the courier.
    ///
    /// # Errors
    /// The disk's: what was written before is still there and is found at the next start.
    pub fn commit(mut self, ending: Ending) -> Result<(), SpoolError> {
        self.close(ending)
    }

    /// Throws it away.
    pub fn discard(mut self) {
        self.over = true;
        let size = self.file.metadata().map_or(0, |metadata| metadata.len());
        if std::fs::remove_file(&self.path).is_ok() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }

    fn close(&mut self, ending: Ending) -> Result<(), SpoolError> {
        self.over = true;
        let rest = std::mem::take(&mut self.waiting);
        if !rest.is_empty() {
            let record = self.sealer.audio(&rest)?;
            self.append(&record)?;
        }
        let record = self.sealer.end(ending)?;
        self.append(&record)?;
        Ok(std::fs::rename(&self.path, self.path.with_extension(READY))?)
    }

    fn append(&mut self, record: &[u8]) -> Result<(), SpoolError> {
        self.file.write_all(record)?;
        self.bytes.fetch_add(record.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.over
            && let Err(error) = self.close(Ending::default())
        {
            tracing::error!(%error, "a recording couldn't be closed; it is taken up at the next start");
        }
    }
}
