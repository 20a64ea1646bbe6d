//! A kernel of its own with an NFS server and two clients, for what only NFS can show: `cargo nfs-guest`.
//!
//! User-mode Linux is a kernel that runs as a program: it needs neither virtualisation nor a change of this machine. Its
//! root is a small Debian in the cache; its first program is `init.sh`, which mounts the exports and runs the core's tests
//! of two clients. Not part of the test command: it fetches some 250 MB of Debian once.
//!
//! What can go wrong: a guest that ends before its tests did, or hangs. The last line that the guest prints decides.

use crate::cache::cache_folder;
use crate::cargo::build_test;
use crate::command::run;
use crate::debian::ensure_program;
use crate::debian_root::prepare_root;
use crate::progress::say;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const INIT: &str = include_str!("init.sh");
const PACKAGES: &str = "nfs-kernel-server,nfs-common,iproute2,kmod,e2fsprogs,netbase,ca-certificates";
const RELEASE: &str = "bookworm";
const MODULES: &str = "/usr/lib/uml/modules";
const DISK_BYTES: u64 = 1 << 30;
const PASSED: &str = "guest: tests ended with 0";

/// Builds the tests, boots the guest and runs them in it; what the guest prints is shown.
pub fn run_tests() -> Result<()> {
    let kernel = ensure_program("user-mode-linux", "linux.uml")?;
    let tests = build_test("voicemail-server", "two_clients")?;
    let root = prepare_guest()?;
    let disk = tempfile::NamedTempFile::new_in(cache_folder()?)?;
    disk.as_file().set_len(DISK_BYTES)?;
    let told = boot(&kernel, &root, disk.path(), &tests)?;
    ensure!(told == PASSED, "the tests failed in the guest: see what it printed");
    Ok(())
}

/// A Debian with an NFS server and the kernel's modules.
fn prepare_guest() -> Result<PathBuf> {
    let add_modules = |root: &Path| {
        let modules = root.join("lib/modules");
        run(Command::new("cp").args(["-a", "--no-target-directory", MODULES]).arg(modules)).map(drop)
    };
    let root = prepare_root("nfs", RELEASE, PACKAGES, add_modules)?;
    let init = root.join("guest-init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    Ok(root)
}

/// Runs the guest to its end; gives the last line of its own.
fn boot(kernel: &Path, root: &Path, disk: &Path, tests: &Path) -> Result<String> {
    // Its programs: target/debug, with the core beside the tests.
    let programs = tests.ancestors().nth(2).context("the tests are in no folder of cargo")?;
    let mut command = Command::new(kernel);
    command.args([
        "mem=2G",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rw",
        "init=/guest-init",
        "quiet",
        "loglevel=3",
    ]);
    command.args(["con=null", "con0=null,fd:1"]);
    for (name, path) in [("rootflags", root), ("ubd0", disk), ("PROGRAMS", programs), ("TESTS", tests)] {
        command.arg(format!("{name}={}", path.display()));
    }
    let mut guest =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the guest")?;
    let out = guest.stdout.take().context("the guest has no output")?;
    let mut last = None;
    for line in BufReader::new(out).lines() {
        let line = line?;
        say(&line);
        if line.starts_with("guest: ") {
            last = Some(line.trim_end().to_owned());
        }
    }
    guest.wait()?;
    match last {
        Some(line) => Ok(line),
        None => bail!("the guest ended before its tests"),
    }
}
