//! Chromium as Debian has it, and what drives it and looks for obstacles (playwright-core, axe-core), pinned by `web/e2e`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command::run;
use crate::debian::ensure_program;
use crate::servers::npm;
use crate::workspace_path;

const PACKAGE: &str = include_str!("../../../../web/e2e/package.json");
const LOCK: &str = include_str!("../../../../web/e2e/package-lock.json");
const PAGES: &str = include_str!("../../../../web/package.json");
const PAGES_LOCK: &str = include_str!("../../../../web/package-lock.json");

/// A browser and what drives it.
#[derive(Debug)]
pub struct Browser {
    chromium: PathBuf,
    modules: PathBuf,
}

impl Browser {
    /// Installs both if need be.
    pub fn install() -> Result<Self> {
        let chromium = ensure_program("chromium", "chromium")?;
        Ok(Self { chromium, modules: npm::install("browser", PACKAGE, LOCK)? })
    }

    /// Runs a file of `web/e2e`, with further variables, to its end.
    ///
    /// # Errors
    /// A test of it failed, or there was none: with all that it printed.
    pub fn run(&self, file: &str, variables: &[(&str, &str)]) -> Result<()> {
        let mut command = Command::new("node");
        command.args(["--test", "--test-reporter=spec", file]).current_dir(workspace_path("web/e2e"));
        command.env("CHROMIUM", &self.chromium).env("MODULES", &self.modules);
        command.envs(variables.iter().copied());
        let printed = run(&mut command)?;
        ensure!(printed.contains("fail 0") && !printed.contains("pass 0"), "{printed}");
        Ok(())
    }
}

/// Makes a home folder whose browsers trust these authorities (PEM), as people's computers trust their company's.
pub fn trust(home: &Path, authorities: &[String]) -> Result<()> {
    let certutil = ensure_program("libnss3-tools", "certutil")?;
    let folder = home.join(".pki/nssdb");
    std::fs::create_dir_all(&folder)?;
    let database = format!("sql:{}", folder.display());
    run(Command::new(&certutil).args(["-N", "-d", &database, "--empty-password"]))?;
    for (number, authority) in authorities.iter().enumerate() {
        let file = home.join(format!("authority-{number}.pem"));
        std::fs::write(&file, authority)?;
        let name = format!("authority {number}");
        run(Command::new(&certutil).args(["-A", "-d", &database, "-n", &name, "-t", "C,,", "-i"]).arg(file))?;
    }
    Ok(())
}

/// The folder with what the pages are built by, as `web/package-lock.json` pins it.
pub fn install_builder() -> Result<PathBuf> {
    npm::install("pages", PAGES, PAGES_LOCK)
}
