//! One machine-wide lock around starting, repairing and stopping, so that parallel test binaries are safe.
//!
//! The kernel drops the lock when its holder ends, however it ends.

use std::fs::{File, TryLockError};

use anyhow::{Context, Result};

use crate::layout::run_folder;
use voicemail_test_machine::progress::say;

/// Held while alive.
pub(super) struct ClusterLock {
    _file: File,
}

impl ClusterLock {
    /// Waits until nobody else starts or stops the cluster.
    pub(super) fn acquire() -> Result<Self> {
        let folder = run_folder();
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say("waiting for another process that starts or stops the local cluster");
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the cluster"),
        }
        Ok(Self { _file: file })
    }
}
