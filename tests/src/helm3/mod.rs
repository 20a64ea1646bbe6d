//! Helm 3, beside the Helm 4 of the local cluster: users of both install the chart.

use std::path::PathBuf;

use anyhow::Result;

use crate::cluster::programs::{Module, module};
use crate::install::install_program;

const MODULE: Module = module!("helm3", &["helm"], cgo: false, tags: "", renamed: &[]);

/// The program, built from its pinned Go module once for each machine.
pub fn helm3() -> Result<PathBuf> {
    install_program(&MODULE, "helm")
}
