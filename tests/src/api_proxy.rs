//! Faults between an operator and the API server.
//!
//! ```text
//! operator ─HTTP─▶ FaultProxy (409, 429, 5xx, cut connections) ─HTTP─▶ kubectl proxy ─TLS─▶ API server
//! ```
//!
//! `kubectl proxy` signs in with the operator's own token, so that rights and audit log are the operator's.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use crate::operator_process::OperatorIdentity;
use voicemail_test_cluster::Cluster;
use voicemail_test_machine::fault_proxy::{Dialect, FaultProxy};

/// The way of one operator to the API server; it ends with this value.
pub struct ApiProxy {
    /// The faults on it.
    pub faults: FaultProxy,
    signing: Child,
}

impl ApiProxy {
    /// Makes the way and turns the identity's kubeconfig to it: the operator takes it from its next start on.
    pub async fn start(cluster: &Cluster, identity: &OperatorIdentity) -> Result<Self> {
        let mut command = cluster.kubectl().command();
        command.arg("--kubeconfig").arg(identity.direct_kubeconfig());
        command.args(["proxy", "--port=0", "--address=127.0.0.1"]);
        let mut signing = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = signing.stdout.take().context("kubectl proxy has no output")?;
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let line = line.await??;
        let address = line.rsplit(' ').next().unwrap_or_default().trim();
        let server: SocketAddr = address.parse().with_context(|| format!("kubectl proxy said {line:?}"))?;
        let listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let faults = FaultProxy::start(listen, server, Dialect::Kubernetes).await?;
        identity.reroute(faults.address())?;
        Ok(Self { faults, signing })
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        if let Err(error) = self.signing.kill().and_then(|()| self.signing.wait().map(drop)) {
            eprintln!("kubectl proxy may still run: {error}");
        }
    }
}
