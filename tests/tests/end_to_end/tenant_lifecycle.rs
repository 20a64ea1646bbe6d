//! A tenant from nothing to Ready and back to deleted, under Retain and Delete; that nothing is written when
//! nothing differs, and what somebody changed is put right.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use voicemail_resources::conditions::{
    ConditionStatus, DELETION_BLOCKED, RECONCILING, STALLED, STORAGE_READY,
};
use voicemail_resources::voicemail_tenant::{DeletionPolicy, VoicemailTenant};
use voicemail_resources::{CONFIRM_DELETION, FINALIZER, TENANT_LABEL, TENANT_UID_LABEL};
use voicemail_test_cluster::STORAGE_CLASS;
use voicemail_test_cluster::operator_audit::{mutations, settle};
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_tests::tenant_manifest::{SIZE, condition, store_id, tenant_on};
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace};

const CHILD: &str = "acme-voicemail";
const KEYS: &str = "acme-voicemail-keys";
const FORMER_PEERS: &str = "acme-voicemail-peers";
const SOON: Duration = Duration::from_secs(30);

async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

/// A place with the tenant `acme`, Ready.
async fn prepare_ready(prefix: &str, change: impl FnOnce(&mut VoicemailTenant)) -> TenantPlace {
    let mut place = prepare(prefix).await;
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    change(&mut tenant);
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    place
}

async fn read<K>(place: &TenantPlace, name: &str) -> Value
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let found = place.namespace.api::<K>().get(name).await;
    serde_json::to_value(found.unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap()
}

async fn exists<K>(place: &TenantPlace, name: &str) -> bool
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    place.namespace.api::<K>().get_opt(name).await.unwrap().is_some()
}

fn assert_contains(found: &Value, wanted: &Value, path: &str) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(fields)) => wanted.iter().for_each(|(key, value)| {
            assert_contains(fields.get(key).unwrap_or(&Value::Null), value, &format!("{path}.{key}"));
        }),
        (wanted, found) => assert_eq!(found, wanted, "{path}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_becomes_ready_with_all_its_children_as_expected() {
    let place = prepare_ready("ready", |_| {}).await;
    let tenant = place.wait_ready("acme").await.unwrap();
    check_status(&tenant);
    check_claim(&place).await;
    check_pods(&place).await;
    check_network(&place).await;
    check_ownership(&place, &tenant).await;
}

fn check_status(tenant: &VoicemailTenant) {
    let status = tenant.status.as_ref().unwrap();
    assert_eq!((status.replicas, status.ready_replicas), (2, 2));
    assert_eq!(status.observed_generation, tenant.metadata.generation);
    assert!(status.store_id.as_ref().is_some_and(|id| !id.is_empty()), "{status:?}");
    assert!(!status.regions[0].is_unreachable());
    assert_eq!(status.regions[0].storage, "volume");
    for (type_, expected) in [
        (STORAGE_READY, ConditionStatus::True),
        (RECONCILING, ConditionStatus::False),
        (STALLED, ConditionStatus::False),
    ] {
        assert_eq!(condition(tenant, type_).unwrap().status, expected, "{type_}");
    }
    assert_eq!(tenant.finalizers(), [FINALIZER]);
}

async fn check_claim(place: &TenantPlace) {
    let claim = read::<PersistentVolumeClaim>(place, CHILD).await;
    let expected = json!({
        "metadata": {"labels": {"servicename": "voice-voicemail", TENANT_LABEL: "acme"}, "ownerReferences": null},
        "spec": {
            "accessModes": ["ReadWriteMany"], "storageClassName": STORAGE_CLASS, "volumeMode": "Filesystem",
            "volumeName": format!("{}-0", place.namespace.name()), "selector": null,
            "resources": {"requests": {"storage": SIZE}, "limits": null},
        },
        "status": {"phase": "Bound"},
    });
    assert_contains(&claim, &expected, "claim");
}

async fn check_pods(place: &TenantPlace) {
    let deployment = read::<Deployment>(place, CHILD).await;
    assert_contains(
        &deployment["spec"],
        &json!({
            "replicas": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"spec": {
                "serviceAccountName": CHILD,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 10001,
                                    "seccompProfile": {"type": "RuntimeDefault"}},
            }},
        }),
        "deployment",
    );
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let expected = json!({
        "image": place.image.as_str(),
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": {"drop": ["ALL"]}},
        "readinessProbe": {"httpGet": {"path": "/readyz"}}, "livenessProbe": {"httpGet": {"path": "/healthz"}},
    });
    assert_contains(container, &expected, "container");
    let selected = ListParams::default().labels(&format!("{TENANT_LABEL}=acme"));
    let pods = place.namespace.api::<Pod>().list(&selected).await.unwrap();
    let restarts = |pod: &Pod| pod.status.clone().unwrap().container_statuses.unwrap()[0].restart_count;
    assert_eq!(pods.iter().map(restarts).collect::<Vec<_>>(), [0, 0]);
}

