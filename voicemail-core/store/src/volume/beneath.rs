//! Nothing in a volume leads out of it: names are looked up below the mount, and a symbolic link is never followed.
//!
//! Others may write to a shared volume: a tool that restores a backup, another tenant's mistake, somebody with the file server.
//! A link that they leave must not show a file of this machine, such as a key, to who asks for a recording, nor send a write
//! somewhere else.
//!
//! Reads open the name itself so. Writes and deletions look at the folders first: who can put a link there in between can write
//! to the volume anyhow.
//!
//! By `openat2` with `RESOLVE_BENEATH`; where a kernel before 5.6 or a sandbox has none, part by part with `O_NOFOLLOW`.

use super::unavailable;
use crate::StoreError;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Component, Path};

/// A file of a tenant's folder, to be read.
///
/// # Errors
/// The operating system's; `ELOOP` for a link on the way or in its place.
pub(super) fn open_file(root: &Path, path: &Path) -> io::Result<File> {
    // A pipe that somebody left would keep the thread for ever.
    let opened = open_beneath(root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    Ok(File::from(opened))
}

/// Checks that all folders on the way to a name are folders, as far as they are there.
///
/// # Errors
/// `Refused` names the remedy.
pub(super) fn require_plain(root: &Path, path: &Path) -> Result<(), StoreError> {
    let mut folder = Some(path);
    while let Some(looked_at) = folder {
        match open_beneath(root, looked_at, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(_) => return Ok(()),
            Err(error) if is_link(&error) => return Err(refused()),
            // Not there yet, or the file itself: what leads to it must be plain.
            Err(error) if super::objects::is_missing(&error) => folder = looked_at.parent(),
            Err(error) => return Err(unavailable("a folder can't be looked up")(error)),
        }
        if folder.is_some_and(|folder| !folder.starts_with(base_of(root))) {
            return Ok(());
        }
    }
    Ok(())
}

/// The words for a failed reading: a link is told from a disk that fails.
pub(super) fn unreadable(what: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |error| if is_link(&error) { refused() } else { unavailable(what)(error) }
}

fn is_link(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::LOOP | Errno::XDEV))
}

fn refused() -> StoreError {
    StoreError::Refused(
        "there is a symbolic link in the volume, which isn't followed: put what it leads to in its place, or remove it".into(),
    )
}

/// The volume's folder: `v1/<tenant>` is below it, and of its content.
fn base_of(root: &Path) -> &Path {
    root.parent().and_then(Path::parent).unwrap_or(root)
}

fn open_beneath(root: &Path, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let base = base_of(root);
    let below = path.strip_prefix(base).map_err(|_| io::Error::from(Errno::XDEV))?;
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let folder = open(base, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(&folder, below, flags | OFlags::CLOEXEC, Mode::empty(), how) {
        // Sandboxes of old refuse calls that they don't know.
        Err(Errno::NOSYS | Errno::PERM) => open_by_parts(folder, below, flags),
        other => Ok(other?),
    }
}

/// As `openat2` would: no part may be a link, and none leads up.
fn open_by_parts(folder: OwnedFd, below: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut parts: Vec<&OsStr> = Vec::new();
    for part in below.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            _ => return Err(Errno::XDEV.into()),
        }
    }
    let Some((last, folders)) = parts.split_last() else {
        return Ok(openat(&folder, ".", flags | OFlags::CLOEXEC, Mode::empty())?);
    };
    let mut here = folder;
    for name in folders {
        here = open_part(&here, name, OFlags::PATH | OFlags::DIRECTORY)?;
    }
    Ok(open_part(&here, last, flags)?)
}

/// With `O_PATH` a link would be opened itself, and with `O_DIRECTORY` it is "no folder": both are told as a link.
fn open_part(folder: &OwnedFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let opened = openat(folder, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    match opened {
        Err(Errno::NOTDIR) if is_link_in(folder, name) => Err(Errno::LOOP),
        other => other,
    }
}

fn is_link_in(folder: &OwnedFd, name: &OsStr) -> bool {
    let found = rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_symlink())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    /// A volume with a tenant, and a secret beside it.
    fn volume() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("volume/v1/t");
        fs::create_dir_all(root.join("au/1")).unwrap();
        fs::write(root.join("au/1/good"), "audio").unwrap();
        fs::write(folder.path().join("secret"), "key").unwrap();
        (folder, root)
    }

    fn by_parts(root: &Path, path: &Path) -> io::Result<File> {
        let base = base_of(root);
        let folder = open(base, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        open_by_parts(folder, path.strip_prefix(base).unwrap(), OFlags::RDONLY).map(File::from)
    }

    #[test]
    fn a_link_is_followed_nowhere_whether_or_not_the_kernel_helps() {
        let (outside, root) = volume();
        symlink(outside.path().join("secret"), root.join("au/1/file")).unwrap();
        symlink("good", root.join("au/1/near")).unwrap();
        symlink(outside.path(), root.join("au/folder")).unwrap();
        symlink("1", root.join("au/inside")).unwrap();
        for open in [open_file, by_parts] {
            let mut text = String::new();
            open(&root, &root.join("au/1/good")).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "audio");
            for linked in ["au/1/file", "au/1/near", "au/folder/secret", "au/inside/good"] {
                let error = open(&root, &root.join(linked)).unwrap_err();
                assert!(is_link(&error), "{linked}: {error}");
            }
            assert_eq!(open(&root, &root.join("au/1/none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        assert!(is_link(&open_file(&root, &root.join("../../../secret")).unwrap_err()));
    }

    #[test]
    fn a_write_through_a_folder_that_is_a_link_is_refused_and_one_to_a_new_folder_is_not() {
        let (outside, root) = volume();
        symlink(outside.path(), root.join("mb")).unwrap();
        assert!(matches!(require_plain(&root, &root.join("mb/00/1001.doc")), Err(StoreError::Refused(_))));
        assert_eq!(require_plain(&root, &root.join("ca/ab/cd")), Ok(()));
        assert_eq!(require_plain(&root, &root.join("au/1/good")), Ok(()));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(require_plain(&root, &root.join("ca/ab/cd")), Ok(()), "a volume's first write");
        symlink(outside.path(), &root).unwrap();
        assert!(require_plain(&root, &root.join("ca/ab/cd")).is_err(), "the tenant's own folder");
    }
}
