//! Installs servers that other ecosystems package, once for each machine, into the user's cache folder.
//!
//! An installation is made in a temporary folder under a lock and then renamed to a name that holds a digest
//! of its pins, so that half of one is never used and another clone with other pins has its own.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::cache_folder;
use crate::command::find_program;
use crate::digest::Digest;
use crate::go_module::{Module, publish};
use crate::progress::{say, step};

/// The folder of the installation of `name` with these `pins`; `install` fills it when there is none.
pub fn install_once(name: &str, pins: &[&str], install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache_folder()?.join("servers");
    let digest = pins.iter().fold(Digest::default(), Digest::with).with(std::env::consts::ARCH).short();
    let folder = cache.join(format!("{name}-{digest}"));
    under_lock(&cache, name, &folder, || {
        let building = tempfile::Builder::new().prefix(".building-").tempdir_in(&cache)?;
        let finished = building.path().join("finished");
        std::fs::create_dir_all(&finished)?;
        step(&format!("installing {name} for the tests"), || install(&finished))
            .with_context(|| format!("installing {name}"))?;
        publish(&finished, &folder)
    })?;
    Ok(folder)
}

/// A program of a Go module, which is built when it isn't there.
pub fn install_program(module: &Module, program: &str) -> Result<PathBuf> {
    let cache = cache_folder()?.join("programs");
    let folder = module.folder(&cache);
    under_lock(&cache, module.name, &folder, || {
        find_program("go").with_context(|| {
            format!("Go 1.26.6 or later is missing; it builds {} (https://go.dev/dl)", module.name)
        })?;
        module.build(&cache)
    })?;
    Ok(folder.join(program))
}

/// Runs `make` unless `folder` is there, one process at a time.
fn under_lock(cache: &Path, name: &str, folder: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let _lock = lock(&cache.join(format!(".{name}.lock")), name)?;
    if folder.is_dir() { Ok(()) } else { make() }
}

/// Waits for other processes that install the same, as long as the file is held.
pub(crate) fn lock(path: &Path, name: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say(&format!("waiting for another process that installs {name}"));
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context(format!("cannot lock {name}")),
    }
    Ok(file)
}
