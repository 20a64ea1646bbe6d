//! Starts, watches and ends the cluster's long-running programs.
//!
//! A program runs in a session of its own, inside the cluster's network namespace, with its output in a log
//! file, so it outlives the command that started it. It is remembered by pid and start time: a pid that the
//! kernel has given to another process since is never signalled.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::layout::{Layout, netns_path};

/// How a program is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Component {
    /// Name in log files and messages.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Its `PATH`.
    pub path: String,
}

/// A started program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Running {
    /// How it was started, to start it again.
    pub component: Component,
    process: Process,
}

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// Number of the process.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

impl Component {
    /// Starts the program.
    pub(super) fn start(&self, layout: &Layout) -> Result<Running> {
        let log_path = layout.log(&self.name);
        let log = File::options().create(true).append(true).open(&log_path)?;
        let mut command = Command::new("setsid");
        command.arg("nsenter").arg(format!("--net={}", netns_path().display())).arg("--").args(&self.argv);
        command.env_clear().env("PATH", &self.path).env("HOME", layout.root()).current_dir("/");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        let pid = i32::try_from(child.id())?;
        let process = Process::find(pid).with_context(|| format!("{} ended at once", self.name))?;
        Ok(Running { component: self.clone(), process })
    }
}

impl Running {
    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// Its number.
    pub(super) fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(&self) {
        self.process.kill();
        self.process.wait_for_end(Duration::from_secs(10));
    }

    /// Stops it without ending it, until the returned value is dropped.
    pub(super) fn freeze(&self) -> Frozen {
        self.process.signal(Signal::STOP);
        Frozen(self.process)
    }

    /// Asks it to end, then makes it.
    pub(super) fn stop(&self, patience: Duration) -> Result<()> {
        self.process.stop(patience).with_context(|| format!("ending {}", self.component.name))
    }
}

/// A process that does nothing for now.
#[derive(Debug)]
pub(super) struct Frozen(Process);

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

impl Process {
    /// The process with this number now, if any.
    pub(super) fn find(pid: i32) -> Option<Self> {
        let (_, started) = read_stat(pid)?;
        Some(Self { pid, started })
    }

    /// Whether it still runs; one that waits to be collected by its parent doesn't.
    pub(super) fn is_alive(&self) -> bool {
        let ended = |state| matches!(state, 'Z' | 'X') && !has_other_threads(self.pid);
        read_stat(self.pid).is_some_and(|(state, started)| started == self.started && !ended(state))
    }

    /// Sends TERM, and KILL when `patience` has passed.
    pub(super) fn stop(&self, patience: Duration) -> Result<()> {
        self.signal(Signal::TERM);
        if !self.wait_for_end(patience) {
            self.signal(Signal::KILL);
            if !self.wait_for_end(Duration::from_secs(10)) {
                bail!("process {} does not end", self.pid);
            }
        }
        Ok(())
    }

    /// Sends KILL without waiting.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits until it has ended; false when `patience` passes first.
    pub(super) fn wait_for_end(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            let _already_gone = kill_process(pid, signal);
        }
    }
}

/// A killed process's first thread may have ended before the others, which hold its ports until they have too.
fn has_other_threads(pid: i32) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
}

/// State letter and start time of a process.
fn read_stat(pid: i32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &text[text.rfind(')')? + 2..];
    let mut fields = after_name.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

/// The parent of a process.
pub(super) fn parent_of(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text[text.rfind(')')? + 2..].split(' ').nth(1)?.parse().ok()
}

/// All process numbers of this machine.
pub(super) fn list_pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_another_start_time_counts_as_gone() {
        let own = i32::try_from(std::process::id()).unwrap();
        let found = Process::find(own).unwrap();
        assert!(found.is_alive());
        assert!(!Process { started: found.started + 1, ..found }.is_alive());
    }
}
