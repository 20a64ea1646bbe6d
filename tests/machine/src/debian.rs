//! Debian packages that tests need: installed as root on Debian, named elsewhere, never skipped.
//!
//! Suites run side by side, and apt-get gives up when another one is at work: ours wait for one another by a lock of their own,
//! and for somebody else's as long as apt-get is told to.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache::cache_folder;
use crate::command::{find_program, run};
use crate::install::lock;
use crate::progress::step;

/// Seconds that apt-get waits for another program's lock.
const WAITING: [&str; 2] = ["-o", "DPkg::Lock::Timeout=600"];

/// A Debian package, and a program or (beginning with `/`) a file that it brings.
pub type Package = (&'static str, &'static str);

/// Installs what isn't there.
pub fn ensure_packages(packages: &[Package]) -> Result<()> {
    let cache = cache_folder()?;
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    // A program is there before all that it needs is, while another process unpacks it.
    let _lock = lock(&cache.join(".debian-packages.lock"), "Debian packages")?;
    let missing = missing_packages(packages);
    if missing.is_empty() {
        return Ok(());
    }
    if !can_install() {
        bail!("these Debian packages (or their like elsewhere) are missing: {}", missing.join(" "));
    }
    step(&format!("installing Debian packages: {}", missing.join(" ")), || {
        if install_once(&missing).is_ok() {
            return Ok(());
        }
        run(Command::new("apt-get").args(WAITING).args(["update", "-q"]))?;
        install_once(&missing)
    })
}

/// The program that a package brings, installing the package if need be.
pub fn ensure_program(package: &'static str, program: &'static str) -> Result<PathBuf> {
    ensure_packages(&[(package, program)])?;
    find_program(program).with_context(|| format!("the package {package} brought no {program}"))
}

/// Names of those that aren't there.
pub fn missing_packages(packages: &[Package]) -> Vec<&'static str> {
    packages.iter().filter(|(_, brings)| !is_there(brings)).map(|(name, _)| *name).collect()
}

/// Whether this is Debian, and we are root.
pub fn can_install() -> bool {
    rustix::process::geteuid().is_root()
        && find_program("apt-get").is_some()
        && Path::new("/etc/debian_version").exists()
}

fn is_there(brings: &str) -> bool {
    if brings.starts_with('/') { Path::new(brings).exists() } else { find_program(brings).is_some() }
}

fn install_once(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(WAITING).args(["install", "-y", "-q", "--no-install-recommends"]).args(packages);
    run(command.env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
