//! kwok, which plays kubelet for nodes that don't exist; built from its pinned Go module once for each machine.

use std::path::PathBuf;

use anyhow::Result;

use voicemail_test_machine::go_module::Module;
use voicemail_test_machine::install::install_program;
use voicemail_test_machine::module;

const MODULE: Module = module!("kwok", &["kwok"], cgo: false, tags: "", renamed: &[]);

/// The program, built when there is none.
pub fn program() -> Result<PathBuf> {
    install_program(&MODULE, "kwok")
}