async fn check_network(place: &TenantPlace) {
    let service = read::<Service>(place, CHILD).await;
    assert_eq!(service["spec"]["type"], "ClusterIP");
    assert_eq!(service["spec"]["ports"][0]["port"], 8081);
    assert_eq!(service["spec"]["selector"][TENANT_LABEL], "acme");
    let headless = read::<Service>(place, "acme-voicemail-headless").await;
    assert_contains(
        &headless["spec"],
        &json!({"clusterIP": "None", "publishNotReadyAddresses": true}),
        "headless",
    );
    let budget = read::<PodDisruptionBudget>(place, CHILD).await;
    assert_eq!(budget["spec"]["selector"]["matchLabels"][TENANT_LABEL], "acme");
    let of_budget = ListParams::default().fields("involvedObject.kind=PodDisruptionBudget");
    let events = place.namespace.api::<Event>().list(&of_budget).await.unwrap().items;
    assert!(events.is_empty(), "the budget came before its pods: {events:?}");
    let tls = read::<Secret>(place, "acme-voicemail-tls").await;
    assert!(tls["data"]["tls.crt"].is_string() && tls["data"]["tls.key"].is_string());
}

/// No child is owned by anybody, which would take it at the beginning of a deletion in the foreground; each bears the
/// tenant's UID.
async fn check_ownership(place: &TenantPlace, tenant: &VoicemailTenant) {
    let owned = [
        read::<Deployment>(place, CHILD).await,
        read::<Service>(place, CHILD).await,
        read::<Service>(place, "acme-voicemail-headless").await,
        read::<ConfigMap>(place, CHILD).await,
        read::<ServiceAccount>(place, CHILD).await,
        read::<PodDisruptionBudget>(place, CHILD).await,
        read::<Secret>(place, "acme-voicemail-tls").await,
        read::<Secret>(place, "acme-voicemail-ca").await,
    ];
    let uid = json!(tenant.uid());
    for child in owned {
        assert_eq!(child["metadata"]["ownerReferences"], Value::Null, "{child}");
        assert_eq!(child["metadata"]["labels"][TENANT_UID_LABEL], uid, "{child}");
        assert_eq!(child["metadata"]["labels"][TENANT_LABEL], "acme");
    }
    let keys = read::<Secret>(place, KEYS).await;
    assert_eq!(keys["metadata"]["ownerReferences"], Value::Null);
    assert!(keys["data"]["tenant.key"].is_string() && keys["data"]["receipt.key"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconcile_of_an_unchanged_tenant_changes_nothing() {
    let mut place = prepare_ready("quiet", |tenant| tenant.spec.replicas = 1).await;
    let (username, namespace) = (place.identity.username(), place.namespace.name().to_owned());
    // The reconciles that follow becoming Ready are over when a marker of ours has caused another.
    reconcile_by_label(&place, "first").await;
    let log = place.cluster.audit_log().unwrap();
    for value in ["second", "third"] {
        reconcile_by_label(&place, value).await;
    }
    place.operator.restart().await.unwrap();
    place.operator.wait_for_reconcile(0.0, SOON).await.unwrap();
    reconcile_by_label(&place, "fourth").await;
    settle(&place.cluster, &log, &namespace).await.unwrap();
    assert_eq!(mutations(&log, &username).unwrap(), Vec::<String>::new());
}

async fn reconcile_by_label(place: &TenantPlace, value: &str) {
    let before = place.operator.tenant_reconciles().unwrap();
    place.kubectl(&["label", "vmt", "acme", "--overwrite", &format!("look={value}")]).unwrap();
    place.operator.wait_for_reconcile(before, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_or_deleted_is_put_right_and_the_tenant_is_scaled() {
    let place = prepare_ready("drift", |tenant| tenant.spec.replicas = 1).await;
    let port = r#"[{"op":"replace","path":"/spec/ports/0/port","value":9999}]"#;
    place.kubectl(&["patch", "service", CHILD, "--type=json", "-p", port]).unwrap();
    let services = place.namespace.api::<Service>();
    let right = |service: &Service| {
        let ports = service.spec.clone().and_then(|spec| spec.ports).unwrap_or_default();
        ports.iter().map(|port| port.port).collect::<Vec<_>>() == [8081]
    };
    wait_until(&services, CHILD, "its port is 8081 again", SOON, right).await.unwrap();

    let budgets = place.namespace.api::<PodDisruptionBudget>();
    let old = budgets.get(CHILD).await.unwrap().uid();
    place.kubectl(&["delete", "pdb", CHILD]).unwrap();
    wait_until(&budgets, CHILD, "it is made anew", SOON, |budget| budget.uid() != old).await.unwrap();

    place.kubectl(&["scale", "vmt", "acme", "--replicas=2"]).unwrap();
    let tenant = place.wait_ready("acme").await.unwrap();
    assert_eq!(tenant.status.unwrap().ready_replicas, 2);
    place.kubectl(&["scale", "vmt", "acme", "--replicas=0"]).unwrap();
    let reason = "ScaledToZero";
    place.wait_condition("acme", STALLED, ConditionStatus::True, reason).await.unwrap();
    let gone = |tenant: &VoicemailTenant| tenant.status.as_ref().is_some_and(|status| status.replicas == 0);
    wait_until(&place.tenants(), "acme", "no pod is left", DEADLINE, gone).await.unwrap();
}

/// The Service by which replicas of former versions found one another, as an operator of then made it.
async fn leave_former_peers(services: &kube::Api<Service>) {
    let mut former = services.get("acme-voicemail-headless").await.unwrap();
    let labels = former.metadata.labels.take();
    former.metadata = ObjectMeta { name: Some(FORMER_PEERS.into()), labels, ..ObjectMeta::default() };
    services.create(&PostParams::default(), &former).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn under_retain_claim_and_keys_stay_and_a_new_tenant_takes_them_over() {
    let place = prepare_ready("retain", |tenant| tenant.spec.replicas = 1).await;
    let first = place.wait_ready("acme").await.unwrap();
    let (claim, keys) = identities(&place).await;
    let services = place.namespace.api::<Service>();
    leave_former_peers(&services).await;
    place.tenants().delete("acme", &DeleteParams::default()).await.unwrap();
    wait_gone(&place.tenants(), "acme", DEADLINE).await.unwrap();
    wait_gone(&place.namespace.api::<Deployment>(), CHILD, DEADLINE).await.unwrap();
    wait_gone(&services, CHILD, DEADLINE).await.unwrap();
    wait_gone(&services, FORMER_PEERS, DEADLINE).await.unwrap();
    assert_eq!(identities(&place).await, (claim.clone(), keys.clone()));

    let mut again = first.clone();
    again.metadata = Default::default();
    again.metadata.name = first.metadata.name.clone();
    again.status = None;
    place.create(&again).await.unwrap();
    let second = place.wait_ready("acme").await.unwrap();
    assert_ne!(second.uid(), first.uid());
    assert_eq!(store_id(&second), store_id(&first));
    assert_eq!(identities(&place).await, (claim, keys));
}

/// Identities of claim and keys, by which a replacement is noticed.
async fn identities(place: &TenantPlace) -> (Value, (Value, Value)) {
    let claim = read::<PersistentVolumeClaim>(place, CHILD).await;
    let keys = read::<Secret>(place, KEYS).await;
    (claim["metadata"]["uid"].clone(), (keys["metadata"]["uid"].clone(), keys["data"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn under_delete_claim_and_keys_go_once_it_is_confirmed() {
    let change = |tenant: &mut VoicemailTenant| {
        tenant.spec.replicas = 1;
        tenant.spec.deletion_policy = DeletionPolicy::Delete;
    };
    let place = prepare_ready("delete", change).await;
    place.tenants().delete("acme", &DeleteParams::default()).await.unwrap();
    let blocked = ConditionStatus::True;
    let tenant =
        place.wait_condition("acme", DELETION_BLOCKED, blocked, "ConfirmationMissing").await.unwrap();
    let message = &condition(&tenant, DELETION_BLOCKED).unwrap().message;
    let command = format!("kubectl annotate vmt acme -n {} {CONFIRM_DELETION}=acme", place.namespace.name());
    assert!(message.contains(&command), "{message}");
    assert!(exists::<PersistentVolumeClaim>(&place, CHILD).await && exists::<Secret>(&place, KEYS).await);

    let before = place.operator.tenant_reconciles().unwrap();
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=wrong")]).unwrap();
    place.operator.wait_for_reconcile(before, SOON).await.unwrap();
    assert!(exists::<PersistentVolumeClaim>(&place, CHILD).await && exists::<Secret>(&place, KEYS).await);

    place.kubectl(&["annotate", "vmt", "acme", "--overwrite", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    wait_gone(&place.tenants(), "acme", DEADLINE).await.unwrap();
    assert!(!exists::<Secret>(&place, KEYS).await);
    wait_gone(&place.namespace.api::<PersistentVolumeClaim>(), CHILD, DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_a_tenant_goes_as_a_whole() {
    let place = prepare("whole").await;
    let tenant = tenant_on("acme", "no-such-volume").unwrap();
    place.create(&tenant).await.unwrap();
    place.wait_condition("acme", STORAGE_READY, ConditionStatus::False, "ClaimPending").await.unwrap();
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(place.namespace.client());
    place.cluster.run_kubectl(&["delete", "namespace", place.namespace.name(), "--wait=false"]).unwrap();
    wait_gone(&namespaces, place.namespace.name(), DEADLINE).await.unwrap();
}
