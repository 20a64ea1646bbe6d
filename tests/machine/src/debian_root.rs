//! A Debian in a folder of the cache, for servers that this machine's own release lacks or that need a root of their own.

use crate::command::run;
use crate::debian::ensure_packages;
use crate::install::install_once;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mirror may be a snapshot whose lists have expired: their signatures are checked, and their dates aren't.
const OLD_LISTS: &str = "--aptopt=Acquire::Check-Valid-Until \"false\"";

/// A root of that release with those packages (by commas), made once for each list; `finish` adds to a new one.
///
/// # Errors
/// The packages can't be had, or nobody may make a root here.
pub fn prepare_root(
    name: &str,
    release: &str,
    packages: &str,
    finish: impl Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    ensure!(rustix::process::geteuid().is_root(), "a root of Debian is made and entered by root alone");
    ensure_packages(&[("mmdebstrap", "mmdebstrap")])?;
    install_once(name, &[release, packages], |folder| {
        let include = format!("--include={packages}");
        let arguments = ["--variant=minbase", OLD_LISTS, &include, release];
        run(Command::new("mmdebstrap").args(arguments).arg(folder))?;
        finish(folder)
    })
}
