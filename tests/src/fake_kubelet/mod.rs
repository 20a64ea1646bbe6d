//! kwok, which plays kubelet for nodes that don't exist; built from its pinned Go module once for each machine.

use std::path::PathBuf;

use anyhow::Result;

use crate::cluster::programs::{Module, module};
use crate::install::install_program;

const MODULE: Module = module!("kwok", &["kwok"], cgo: false, tags: "", renamed: &[]);

/// The program, built when there is none.
pub fn program() -> Result<PathBuf> {
    install_program(&MODULE, "kwok")
}
