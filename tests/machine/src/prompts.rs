//! The pack of English prompts, made once for each catalogue by the program's own command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::build_program;
use crate::command::run;
use crate::debian::ensure_program;
use crate::install::install_once;

const SUMS: &str = include_str!("../../../telephony/prompts/SHA256SUMS");
const CATALOGUE: &str = include_str!("../../../telephony/prompts/en.yaml");

/// The pack's file.
pub fn english_prompts() -> Result<PathBuf> {
    make_prompts(&build_program("voicemail-sip")?)
}

/// The same, by a program that is there.
pub fn make_prompts(program: &Path) -> Result<PathBuf> {
    ensure_program("flite", "flite")?;
    let sum = SUMS.split_whitespace().next().context("SHA256SUMS is empty")?;
    let folder = install_once("prompts", &[CATALOGUE, sum], |folder| {
        let mut command = Command::new(program);
        command.args(["prompts", "--sha256", sum, "--output"]).arg(folder.join("en.pack"));
        run(&mut command).map(drop)
    })?;
    Ok(folder.join("en.pack"))
}
