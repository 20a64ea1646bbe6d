//! Tinyproxy from Debian: a proxy of HTTP, and of HTTPS by CONNECT, which logs what it is asked for.

use std::net::IpAddr;
use std::process::Command;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::daemon::Daemon;
use crate::debian::ensure_program;
use crate::servers::ports::find_free_port;

/// A running proxy.
#[derive(Debug)]
pub struct Tinyproxy {
    daemon: Daemon,
    /// Its URL.
    pub url: String,
}

impl Tinyproxy {
    /// Starts one on a free port of that address.
    pub async fn start(listen: IpAddr) -> Result<Self> {
        let program = ensure_program("tinyproxy-bin", "tinyproxy")?;
        let folder = tempfile::Builder::new().prefix("tinyproxy-").tempdir()?;
        let address = find_free_port(listen)?;
        let file = folder.path().join("tinyproxy.conf");
        let settings = format!(
            "Port {}\nListen {}\nTimeout 60\nLogFile \"{}\"\nLogLevel Connect\nMaxClients 50\n",
            address.port(),
            address.ip(),
            folder.path().join("log").display()
        );
        std::fs::write(&file, settings)?;
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(&file);
        let daemon = Daemon::start(command, folder, &["log"], address, Signal::KILL).await?;
        Ok(Self { daemon, url: format!("http://{address}") })
    }

    /// Fails unless it was asked for a connection to `host`, as in `192.0.2.1:443`.
    pub fn ensure_asked_for(&self, host: &str) -> Result<()> {
        let log = self.daemon.log();
        ensure!(
            log.contains(&format!("CONNECT {host} ")),
            "the proxy wasn't asked for {host}; it says {log}"
        );
        Ok(())
    }
}
