//! kubectl against the local cluster, as its administrator.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use voicemail_test_machine::command::{run, run_with_input};

/// Tells kubectl and helm where to remember which kinds a cluster has.
pub(super) const CACHE_VARIABLE: &str = "KUBECACHEDIR";

/// kubelet renews its lease every ten seconds.
const HEARTBEAT_AGE: SignedDuration = SignedDuration::from_secs(25);

/// That memory belongs to one cluster and goes with it: the next has the same address but other kinds.
pub(super) fn cache_folder(kubeconfig: &Path) -> PathBuf {
    kubeconfig.with_file_name("cache")
}

/// The program and its configuration.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// kubectl with this kubeconfig.
    pub fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig }
    }

    /// A command to add arguments to.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).env(CACHE_VARIABLE, cache_folder(&self.kubeconfig));
        command
    }

    /// Runs it to its end and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        run(self.command().args(arguments))
    }

    /// Applies a stream of YAML documents on the server's side.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        run_with_input(
            self.command().args(["apply", "--server-side", "--force-conflicts", "-f", "-"]),
            manifests,
        )
    }

    /// Whether the node is ready, with a kubelet that lives, and the name server available.
    pub fn node_and_dns_are_ready(&self) -> Result<bool> {
        let kinds = "nodes,deployments,leases";
        let listed = self.run(&["get", kinds, "-A", "-o", "json", "--request-timeout=5s"])?;
        let listed: Value = serde_json::from_str(&listed).context("kubectl printed no JSON")?;
        let items = listed["items"].as_array().cloned().unwrap_or_default();
        let holds = |kind: &str, namespace: Option<&str>, condition: &str| {
            items.iter().any(|item| {
                item["kind"] == kind
                    && item["metadata"]["namespace"].as_str() == namespace
                    && is_true(item, condition)
            })
        };
        let beats = items.iter().any(is_fresh_heartbeat);
        Ok(beats && holds("Node", None, "Ready") && holds("Deployment", Some("kube-system"), "Available"))
    }
}

/// A node's lease that was just renewed: the node itself stays Ready for a while after its kubelet ended.
fn is_fresh_heartbeat(object: &Value) -> bool {
    let renewed = object["spec"]["renewTime"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    object["kind"] == "Lease"
        && object["metadata"]["namespace"] == "kube-node-lease"
        && renewed.is_some_and(|time| Timestamp::now().duration_since(time) < HEARTBEAT_AGE)
}

fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == condition && one["status"] == "True"))
}
