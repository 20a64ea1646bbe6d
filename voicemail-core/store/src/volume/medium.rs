//! The start-up examination of a file system: are hard links exclusive, and do locks reach another process?
//!
//! Blob mounts lack hard links; NFS mounted `nolock` keeps locks to one client. Both would
//! lose messages only when two replicas write at once, so they are refused before anything is written. What one
//! client can't find out by itself is read from the options of the mount ([`super::mounts`]).

use super::mounts::{self, Mount};
use super::publish::{make_probe_folder, remove_file, write_temporary};
use super::unavailable;
use crate::StoreError;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// How to start the child process that tries to take a lock: program and arguments before the file's path.
#[derive(Clone, Debug)]
pub struct LockProbe(pub Vec<String>);

impl LockProbe {
    /// Exit status of a child that found the lock taken.
    pub const BLOCKED: i32 = 3;

    /// This very program with `probe-lock`.
    pub fn own_program() -> Self {
        let program = std::env::current_exe().map(|path| path.to_string_lossy().into_owned());
        Self(vec![program.unwrap_or_else(|_| "voicemail".into()), "probe-lock".into()])
    }
}

/// The child process: tries to take the lock. The result is its exit status.
pub fn hold_lock_probe(path: &Path) -> i32 {
    match File::options().write(true).open(path).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => LockProbe::BLOCKED,
        Ok(Ok(())) => 0,
        _ => 1,
    }
}

/// The kernel's list of this process's mounts.
const MOUNTS: &str = "/proc/self/mountinfo";

pub(super) fn probe(root: &Path, lock_probe: &LockProbe) -> Result<(), StoreError> {
    // Before anything is written: some file systems fail at that already, in words that nobody understands.
    check_mount(root)?;
    try_out(root, lock_probe).map_err(|error| name_medium(root, error))
}

fn try_out(root: &Path, lock_probe: &LockProbe) -> Result<(), StoreError> {
    make_probe_folder(root)?;
    let file = write_temporary(root, b"probe")?;
    let target = root.join("tmp").join(format!("link.{}", uuid::Uuid::new_v4()));
    let result = probe_links(file.path(), &target).and_then(|()| probe_lock(&target, lock_probe));
    remove_file(&target)?;
    result
}

/// An error that only the file system explains, with which one it is.
fn name_medium(root: &Path, error: StoreError) -> StoreError {
    let kind = find_mount(root).ok().flatten().map(|mount| mount.kind().to_owned());
    let with = |text: String| match &kind {
        Some(kind) => format!("{text} (the file system is {kind})"),
        None => text,
    };
    match error {
        StoreError::Unavailable(text) => StoreError::Unavailable(with(text)),
        StoreError::Unclear(text) => StoreError::Unclear(with(text)),
        StoreError::Refused(text) => StoreError::Refused(with(text)),
        other => other,
    }
}

/// Where there is no such file, as on systems without Linux's kernel, nothing is known of the mount.
fn check_mount(root: &Path) -> Result<(), StoreError> {
    match find_mount(root)?.and_then(|mount| mount.fault()) {
        Some(fault) => Err(StoreError::Refused(fault)),
        None => Ok(()),
    }
}

/// The mount that the tenant's folder is on, or will be.
fn find_mount(root: &Path) -> Result<Option<Mount>, StoreError> {
    let mounts = match fs::read_to_string(MOUNTS) {
        Ok(mounts) => mounts,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable("the options of the mount can't be read")(error)),
    };
    let there = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(root);
    let folder = fs::canonicalize(there).map_err(unavailable("the volume's folder can't be found"))?;
    Ok(mounts::find(&mounts, &folder))
}

fn probe_links(file: &Path, target: &Path) -> Result<(), StoreError> {
    fs::hard_link(file, target).map_err(|error| {
        if super::is_full(&error) {
            return unavailable("a link can't be made")(error);
        }
        StoreError::Refused(format!(
            "the file system has no hard links ({error}): use a local disk, CephFS, or NFSv4.1"
        ))
    })?;
    match fs::hard_link(file, target) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unavailable("a second link can't be tried")(error)),
        Ok(()) => Err(StoreError::Refused(
            "the file system links over an existing name, so two writers would both win: use another".into(),
        )),
    }
}

fn probe_lock(path: &Path, lock_probe: &LockProbe) -> Result<(), StoreError> {
    let file = File::options().write(true).open(path).map_err(unavailable("a lock file can't be opened"))?;
    file.lock().map_err(|error| {
        StoreError::Refused(format!("the file system has no locks ({error}): mount NFS without nolock"))
    })?;
    let Some((program, arguments)) = lock_probe.0.split_first() else { return Ok(()) };
    let status = Command::new(program)
        .args(arguments)
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(unavailable("the lock probe can't be started"))?;
    match status.code() {
        Some(LockProbe::BLOCKED) => Ok(()),
        Some(0) => Err(StoreError::Refused(
            "a lock doesn't reach another process: mount NFS with locks (NFSv4.1, no nolock)".into(),
        )),
        _ => Err(StoreError::Unavailable(format!("the lock probe ended with {status}"))),
    }
}
