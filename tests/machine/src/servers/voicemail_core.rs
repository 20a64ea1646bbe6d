//! A core as a process of its own, on a volume in a folder, for tests of what stands beside it.
//!
//! People sign in with names and one password: `front` is a media server, `alice` the owner of the mailboxes, `root` an
//! administrator, `officer` a privacy officer.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::process::{Launch, ServerProcess};
use crate::cargo::build_program;
use crate::poll::poll;

/// Everybody's.
pub const PASSWORD: &str = "a telephone";
/// The mailboxes of `alice`.
pub const MAILBOXES: [&str; 2] = ["1001", "1002"];
const HASH: &str = "$2b$04$6DrRZQQ/Tti9Y0DQRyB3z.15.4mbTkSO6p3W5k0Eta2u5CEnwfypa";
const EXAMPLE: &str = include_str!("../../../../examples/standalone.yaml");
const OPENS_WITHIN: Duration = Duration::from_secs(30);

/// The process.
#[derive(Debug)]
pub struct VoicemailCore {
    process: ServerProcess,
    http: reqwest::Client,
}

impl VoicemailCore {
    /// Starts one with alice's mailboxes.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// As [`start`](Self::start), with further lines of its configuration; where they name a field that is there, theirs counts.
    pub async fn start_with(more: &str) -> Result<Self> {
        let more: serde_yaml::Mapping =
            if more.is_empty() { Default::default() } else { serde_yaml::from_str(more)? };
        let program = build_program("voicemail")?;
        let launch = Launch {
            name: "voicemail",
            command: Box::new(move |address, folder| command(&program, address, folder, &more)),
            health_path: "/api/v1/nothing",
            is_up: |status| status == StatusCode::NOT_FOUND,
        };
        let process = ServerProcess::start(launch, SocketAddr::from(([127, 0, 0, 1], 0)).ip()).await?;
        let core = Self { process, http: reqwest::Client::builder().no_proxy().build()? };
        core.provision().await?;
        Ok(core)
    }

    async fn provision(&self) -> Result<()> {
        for mailbox in MAILBOXES {
            let path = format!("/mailboxes/{mailbox}");
            let made = async || self.ask("root", Method::PUT, &path, Some(json!({}))).await;
            poll(OPENS_WITHIN, made).await.context("the core doesn't open")?;
        }
        self.ask("root", Method::PUT, "/users/alice", Some(json!({ "mailboxes": MAILBOXES }))).await?;
        Ok(())
    }

    /// Its API's address.
    pub fn url(&self) -> String {
        format!("http://{}/api/v1", self.process.address())
    }

