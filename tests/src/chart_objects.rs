//! Cluster-wide objects of the chart under a name of a test's own.

use anyhow::Result;

use voicemail_test_cluster::Cluster;
use voicemail_test_machine::command::{run, run_with_input};
use voicemail_test_machine::workspace_path;

/// Objects of the chart, under the namespace's name as release; they go with this.
#[derive(Debug)]
pub struct ChartObjects {
    cluster: Cluster,
    manifests: String,
}

impl ChartObjects {
    /// Renders one template under that release, in the namespace of the same name, and applies it.
    pub fn apply(cluster: &Cluster, release: &str, template: &str) -> Result<Self> {
        Self::apply_with(cluster, release, template, &[])
    }

    /// The same with arguments for Helm.
    pub fn apply_with(cluster: &Cluster, release: &str, template: &str, arguments: &[&str]) -> Result<Self> {
        let chart = workspace_path("charts/voicemail-operator");
        let mut helm = cluster.helm();
        helm.arg("template").arg(release).arg(chart).args(["--namespace", release, "--show-only", template]);
        helm.args(arguments);
        let manifests = run(&mut helm)?;
        cluster.kubectl().apply(&manifests)?;
        Ok(Self { cluster: cluster.clone(), manifests })
    }
}

impl Drop for ChartObjects {
    fn drop(&mut self) {
        let mut kubectl = self.cluster.kubectl().command();
        kubectl.args(["delete", "--ignore-not-found", "--wait=false", "-f", "-"]);
        if let Err(error) = run_with_input(&mut kubectl, &self.manifests) {
            eprintln!("objects of the chart stay: {error:#}");
        }
    }
}
