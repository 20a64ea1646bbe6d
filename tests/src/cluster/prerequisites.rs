//! Checks what a machine needs for the local cluster and tells all that is missing at once.
//!
//! As root on Debian, missing packages are installed (a line says so); elsewhere they are listed. Nothing is
//! skipped silently: whoever cannot have a local cluster is told how to use another.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cluster::programs::Programs;
use crate::command::{find_program, run};
use crate::progress::step;

/// Debian package and a file or program that it brings.
const PACKAGES: [(&str, &str); 11] = [
    ("iproute2", "ip"),
    ("nftables", "nft"),
    ("conntrack", "conntrack"),
    ("openssl", "openssl"),
    ("libseccomp-dev", "/usr/include/seccomp.h"),
    ("pkg-config", "pkg-config"),
    ("buildah", "buildah"),
    ("busybox-static", "busybox"),
    ("curl", "curl"),
    ("espeak-ng", "espeak-ng"),
    ("sox", "sox"),
];
const COMPILER_PACKAGES: [(&str, &str); 3] = [
    ("gcc", "cc"),
    ("libc6-dev", "/usr/include/stdio.h"),
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
];

/// What to do instead of a local cluster.
pub const ALTERNATIVE: &str = "Or use a cluster that you have: `cargo demo --context NAME` takes any context of \
                               your kubeconfig and needs neither root nor Go.";

/// Makes sure that the cluster's programs can be built and started here, installing packages where it can.
pub(super) fn check(programs: &Programs) -> Result<()> {
    let packages = missing_packages();
    let installable =
        is_root() && find_program("apt-get").is_some() && Path::new("/etc/debian_version").exists();
    let mut problems = list_problems(programs);
    if !installable && !packages.is_empty() {
        problems.push(format!(
            "these Debian packages (or their like elsewhere) are missing: {}",
            packages.join(" ")
        ));
    }
    if !problems.is_empty() {
        bail!("The local cluster cannot start here:\n  - {}\n{ALTERNATIVE}", problems.join("\n  - "));
    }
    if packages.is_empty() { Ok(()) } else { install(&packages) }
}

/// Refuses early, and tells everything that is missing, when root is.
pub(super) fn check_root(programs: &Programs) -> Result<()> {
    if is_root() { Ok(()) } else { check(programs) }
}

fn list_problems(programs: &Programs) -> Vec<String> {
    let mut problems = Vec::new();
    if !is_root() {
        problems
            .push("it needs root, for network namespaces and containers (try again with sudo)".to_owned());
    }
    if !programs.missing().is_empty() && find_program("go").is_none() {
        let missing = programs.missing().join(", ");
        problems.push(format!("Go 1.26.6 or later is missing; it builds {missing} (https://go.dev/dl)"));
    }
    if find_program("nsenter").is_none() || find_program("setsid").is_none() {
        problems.push("nsenter and setsid are missing (Debian package util-linux)".to_owned());
    }
    problems
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn missing_packages() -> Vec<&'static str> {
    PACKAGES
        .iter()
        .chain(&COMPILER_PACKAGES)
        .filter(|(_, brings)| !is_there(brings))
        .map(|(name, _)| *name)
        .collect()
}

fn is_there(brings: &str) -> bool {
    if brings.starts_with('/') { Path::new(brings).exists() } else { find_program(brings).is_some() }
}

/// Makes sure that a program is there that a Debian package brings.
pub fn ensure_package(package: &'static str, program: &str) -> Result<()> {
    if find_program(program).is_some() {
        return Ok(());
    }
    if !is_root() || find_program("apt-get").is_none() {
        bail!("{program} is missing: install the Debian package {package}, or its like");
    }
    install(&[package])
}

fn install(packages: &[&str]) -> Result<()> {
    step(&format!("installing Debian packages: {}", packages.join(" ")), || {
        if install_once(packages).is_ok() {
            return Ok(());
        }
        run(Command::new("apt-get").args(["update", "-q"]))?;
        install_once(packages)
    })
}

fn install_once(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["install", "-y", "-q", "--no-install-recommends"]).args(packages);
    run(command.env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
