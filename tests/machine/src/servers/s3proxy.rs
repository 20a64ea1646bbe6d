//! s3proxy over a folder: an S3 server that must be refused, since it looks at a condition first and writes afterwards.
//!
//! `tests/servers/s3proxy` pins it; Maven installs it once, and Java runs it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use reqwest::StatusCode;

use crate::servers::maven;
use crate::servers::process::{Launch, ServerProcess};
use crate::servers::s3_admin::{S3Endpoint, S3Keys};

const LIST: &str = include_str!("../../../servers/s3proxy/pom.xml");
const LOGGING: (&str, &str) = ("logback.xml", include_str!("../../../servers/s3proxy/logback.xml"));

/// An s3proxy process with data of its own.
#[derive(Debug)]
pub struct S3Proxy {
    process: ServerProcess,
    keys: S3Keys,
}

impl S3Proxy {
    /// Installs it if need be, starts it, and waits until it answers.
    pub async fn start(listen: IpAddr) -> Result<Self> {
        let install = || Ok((maven::find_java()?, maven::install("s3proxy", LIST, &[LOGGING])?));
        let (java, folder) =
            tokio::task::spawn_blocking(install).await?.map_err(|error: anyhow::Error| error)?;
        let keys = S3Keys::random();
        let process = ServerProcess::start(describe_launch(java, folder, &keys), listen).await?;
        Ok(Self { process, keys })
    }

    /// Where and with which keys to reach it.
    pub fn endpoint(&self) -> S3Endpoint {
        S3Endpoint::new(format!("http://{}", self.process.address()), self.keys.clone())
    }
}

fn describe_launch(java: PathBuf, folder: PathBuf, keys: &S3Keys) -> Launch {
    let keys = keys.clone();
    let command = move |address: SocketAddr, data: &Path| {
        let properties = data.with_file_name("s3proxy.properties");
        let text = format!(
            "s3proxy.endpoint=http://{address}\ns3proxy.authorization=aws-v2-or-v4\ns3proxy.identity={}\n\
             s3proxy.credential={}\njclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={}\n",
            keys.access_key,
            keys.secret_key,
            data.display()
        );
        let mut command = Command::new(&java);
        match std::fs::write(&properties, text) {
            Ok(()) => {}
            Err(error) => eprintln!("{} can't be written: {error}", properties.display()),
        }
        command.arg(format!("-Dlogback.configurationFile={}", folder.join("logback.xml").display()));
        command.args(["-Xmx256m", "-cp", &format!("{}/jars/*", folder.display())]);
        command.args(["org.gaul.s3proxy.Main", "--properties"]).arg(&properties);
        command
    };
    Launch {
        name: "s3proxy",
        command: Box::new(command),
        health_path: "/",
        is_up: |status| status == StatusCode::FORBIDDEN,
    }
}
