//! Validates manifests against the schemas of several Kubernetes versions, without any of them running.
//!
//! Flow: kubeconform is built from its pinned Go module once for each machine; the schemas are made of the OpenAPI
//! document that each version's own module ships ([`schemas`]). Validation is strict: an unknown field is a fault.
//! Kinds that Kubernetes doesn't have must be named, or their objects are faults too.

mod schemas;

pub use schemas::VERSIONS;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use voicemail_test_machine::command::run;
use voicemail_test_machine::go_module::Module;
use voicemail_test_machine::install::{install_once, install_program};
use voicemail_test_machine::module;

const MODULE: Module = module!("kubeconform", &["kubeconform"], cgo: false, tags: "", renamed: &[]);

/// Validates a stream of manifests against one version; the error names each fault.
pub fn validate(version: &str, manifests: &Path, foreign: &[&str]) -> Result<()> {
    let folder = schemas::folder(version)?;
    let pattern = format!("{}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", folder.display());
    let mut command = Command::new(program()?);
    command.args(["-strict", "-summary", "-output", "text", "-schema-location", &pattern]);
    command.args(["-skip", &foreign.join(",")]).arg(manifests);
    run(&mut command).map(drop).with_context(|| format!("not valid for Kubernetes {version}"))
}

fn program() -> Result<PathBuf> {
    install_program(&MODULE, "kubeconform")
}

fn install_schemas(version: &str, sum: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    install_once(&format!("schemas-{version}"), &[version, sum, include_str!("schemas.rs")], make)
}
