//! Servers of the Java world: Maven fetches the jars that a pinned list names, once for each machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::run;
use crate::debian::ensure_program;
use crate::install::install_once;

/// Where the jars of `name` are, installed from this list if need be, with further files beside them.
pub(super) fn install(name: &str, list: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
    let pins: Vec<&str> = std::iter::once(list).chain(files.iter().map(|(_, text)| *text)).collect();
    install_once(name, &pins, |folder| {
        std::fs::write(folder.join("pom.xml"), list)?;
        for (file, text) in files {
            std::fs::write(folder.join(file), text)?;
        }
        fetch(folder)
    })
}

fn fetch(folder: &Path) -> Result<()> {
    let maven = ensure_program("maven", "mvn")?;
    let mut command = Command::new(maven);
    command.args([
        "-q",
        "-B",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        "-DoutputDirectory=jars",
    ]);
    run(command.current_dir(folder)).map(drop)
}

/// Where the distributions of `name` are unpacked that this list names, installed and made ready by `finish` if need be.
pub(super) fn install_unpacked(
    name: &str,
    list: &str,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    find_java()?;
    install_once(name, &[list], |folder| {
        std::fs::write(folder.join("pom.xml"), list)?;
        let mut command = Command::new(ensure_program("maven", "mvn")?);
        command.args(["-q", "-B", "dependency:unpack-dependencies", "-DoutputDirectory=."]);
        run(command.current_dir(folder))?;
        finish(folder)
    })
}

/// The Java runtime.
pub(super) fn find_java() -> Result<PathBuf> {
    ensure_program("default-jre-headless", "java")
}
