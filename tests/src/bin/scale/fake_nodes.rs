//! Nodes on which nobody runs anything: kwok makes their pods Ready, and removes them when they are deleted.
//!
//! The nodes have a taint and a label, so that only pods that ask for them come here. Their pods' addresses lead to this
//! machine as long as the value lives, where [`crate::fake_cores`] answers. kwok is built from its pinned Go
//! module once for each machine. Both end with the value.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use serde_json::json;
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::fake_kubelet;
use voicemail_test_cluster::wait::wait_until;
use voicemail_test_machine::command::run;

const NODES: usize = 2;
const STAGES: &str = include_str!("stages.yaml");
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Label of the nodes and key of their taint.
pub(crate) const KEY: &str = "kwok.x-k8s.io/node";

/// Running fake nodes.
pub(crate) struct FakeNodes {
    cluster: Cluster,
    kwok: Child,
    _stages: tempfile::NamedTempFile,
}

impl FakeNodes {
    pub(crate) async fn start(cluster: &Cluster) -> Result<Self> {
        let program = tokio::task::spawn_blocking(fake_kubelet::program).await??;
        let stages = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        std::fs::write(stages.path(), STAGES)?;
        let log = std::fs::File::create(cluster.folder().join("logs/kwok.log"))?;
        let mut command = Command::new(program);
        command.arg(format!("--kubeconfig={}", cluster.kubeconfig_path().display()));
        command.arg(format!("--config={}", stages.path().display()));
        command.arg("--manage-all-nodes=false");
        command.arg(format!("--manage-nodes-with-annotation-selector={KEY}=fake"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let kwok = command.spawn().context("cannot start kwok")?;
        let nodes = Self { cluster: cluster.clone(), kwok, _stages: stages };
        nodes.add().await?;
        Ok(nodes)
    }

    async fn add(&self) -> Result<()> {
        for number in 0..NODES {
            change_route("replace", number)?;
            let node = json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name(number), "annotations": {KEY: "fake"}, "labels": {KEY: "fake"}},
                "spec": {"podCIDR": pod_cidr(number), "podCIDRs": [pod_cidr(number)],
                         "taints": [{"key": KEY, "value": "fake", "effect": "NoSchedule"}]},
                "status": {"allocatable": {"cpu": "1000", "memory": "4Ti", "pods": "10000"},
                           "capacity": {"cpu": "1000", "memory": "4Ti", "pods": "10000"}},
            });
            self.cluster.kubectl().apply(&node.to_string())?;
        }
        let api: Api<Node> = Api::all(self.cluster.client().await?);
        for number in 0..NODES {
            wait_until(&api, &name(number), "it is Ready", READY_WITHIN, is_ready).await?;
        }
        Ok(())
    }
}

/// Addresses of a node's pods. Not of 127.0.0.0/8, which the API server refuses in endpoints.
fn pod_cidr(number: usize) -> String {
    format!("10.{}.0.0/16", 120 + number)
}

/// Has this machine answer for a node's pods.
fn change_route(action: &str, number: usize) -> Result<()> {
    run(Command::new("ip").args(["route", action, "local", &pod_cidr(number), "dev", "lo"])).map(drop)
}

fn name(number: usize) -> String {
    format!("fake-{number}")
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

impl Drop for FakeNodes {
    fn drop(&mut self) {
        for number in 0..NODES {
            if let Err(error) = change_route("del", number) {
                eprintln!("the route to the pods of {} may stay: {error:#}", name(number));
            }
            if let Err(error) = self.cluster.run_kubectl(&["delete", "node", &name(number), "--wait=false"]) {
                eprintln!("node {} may stay: {error:#}", name(number));
            }
        }
        if let Err(error) = self.kwok.kill().and_then(|()| self.kwok.wait()) {
            eprintln!("kwok may still run: {error}");
        }
    }
}
