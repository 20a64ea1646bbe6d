//! Tinyproxy from Debian: a proxy of HTTP, and of HTTPS by CONNECT, which logs what it is asked for.

use std::net::{IpAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::debian::ensure_program;
use crate::poll::poll;
use crate::servers::ports::find_free_port;

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A running proxy.
pub struct Tinyproxy {
    folder: TempDir,
    child: Child,
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
        let log = folder.path().join("log");
        let settings = format!(
            "Port {}\nListen {}\nTimeout 60\nLogFile \"{}\"\nLogLevel Connect\nMaxClients 50\n",
            address.port(),
            address.ip(),
            log.display()
        );
        std::fs::write(&file, settings)?;
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(&file);
        let output = std::fs::File::create(folder.path().join("output"))?;
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let proxy = Self { folder, child, url: format!("http://{address}") };
        poll(STARTS_WITHIN, async || {
            TcpStream::connect(address).with_context(|| format!("no answer; it says {}", proxy.log()))
        })
        .await?;
        Ok(proxy)
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["output", "log"].map(read).join("\n")
    }

    /// Fails unless it was asked for a connection to `host`, as in `192.0.2.1:443`.
    pub fn ensure_asked_for(&self, host: &str) -> Result<()> {
        let asked = self.log().contains(&format!("CONNECT {host} "));
        ensure!(asked, "the proxy wasn't asked for {host}; it says {}", self.log());
        Ok(())
    }
}

impl Drop for Tinyproxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
