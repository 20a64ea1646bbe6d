//! MinIO: an S3 server that nobody of this project wrote.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use tokio::time::Instant;

use super::process::ServerProcess;
use super::s3_admin::S3Admin;
use crate::cluster::Programs;

const READY: Duration = Duration::from_secs(30);

/// The key pair that a server was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Access key id.
    pub id: String,
    /// Secret access key.
    pub secret: String,
}

/// A running, or stopped, MinIO with one drive.
pub struct Minio {
    process: ServerProcess,
    keys: Arc<Mutex<KeyPair>>,
    _folder: TempDir,
}

impl Minio {
    /// Starts one on loopback.
    pub async fn start() -> Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into()).await
    }

    /// Starts one on an address of this machine.
    pub async fn start_on(host: IpAddr) -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| Programs::locate()?.ensure_minio()).await??;
        let folder = tempfile::tempdir()?;
        let first = KeyPair { id: "minio-test".into(), secret: random_secret() };
        let keys = Arc::new(Mutex::new(first));
        let (known, data) = (Arc::clone(&keys), folder.path().to_owned());
        let command = move |address| build_command(&program, &data, address, &lock(&known));
        let process = ServerProcess::start("MinIO", host, &folder.path().join("log"), command)?;
        let server = Self { process, keys, _folder: folder };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.process.address())
    }

    /// The key pair that it takes now.
    pub fn keys(&self) -> KeyPair {
        lock(&self.keys)
    }

    /// Makes a bucket.
    pub async fn make_bucket(&self, name: &str) -> Result<()> {
        self.admin().make_bucket(name).await
    }

    /// Signed requests for settings.
    pub fn admin(&self) -> S3Admin {
        let KeyPair { id, secret } = self.keys();
        S3Admin::new(&self.endpoint(), &id, &secret)
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

    /// Starts it again with another key pair: the old one is refused from then on.
    pub async fn rotate_keys(&mut self) -> Result<KeyPair> {
        self.stop()?;
        let new = KeyPair { id: format!("rotated-{}", &random_secret()[..8]), secret: random_secret() };
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = new.clone();
        self.start_again().await?;
        Ok(new)
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let end = Instant::now() + READY;
        loop {
            match self.admin().list_buckets().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error.context("MinIO isn't ready")),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

fn lock(keys: &Mutex<KeyPair>) -> KeyPair {
    keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn random_secret() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn build_command(program: &PathBuf, data: &Path, address: SocketAddr, keys: &KeyPair) -> Command {
    let mut command = Command::new(program);
    command.args(["server", "--quiet", "--address", &address.to_string()]).arg(data.join("drive"));
    command.env("MINIO_ROOT_USER", &keys.id).env("MINIO_ROOT_PASSWORD", &keys.secret);
    command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off").env("HOME", data);
    command.env("MINIO_API_REQUESTS_MAX", "1000");
    command
}
