//! A server process: started, waited for, stopped, started again, ended with its value.

use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
const LOG_LINES: usize = 20;

/// How a server is started; asked each time anew.
type StartCommand = Box<dyn Fn(SocketAddr) -> Command + Send + Sync>;

/// A server of the tests.
pub(super) struct ServerProcess {
    name: &'static str,
    address: SocketAddr,
    log: PathBuf,
    command: StartCommand,
    child: Option<Child>,
}

impl ServerProcess {
    /// Starts it on a free port of that address and waits until it takes connections.
    pub(super) fn start(
        name: &'static str,
        host: IpAddr,
        log: &Path,
        command: impl Fn(SocketAddr) -> Command + Send + Sync + 'static,
    ) -> Result<Self> {
        let address = TcpListener::bind((host, 0))?.local_addr()?;
        let mut server = Self { name, address, log: log.to_owned(), command: Box::new(command), child: None };
        server.start_again()?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it on the same port.
    pub(super) fn start_again(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = (self.command)(self.address);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("cannot start {}", self.name))?);
        self.wait_until_it_listens()
    }

    /// Asks it to end, and makes it if it doesn't.
    pub(super) fn stop(&mut self) -> Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        if let Some(pid) = Pid::from_raw(i32::try_from(child.id())?) {
            let _already_gone = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + END;
        while child.try_wait()?.is_none() {
            if Instant::now() > end {
                return self.kill();
            }
            std::thread::sleep(POLL);
        }
        self.child = None;
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_err() {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || Instant::now() > end {
                bail!("{} doesn't answer on {}; its last lines:\n{}", self.name, self.address, self.tail());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.kill().is_err() {
            eprintln!("{} on {} may still run", self.name, self.address);
        }
    }
}
