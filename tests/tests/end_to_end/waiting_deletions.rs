//! Tenants whose deletion waits, on a real API server with its garbage collector: they serve and are maintained as any
//! other, whichever way they are deleted, and at the end nothing of them is left.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use serde_json::json;
use voicemail_resources::conditions::{ConditionStatus, DELETION_BLOCKED};
use voicemail_resources::voicemail_tenant::{DeletionPolicy, VoicemailTenant};
use voicemail_resources::{CONFIRM_DELETION, FINALIZER, GdprRequest, Phase};
use voicemail_test_cluster::wait::{wait_for, wait_gone, wait_until};
use voicemail_tests::tenant_manifest::tenant_on;
use voicemail_tests::tenant_place::TenantPlace;

use ConditionStatus::True;

const CHILD: &str = "acme-voicemail";
const PATIENT: Duration = Duration::from_secs(240);

async fn serve(prefix: &str, scaled: bool) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    let mut place = TenantPlace::prepare(prefix).await.unwrap();
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    tenant.spec.deletion_policy = DeletionPolicy::Delete;
    if scaled {
        tenant.spec.autoscaling =
            serde_json::from_value(json!({"minReplicas": 1, "maxReplicas": 2})).unwrap();
    }
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    place
}

/// The objects that must stay as they are: the Deployment and its pods.
async fn serving(place: &TenantPlace) -> (Option<String>, Vec<String>) {
    let deployment = place.namespace.api::<Deployment>().get(CHILD).await.unwrap();
    assert!(deployment.metadata.deletion_timestamp.is_none(), "the Deployment goes");
    let chosen = ListParams::default().labels("app.kubernetes.io/name=voicemail");
    let pods = place.namespace.api::<Pod>().list(&chosen).await.unwrap();
    let pods = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    (deployment.uid(), pods.map(|pod| pod.name_any()).collect())
}

async fn check(prefix: &str, policy: PropagationPolicy, scaled: bool) {
    let place = serve(prefix, scaled).await;
    let before = serving(&place).await;
    // A former release's children name their owner.
    let uid = place.tenants().get("acme").await.unwrap().uid().unwrap();
    let owner = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailTenant", "name": "acme", "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    }]}});
    let deployments = place.namespace.api::<Deployment>();
    deployments.patch(CHILD, &PatchParams::default(), &Patch::Merge(&owner)).await.unwrap();
    let disowned = |deployment: &Deployment| deployment.owner_references().is_empty();
    wait_until(&deployments, CHILD, "it has no owner", PATIENT, disowned).await.unwrap();

    let parameters = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
    place.tenants().delete("acme", &parameters).await.unwrap();
    place.wait_condition("acme", DELETION_BLOCKED, True, "ConfirmationMissing").await.unwrap();
    // The garbage collector takes its own finalizer away once it has done what it was asked for.
    let collected = |tenant: &VoicemailTenant| tenant.finalizers() == [FINALIZER];
    wait_until(&place.tenants(), "acme", "only our finalizer is left", PATIENT, collected).await.unwrap();
    assert_eq!(serving(&place).await, before, "the service was stopped");

    let services = place.namespace.api::<Service>();
    let service = services.get(CHILD).await.unwrap();
    services.delete(CHILD, &DeleteParams::default()).await.unwrap();
    let again = |found: Option<&Service>| found.is_some_and(|found| found.uid() != service.uid());
    wait_for(&services, CHILD, "it is made again", PATIENT, again).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    assert_eq!(serving(&place).await, before);

    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
    wait_gone(&deployments, CHILD, PATIENT).await.unwrap();
    wait_gone(&services, CHILD, PATIENT).await.unwrap();
    wait_gone(&place.namespace.api::<ConfigMap>(), CHILD, PATIENT).await.unwrap();
    wait_gone(&place.namespace.api::<ServiceAccount>(), CHILD, PATIENT).await.unwrap();
    for secret in ["acme-voicemail-tls", "acme-voicemail-ca", "acme-voicemail-keys"] {
        wait_gone(&place.namespace.api::<Secret>(), secret, PATIENT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_foreground_as_argo_cd_deletes_the_tenant_serves_until_it_may_go() {
    check("foreground", PropagationPolicy::Foreground, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_foreground_an_autoscaled_tenant_serves_until_it_may_go() {
    check("foreground-scaled", PropagationPolicy::Foreground, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_background_the_tenant_serves_until_it_may_go() {
    check("background", PropagationPolicy::Background, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_orphans_the_tenant_serves_until_it_may_go_and_leaves_none() {
    check("orphan", PropagationPolicy::Orphan, false).await;
}

/// The request needs the cores, and the tenant waits for the request.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_foreground_an_open_request_ends_and_then_its_tenant_goes() {
    let place = serve("foreground-request", false).await;
    let consumers: Secret = serde_json::from_value(json!({
        "metadata": {"name": "one", "labels": {"voicemail.dev/gdpr-consumers": "true"}},
        "stringData": {"input.json": r#"{"caseid": "one", "consumers": [{"phone": ["+441632960001"]}]}"#},
    }))
    .unwrap();
    place.create(&consumers).await.unwrap();
    let request: GdprRequest = serde_json::from_value(json!({
        "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest", "metadata": {"name": "one"},
        "spec": {"tenantRef": {"name": "acme"}, "operation": "ForgetMe", "caseID": "one", "undoWindow": "20s",
                 "consumers": {"secretRef": {"name": "one"}}},
    }))
    .unwrap();
    place.create(&request).await.unwrap();
    let requests = place.namespace.api::<GdprRequest>();
    let is_in = |phase: Phase| {
        move |request: &GdprRequest| request.status.as_ref().is_some_and(|status| status.phase == phase)
    };
    wait_until(&requests, "one", "it is marked", PATIENT, is_in(Phase::Marked)).await.unwrap();
    place.tenants().delete("acme", &DeleteParams::foreground()).await.unwrap();
    place.wait_condition("acme", DELETION_BLOCKED, True, "OpenGdprRequests").await.unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    wait_until(&requests, "one", "it is completed", PATIENT, is_in(Phase::Completed)).await.unwrap();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
    wait_gone(&place.namespace.api::<Deployment>(), CHILD, PATIENT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_a_tenant_that_went_without_its_finalizer_go_when_an_operator_finds_them() {
    let mut place = serve("forced", false).await;
    place.operator.kill().unwrap();
    place.kubectl(&["delete", "vmt", "acme", "--wait=false"]).unwrap();
    place
        .kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#])
        .unwrap();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
    assert!(place.namespace.api::<Deployment>().get_opt(CHILD).await.unwrap().is_some());
    place.operator.restart().await.unwrap();
    wait_gone(&place.namespace.api::<Deployment>(), CHILD, PATIENT).await.unwrap();
    wait_gone(&place.namespace.api::<Service>(), CHILD, PATIENT).await.unwrap();
    wait_gone(&place.namespace.api::<Secret>(), "acme-voicemail-tls", PATIENT).await.unwrap();
    assert!(place.namespace.api::<Secret>().get_opt("acme-voicemail-keys").await.unwrap().is_some());
}
