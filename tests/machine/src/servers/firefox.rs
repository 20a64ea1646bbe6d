//! Firefox ESR as Debian has it, and what drives it (puppeteer-core, by Firefox's own protocol), pinned by `web/e2e/firefox`.

use std::path::PathBuf;

use anyhow::Result;

use crate::debian::ensure_program;
use crate::servers::npm;

const PACKAGE: &str = include_str!("../../../../web/e2e/firefox/package.json");
const LOCK: &str = include_str!("../../../../web/e2e/firefox/package-lock.json");

/// A browser and what drives it.
#[derive(Debug)]
pub struct Firefox {
    /// The program.
    pub program: PathBuf,
    /// The folder of the packages that drive it.
    pub modules: PathBuf,
}

impl Firefox {
    /// Installs both if need be.
    pub fn install() -> Result<Self> {
        let program = ensure_program("firefox-esr", "firefox-esr")?;
        Ok(Self { program, modules: npm::install("firefox", PACKAGE, LOCK)? })
    }
}
