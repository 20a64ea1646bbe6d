//! Debian packages that a test needs: installed as root on Debian, asked for elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{find_program, run};
use crate::progress::step;

/// Whether packages can be installed here.
pub(crate) fn can_install() -> bool {
    rustix::process::geteuid().is_root()
        && find_program("apt-get").is_some()
        && Path::new("/etc/debian_version").exists()
}

/// The program that a package brings, installing the package if need be.
///
/// # Errors
/// It isn't there and can't be installed: the message names the package.
pub fn ensure_program(package: &str, program: &str) -> Result<PathBuf> {
    if let Some(found) = find_program(program) {
        return Ok(found);
    }
    if !can_install() {
        bail!("{program} is missing: install the Debian package {package} or its like");
    }
    install(&[package])?;
    find_program(program).with_context(|| format!("the package {package} brought no {program}"))
}

/// Installs packages, after an update of the lists if they aren't known.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    step(&format!("installing Debian packages: {}", packages.join(" ")), || {
        if install_once(packages).is_ok() {
            return Ok(());
        }
        run(Command::new("apt-get").args(["update", "-q"]))?;
        install_once(packages)
    })
}

fn install_once(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["install", "-y", "-q", "--no-install-recommends"]).args(packages);
    run(command.env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
