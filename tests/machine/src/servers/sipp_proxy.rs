//! sipp as a trunk's proxy: it takes each NOTIFY that comes, answers it with one status, and ends after so many.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::sipp::{Over, read_summaries};
use crate::debian::ensure_program;

/// Seconds that it waits for all of them.
const PATIENCE: &str = "120";

/// A proxy that listens.
#[derive(Debug)]
pub struct Proxy {
    folder: TempDir,
    child: Child,
}

/// What it took.
#[derive(Debug)]
pub struct Taken {
    /// The summaries, in the order in which they came.
    pub summaries: Vec<String>,
    /// All messages as they came and went.
    pub messages: String,
}

impl Proxy {
    /// Listens there for so many requests, which it answers with that status.
    pub fn listen(address: SocketAddr, over: Over, status: u16, times: usize) -> Result<Self> {
        Self::follow(address, over, &scenario(status), times)
    }

    /// Listens there over UDP for one NOTIFY, which it asks a user's password for: 403 if that is wrong.
    pub fn challenge(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        Self::follow(address, Over::Udp, &challenging(user, password), 1)
    }

    fn follow(address: SocketAddr, over: Over, scenario: &str, times: usize) -> Result<Self> {
        let program = ensure_program("sip-tester", "sipp")?;
        let folder = tempfile::Builder::new().prefix("sipp-").tempdir()?;
        std::fs::write(folder.path().join("proxy.xml"), scenario)?;
        let mut command = Command::new(program);
        command.args(["-sf", "proxy.xml", "-nostdin", "-timeout", PATIENCE, "-timeout_error"]);
        command.args(["-m", &times.to_string(), "-i", &address.ip().to_string()]);
        command.args(["-p", &address.port().to_string(), "-trace_msg", "-message_file", "messages"]);
        command.args(["-trace_err", "-error_file", "errors"]);
        if over == Over::Tcp {
            command.args(["-t", "t1"]);
        }
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.kill_on_drop(true).spawn().context("cannot start sipp")?;
        Ok(Self { folder, child })
    }

    /// Waits until all have come.
    pub async fn take(mut self) -> Result<Taken> {
        let status = self.child.wait().await?;
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let messages = read("messages");
        ensure!(status.success(), "sipp ended with {status}: {}\n{messages}", read("errors"));
        Ok(Taken { summaries: read_summaries(&messages), messages })
    }
}

fn scenario(status: u16) -> String {
    format!(
        "<?xml version=\"1.0\"?><scenario name=\"proxy\">\n<recv request=\"NOTIFY\"/>\n{}</scenario>\n",
        answer(status, "", "")
    )
}

fn challenging(user: &str, password: &str) -> String {
    let challenge =
        "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"5c3fa91e\", algorithm=MD5, qop=\"auth\"\n";
    format!(
        "<?xml version=\"1.0\"?><scenario name=\"proxy\">\n<recv request=\"NOTIFY\"/>\n{}<recv request=\"NOTIFY\"><action>\
         <verifyauth assign_to=\"right\" username=\"{user}\" password=\"{password}\"/></action></recv>\n\
         <nop next=\"taken\" test=\"right\"/>\n{}<label id=\"taken\"/>\n{}<label id=\"over\"/>\n</scenario>\n",
        answer(401, challenge, ""),
        answer(403, "", " next=\"over\""),
        answer(200, "", ""),
    )
}

fn answer(status: u16, headers: &str, attributes: &str) -> String {
    format!(
        "<send{attributes}><![CDATA[\nSIP/2.0 {status} Taken\n[last_Via:]\n[last_From:]\n[last_To:];tag=[call_number]\n\
         [last_Call-ID:]\n[last_CSeq:]\n{headers}Content-Length: 0\n\n]]></send>\n"
    )
}
