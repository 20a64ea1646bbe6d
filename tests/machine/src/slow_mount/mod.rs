//! A folder as a volume behind a network has it: each operation of the file system takes a time of the test's choice, and is counted.
//!
//! A program in Python mounts it by FUSE; a file of two numbers that both map says how long an operation takes and how many there
//! were. The kernel keeps no names and attributes, so that each look is an operation, as with an NFS client that shares a volume rightly.
//!
//! What can go wrong: a machine without FUSE, or a user who isn't root.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::command::run;
use crate::debian::ensure_packages;
use crate::poll::poll;
use crate::servers::python;

const PROGRAM: &str = include_str!("slow_mount.py");
const REQUIREMENTS: &str = include_str!("requirements.txt");
const MOUNTS_WITHIN: Duration = Duration::from_secs(20);

/// A mount, gone when this is dropped.
#[derive(Debug)]
pub struct SlowMount {
    folder: TempDir,
    control: File,
    program: Child,
}

impl SlowMount {
    /// Mounts an empty folder, in memory where this machine has such a place.
    pub async fn start() -> Result<Self> {
        ensure!(Path::new("/dev/fuse").exists(), "this machine has no FUSE: load the module fuse");
        ensure_packages(&[("fuse3", "fusermount3")])?;
        let python = tokio::task::spawn_blocking(|| python::install("slow-mount", REQUIREMENTS)).await??;
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
        let at = |name: &str| folder.path().join(name);
        for name in ["behind", "mount"] {
            std::fs::create_dir(at(name))?;
        }
        std::fs::write(at("slow_mount.py"), PROGRAM)?;
        std::fs::write(at("control"), [0; 16])?;
        let control = OpenOptions::new().read(true).write(true).open(at("control"))?;
        let said = File::create(at("output"))?;
        let mut command = Command::new(python);
        command.args([at("slow_mount.py"), at("behind"), at("mount"), at("control")]);
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let program = command.spawn().context("cannot start the program that mounts")?;
        let mount = Self { folder, control, program };
        let mounted = async || {
            let mounts = std::fs::read_to_string("/proc/mounts")?;
            let said = || std::fs::read_to_string(mount.folder.path().join("output")).unwrap_or_default();
            ensure!(mounts.contains(&mount.path().display().to_string()), "nothing is mounted: {}", said());
            Ok(())
        };
        poll(MOUNTS_WITHIN, mounted).await?;
        Ok(mount)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// From now on each operation takes that much longer.
    pub fn set(&self, pause: Duration) -> Result<()> {
        let micros = u64::try_from(pause.as_micros())?;
        Ok(self.control.write_all_at(&micros.to_le_bytes(), 0)?)
    }

    /// Operations so far.
    pub fn operations(&self) -> Result<u64> {
        let mut count = [0; 8];
        self.control.read_exact_at(&mut count, 8)?;
        Ok(u64::from_le_bytes(count))
    }
}

impl Drop for SlowMount {
    fn drop(&mut self) {
        // Nothing depends on it: the folder's removal says what is left.
        drop(run(Command::new("fusermount3").arg("-uz").arg(self.path())));
        drop(self.program.kill());
        drop(self.program.wait());
    }
}
