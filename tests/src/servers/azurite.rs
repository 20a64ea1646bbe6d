//! Azurite: Microsoft's emulator of Azure Blob storage, from npm.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::HttpRequestBody;
use tempfile::TempDir;
use tokio::time::Instant;

use super::process::ServerProcess;
use super::s3_admin::{Answer, send};
use crate::cluster::layout::cache_folder;
use crate::command::{find_program, run};
use crate::digest::Digest;
use crate::progress::step;

const PACKAGE: &str = include_str!("../../servers/azurite/package.json");
const LOCK: &str = include_str!("../../servers/azurite/package-lock.json");
const READY: Duration = Duration::from_secs(30);
/// What the emulator answers settings requests for; the client library speaks the same.
const API_VERSION: &str = "2023-11-03";

/// A storage account of the emulator.
#[derive(Clone, Debug)]
pub struct Account {
    /// Name.
    pub name: String,
    /// Shared key, base64.
    pub key: String,
}

/// A running, or stopped, Azurite.
pub struct Azurite {
    process: ServerProcess,
    accounts: Vec<Account>,
    _folder: TempDir,
}

impl Azurite {
    /// Starts one on loopback with these accounts.
    pub async fn start(accounts: &[&str]) -> Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), accounts).await
    }

    /// Starts one on an address of this machine.
    pub async fn start_on(host: IpAddr, accounts: &[&str]) -> Result<Self> {
        let program = tokio::task::spawn_blocking(install).await??;
        let folder = tempfile::tempdir()?;
        let accounts: Vec<Account> = accounts.iter().map(|name| new_account(name)).collect();
        let (known, data) = (accounts.clone(), folder.path().join("data"));
        let command = move |address| build_command(&program, &data, address, &known);
        let process = ServerProcess::start("Azurite", host, &folder.path().join("log"), command)?;
        let server = Self { process, accounts, _folder: folder };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// An account's URL.
    pub fn endpoint(&self, account: &str) -> String {
        format!("http://{}/{account}", self.process.address())
    }

    /// An account by its name.
    pub fn account(&self, name: &str) -> Result<&Account> {
        self.accounts.iter().find(|account| account.name == name).context("no such account")
    }

    /// Makes a container.
    pub async fn make_container(&self, account: &str, container: &str) -> Result<()> {
        self.expect(account, "PUT", &format!("/{container}?restype=container"), None).await.map(drop)
    }

    /// Turns the keeping of deleted blobs on or off for an account.
    pub async fn set_soft_delete(&self, account: &str, enabled: bool) -> Result<()> {
        let days = if enabled { "<Days>7</Days>" } else { "" };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><DeleteRetentionPolicy>\
             <Enabled>{enabled}</Enabled>{days}</DeleteRetentionPolicy></StorageServiceProperties>"
        );
        self.expect(account, "PUT", "/?restype=service&comp=properties", Some(&body)).await.map(drop)
    }

    /// A shared access signature for one container, with all rights that a store needs, for an hour.
    pub fn container_token(&self, account: &str, container: &str) -> Result<String> {
        let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        sign_container(self.account(account)?, container, &expiry.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    /// Stops it; the data stays.
    pub fn stop(&mut self) -> Result<()> {
        self.process.stop()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again on the same port and data.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start_again()?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let end = Instant::now() + READY;
        loop {
            match self.expect(&self.accounts[0].name, "GET", "/?comp=list", None).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error.context("Azurite isn't ready")),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Sends a signed request; a status that isn't a success is an error with the server's words.
    async fn expect(&self, account: &str, method: &str, path: &str, body: Option<&str>) -> Result<Answer> {
        let bytes = body.unwrap_or_default().to_owned();
        let uri = format!("{}{path}", self.endpoint(account));
        let request = Request::builder().method(method).uri(uri).header("content-length", bytes.len());
        let mut request = request.header("x-ms-version", API_VERSION).body(HttpRequestBody::from(bytes))?;
        let key = AzureAccessKey::try_new(&self.account(account)?.key)?;
        AzureAuthorizer::new(&AzureCredential::AccessKey(key), account).try_authorize(&mut request)?;
        let answer = send(request).await?;
        if !(200..300).contains(&answer.status) {
            bail!("{method} {path} was answered {}: {}", answer.status, answer.body);
        }
        Ok(answer)
    }
}

fn new_account(name: &str) -> Account {
    Account { name: name.into(), key: STANDARD.encode(uuid::Uuid::new_v4().as_bytes()) }
}

fn build_command(program: &Path, data: &Path, address: SocketAddr, accounts: &[Account]) -> Command {
    let accounts: Vec<String> = accounts.iter().map(|one| format!("{}:{}", one.name, one.key)).collect();
    let mut command = Command::new("node");
    command.arg(program).args(["--blobHost", &address.ip().to_string()]);
    command.args(["--blobPort", &address.port().to_string(), "--silent", "--skipApiVersionCheck"]);
    command.args(["--disableTelemetry", "--disableProductStyleUrl", "--location"]).arg(data);
    command.env("AZURITE_ACCOUNTS", accounts.join(";"));
    command
}

/// Installs the pinned packages once for each machine; returns the program.
fn install() -> Result<PathBuf> {
    let folder = cache_folder()?.join("servers");
    std::fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let name = format!("azurite-{}", Digest::default().with(PACKAGE).with(LOCK).short());
    let finished = folder.join(name);
    if !finished.is_dir() {
        step("installing Azurite from npm", || install_into(&folder, &finished))?;
    }
    Ok(finished.join("node_modules/azurite/dist/src/blob/main.js"))
}

fn install_into(folder: &Path, finished: &Path) -> Result<()> {
    let npm = find_program("npm")
        .context("npm isn't installed: Azurite, the Azure server of the tests, needs Node.js 20")?;
    let building = tempfile::Builder::new().prefix(".installing-").tempdir_in(folder)?;
    std::fs::write(building.path().join("package.json"), PACKAGE)?;
    std::fs::write(building.path().join("package-lock.json"), LOCK)?;
    let mut command = Command::new(npm);
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(building.path());
    run(&mut command)?;
    std::fs::rename(building.keep(), finished).context("publishing Azurite")
}

/// The string to sign of a service SAS, version 2020-12-06 and later.
fn sign_container(account: &Account, container: &str, expiry: &str) -> Result<String> {
    const RIGHTS: &str = "racwdlt";
    let resource = format!("/blob/{}/{container}", account.name);
    let fields = [RIGHTS, "", expiry, &resource, "", "", "", API_VERSION, "c", "", "", "", "", "", "", ""];
    let key = STANDARD.decode(&account.key)?;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    let signature = aws_lc_rs::hmac::sign(&key, fields.join("\n").as_bytes());
    let mut query = reqwest::Url::parse("http://x/")?;
    query
        .query_pairs_mut()
        .append_pair("sv", API_VERSION)
        .append_pair("sr", "c")
        .append_pair("sp", RIGHTS)
        .append_pair("se", expiry)
        .append_pair("sig", &STANDARD.encode(signature));
    Ok(query.query().unwrap_or_default().to_owned())
}