    /// Ends it at once; its store stays.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the same address and store.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start_again().await?;
        self.provision().await
    }

    /// Starts it again on the same address and store, and changes nothing in it.
    pub async fn start_again_as_it_is(&mut self) -> Result<()> {
        self.process.start_again().await?;
        let opened = async || self.ask("root", Method::GET, "/users/alice", None).await;
        poll(OPENS_WITHIN, opened).await.map(drop).context("the core doesn't open")
    }

    /// Its metrics, whose address it has printed.
    pub async fn metrics(&self) -> Result<String> {
        let log = self.log();
        let addresses = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = addresses.filter_map(|line| {
            line["fields"]["metrics"].as_str().or(line["metrics"].as_str()).map(str::to_owned)
        });
        let address = told.into_iter().next().context("it has printed no address")?;
        Ok(self.http.get(format!("http://{address}/metrics")).send().await?.text().await?)
    }

    /// A request of somebody's, as JSON.
    pub async fn ask(&self, who: &str, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.url()));
        let request = request.basic_auth(who, Some(PASSWORD));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).context("no JSON") }
    }

    /// Leaves a message as the media server does; its id.
    pub async fn deposit(&self, mailbox: &str, caller: &str, name: &str, wav: Vec<u8>) -> Result<String> {
        let form = Form::new()
            .text("caller", caller.to_owned())
            .text("callerName", name.to_owned())
            .part("audio", sound_part(wav)?);
        self.deposit_form(mailbox, form).await
    }

    /// Leaves one that was left at that time, as the telephone does after the core was away.
    pub async fn deposit_left(
        &self,
        mailbox: &str,
        caller: &str,
        left: Timestamp,
        wav: Vec<u8>,
    ) -> Result<String> {
        let form = Form::new()
            .text("caller", caller.to_owned())
            .text("left", left.to_string())
            .part("audio", sound_part(wav)?);
        self.deposit_form(mailbox, form).await
    }

    async fn deposit_form(&self, mailbox: &str, form: Form) -> Result<String> {
        let request = self.http.post(format!("{}/mailboxes/{mailbox}/messages", self.url()));
        let request = request.basic_auth("front", Some(PASSWORD)).multipart(form);
        let answer: Value = request.send().await?.error_for_status()?.json().await?;
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Alice's messages of a mailbox, newest first.
    pub async fn messages(&self, mailbox: &str) -> Result<Vec<Value>> {
        let page = self.ask("alice", Method::GET, &format!("/mailboxes/{mailbox}/messages"), None).await?;
        Ok(page["messages"].as_array().context("no list")?.clone())
    }

    /// Alice's messages as soon as there are so many.
    pub async fn wait_messages(&self, mailbox: &str, count: usize, within: Duration) -> Result<Vec<Value>> {
        poll(within, async || {
            let messages = self.messages(mailbox).await?;
            ensure!(messages.len() == count, "{} messages instead of {count}", messages.len());
            Ok(messages)
        })
        .await
    }

    /// A message's audio as it is stored.
    pub async fn audio(&self, mailbox: &str, message: &Value) -> Result<Vec<u8>> {
        let id = message["id"].as_str().context("no id")?;
        let url = format!("{}/mailboxes/{mailbox}/messages/{id}/audio", self.url());
        let answer = self.http.get(url).basic_auth("alice", Some(PASSWORD)).send().await?;
        Ok(answer.error_for_status()?.bytes().await?.to_vec())
    }

    /// Records a greeting of a mailbox.
    pub async fn greet(&self, mailbox: &str, wav: Vec<u8>) -> Result<()> {
        let url = format!("{}/mailboxes/{mailbox}/greetings/standard", self.url());
        let request = self.http.put(url).basic_auth("alice", Some(PASSWORD));
        request.header("content-type", "audio/wav").body(wav).send().await?.error_for_status()?;
        Ok(())
    }
}

fn sound_part(wav: Vec<u8>) -> Result<Part> {
    Ok(Part::bytes(wav).file_name("message.wav").mime_str("audio/wav")?)
}

/// Somebody of a users file, who signs in with the one password.
pub fn user_line(name: &str, roles: &str) -> String {
    format!("{name}:{HASH}:{roles}\n")
}

fn command(program: &Path, address: SocketAddr, folder: &Path, more: &serde_yaml::Mapping) -> Command {
    // A folder that can't be written shows in the log of the process that then doesn't start.
    let _ = write_files(address, folder, more);
    let mut command = Command::new(program);
    command.args(["serve", "--config"]).arg(folder.join("config.yaml"));
    command
}

fn write_files(address: SocketAddr, folder: &Path, more: &serde_yaml::Mapping) -> Result<()> {
    let at = |name: &str| folder.join(name);
    std::fs::create_dir_all(at("keys"))?;
    std::fs::create_dir_all(at("store"))?;
    if !at("keys/receipt.key").exists() {
        std::fs::write(at("keys/tenant.key"), "0123456789abcdef0123456789abcdef0123456789abcdef\n")?;
        let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        std::fs::write(at("keys/receipt.key"), receipt.serialize_pem())?;
    }
    let users = [("front", "telephony"), ("alice", "agent:alice"), ("root", "admin"), ("officer", "privacy")];
    let lines: String = users.iter().map(|(name, roles)| user_line(name, roles)).collect();
    std::fs::write(at("users"), lines)?;
    let mut config: serde_yaml::Value = serde_yaml::from_str(EXAMPLE)?;
    let folder = folder.to_str().context("a folder with a name that isn't UTF-8")?;
    config["auth"] = serde_yaml::from_str(&format!("basic: {{usersFile: {folder}/users}}"))?;
    config["listen"] = serde_yaml::from_str(&format!("{{api: '{address}', metrics: '127.0.0.1:0'}}"))?;
    config["classesOfService"][0]["minSeconds"] = 1.into();
    for (name, value) in more {
        config[name] = value.clone();
    }
    let text = serde_yaml::to_string(&config)?.replace("/var/lib/voicemail", folder);
    Ok(std::fs::write(at("config.yaml"), text)?)
}
