//! Runs buildah without a daemon, in storage of its own that goes with the work folder.
//!
//! `--isolation chroot` and the vfs driver work where nested containers and overlay mounts don't.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::base;
use voicemail_test_machine::command::run;

const TRUST_EVERYTHING: &str = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;

/// Builds `work/Containerfile` with the context on the base in `work/base.tar`; returns a docker-archive.
pub(super) fn build(work: &Path, context: &Path, reference: &str) -> Result<PathBuf> {
    let policy = work.join("policy.json");
    std::fs::write(&policy, TRUST_EVERYTHING)?;
    let buildah = |action: &str| start(work, &policy, action);
    let base_archive = format!("docker-archive:{}", work.join("base.tar").display());
    run(buildah("pull").arg(base_archive)).context("reading the base image")?;
    let mut build = buildah("bud");
    build.args([
        "--isolation",
        "chroot",
        "--pull=false",
        "--build-arg",
        &format!("BASE={}", base::REFERENCE),
    ]);
    build.arg("-f").arg(work.join("Containerfile")).args(["-t", reference]).arg(context);
    run(&mut build).context("building the Containerfile")?;
    let archive = work.join("image.tar");
    let target = format!("docker-archive:{}:{reference}", archive.display());
    run(buildah("push").arg(reference).arg(target)).context("writing the image")?;
    Ok(archive)
}

fn start(work: &Path, policy: &Path, action: &str) -> Command {
    let mut command = Command::new("buildah");
    command.arg("--root").arg(work.join("storage")).arg("--runroot").arg(work.join("run"));
    command.args(["--storage-driver", "vfs", action, "--signature-policy"]).arg(policy);
    command
}
