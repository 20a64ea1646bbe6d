//! Children that a tenant no longer wants are deleted: by the names that it gives, and by label under any other name.
//! Objects that aren't the tenant's own stay, whatever their labels say, and so does everything in other namespaces.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use voicemail_operator::tenant::build::pod_monitor::pod_monitor_resource;
use voicemail_operator::tenant::build::prometheus_rule::prometheus_rule_resource;
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::operator_audit::{mutations, settle};
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::command::run;
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::TenantPlace;

const CHILD: &str = "acme-voicemail";
const SOON: Duration = Duration::from_secs(60);

async fn prepare_ready(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare(prefix).await.unwrap();
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    place
}

fn labels() -> Value {
    json!({"app.kubernetes.io/managed-by": "voicemail-operator", "voicemail.dev/tenant": "acme"})
}

/// An autoscaler, a policy and a budget that choose nothing, under this name.
fn three(name: &str, namespace: &str, owner: Option<&str>) -> String {
    let owners = owner.map(|uid| {
        json!([{"apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailTenant", "name": "acme", "uid": uid}])
    });
    let metadata =
        json!({"name": name, "namespace": namespace, "labels": labels(), "ownerReferences": owners});
    let nobody = json!({"matchLabels": {"nobody": "here"}});
    let object = |api: &str, kind: &str, spec: Value| {
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}).to_string()
    };
    [
        object(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            json!({"maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}}),
        ),
        object("networking.k8s.io/v1", "NetworkPolicy", json!({"podSelector": nobody})),
        object("policy/v1", "PodDisruptionBudget", json!({"maxUnavailable": 1, "selector": nobody})),
    ]
    .join("\n---\n")
}

async fn count(namespace: &TestNamespace, name: &str) -> usize {
    let found = [
        namespace.api::<HorizontalPodAutoscaler>().get_opt(name).await.unwrap().is_some(),
        namespace.api::<NetworkPolicy>().get_opt(name).await.unwrap().is_some(),
        namespace.api::<PodDisruptionBudget>().get_opt(name).await.unwrap().is_some(),
    ];
    found.into_iter().filter(|found| *found).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_left_under_other_names_goes_and_what_only_looks_like_ours_stays() {
    let place = prepare_ready("orphans").await;
    let elsewhere =
        TestNamespace::create(place.cluster.config().await.unwrap(), "orphans-elsewhere").await.unwrap();
    let uid = place.tenants().get("acme").await.unwrap().uid().unwrap();
    let here = place.namespace.name().to_owned();
    let apply = |text: String| place.cluster.kubectl().apply(&text).unwrap();
    apply(three("copied", &here, None));
    apply(three("acme-voicemail-old", elsewhere.name(), None));
    apply(three("acme-voicemail-old", &here, Some(&uid)));

    wait_gone(&place.namespace.api::<HorizontalPodAutoscaler>(), "acme-voicemail-old", SOON).await.unwrap();
    wait_gone(&place.namespace.api::<NetworkPolicy>(), "acme-voicemail-old", SOON).await.unwrap();
    wait_gone(&place.namespace.api::<PodDisruptionBudget>(), "acme-voicemail-old", SOON).await.unwrap();
    assert_eq!(count(&place.namespace, "copied").await, 3, "labels alone make nothing ours");
    assert_eq!(count(&elsewhere, "acme-voicemail-old").await, 3, "another namespace was touched");
    assert!(place.namespace.api::<NetworkPolicy>().get_opt(CHILD).await.unwrap().is_some());
    assert!(place.namespace.api::<PodDisruptionBudget>().get_opt(CHILD).await.unwrap().is_some());

    // What was left while no operator ran is found when one starts; with nothing left, nothing is written.
    let mut place = place;
    place.operator.kill().unwrap();
    place.cluster.kubectl().apply(&three("acme-voicemail-older", &here, Some(&uid))).unwrap();
    place.operator.restart().await.unwrap();
    wait_gone(&place.namespace.api::<NetworkPolicy>(), "acme-voicemail-older", SOON).await.unwrap();
    wait_gone(&place.namespace.api::<PodDisruptionBudget>(), "acme-voicemail-older", SOON).await.unwrap();
    wait_gone(&place.namespace.api::<HorizontalPodAutoscaler>(), "acme-voicemail-older", SOON).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    settle(&place.cluster, &place.cluster.audit_log().unwrap(), &here).await.unwrap();
    let log = place.cluster.audit_log().unwrap();
    place.operator.restart().await.unwrap();
    place.operator.wait_for_reconcile(0.0, SOON).await.unwrap();
    settle(&place.cluster, &log, &here).await.unwrap();
    assert_eq!(mutations(&log, &place.identity.username()).unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_spec_no_longer_asks_for_goes_unless_somebody_else_has_made_it() {
    let place = prepare_ready("unwanted").await;
    install_kinds(&place);
    let mut place = place;
    place.operator.restart().await.unwrap();
    let dynamic = |kind| -> Api<DynamicObject> {
        Api::namespaced_with(place.namespace.client(), place.namespace.name(), &kind)
    };
    let (monitors, rules) = (dynamic(pod_monitor_resource()), dynamic(prometheus_rule_resource()));
    let scalers = place.namespace.api::<HorizontalPodAutoscaler>();
    let patch = |spec: Value| {
        let body = json!({ "spec": spec }).to_string();
        place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &body]).unwrap();
    };
    patch(json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 2}}));
    wait_until(&monitors, CHILD, "it is made", SOON, |_| true).await.unwrap();
    let rule = wait_until(&rules, CHILD, "it is made", SOON, |_| true).await.unwrap();
    wait_until(&scalers, CHILD, "it is made", SOON, |_| true).await.unwrap();
    check_rules(&place, &rule);

    patch(json!({"autoscaling": null, "monitoring": {"mode": "Disabled"}}));
    wait_gone(&monitors, CHILD, SOON).await.unwrap();
    wait_gone(&rules, CHILD, SOON).await.unwrap();
    wait_gone(&scalers, CHILD, SOON).await.unwrap();

    // Somebody else's, under the very name and label, stays.
    let foreign = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": CHILD, "namespace": place.namespace.name(), "labels": labels()},
        "spec": {"maxReplicas": 1, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}},
    });
    place.cluster.kubectl().apply(&foreign.to_string()).unwrap();
    let before = place.operator.tenant_reconciles().unwrap();
    place.kubectl(&["label", "vmt", "acme", "look=again"]).unwrap();
    place.operator.wait_for_reconcile(before, SOON).await.unwrap();
    assert!(scalers.get_opt(CHILD).await.unwrap().is_some(), "somebody else's autoscaler is gone");
}

