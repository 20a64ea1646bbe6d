//! Prometheus of Debian's package, which scrapes what the tests run every second.
//!
//! Targets get the labels that a PodMonitor's get, so that queries written for those find them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::debian::ensure_program;
use crate::servers::loopback;
use crate::servers::process::{Launch, ServerProcess};

/// Something to scrape.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where `/metrics` is.
    pub address: SocketAddr,
    /// Label `namespace`.
    pub namespace: String,
    /// Label `job`.
    pub job: String,
}

/// A Prometheus process with data of its own.
#[derive(Debug)]
pub struct Prometheus {
    process: ServerProcess,
    http: reqwest::Client,
    _config: NamedTempFile,
}

impl Prometheus {
    /// Installs it if need be, starts it, and waits until it is ready.
    pub async fn start(targets: &[Target]) -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| ensure_program("prometheus", "prometheus")).await??;
        let config = tempfile::Builder::new().suffix(".yml").tempfile()?;
        std::fs::write(config.path(), serde_json::to_vec(&describe(targets))?)?;
        let file = config.path().to_owned();
        let command = move |address: SocketAddr, data: &Path| {
            let mut command = Command::new(&program);
            command.arg(format!("--config.file={}", file.display()));
            command.arg(format!("--storage.tsdb.path={}", data.display()));
            command.arg(format!("--web.listen-address={address}"));
            command
        };
        let launch = Launch {
            name: "Prometheus",
            command: Box::new(command),
            health_path: "/-/ready",
            is_up: |status| status == StatusCode::OK,
        };
        let process = ServerProcess::start(launch, loopback()).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { process, http, _config: config })
    }

    /// The series that a query gives now.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>> {
        let answer =
            self.ask("query", &[("query", query)]).await.with_context(|| format!("query {query}"))?;
        Ok(answer["result"].as_array().cloned().unwrap_or_default())
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = format!("http://{}/api/v1/{path}", self.process.address());
        let answer: Value = self.http.get(url).query(query).send().await?.json().await?;
        ensure!(answer["status"] == "success", "Prometheus answered {answer}");
        Ok(answer["data"].clone())
    }
}

/// JSON is YAML, too.
fn describe(targets: &[Target]) -> Value {
    let one = |target: &Target| {
        json!({
            "targets": [target.address.to_string()],
            "labels": {"namespace": target.namespace, "job": target.job},
        })
    };
    let configs: Vec<Value> = targets.iter().map(one).collect();
    json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "tests", "static_configs": configs}],
    })
}
