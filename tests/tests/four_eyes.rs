//! Who may write and approve data-subject requests: the chart's roles and its admission policy, tried by impersonation on
//! a real cluster.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use voicemail_tests::cluster::Cluster;
use voicemail_tests::command::{run, run_with_input};
use voicemail_tests::foreign_operators::keep_out;
use voicemail_tests::namespace::TestNamespace;
use voicemail_tests::tenant_place::prepare_cluster;

/// The chart's cluster-wide objects, under the namespace's name; they go with this.
struct Policy {
    cluster: Cluster,
    namespace: TestNamespace,
    manifests: String,
}

impl Policy {
    async fn install() -> Self {
        voicemail_tests::install_crypto();
        let (cluster, _) = prepare_cluster().await.unwrap();
        let namespace = TestNamespace::create(cluster.config().await.unwrap(), "eyes").await.unwrap();
        keep_out(&cluster, namespace.name()).unwrap();
        let name = namespace.name().to_owned();
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/voicemail-operator");
        let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": name } });
        let mut helm = cluster.helm();
        helm.arg("template").arg(&name).arg(chart).args(["--namespace", &name]);
        helm.args(["--set-json", &format!("admissionPolicy.namespaceSelector={selector}")]);
        helm.args(["--show-only", "templates/roles.yaml", "--show-only", "templates/admission-policy.yaml"]);
        let manifests = run(&mut helm).unwrap();
        cluster.kubectl().apply(&manifests).unwrap();
        let policy = Self { cluster, namespace, manifests };
        for (user, role) in
            [("anna", "privacy"), ("bert", "approver"), ("both", "privacy"), ("both", "approver")]
        {
            policy.bind(user, &format!("{name}-{role}"));
        }
        policy.bind("eve", "edit");
        policy.wait_in_force().await;
        policy
    }

    fn bind(&self, user: &str, role: &str) {
        let (name, user, role) =
            (format!("{user}-{role}"), format!("--user={user}"), format!("--clusterrole={role}"));
        let arguments = ["create", "rolebinding", &name, &role, &user, "-n", self.namespace.name()];
        self.cluster.run_kubectl(&arguments).unwrap();
    }

    /// A policy counts a moment after it was written.
    async fn wait_in_force(&self) {
        let world = voicemail_core::clock::World::real();
        for n in 0..60 {
            if self.create("anna", &format!("probe-{n}"), json!({ "requestedBy": "somebody" })).is_err() {
                return;
            }
            world.sleep(Duration::from_millis(500)).await;
        }
        panic!("the policy isn't in force");
    }

    fn create(&self, user: &str, name: &str, more: Value) -> Result<String, String> {
        let mut spec = json!({ "tenant": "nobody", "operation": "ForgetMe", "caseId": "1",
                               "consumers": { "secret": { "name": "c" } } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let object = json!({ "apiVersion": "voicemail.dev/v1alpha1", "kind": "GdprRequest",
                             "metadata": { "name": name }, "spec": spec });
        let mut kubectl = self.cluster.kubectl().command();
        kubectl.args(["create", "-f", "-", "--as", user, "-n", self.namespace.name()]);
        run_with_input(&mut kubectl, &object.to_string()).map_err(|error| format!("{error:#}"))
    }

    fn decide(&self, user: &str, name: &str, by: &str) -> Result<String, String> {
        let patch = json!({ "spec": { "approval": { "decision": "Approve", "by": by } } }).to_string();
        let arguments =
            ["patch", "gdpr", name, "--type=merge", "-p", &patch, "--as", user, "-n", self.namespace.name()];
        self.cluster.run_kubectl(&arguments).map_err(|error| format!("{error:#}"))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let mut kubectl = self.cluster.kubectl().command();
        kubectl.args(["delete", "--ignore-not-found", "--wait=false", "-f", "-"]);
        if let Err(error) = run_with_input(&mut kubectl, &self.manifests) {
            eprintln!("the policy stays: {error:#}");
        }
    }
}

fn refused(result: Result<String, String>, part: &str) {
    let error = result.unwrap_err();
    assert!(error.contains(part), "{part:?} is not in {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_privacy_officers_write_requests_and_only_somebody_else_approves_them() {
    let policy = Policy::install().await;
    refused(policy.create("eve", "case", json!({})), "forbidden");
    refused(policy.create("bert", "case", json!({})), "forbidden");
    refused(policy.create("anna", "case", json!({ "requestedBy": "bert" })), "your own user name");
    let approval = json!({ "decision": "Approve", "by": "anna" });
    refused(
        policy.create("anna", "case", json!({ "requestedBy": "anna", "approval": approval })),
        "verb approve",
    );
    policy.create("anna", "case", json!({ "requestedBy": "anna" })).unwrap();
    refused(policy.decide("anna", "case", "anna"), "verb approve");
    refused(policy.decide("bert", "case", "anna"), "your own user name");
    refused(policy.decide("eve", "case", "eve"), "forbidden");
    policy.decide("bert", "case", "bert").unwrap();

    policy.create("both", "own", json!({ "requestedBy": "both" })).unwrap();
    refused(policy.decide("both", "own", "both"), "somebody else");
    policy.create("anna", "anonymous", json!({})).unwrap();
    refused(policy.decide("bert", "anonymous", "bert"), "who asked");
}
