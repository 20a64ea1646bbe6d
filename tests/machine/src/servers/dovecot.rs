//! Dovecot from Debian over the maildirs of [`Exim`](super::exim::Exim): mails are fetched by IMAP and taken apart by Python's
//! `email`, as a mail program would, by parts of which none is ours.
//!
//! Both need root on Debian, where Exim writes as a user of its own, whose mails Dovecot reads.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::Deserialize;

use super::daemon::Daemon;
use crate::command::run;
use crate::debian::ensure_program;
use crate::servers::ports::find_free_port;

const PASSWORD: &str = "an-inbox";
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Prints the mails of a reader, oldest first, as JSON.
const FETCH: &str = include_str!("fetch_mails.py");

/// The server.
#[derive(Debug)]
pub struct Dovecot {
    daemon: Daemon,
    port: u16,
    python: PathBuf,
}

/// A mail as Python's parser sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FetchedMail {
    /// Its headers by name, decoded; the first of each.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The plain part.
    pub plain: String,
    /// The HTML part.
    pub html: String,
    /// Name, media type and SHA-256 of each attachment.
    pub attachments: Vec<(String, String, String)>,
    /// What the parser found wrong in any part.
    pub defects: Vec<String>,
}

impl Dovecot {
    /// Serves the maildirs below a folder.
    pub async fn start(maildirs: &Path) -> Result<Self> {
        let program = ensure_program("dovecot-imapd", "dovecot")?;
        let python = ensure_program("python3", "python3")?;
        let folder = tempfile::Builder::new().prefix("dovecot-").tempdir()?;
        let port = find_free_port(LOCAL)?.port();
        write_files(folder.path(), maildirs, port)?;
        let mut command = Command::new(program);
        command.arg("-F").arg("-c").arg(folder.path().join("dovecot.conf"));
        // By SIGTERM it ends the processes that it has started.
        let daemon = Daemon::start(command, folder, &["log"], (LOCAL, port).into(), Signal::TERM).await?;
        Ok(Self { daemon, port, python })
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// The mails of a reader, oldest first. They stay new.
    pub fn fetch(&self, reader: &str) -> Result<Vec<FetchedMail>> {
        let mut command = Command::new(&self.python);
        command.args(["-c", FETCH, &self.port.to_string(), reader, PASSWORD]);
        let printed = run(&mut command).with_context(|| format!("the server says {}", self.log()))?;
        serde_json::from_str(&printed).context("no JSON")
    }
}

fn write_files(folder: &Path, maildirs: &Path, port: u16) -> Result<()> {
    for name in ["run", "state", "index"] {
        std::fs::create_dir(folder.join(name))?;
    }
    std::fs::write(folder.join("dovecot.conf"), configuration(folder, maildirs, port))?;
    run(Command::new("chown").arg("Debian-exim:").arg(folder.join("index")))?;
    run(Command::new("chmod").arg("755").arg(folder)).map(drop)
}

fn configuration(folder: &Path, maildirs: &Path, port: u16) -> String {
    let (dir, mails) = (folder.display(), maildirs.display());
    format!(
        "protocols = imap
listen = 127.0.0.1
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{mails}/%u:CONTROL={dir}/index/%u:INDEX={dir}/index/%u
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid=Debian-exim gid=Debian-exim home={dir}/index/%u
}}
"
    )
}
