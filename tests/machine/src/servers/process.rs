//! One server process with a folder of its own: start, wait until it answers, stop, start again, kill.
//!
//! A port that another process takes first costs a second try. Everything that the server prints goes to a log
//! file; a failed start shows its end, and so does a test that fails while the server runs. A test process that
//! is killed leaves its servers running.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::log_end::read_last_lines;
use crate::servers::ports::find_free_port;

const ANSWERS_WITHIN: Duration = Duration::from_secs(180);
const STOPS_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
const LOG_LINES: usize = 30;
const PORT_TRIES: usize = 3;

/// Makes the command that serves an address from a data folder.
pub(super) type MakeCommand = Box<dyn Fn(SocketAddr, &Path) -> Command + Send + Sync>;

/// How a server is started and seen to be up.
pub(super) struct Launch {
    /// Its name in messages.
    pub(super) name: &'static str,
    /// The command for this address and data folder.
    pub(super) command: MakeCommand,
    /// Path to ask whether it is up.
    pub(super) health_path: &'static str,
    /// The answer that says so.
    pub(super) is_up: fn(StatusCode) -> bool,
}

/// A running, stopped or killed server.
pub(super) struct ServerProcess {
    launch: Launch,
    address: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
}

impl ServerProcess {
    /// Starts it on a free port of `listen` and waits until it answers.
    pub(super) async fn start(launch: Launch, listen: IpAddr) -> Result<Self> {
        crate::install_crypto();
        let folder = tempfile::Builder::new().prefix(&format!("{}-", launch.name)).tempdir()?;
        std::fs::create_dir(folder.path().join("data"))?;
        let address = SocketAddr::new(listen, 0);
        let mut server = Self { launch, address, folder, child: None };
        for _ in 1..PORT_TRIES {
            server.address = find_free_port(listen)?;
            match server.start_again().await {
                Err(_) if server.log_tail().to_lowercase().contains("in use") => {}
                result => return result.map(|()| server),
            }
        }
        server.address = find_free_port(listen)?;
        server.start_again().await.map(|()| server)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces how it is started the next time.
    pub(super) fn set_launch(&mut self, launch: Launch) {
        self.launch = launch;
    }

    /// Starts it on the same port and data, ending it first if it runs.
    pub(super) async fn start_again(&mut self) -> Result<()> {
        self.kill()?;
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = (self.launch.command)(self.address, &self.folder.path().join("data"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.launch.name))?;
        self.child = Some(child);
        self.wait_until_up().await
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let name = self.launch.name;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let url = format!("http://{}{}", self.address, self.launch.health_path);
        let end = Instant::now() + ANSWERS_WITHIN;
        loop {
            let up = client.get(&url).send().await.is_ok_and(|answer| (self.launch.is_up)(answer.status()));
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("{name} ended with {status}:\n{}", self.log_tail());
            }
            if up {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{name} doesn't answer on {url}:\n{}", self.log_tail());
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGTERM, then waits until it has ended; its data stays.
    pub(super) async fn stop(&mut self) -> Result<()> {
        self.stop_within(STOPS_WITHIN).await
    }

    /// The same, for so long.
    pub(super) async fn stop_within(&mut self, patience: Duration) -> Result<()> {
        let Some(child) = self.child.as_mut() else { return Ok(()) };
        kill_process(Pid::from_child(child), Signal::TERM)?;
        let end = Instant::now() + patience;
        while child.try_wait()?.is_none() {
            ensure!(Instant::now() < end, "{} doesn't end after SIGTERM", self.launch.name);
            tokio::time::sleep(POLL).await;
        }
        self.child = None;
        Ok(())
    }

    /// SIGKILL: it ends wherever it is; its data stays.
    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().with_context(|| format!("cannot kill {}", self.launch.name))?;
            child.wait()?;
        }
        Ok(())
    }

    /// Its process, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The folder with its data, below which its log lies too.
    pub(super) fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// All that it has printed.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The last lines that it has printed.
    pub(super) fn log_tail(&self) -> String {
        read_last_lines(&self.log_path(), LOG_LINES)
    }
}

impl std::fmt::Debug for ServerProcess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} on {}", self.launch.name, self.address)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- last lines of {self:?}\n{}", self.log_tail());
        }
        if let Err(error) = self.kill() {
            eprintln!("{} may still run: {error:#}", self.launch.name);
        }
    }
}
