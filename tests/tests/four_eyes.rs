//! Who may write and approve data-subject requests: the chart's roles and its admission policy, tried by impersonation on
//! a real cluster.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_machine::command::{run, run_with_input};
use voicemail_tests::tenant_place::prepare_cluster;

/// The chart's cluster-wide objects, under the namespace's name; they go with this.
struct Policy {
    cluster: Cluster,
    namespace: TestNamespace,
    manifests: String,
}

impl Policy {
    async fn install() -> Self {
        voicemail_test_machine::install_crypto();
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

    fn pause(&self) {
        self.cluster
            .run_kubectl(&["delete", "validatingadmissionpolicybinding", &self.policy_name()])
            .unwrap();
        // It counts for a moment more.
        let world = std::time::Instant::now();
        while self.create("anna", "probe", json!({ "requestedBy": "somebody" })).is_err() {
            assert!(world.elapsed() < Duration::from_secs(60), "the policy stays in force");
        }
        self.cluster.run_kubectl(&["delete", "gdpr", "probe", "-n", self.namespace.name()]).unwrap();
    }

    async fn resume(&self) {
        self.cluster.kubectl().apply(&self.manifests).unwrap();
        self.wait_in_force().await;
    }

    fn policy_name(&self) -> String {
        let named = self.manifests.lines().find_map(|line| line.strip_prefix("  policyName: "));
        named.unwrap().to_owned()
    }

    /// A policy counts a moment after it was written.
    async fn wait_in_force(&self) {
        let world = voicemail_store::real_world();
        for n in 0..60 {
            let made = self.create("anna", &format!("probe-{n}"), json!({ "requestedBy": "somebody" }));
            if made.is_err_and(|error| error.contains("your own user name")) {
                return;
            }
            world.sleep(Duration::from_millis(500)).await;
        }
        panic!("the policy isn't in force");
    }

    fn create(&self, user: &str, name: &str, more: Value) -> Result<String, String> {
        let mut spec = json!({ "tenantRef": { "name": "nobody" }, "operation": "ForgetMe", "caseID": "1",
                               "consumers": { "secretRef": { "name": "c" } } });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let object = json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
                             "metadata": { "name": name }, "spec": spec });
        let mut kubectl = self.cluster.kubectl().command();
        kubectl.args(["create", "-f", "-", "--as", user, "-n", self.namespace.name()]);
        run_with_input(&mut kubectl, &object.to_string()).map_err(|error| format!("{error:#}"))
    }

    fn decide(&self, user: &str, name: &str, by: &str) -> Result<String, String> {
        self.patch(user, name, &json!({ "approval": { "decision": "Approve", "by": by } }))
    }

    /// Changes the spec, or the metadata.
    fn patch(&self, user: &str, name: &str, change: &Value) -> Result<String, String> {
        let patch = match change.get("metadata") {
            Some(_) => change.to_string(),
            None => json!({ "spec": change }).to_string(),
        };
        let arguments =
            ["patch", "gdpr", name, "--type=merge", "-p", &patch, "--as", user, "-n", self.namespace.name()];
        self.cluster.run_kubectl(&arguments).map_err(|error| format!("{error:#}"))
    }
}

/// The spec with more in it; what is null is left out.
fn with(spec: &Value, more: Value) -> Value {
    let mut spec = spec.clone();
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
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
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_with_both_roles_finds_no_form_of_object_to_approve_what_they_asked_for() {
    let policy = Policy::install().await;
    let approval = json!({ "decision": "Approve", "by": "both" });
    let shown = json!({ "run": "1/forgetme.1", "consumers": null });
    let named = json!({ "messages": [{ "mailbox": "1", "id": "i" }], "consumers": null });
    for (form, spec) in [("shown", &shown), ("named", &named), ("plain", &json!({}))] {
        let approved = with(spec, json!({ "approval": approval.clone() }));
        let words = if form == "shown" { "decides nothing" } else { "requestedBy" };
        refused(policy.create("both", &format!("{form}-anonymous"), approved.clone()), words);
        let own = with(&approved, json!({ "requestedBy": "both" }));
        let words = if form == "shown" { "decides nothing" } else { "somebody else" };
        refused(policy.create("both", &format!("{form}-own"), own), words);
        let others = with(&approved, json!({ "requestedBy": "anna" }));
        refused(policy.create("both", &format!("{form}-others"), others), "your own user name");
    }
    // Who asks is known at every opening.
    for operation in ["ForgetMe", "ExportMe"] {
        let anonymous = policy.create("anna", "anonymous", json!({ "operation": operation }));
        refused(anonymous, "your own user name");
    }
    policy.create("anna", "undo", json!({ "operation": "UndoForgetMe", "consumers": null })).unwrap();

    // An object that shows a run may be there, and decides nothing.
    policy.create("anna", "shown", shown).unwrap();
    for decision in [
        json!({ "approval": approval }),
        json!({ "cancellation": { "reason": "r", "by": "both" } }),
        json!({ "extension": { "months": 1, "reason": "r", "by": "both" } }),
    ] {
        refused(policy.patch("both", "shown", &decision), "decides nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cancels_or_extends_says_who_they_are() {
    let policy = Policy::install().await;
    policy.create("anna", "case", json!({ "requestedBy": "anna" })).unwrap();
    for (field, decision) in
        [("cancellation", json!({ "reason": "r" })), ("extension", json!({ "months": 1, "reason": "r" }))]
    {
        let by = |name: &str| json!({ field: with(&decision, json!({ "by": name })) });
        refused(policy.patch("anna", "case", &json!({ field: decision })), "Required value");
        refused(policy.patch("anna", "case", &by("bert")), "your own user name");
        policy.patch("anna", "case", &by("anna")).unwrap();
        // A user who changes another field doesn't count as the writer of a decision that is there already.
        let label = json!({ "metadata": { "labels": { "seen": field } } });
        policy.patch("bert", "case", &label).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_before_that_does_not_say_who_asked_is_denied_or_cancelled_and_not_approved() {
    let policy = Policy::install().await;
    // The cluster's administrators are bound by the policy as all are: it is away for a moment.
    policy.pause();
    for name in ["denied", "cancelled"] {
        policy.create("anna", name, json!({})).unwrap();
    }
    policy.resume().await;
    refused(policy.decide("bert", "denied", "bert"), "who asked");
    let denial = json!({ "decision": "Deny", "by": "bert", "ground": "NotIdentified" });
    policy.patch("bert", "denied", &json!({ "approval": denial })).unwrap();
    policy.patch("anna", "cancelled", &json!({ "cancellation": { "reason": "r", "by": "anna" } })).unwrap();
}
