//! How a tenant's pods are run: replicas by load, who may reach them, monitors, pause, growth of the claim, what
//! becomes of the volume, and moving to a newer image a few tenants at a time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use voicemail_resources::conditions::{
    ConditionStatus, DATA_KEPT, PAUSED, READY, STORAGE_READY, UPDATE_PENDING,
};
use voicemail_resources::voicemail_tenant::VoicemailTenant;
use voicemail_test_cluster::image::alias_image;
use voicemail_test_cluster::operator_audit::{mutations, requests, settle};
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_tests::tenant_manifest::{claim_mut, condition, tenant_on};
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace};

use ConditionStatus::{False, True, Unknown};

const CHILD: &str = "acme-voicemail";
const SOON: Duration = Duration::from_secs(30);
/// Of the first look at a tenant on a volume, without a telephone or monitoring.
const MOST_REQUESTS: usize = 16;

/// A place with the tenant `acme`, Ready with one pod.
async fn prepare_ready(prefix: &str, change: impl FnOnce(&mut VoicemailTenant)) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare(prefix).await.unwrap();
    add_tenant(&mut place, "acme", change).await;
    place
}

async fn add_tenant(place: &mut TenantPlace, name: &str, change: impl FnOnce(&mut VoicemailTenant)) {
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on(name, &volume).unwrap();
    tenant.spec.replicas = 1;
    change(&mut tenant);
    place.create(&tenant).await.unwrap();
    place.wait_ready(name).await.unwrap();
}

fn patch(place: &TenantPlace, spec: &Value) {
    let body = json!({ "spec": spec }).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &body]).unwrap();
}

fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
}

/// Waits until a change of the tenant's labels has been looked at.
async fn look_again(place: &TenantPlace, word: &str) {
    let before = place.operator.tenant_reconciles().unwrap();
    place.kubectl(&["label", "vmt", "acme", "--overwrite", &format!("look={word}")]).unwrap();
    place.operator.wait_for_reconcile(before, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_takes_the_replicas_over_without_a_pod_less_and_gives_them_back() {
    let place = prepare_ready("scaler", |tenant| tenant.spec.replicas = 2).await;
    let deployments = place.namespace.api::<Deployment>();
    let log = place.cluster.audit_log().unwrap();
    patch(
        &place,
        &json!({"autoscaling": {"minReplicas": 1, "maxReplicas": 4, "targetCPUUtilizationPercentage": 60}}),
    );
    let autoscalers = place.namespace.api::<HorizontalPodAutoscaler>();
    let scaler = wait_until(&autoscalers, CHILD, "it is made", SOON, |_| true).await.unwrap();
    let spec = serde_json::to_value(scaler.spec).unwrap();
    assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(1), &json!(4)));
    assert_eq!(spec["metrics"][0]["resource"]["target"]["averageUtilization"], 60);
    look_again(&place, "first").await;
    assert_eq!(replicas(&deployments.get(CHILD).await.unwrap()), 2, "the number of pods fell");

    // What the autoscaler sets, here by hand through the same subresource, is left alone.
    place.kubectl(&["scale", "deployment", CHILD, "--replicas=3"]).unwrap();
    look_again(&place, "second").await;
    place.wait_ready("acme").await.unwrap();
    assert_eq!(replicas(&deployments.get(CHILD).await.unwrap()), 3);

    patch(&place, &json!({"autoscaling": null}));
    wait_gone(&autoscalers, CHILD, SOON).await.unwrap();
    let back = |deployment: &Deployment| replicas(deployment) == 2;
    wait_until(&deployments, CHILD, "its replicas are the spec's", SOON, back).await.unwrap();
    settle(&place.cluster, &log, place.namespace.name()).await.unwrap();
    let writes = mutations(&log, &place.identity.username()).unwrap();
    let handed = writes.iter().filter(|write| write.starts_with("patch deployments/")).count();
    assert!(handed <= 4, "{writes:?}");
}

