//! A program of Debian's that serves from a folder of its own, until it is dropped.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::poll::poll;

const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// The file with what it prints.
const OUTPUT: &str = "output";

/// A running program.
#[derive(Debug)]
pub(super) struct Daemon {
    folder: TempDir,
    child: Child,
    /// Its own logs, in its folder.
    logs: &'static [&'static str],
    /// By which it ends.
    end: Signal,
}

impl Daemon {
    /// Starts it, and waits until it takes connections at that address.
    pub(super) async fn start(
        mut command: Command,
        folder: TempDir,
        logs: &'static [&'static str],
        address: SocketAddr,
        end: Signal,
    ) -> Result<Self> {
        let output = File::create(folder.path().join(OUTPUT))?;
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let daemon = Self { folder, child, logs, end };
        poll(STARTS_WITHIN, async || {
            TcpStream::connect(address).with_context(|| format!("no answer; it says {}", daemon.log()))
        })
        .await?;
        Ok(daemon)
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// All that it has said.
    pub(super) fn log(&self) -> String {
        let read = |name: &&str| std::fs::read_to_string(self.path().join(name)).unwrap_or_default();
        [OUTPUT].iter().chain(self.logs).map(read).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), self.end);
        let _ = self.child.wait();
    }
}
