//! Helm 3, beside the Helm 4 of the local cluster: users of both install the chart.

use std::path::PathBuf;

use anyhow::Result;

use voicemail_test_machine::go_module::Module;
use voicemail_test_machine::install::install_program;
use voicemail_test_machine::module;

const MODULE: Module = module!("helm3", &["helm"], cgo: false, tags: "", renamed: &[]);

/// The program, built from its pinned Go module once for each machine.
pub fn helm3() -> Result<PathBuf> {
    install_program(&MODULE, "helm")
}
