//! The telephone side as a process of its own, before a `VoicemailCore`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use reqwest::StatusCode;

use super::process::{Launch, ServerProcess};
use super::voicemail_core::{PASSWORD, VoicemailCore};
use crate::cargo::build_program;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CALLS: usize = 50;

/// The process.
#[derive(Debug)]
pub struct VoicemailSip(ServerProcess);

/// What is added to a configuration whose trunk is this machine, over UDP. `FOLDER` stands for the process's own.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Fields of `listen`.
    pub listen: String,
    /// Lines of the trunk, or of further ones.
    pub trunk: String,
    /// Lines at the end.
    pub more: String,
    /// Calls at once, with ports for as many; 50 when absent.
    pub calls: Option<usize>,
    /// Addresses of both families, which it says and listens on; 127.0.0.1 alone when absent.
    pub advertised: Option<&'static str>,
    /// Files, by name.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

impl VoicemailSip {
    /// Starts one for that core, whose trunk is this machine; `more` are further lines of its configuration.
    pub async fn start(core: &VoicemailCore, more: &str) -> Result<Self> {
        Self::set_up(core, Setup { more: more.to_owned(), ..Setup::default() }).await
    }

    /// The same with what is added.
    pub async fn set_up(core: &VoicemailCore, setup: Setup) -> Result<Self> {
        let (program, url) = (build_program("voicemail-sip")?, core.url());
        let launch = Launch {
            name: "voicemail-sip",
            command: Box::new(move |address, folder| command(&program, address, folder, &url, &setup)),
            health_path: "/readyz",
            is_up: |status| status == StatusCode::OK,
        };
        Ok(Self(ServerProcess::start(launch, LOCAL).await?))
    }

    /// Where it takes calls.
    pub fn sip(&self) -> SocketAddr {
        self.0.address()
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.0.pid()
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill()
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn stop(&mut self) -> Result<()> {
        self.0.stop().await
    }

    /// The same with as much time as its calls have.
    pub async fn stop_within(&mut self, patience: Duration) -> Result<()> {
        self.0.stop_within(patience).await
    }

    /// Starts it again with the same spool.
    pub async fn start_again(&mut self) -> Result<()> {
        self.0.start_again().await
    }

    /// Its folder, where the files of its setup are.
    pub fn folder(&self) -> PathBuf {
        self.0.data_folder()
    }

    /// The folder of recordings that wait.
    pub fn spool(&self) -> PathBuf {
        self.0.data_folder().join("spool")
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        self.0.log()
    }

    /// Its metrics.
    pub async fn metrics(&self) -> Result<String> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(client.get(format!("http://{}/metrics", self.sip())).send().await?.text().await?)
    }
}

fn command(program: &Path, address: SocketAddr, folder: &Path, url: &str, setup: &Setup) -> Command {
    // A folder that can't be written shows in the log of the process that then doesn't start.
    let _ = write_files(address, folder, url, setup);
    let mut command = Command::new(program);
    command.args(["serve", "--config"]).arg(folder.join("sip.yaml"));
    command
}

/// The metrics' TCP port is free, and so is, most likely, the same one of UDP.
fn write_files(address: SocketAddr, folder: &Path, url: &str, setup: &Setup) -> Result<()> {
    let at = |name: &str| folder.join(name).display().to_string();
    std::fs::write(at("password"), format!("front:{PASSWORD}\n"))?;
    std::fs::write(at("spool.key"), [0x5a; 32])?;
    for (name, content) in &setup.files {
        std::fs::write(at(name), content)?;
    }
    let Setup { listen, trunk, more, .. } = setup;
    let calls = setup.calls.unwrap_or(CALLS);
    // Ports rest for a while after a call.
    let (first, ports) = match setup.calls {
        None => (33_000 + address.port() % 100 * 200, 200),
        Some(calls) => (33_000, u16::try_from(calls * 8)?.min(20_000)),
    };
    let (sip, advertised) = match setup.advertised {
        None => (address, "127.0.0.1"),
        Some(both) => (SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port())), both),
    };
    let config = format!(
        "listen: {{sip: '{sip}', metrics: '{address}'{listen}}}
advertised: '{advertised}'
core: {{url: '{url}', passwordFile: {}}}
rtp: {{from: {first}, to: {}}}
trunks:
- name: lab
  addresses: [127.0.0.0/8, '::1/128']
  trust: {{identity: true, redirection: true}}
  limits: {{calls: {calls}}}
{trunk}
spool: {{folder: {}, keyFile: {}}}
{more}",
        at("password"),
        first + ports - 1,
        at("spool"),
        at("spool.key"),
    );
    let config = config.replace("FOLDER", &folder.display().to_string());
    Ok(std::fs::write(at("sip.yaml"), config)?)
}
