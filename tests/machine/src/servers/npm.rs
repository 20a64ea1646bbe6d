//! Servers that npm packages: installed from a checked-in lock file, once for each machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command::{find_program, run};
use crate::install::install_once;

const OLDEST_NODE: u32 = 20;

/// The folder of the installation of `name` as package and lock file pin it.
pub(super) fn install(name: &str, package: &str, lock: &str) -> Result<PathBuf> {
    check_node(name)?;
    install_once(name, &[package, lock], |folder| {
        let npm = find_program("npm").with_context(|| {
            format!("npm is missing; it installs {name} (Debian package npm, or https://nodejs.org)")
        })?;
        std::fs::write(folder.join("package.json"), package)?;
        std::fs::write(folder.join("package-lock.json"), lock)?;
        let mut command = Command::new(npm);
        command.args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run(command.current_dir(folder)).map(drop)
    })
}

fn check_node(name: &str) -> Result<()> {
    let wanted =
        format!("Node.js 20 or later is needed to run {name} (Debian package nodejs, or https://nodejs.org)");
    let version = run(Command::new("node").arg("--version")).with_context(|| wanted.clone())?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok());
    ensure!(major.is_some_and(|major: u32| major >= OLDEST_NODE), "{wanted}; this is {}", version.trim());
    Ok(())
}