/// The kinds of Prometheus' operator, as far as we use them.
fn install_kinds(place: &TenantPlace) {
    for (kind, manifest) in [
        ("podmonitors", include_str!("tenant_operation/pod_monitor.yaml")),
        ("prometheusrules", include_str!("tenant_operation/prometheus_rule.yaml")),
    ] {
        place.cluster.kubectl().apply(manifest).unwrap();
        let mut command = place.cluster.kubectl().command();
        let name = format!("crd/{kind}.monitoring.coreos.com");
        run(command.args(["wait", "--for=condition=Established", "--timeout=30s", &name])).unwrap();
    }
}

/// Prometheus' own tool takes the rules, and they are about this tenant alone.
fn check_rules(place: &TenantPlace, rule: &DynamicObject) {
    let job = format!("job=\"{}/{CHILD}\"", place.namespace.name());
    let groups = rule.data["spec"]["groups"].as_array().unwrap();
    let expressions: Vec<&str> = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .map(|rule| rule["expr"].as_str().unwrap())
        .collect();
    assert!(expressions.len() >= 4 && expressions.iter().all(|text| text.contains(&job)), "{expressions:?}");
    voicemail_test_machine::debian::ensure_program("prometheus", "promtool").unwrap();
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), rule.data["spec"].to_string()).unwrap();
    run(std::process::Command::new("promtool").args(["check", "rules"]).arg(file.path())).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_goes_once_a_brought_certificate_serves_and_the_keys_never_go() {
    let place = prepare_ready("brought").await;
    let secrets = place.namespace.api::<Secret>();
    let made = secrets.get("acme-voicemail-tls").await.unwrap();
    let brought = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "brought", "namespace": place.namespace.name()}, "data": made.data,
    });
    place.cluster.kubectl().apply(&brought.to_string()).unwrap();
    let body = json!({"spec": {"tls": {"secretRef": {"name": "brought"}}}}).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &body]).unwrap();
    wait_gone(&secrets, "acme-voicemail-ca", Duration::from_secs(120)).await.unwrap();
    let copy = secrets.get("acme-voicemail-tls").await.unwrap();
    assert_eq!(copy.annotations()["voicemail.dev/copied-from"], "brought");
    assert!(!copy.annotations().contains_key("voicemail.dev/renew-at"), "nothing is to be renewed");
    place.wait_ready("acme").await.unwrap();
    for kept in ["brought", "acme-voicemail-keys"] {
        assert!(secrets.get_opt(kept).await.unwrap().is_some(), "{kept} is gone");
    }
}
