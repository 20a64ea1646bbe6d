//! Who may change the local cluster's one operator: a test that uses it shares the lock, a test that installs,
//! changes or removes it holds it alone.
//!
//! Two operators on one namespace would undo each other's work. The kernel drops the lock when its holder
//! ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Site;
use voicemail_test_machine::progress::say;

/// Held while alive. Clusters of the user's own have none: nobody else tests there.
#[derive(Debug)]
pub struct OperatorLock {
    file: Option<File>,
}

impl OperatorLock {
    /// Waits until nobody else uses the operator.
    pub async fn alone(site: &Site) -> Result<Self> {
        let path = lock_path(site);
        tokio::task::spawn_blocking(move || Ok(Self { file: path.map(lock_alone).transpose()? })).await?
    }

    /// Waits until nobody changes the operator.
    pub(super) async fn shared(site: &Site) -> Result<Self> {
        let path = lock_path(site);
        tokio::task::spawn_blocking(move || {
            let lock = |path: PathBuf| {
                let file = open(path)?;
                file.lock_shared().context("waiting for the operator")?;
                Ok::<_, anyhow::Error>(file)
            };
            Ok(Self { file: path.map(lock).transpose()? })
        })
        .await?
    }

    /// Lets others use it too; between the two somebody else may have changed it.
    pub(super) async fn share(self) -> Result<Self> {
        tokio::task::spawn_blocking(move || {
            if let Some(file) = &self.file {
                file.lock_shared().context("sharing the operator")?;
            }
            Ok(self)
        })
        .await?
    }
}

fn lock_path(site: &Site) -> Option<PathBuf> {
    site.cluster().map(|cluster| cluster.folder().join("operator.lock"))
}

fn open(path: PathBuf) -> Result<File> {
    File::create(&path).with_context(|| format!("cannot open {}", path.display()))
}

fn lock_alone(path: PathBuf) -> Result<File> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("waiting for tests or a demo that use the local cluster's operator");
            file.lock().context("waiting for the operator")?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the operator"),
    }
    Ok(file)
}