/// A thousand new tenants are a thousand times this many requests.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_at_a_new_tenant_reads_nothing_twice() {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("few").await.unwrap();
    let log = place.cluster.audit_log().unwrap();
    add_tenant(&mut place, "acme", |_| {}).await;
    settle(&place.cluster, &log, place.namespace.name()).await.unwrap();
    let all = requests(&log, &place.identity.username()).unwrap();
    // Whether the cluster knows monitors changes while this runs: another test installs one of these kinds.
    let of_monitors =
        |request: &str| ["podmonitors/", "prometheusrules/"].iter().any(|kind| request.contains(kind));
    let is_of_a_look = |request: &&String| !request.starts_with("list ") && !of_monitors(request);
    let end = all.iter().position(|request| request.contains("/acme/status ")).unwrap();
    let look: Vec<_> = all[..=end].iter().filter(is_of_a_look).collect();
    let once: BTreeSet<_> = look.iter().collect();
    assert_eq!(once.len(), look.len(), "something is asked for twice: {look:#?}");
    assert!(look.len() <= MOST_REQUESTS, "{} requests: {look:#?}", look.len());
    assert!(look.contains(&&"patch secrets/acme-voicemail-binding 201".to_owned()), "{look:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_somebody_else_has_under_a_childs_name_is_never_touched() {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("taken").await.unwrap();
    place.kubectl(&["create", "service", "clusterip", CHILD, "--tcp=80:8080"]).unwrap();
    let services = place.namespace.api::<Service>();
    let theirs = services.get(CHILD).await.unwrap();
    let (volume, _) = place.create_volume().await.unwrap();
    place.create(&tenant_on("acme", &volume).unwrap()).await.unwrap();
    place.wait_condition("acme", READY, False, "NameTaken").await.unwrap();
    assert_eq!(services.get(CHILD).await.unwrap(), theirs);

    services.delete(CHILD, &DeleteParams::default()).await.unwrap();
    place.wait_ready("acme").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_keeps_hints_among_the_pods_and_lets_in_whom_the_tenant_names() {
    let place = prepare_ready("access", |_| {}).await;
    let policies = place.namespace.api::<NetworkPolicy>();
    let rules = |policy: &NetworkPolicy| serde_json::to_value(policy).unwrap()["spec"]["ingress"].clone();
    let open = rules(&policies.get(CHILD).await.unwrap());
    assert!(open[0].get("from").is_none() && open[1].get("from").is_none(), "{open}");
    assert_eq!(open[2]["ports"][0]["protocol"], "UDP");
    assert_eq!(open[2]["from"][0]["podSelector"]["matchLabels"]["voicemail.dev/tenant"], "acme");

    patch(
        &place,
        &json!({"networkPolicy": {"api": {"from": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "media"}}},
            {"ipBlock": {"cidr": "10.9.0.0/16"}}
        ]}}}),
    );
    let narrowed = |policy: &NetworkPolicy| rules(policy)[0].get("from").is_some();
    let policy = wait_until(&policies, CHILD, "it names who may call", SOON, narrowed).await.unwrap();
    let from = rules(&policy)[0]["from"].clone();
    let name =
        |index: usize| from[index]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].clone();
    assert_eq!((name(0), from[1]["ipBlock"]["cidr"].clone()), (json!("media"), json!("10.9.0.0/16")));
    assert_eq!(name(2), place.namespace.name(), "the operator must reach the API");

    place.kubectl(&["delete", "networkpolicy", CHILD]).unwrap();
    let old = policy.uid();
    wait_until(&policies, CHILD, "it is made anew", SOON, |policy| policy.uid() != old).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_cluster_knows_pod_monitors_a_tenant_has_one() {
    let place = prepare_ready("monitor", |tenant| {
        let labels = json!({"labels": {"release": "prometheus"}});
        tenant.spec.monitoring = serde_json::from_value(labels).unwrap();
    })
    .await;
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor");
    let kind = ApiResource::from_gvk_with_plural(&kind, "podmonitors");
    let monitors: kube::Api<DynamicObject> =
        kube::Api::namespaced_with(place.namespace.client(), place.namespace.name(), &kind);
    // The tenant was Ready without; now somebody installs the kind, and the operator is started again.
    place.cluster.kubectl().apply(include_str!("tenant_operation/pod_monitor.yaml")).unwrap();
    let mut command = place.cluster.kubectl().command();
    command.args([
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/podmonitors.monitoring.coreos.com",
    ]);
    voicemail_test_machine::command::run(&mut command).unwrap();
    let mut place = place;
    place.operator.restart().await.unwrap();
    let monitor = wait_until(&monitors, CHILD, "it is made", SOON, |_| true).await.unwrap();
    assert_eq!(monitor.labels()["release"], "prometheus");
    assert_eq!(monitor.data["spec"]["podMetricsEndpoints"][0]["port"], "metrics");
    patch(&place, &json!({"monitoring": {"mode": "Disabled"}}));
    wait_gone(&monitors, CHILD, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_tenant_is_left_alone_until_the_annotation_goes() {
    let place = prepare_ready("paused", |_| {}).await;
    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/paused=true"]).unwrap();
    place.wait_condition("acme", PAUSED, True, "PausedByAnnotation").await.unwrap();
    assert_eq!(place.operator.metric("voicemail_paused_tenants", "").unwrap(), 1.0);

    let services = place.namespace.api::<k8s_openapi::api::core::v1::Service>();
    place.kubectl(&["delete", "service", CHILD]).unwrap();
    patch(&place, &json!({"replicas": 2}));
    look_again(&place, "paused").await;
    assert!(services.get_opt(CHILD).await.unwrap().is_none());
    assert_eq!(replicas(&place.namespace.api::<Deployment>().get(CHILD).await.unwrap()), 1);

    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/paused-"]).unwrap();
    wait_until(&services, CHILD, "it is made again", SOON, |_| true).await.unwrap();
    let tenant = place.wait_ready("acme").await.unwrap();
    assert_eq!(condition(&tenant, PAUSED).unwrap().status, ConditionStatus::False);
    assert_eq!(place.operator.metric("voicemail_paused_tenants", "").unwrap(), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_somebody_asks_for_is_confirmed_in_the_status() {
    let place = prepare_ready("asked", |_| {}).await;
    place.kubectl(&["annotate", "vmt", "acme", "voicemail.dev/reconcile-at=now-1"]).unwrap();
    let handled = |tenant: &VoicemailTenant| {
        let status = tenant.status.as_ref().unwrap();
        status.last_handled_reconcile_at.as_deref() == Some("now-1")
    };
    wait_until(&place.tenants(), "acme", "the status names the annotation's value", SOON, handled)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_can_not_grow_says_so_while_the_tenant_serves() {
    let place = prepare_ready("growth", |_| {}).await;
    let claims = place.namespace.api::<PersistentVolumeClaim>();
    let grow = |size: &str| {
        let path = "/spec/regions/0/storage/volume/claim/size";
        let body = json!([{"op": "replace", "path": path, "value": size}]).to_string();
        place.kubectl(&["patch", "vmt", "acme", "--type=json", "-p", &body]).unwrap();
    };
    grow("32Mi");
    let tenant = place.wait_condition("acme", STORAGE_READY, False, "ClaimNotExpandable").await.unwrap();
    assert_eq!(condition(&tenant, READY).unwrap().status, True);
    let message = &condition(&tenant, STORAGE_READY).unwrap().message;
    assert!(message.contains("can't grow") && message.contains("voice-voicemail"), "{message}");
    let size = |claim: &PersistentVolumeClaim| {
        let value = serde_json::to_value(claim).unwrap();
        value["spec"]["resources"]["requests"]["storage"].as_str().map(str::to_owned)
    };
    assert_eq!(size(&claims.get(CHILD).await.unwrap()).as_deref(), Some("16Mi"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_grows_where_its_class_allows_it() {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare("expand").await.unwrap();
    let class = format!("{}-growing", place.namespace.name());
    let manifest = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
        "provisioner": "kubernetes.io/no-provisioner", "allowVolumeExpansion": true,
        "volumeBindingMode": "Immediate",
    });
    place.cluster.kubectl().apply(&manifest.to_string()).unwrap();
    let (volume, _) = place.create_volume().await.unwrap();
    let body = json!({"spec": {"storageClassName": class}}).to_string();
    place.cluster.run_kubectl(&["patch", "pv", &volume, "-p", &body]).unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    claim_mut(&mut tenant).unwrap().storage_class_name = class.clone();
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let path = "/spec/regions/0/storage/volume/claim/size";
    let body = json!([{"op": "replace", "path": path, "value": "32Mi"}]).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=json", "-p", &body]).unwrap();
    let grown = |claim: &PersistentVolumeClaim| {
        let value = serde_json::to_value(claim).unwrap();
        value["spec"]["resources"]["requests"]["storage"] == "32Mi"
    };
    let claims = place.namespace.api::<PersistentVolumeClaim>();
    wait_until(&claims, CHILD, "it asks for the new size", SOON, grown).await.unwrap();
    place.wait_condition("acme", STORAGE_READY, True, "StoreAnswers").await.unwrap();
    place.cluster.run_kubectl(&["delete", "storageclass", &class]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_would_go_with_its_claim_is_warned_of_beforehand() {
    let place = prepare_ready("reclaim", |_| {}).await;
    // With rights in some namespaces only, volumes can't be read, and the condition says that.
    place.wait_condition("acme", DATA_KEPT, Unknown, "ReclaimPolicyForbidden").await.unwrap();
    let namespace = place.namespace.name().to_owned();
    let role = format!("{namespace}-volumes");
    let subject = format!("--serviceaccount={namespace}:voicemail-operator");
    place
        .cluster
        .run_kubectl(&["create", "clusterrole", &role, "--verb=get", "--resource=persistentvolumes"])
        .unwrap();
    let named = format!("--clusterrole={role}");
    place.cluster.run_kubectl(&["create", "clusterrolebinding", &role, &named, &subject]).unwrap();
    look_again(&place, "allowed").await;
    place.wait_condition("acme", DATA_KEPT, True, "VolumeIsRetained").await.unwrap();

    let volume = format!("{namespace}-0");
    let goes = r#"{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}"#;
    place.cluster.run_kubectl(&["patch", "pv", &volume, "-p", goes]).unwrap();
    look_again(&place, "warned").await;
    let tenant = place.wait_condition("acme", DATA_KEPT, False, "VolumeGoesWithClaim").await.unwrap();
    let message = &condition(&tenant, DATA_KEPT).unwrap().message;
    assert!(message.contains(&format!("kubectl patch pv {volume}")), "{message}");
    assert_eq!(condition(&tenant, READY).unwrap().status, True);

    let stays = r#"{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}"#;
    place.cluster.run_kubectl(&["patch", "pv", &volume, "-p", stays]).unwrap();
    place.cluster.run_kubectl(&["delete", "clusterrole,clusterrolebinding", &role]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_default_image_reaches_one_tenant_after_the_other_and_stops_at_the_first_that_fails() {
    let mut place = prepare_ready("rollout", |_| {}).await;
    add_tenant(&mut place, "beta", |_| {}).await;
    let templates = |place: &TenantPlace| {
        let deployments = place.namespace.api::<Deployment>();
        async move {
            let mut images = Vec::new();
            for name in ["acme-voicemail", "beta-voicemail"] {
                let found = serde_json::to_value(deployments.get(name).await.unwrap()).unwrap();
                images.push(found["spec"]["template"]["spec"]["containers"][0]["image"].clone());
            }
            images
        }
    };
    let old = json!(place.image.as_str());

    // An image that can't start: the first tenant keeps its place, and the other one is held back.
    place.operator.set_image("localhost/no-such-voicemail:2").set_budget(1);
    place.operator.restart().await.unwrap();
    let stuck = |tenant: &VoicemailTenant| {
        condition(tenant, READY).is_some_and(|ready| ready.reason == "Available")
            && tenant.status.as_ref().and_then(|s| s.image.as_deref()) != Some(place.image.as_str())
    };
    let first = wait_any(&place, stuck).await;
    let other = if first == "acme" { "beta" } else { "acme" };
    place.wait_condition(other, UPDATE_PENDING, True, "WaitsForOtherTenants").await.unwrap();
    let images = templates(&place).await;
    assert_eq!(images.iter().filter(|image| **image == old).count(), 1, "{images:?}");
    // The old pods serve on.
    place.wait_condition(&first, READY, True, "Available").await.unwrap();

    // One that starts: both move, one after the other.
    let good = alias_image(&place.cluster, &place.image, "newer").unwrap();
    place.operator.set_image(good.as_str());
    place.operator.restart().await.unwrap();
    for name in ["acme", "beta"] {
        let moved = |tenant: &VoicemailTenant| {
            tenant.status.as_ref().and_then(|status| status.image.as_deref()) == Some(good.as_str())
                && condition(tenant, UPDATE_PENDING).is_some_and(|pending| pending.status == False)
        };
        wait_until(&place.tenants(), name, "it has the newer image", DEADLINE, moved).await.unwrap();
        place.wait_ready(name).await.unwrap();
    }
    assert_eq!(templates(&place).await, [json!(good.as_str()), json!(good.as_str())]);
}

/// Waits until it holds for one of the two tenants; returns which.
async fn wait_any(place: &TenantPlace, holds: impl Fn(&VoicemailTenant) -> bool + Copy) -> String {
    let (tenants, description) = (place.tenants(), "it moves to the newer image");
    let acme = wait_until(&tenants, "acme", description, DEADLINE, holds);
    let beta = wait_until(&tenants, "beta", description, DEADLINE, holds);
    tokio::select! {
        tenant = acme => tenant.unwrap().name_any(),
        tenant = beta => tenant.unwrap().name_any(),
    }
}
