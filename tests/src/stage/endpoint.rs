//! The way from this machine to a tenant's Service, under the name that its certificate is for.
//!
//! The local cluster's Service addresses are routed here. Elsewhere `kubectl port-forward` makes the way,
//! to one pod: it ends with that pod, and with this value.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::Site;

const PORT: u16 = 8081;
const PATIENCE: Duration = Duration::from_secs(30);

/// An address, the name to ask there, and the child that keeps the way open.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    host: String,
    _forward: Option<Child>,
}

impl Endpoint {
    /// Opens the way to a Service.
    pub async fn open(site: &Site, namespace: &str, service: &str) -> Result<Self> {
        let host = format!("{service}.{namespace}.svc");
        if site.cluster().is_some() {
            let address = SocketAddr::new(find_address(site, namespace, service).await?, PORT);
            return Ok(Self { address, host, _forward: None });
        }
        let (child, port) = forward(site, namespace, service).await?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { address, host, _forward: Some(child) })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name that the certificate is for.
    pub fn host(&self) -> &str {
        &self.host
    }
}

async fn find_address(site: &Site, namespace: &str, service: &str) -> Result<IpAddr> {
    let api: Api<Service> = site.api(namespace)?;
    let found = api.get(service).await.with_context(|| format!("reading Service {namespace}/{service}"))?;
    let address = found.spec.and_then(|spec| spec.cluster_ip).unwrap_or_default();
    address.parse().with_context(|| format!("Service {namespace}/{service} has no address"))
}

async fn forward(site: &Site, namespace: &str, service: &str) -> Result<(Child, u16)> {
    let mut command = Command::from(site.kubectl());
    command.args(["port-forward", "-n", namespace, &format!("service/{service}"), &format!(":{PORT}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot start kubectl port-forward")?;
    let output = child.stdout.take().context("kubectl has no output")?;
    let mut lines = BufReader::new(output).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    let line = line.context("kubectl port-forward says nothing")??.unwrap_or_default();
    // The rest must be read too, or kubectl stops when the pipe is full.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let port = line.split_once("127.0.0.1:").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    Ok((child, port.with_context(|| format!("kubectl port-forward said {line:?}"))?))
}
