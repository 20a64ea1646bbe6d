//! MinIO on one drive: an S3 server with real versions, delete markers and lifecycle rules.
//!
//! It is built from the Go module that `tests/programs/minio` pins, which takes some minutes the first time.
//! Root keys can be changed between two runs on the same data, as a rotation of credentials does.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use reqwest::StatusCode;

use crate::go_module::Module;
use crate::install::install_program;
use crate::module;
use crate::servers::process::{Launch, ServerProcess};
use crate::servers::s3_admin::{S3Endpoint, S3Keys};

const MODULE: Module = module!("minio", &["minio"], cgo: false, tags: "", renamed: &[]);

/// A MinIO process with data of its own.
#[derive(Debug)]
pub struct Minio {
    process: ServerProcess,
    program: PathBuf,
    keys: S3Keys,
}

impl Minio {
    /// Builds it if need be, starts it with random root keys, and waits until it serves.
    pub async fn start(listen: IpAddr) -> Result<Self> {
        let program = tokio::task::spawn_blocking(build).await??;
        let keys = S3Keys::random();
        let process = ServerProcess::start(describe_launch(&program, &keys), listen).await?;
        Ok(Self { process, program, keys })
    }

    /// Where and with which keys to reach it.
    pub fn endpoint(&self) -> S3Endpoint {
        S3Endpoint::new(format!("http://{}", self.process.address()), self.keys.clone())
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// The root keys of the next start; those of before are refused from then on.
    pub fn set_keys(&mut self, keys: S3Keys) {
        self.process.set_launch(describe_launch(&self.program, &keys));
        self.keys = keys;
    }

    /// Ends it in order; its data stays.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await
    }

    /// Starts it on the same port and data, ending it first if it runs.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start_again().await
    }

    /// Ends it as a crash does; its data stays.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// The last lines that it has printed.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Folder of its data, to look for traces.
    pub fn data_folder(&self) -> PathBuf {
        self.process.data_folder()
    }
}

fn describe_launch(program: &Path, keys: &S3Keys) -> Launch {
    let (program, keys) = (program.to_owned(), keys.clone());
    let command = move |address: SocketAddr, data: &Path| {
        let mut command = Command::new(&program);
        command.args(["server", "--quiet", "--address", &address.to_string()]);
        command.arg("--config-dir").arg(data.with_file_name("config")).arg(data);
        command.env("MINIO_ROOT_USER", &keys.access_key).env("MINIO_ROOT_PASSWORD", &keys.secret_key);
        command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off");
        command
    };
    Launch {
        name: "MinIO",
        command: Box::new(command),
        // Its own health answers before it takes requests; one without a signature is refused only then.
        health_path: "/",
        is_up: |status| status == StatusCode::FORBIDDEN,
    }
}

fn build() -> Result<PathBuf> {
    install_program(&MODULE, "minio")
}
