//! The pack of English prompts, made once for each catalogue by the program's own command.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::install::install_once;
use crate::command::run;
use crate::debian::ensure_program;
use crate::image::build_program;

const SUMS: &str = include_str!("../../../telephony/prompts/SHA256SUMS");
const CATALOGUE: &str = include_str!("../../../telephony/prompts/en.yaml");

/// The pack's file.
pub fn english_prompts() -> Result<PathBuf> {
    ensure_program("flite", "flite")?;
    let program = build_program("voicemail-sip")?;
    let sum = SUMS.split_whitespace().next().context("SHA256SUMS is empty")?;
    let folder = install_once("prompts", &[CATALOGUE, sum], |folder| {
        let mut command = Command::new(&program);
        command.args(["prompts", "--sha256", sum, "--output"]).arg(folder.join("en.pack"));
        run(&mut command).map(drop)
    })?;
    Ok(folder.join("en.pack"))
}
