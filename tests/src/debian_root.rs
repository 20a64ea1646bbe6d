//! A Debian in a folder of the cache, for servers that this machine's own release lacks or that need a root of their own.

use crate::command::run;
use crate::debian::ensure_packages;
use crate::digest::sha256_hex;
use crate::progress::step;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A root of that release with those packages (by commas), made once for each list; `finish` adds to a new one.
///
/// # Errors
/// The packages can't be had, or nobody may make a root here.
pub fn prepare_root(
    folder: &Path,
    name: &str,
    release: &str,
    packages: &str,
    finish: impl Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    ensure_packages(&[("mmdebstrap", "mmdebstrap")])?;
    fs::create_dir_all(folder)?;
    let digest = sha256_hex(packages.as_bytes());
    let root = folder.join(format!("{name}-{release}-{}", digest.get(..12).unwrap_or_default()));
    if !root.exists() {
        let new = tempfile::Builder::new().prefix("new-").tempdir_in(folder)?;
        let made = new.path().join("root");
        step(&format!("making a root of Debian for {name}"), || {
            let include = format!("--include={packages}");
            run(Command::new("mmdebstrap").args(["--variant=minbase", &include, release]).arg(&made))?;
            finish(&made)?;
            fs::rename(&made, &root).context("cannot keep the root")
        })?;
    }
    Ok(root)
}
