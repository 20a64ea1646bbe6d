//! baresip, a telephone: it speaks G.711 from a file, keeps what it hears in another, sends digits as telephone events, and subscribes to
//! its mailbox's MWI. It is told what to do, and tells what happens, by messages of JSON over a TCP connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::loopback;
use super::ports::find_free_port;
use crate::debian::ensure_program;
use crate::poll::poll;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const MODULES: &str = "/usr/lib/baresip/modules";
/// Samples a second of G.711.
const RATE: u32 = 8_000;

/// The telephone of a mailbox.
#[derive(Debug)]
pub struct Baresip {
    folder: TempDir,
    child: Child,
    control: TcpStream,
    /// What was read and isn't a whole message yet.
    unread: Vec<u8>,
    proxy: SocketAddr,
}

impl Baresip {
    /// Starts the phone of a number, which registers with that proxy, shows the number's MWI or none, and says these samples in each
    /// call.
    pub async fn register(proxy: SocketAddr, number: &str, shows_mwi: bool, said: &[i16]) -> Result<Self> {
        let program = ensure_program("baresip-core", "baresip")?;
        let folder = tempfile::Builder::new().prefix("baresip-").tempdir()?;
        let (sip, control) = (find_free_port(loopback())?, find_free_port(loopback())?);
        let at = |name: &str| folder.path().join(name);
        let mwi = if shows_mwi { "yes" } else { "no" };
        std::fs::write(at("said.wav"), wav(said))?;
        std::fs::write(at("config"), configuration(&folder.path().display().to_string(), sip, control))?;
        std::fs::write(at("accounts"), "")?;
        std::fs::write(at("contacts"), "")?;
        let log = std::fs::File::create(at("log"))?;
        let mut command = Command::new(program);
        command.arg("-f").arg(folder.path()).arg("-v").current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().context("cannot start baresip")?;
        let connect = async || TcpStream::connect(control).await.context("baresip doesn't listen");
        let control = poll(STARTS_WITHIN, connect).await?;
        let mut phone = Self { folder, child, control, unread: Vec::new(), proxy };
        // A registration that is answered before its timers run has version 1.0 subscribe without an end.
        let account = format!("<sip:{number}@{proxy}>;regint=600;mwi={mwi};dtmfmode=rtpevent");
        phone.command("uanew", &account).await?;
        phone.wait("REGISTER_OK", "", STARTS_WITHIN).await?;
        Ok(phone)
    }

    /// Calls a number, and waits for the answer.
    pub async fn call(&mut self, number: &str, within: Duration) -> Result<()> {
        self.command("dial", &format!("sip:{number}@{}", self.proxy)).await?;
        self.wait("CALL_ESTABLISHED", "", within).await.map(drop)
    }

    /// Presses keys, one after another.
    pub async fn press(&mut self, keys: &str, each: Duration) -> Result<()> {
        for key in keys.chars() {
            self.command("sndcode", &key.to_string()).await?;
            tokio::time::sleep(each).await;
        }
        Ok(())
    }

    /// Ends the call.
    pub async fn hang_up(&mut self) -> Result<()> {
        self.command("hangup", "").await?;
        self.wait("CALL_CLOSED", "", STARTS_WITHIN).await.map(drop)
    }

    /// Waits for the next event of that type whose text has this.
    pub async fn wait(&mut self, kind: &str, text: &str, within: Duration) -> Result<Value> {
        let mut seen = Vec::new();
        let found = async {
            loop {
                let message = self.next().await?;
                if message["type"] == kind && message["param"].as_str().unwrap_or_default().contains(text) {
                    return anyhow::Ok(message);
                }
                seen.push(message.to_string());
            }
        };
        match tokio::time::timeout(within, found).await {
            Ok(found) => found.with_context(|| self.log()),
            Err(_) => bail!("no {kind} with {text:?} came, but {seen:#?}\n{}", self.log()),
        }
    }

    /// The samples that it has heard in its last call.
    pub fn heard(&self) -> Result<Vec<i16>> {
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        let files = std::fs::read_dir(self.folder.path())?.filter_map(|entry| Some(entry.ok()?.path()));
        let last = files.filter(is_heard).max().context("it has heard nothing")?;
        let bytes = std::fs::read(&last)?;
        let data = bytes.windows(4).position(|name| name == b"data").context("it is no WAV")? + 8;
        let samples = bytes.get(data..).unwrap_or_default().chunks_exact(2);
        Ok(samples.map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it, with its subscriptions and calls.
    pub async fn stop(mut self) -> Result<()> {
        self.command("quit", "").await?;
        let ended = tokio::time::timeout(STARTS_WITHIN, self.child.wait()).await;
        ended.context("baresip doesn't end")??;
        Ok(())
    }

    /// Sends a command as a netstring.
    async fn command(&mut self, command: &str, parameters: &str) -> Result<()> {
        let text = json!({"command": command, "params": parameters, "token": "test"}).to_string();
        self.control.write_all(format!("{}:{text},", text.len()).as_bytes()).await?;
        Ok(())
    }

    /// The next answer or event.
    async fn next(&mut self) -> Result<Value> {
        loop {
            if let Some(message) = take_message(&mut self.unread)? {
                return Ok(message);
            }
            let mut piece = [0; 4_096];
            let length = self.control.read(&mut piece).await?;
            ensure!(length > 0, "baresip has ended");
            self.unread.extend_from_slice(&piece[..length]);
        }
    }
}

fn configuration(folder: &str, sip: SocketAddr, control: SocketAddr) -> String {
    format!(
        "sip_listen {sip}\nnet_interface {host}\nmodule_path {MODULES}\n\
         audio_source aufile,{folder}/said.wav\naudio_player aubridge,heard\naudio_alert aubridge,alert\n\
         ausrc_srate {RATE}\nauplay_srate {RATE}\nausrc_channels 1\nauplay_channels 1\n\
         audio_txmode thread\nsnd_path {folder}\n\
         module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule ctrl_tcp.so\n\
         module_tmp account.so\nmodule_app menu.so\nmodule_app mwi.so\nctrl_tcp_listen {control}\n",
        host = sip.ip(),
    )
}

/// A WAV file of 16 bits.
fn wav(samples: &[i16]) -> Vec<u8> {
    let size = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + size).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&size.to_le_bytes());
    samples.iter().for_each(|sample| file.extend_from_slice(&sample.to_le_bytes()));
    file
}

/// Takes a netstring off the front, if it is whole.
fn take_message(unread: &mut Vec<u8>) -> Result<Option<Value>> {
    let Some(colon) = unread.iter().position(|byte| *byte == b':') else { return Ok(None) };
    let length: usize = std::str::from_utf8(&unread[..colon])?.parse().context("no netstring")?;
    let end = colon + 1 + length;
    if unread.len() <= end {
        return Ok(None);
    }
    let message = serde_json::from_slice(&unread[colon + 1..end])?;
    unread.drain(..=end);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::take_message;

    #[test]
    fn messages_are_taken_whole_and_one_by_one() {
        let mut unread = b"8:{\"a\": 1},8:{\"a\"".to_vec();
        assert_eq!(take_message(&mut unread).unwrap().unwrap()["a"], 1);
        assert!(take_message(&mut unread).unwrap().is_none());
        unread.extend_from_slice(b": 2},");
        assert_eq!(take_message(&mut unread).unwrap().unwrap()["a"], 2);
        assert!(unread.is_empty());
    }
}
