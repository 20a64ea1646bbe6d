//! A core as a process of its own, on a volume in a folder, for tests of what stands beside it.
//!
//! People sign in with names and one password: `front` is a media server, `alice` the owner of the mailboxes, `root` an
//! administrator.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::process::{Launch, ServerProcess};
use crate::image::build_program;

/// Everybody's.
pub const PASSWORD: &str = "a telephone";
/// The mailboxes of `alice`.
pub const MAILBOXES: [&str; 2] = ["1001", "1002"];
const HASH: &str = "$2b$04$6DrRZQQ/Tti9Y0DQRyB3z.15.4mbTkSO6p3W5k0Eta2u5CEnwfypa";
const EXAMPLE: &str = include_str!("../../../examples/standalone.yaml");
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
        let program = build_program("voicemail")?;
        let launch = Launch {
            name: "voicemail",
            command: Box::new(move |address, folder| command(&program, address, folder)),
            health_path: "/api/v1/nothing",
            is_up: |status| status == StatusCode::NOT_FOUND,
        };
        let process = ServerProcess::start(launch, SocketAddr::from(([127, 0, 0, 1], 0)).ip()).await?;
        let core = Self { process, http: reqwest::Client::builder().no_proxy().build()? };
        core.provision().await?;
        Ok(core)
    }

    async fn provision(&self) -> Result<()> {
        let end = tokio::time::Instant::now() + OPENS_WITHIN;
        for mailbox in MAILBOXES {
            let path = format!("/mailboxes/{mailbox}");
            while let Err(error) = self.ask("root", Method::PUT, &path, Some(json!({}))).await {
                ensure!(tokio::time::Instant::now() < end, "the core doesn't open: {error:#}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
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

    /// Alice's messages of a mailbox, newest first.
    pub async fn messages(&self, mailbox: &str) -> Result<Vec<Value>> {
        let page = self.ask("alice", Method::GET, &format!("/mailboxes/{mailbox}/messages"), None).await?;
        Ok(page["messages"].as_array().context("no list")?.clone())
    }

    /// Alice's messages as soon as there are so many.
    pub async fn wait_messages(&self, mailbox: &str, count: usize, within: Duration) -> Result<Vec<Value>> {
        let end = tokio::time::Instant::now() + within;
        loop {
            let messages = self.messages(mailbox).await?;
            if messages.len() == count {
                return Ok(messages);
            }
            ensure!(tokio::time::Instant::now() < end, "{} messages instead of {count}", messages.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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

fn command(program: &Path, address: SocketAddr, folder: &Path) -> Command {
    // A folder that can't be written shows in the log of the process that then doesn't start.
    let _ = write_files(address, folder);
    let mut command = Command::new(program);
    command.args(["serve", "--config"]).arg(folder.join("config.yaml"));
    command
}

fn write_files(address: SocketAddr, folder: &Path) -> Result<()> {
    let at = |name: &str| folder.join(name);
    std::fs::create_dir_all(at("keys"))?;
    std::fs::create_dir_all(at("store"))?;
    if !at("keys/receipt.key").exists() {
        std::fs::write(at("keys/tenant.key"), "0123456789abcdef0123456789abcdef0123456789abcdef\n")?;
        let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
        std::fs::write(at("keys/receipt.key"), receipt.serialize_pem())?;
    }
    let users = [("front", "telephony"), ("alice", "agent:alice"), ("root", "admin")];
    let lines: String = users.iter().map(|(name, roles)| format!("{name}:{HASH}:{roles}\n")).collect();
    std::fs::write(at("users"), lines)?;
    let mut config: serde_yaml::Value = serde_yaml::from_str(EXAMPLE)?;
    let folder = folder.to_str().context("a folder with a name that isn't UTF-8")?;
    config["auth"] = serde_yaml::from_str(&format!("basic: {{usersFile: {folder}/users}}"))?;
    config["listen"] = serde_yaml::from_str(&format!("{{api: '{address}', metrics: '127.0.0.1:0'}}"))?;
    config["classesOfService"][0]["minSeconds"] = 1.into();
    let text = serde_yaml::to_string(&config)?.replace("/var/lib/voicemail", folder);
    Ok(std::fs::write(at("config.yaml"), text)?)
}
