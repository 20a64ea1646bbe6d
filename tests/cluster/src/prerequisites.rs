//! Checks what a machine needs for the local cluster and tells all that is missing at once.
//!
//! As root on Debian, missing packages are installed (a line says so); elsewhere they are listed. Nothing is
//! skipped silently: a user who cannot have a local cluster is told how to use another.

use anyhow::{Result, bail};

use crate::programs::Programs;
use voicemail_test_machine::command::find_program;
use voicemail_test_machine::debian::{Package, can_install, ensure_packages, missing_packages};

/// Debian package and a file or program that it brings.
const PACKAGES: [Package; 14] = [
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
    ("gcc", "cc"),
    ("libc6-dev", "/usr/include/stdio.h"),
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
];

/// The alternative to a local cluster.
pub const ALTERNATIVE: &str = "Or use a cluster that you have: `cargo demo --context NAME` takes any context of \
                               your kubeconfig and needs neither root nor Go.";

/// Makes sure that the cluster's programs can be built and started here, installing packages where it can.
pub(super) fn check(programs: &Programs) -> Result<()> {
    let packages = missing_packages(&PACKAGES);
    let mut problems = list_problems(programs);
    if !can_install() && !packages.is_empty() {
        problems.push(format!(
            "these Debian packages (or their like elsewhere) are missing: {}",
            packages.join(" ")
        ));
    }
    if !problems.is_empty() {
        bail!("The local cluster cannot start here:\n  - {}\n{ALTERNATIVE}", problems.join("\n  - "));
    }
    ensure_packages(&PACKAGES)
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
