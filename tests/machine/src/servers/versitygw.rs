//! versitygw over a folder: a second independent S3 server, with conditions that hold.
//!
//! It is built from the Go module that `tests/programs/versitygw` pins, which takes a minute the first time.

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

const MODULE: Module = module!("versitygw", &["versitygw"], cgo: false, tags: "", renamed: &[]);

/// A versitygw process with data of its own.
#[derive(Debug)]
pub struct Versitygw {
    process: ServerProcess,
    keys: S3Keys,
}

impl Versitygw {
    /// Builds it if need be, starts it with random root keys, and waits until it serves.
    pub async fn start(listen: IpAddr) -> Result<Self> {
        let program = tokio::task::spawn_blocking(build).await??;
        let keys = S3Keys::random();
        let process = ServerProcess::start(describe_launch(program, &keys), listen).await?;
        Ok(Self { process, keys })
    }

    /// Where and with which keys to reach it.
    pub fn endpoint(&self) -> S3Endpoint {
        S3Endpoint::new(format!("http://{}", self.process.address()), self.keys.clone())
    }
}

fn describe_launch(program: PathBuf, keys: &S3Keys) -> Launch {
    let keys = keys.clone();
    let command = move |address: SocketAddr, data: &Path| {
        let mut command = Command::new(&program);
        command.args(["--access", &keys.access_key, "--secret", &keys.secret_key]);
        command.args(["--port", &address.to_string(), "--region", crate::servers::s3_admin::REGION, "posix"]);
        command.arg("--versioning-dir").arg(data.with_file_name("versions")).arg(data);
        let made = [data.with_file_name("versions"), data.to_owned()].map(std::fs::create_dir_all);
        if let Some(error) = made.into_iter().find_map(Result::err) {
            eprintln!("versitygw's folders can't be made: {error}");
        }
        command
    };
    Launch {
        name: "versitygw",
        command: Box::new(command),
        health_path: "/",
        is_up: |status| status == StatusCode::FORBIDDEN,
    }
}

fn build() -> Result<PathBuf> {
    install_program(&MODULE, "versitygw")
}
