//! moto: an S3 server in Python, as a second opinion on what S3 does.
//!
//! `tests/servers/moto` pins it and all that it brings; pip installs it once into an environment of its own. It
//! keeps everything in memory, so a stop loses the data, and takes any keys.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use reqwest::StatusCode;

use crate::servers::process::{Launch, ServerProcess};
use crate::servers::python;
use crate::servers::s3_admin::{S3Endpoint, S3Keys};

const REQUIREMENTS: &str = include_str!("../../../servers/moto/requirements.txt");

/// A moto process.
#[derive(Debug)]
pub struct Moto {
    process: ServerProcess,
    keys: S3Keys,
}

impl Moto {
    /// Installs it if need be, starts it, and waits until it answers.
    pub async fn start(listen: IpAddr) -> Result<Self> {
        let python = tokio::task::spawn_blocking(|| python::install("moto", REQUIREMENTS)).await??;
        let process = ServerProcess::start(describe_launch(python), listen).await?;
        Ok(Self { process, keys: S3Keys::random() })
    }

    /// Where to reach it; other keys would do as well.
    pub fn endpoint(&self) -> S3Endpoint {
        S3Endpoint::new(format!("http://{}", self.process.address()), self.keys.clone())
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// Ends it in order; its data is lost.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await
    }

    /// Starts it on the same port, empty, ending it first if it runs.
    pub async fn start_again(&mut self) -> Result<()> {
        self.process.start_again().await
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// The last lines that it has printed.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

fn describe_launch(python: PathBuf) -> Launch {
    let command = move |address: SocketAddr, _data: &Path| {
        let mut command = Command::new(&python);
        command.args(["-m", "moto.server", "-H", &address.ip().to_string(), "-p"]);
        command.arg(address.port().to_string()).env("PYTHONUNBUFFERED", "1");
        command
    };
    Launch {
        name: "moto",
        command: Box::new(command),
        health_path: "/moto-api/",
        is_up: |status| status == StatusCode::OK,
    }
}
