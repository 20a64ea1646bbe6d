//! Programs in Python, each in an environment of its own with all that it brings pinned.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{find_program, run};
use crate::install::install_once;

const WANTED: &str =
    "Python 3.11 or later with venv is needed by tests (Debian packages python3 and python3-venv)";

/// The Python of an environment with these requirements; pip fills it once.
pub fn install(name: &str, requirements: &str) -> Result<PathBuf> {
    let folder = install_once(name, &[requirements], |folder| {
        let python = find_python()?;
        run(Command::new(python).args(["-m", "venv"]).arg(folder.join("environment"))).context(WANTED)?;
        let file = folder.join("requirements.txt");
        std::fs::write(&file, requirements)?;
        let mut pip = Command::new(folder.join("environment/bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r"]);
        run(pip.arg(&file)).map(drop)
    })?;
    Ok(folder.join("environment/bin/python"))
}

/// The first Python that is new enough and can make environments.
fn find_python() -> Result<PathBuf> {
    let check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    let candidates = ["python3.11", "python3"].into_iter().filter_map(find_program);
    let usable = |python: &PathBuf| run(Command::new(python).args(["-c", check])).is_ok();
    candidates.into_iter().find(usable).context(WANTED)
}
