//! A tenant's conditions name each obstacle, in words that say how to remove it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::os::unix::fs::{PermissionsExt, chown};

use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, ResourceQuota, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use voicemail_resources::access::Basic;
use voicemail_resources::conditions::{
    ACCESS_READY, ConditionStatus, READY, RECONCILING, STALLED, STORAGE_READY,
};
use voicemail_resources::quantity::Amount;
use voicemail_resources::references::Reference;
use voicemail_resources::voicemail_tenant::VoicemailTenant;
use voicemail_test_cluster::STORAGE_CLASS;
use voicemail_test_cluster::wait::{wait_for_any, wait_gone, wait_until};
use voicemail_tests::tenant_manifest::{
    SIZE, condition, example_tenant, store_id, tenant_on, tenant_on_existing_claim,
};
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace, USER};

use ConditionStatus::{False, True};

const KEYS: &str = "acme-voicemail-keys";

async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

/// A place with the tenant `acme` on a volume of its own; not waited for.
async fn prepare_tenant(prefix: &str, change: impl FnOnce(&mut VoicemailTenant)) -> TenantPlace {
    let mut place = prepare(prefix).await;
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    change(&mut tenant);
    place.create(&tenant).await.unwrap();
    place
}

fn claim(name: &str, mode: &str, volume: Option<&str>) -> PersistentVolumeClaim {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"accessModes": [mode], "storageClassName": STORAGE_CLASS, "volumeName": volume,
                 "resources": {"requests": {"storage": SIZE}}},
    }))
    .unwrap()
}

/// The message of a condition contains all of `parts`.
fn assert_says(tenant: &VoicemailTenant, type_: &str, parts: &[&str]) {
    let message = &condition(tenant, type_).unwrap().message;
    for part in parts {
        assert!(message.contains(part), "{type_}: {part:?} is not in {message:?}");
    }
}

fn assert_status(tenant: &VoicemailTenant, type_: &str, status: ConditionStatus) {
    let found = condition(tenant, type_).unwrap();
    assert_eq!(found.status, status, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_on_a_cluster_without_a_volume_says_that_its_claim_is_pending() {
    let place = prepare("pending").await;
    let mut example = example_tenant().unwrap();
    // No volume of another test may serve it.
    let volume = example.spec.regions[0].storage.volume.as_mut().unwrap();
    volume.claim.as_mut().unwrap().size = Amount("20Ti".into());
    place.create(&example).await.unwrap();
    let tenant = place.wait_condition("acme", STORAGE_READY, False, "ClaimPending").await.unwrap();
    assert_says(&tenant, STORAGE_READY, &["acme-voicemail", "not bound", "storage class"]);
    let tenant = place.wait_condition("acme", READY, False, "ClaimPending").await.unwrap();
    assert_says(&tenant, READY, &["0 of 2 replicas serve", "not bound"]);
    assert_status(&tenant, RECONCILING, True);
    assert_status(&tenant, STALLED, False);
    let claims = place.namespace.api::<PersistentVolumeClaim>();
    let made = serde_json::to_value(claims.get("acme-voicemail").await.unwrap()).unwrap();
    assert_eq!(made["spec"]["accessModes"], json!(["ReadWriteMany"]));
    assert_eq!(made["spec"]["storageClassName"], "voice-voicemail");
    assert_eq!(made["spec"]["volumeMode"], "Filesystem");
    assert_eq!(made["spec"]["resources"], json!({"requests": {"storage": "20Ti"}}));
    assert_eq!(made["metadata"]["labels"]["servicename"], "voice-voicemail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_claim_is_named_and_used_once_it_is_there() {
    let mut place = prepare("missing").await;
    let (volume, _) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on_existing_claim("acme", "messages").unwrap();
    tenant.spec.replicas = 1;
    place.create(&tenant).await.unwrap();
    let tenant = place.wait_condition("acme", READY, False, "ClaimNotFound").await.unwrap();
    assert_says(&tenant, READY, &["PersistentVolumeClaim messages", "create it", "ReadWriteMany"]);
    assert_status(&tenant, STORAGE_READY, False);
    assert_status(&tenant, RECONCILING, True);
    place.create(&claim("messages", "ReadWriteMany", Some(&volume))).await.unwrap();
    place.wait_ready("acme").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_only_one_node_may_write_is_refused_and_nothing_is_started() {
    let place = prepare("once").await;
    place.create(&claim("messages", "ReadWriteOnce", None)).await.unwrap();
    place.create(&tenant_on_existing_claim("acme", "messages").unwrap()).await.unwrap();
    let tenant = place.wait_condition("acme", STALLED, True, "ClaimNotReadWriteMany").await.unwrap();
    for type_ in [READY, STALLED, STORAGE_READY] {
        assert_says(&tenant, type_, &["messages", "ReadWriteOnce", "use a ReadWriteMany claim"]);
    }
    assert_status(&tenant, READY, False);
    assert_status(&tenant, STORAGE_READY, False);
    let pods = place.namespace.api::<Pod>().list(&ListParams::default()).await.unwrap();
    assert!(pods.items.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_stalls_the_tenant_until_it_is_changed() {
    let image = "localhost/no-such-voicemail:1";
    let place = prepare_tenant("image", |tenant| tenant.spec.image = Some(image.into())).await;
    let tenant = place.wait_condition("acme", STALLED, True, "ImageCannotStart").await.unwrap();
    assert_says(&tenant, READY, &["0 of 1 replicas serve", image]);
    assert_status(&tenant, READY, False);
    assert_status(&tenant, RECONCILING, False);
    let patch = json!({"spec": {"image": place.image.as_str()}}).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &patch]).unwrap();
    place.wait_ready("acme").await.unwrap();
}

/// The Secret as it must be put back: without what the API server adds.
fn copy_of(secret: &Secret) -> Secret {
    let mut copy = secret.clone();
    copy.metadata = Default::default();
    copy.metadata.name = secret.metadata.name.clone();
    copy.metadata.labels = secret.metadata.labels.clone();
    copy
}

/// The operator doesn't watch Secrets; a change of the tenant makes it look.
fn look_again(place: &TenantPlace, word: &str) {
    place.kubectl(&["label", "vmt", "acme", "--overwrite", &format!("look={word}")]).unwrap();
}

async fn delete_pods(place: &TenantPlace) {
    let pods = place.namespace.api::<Pod>();
    let names: Vec<String> =
        pods.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    for name in &names {
        pods.delete(name, &DeleteParams::default().grace_period(0)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_keys_are_never_made_anew_and_a_copy_of_them_mends_it() {
    let place = prepare_tenant("lost", |_| {}).await;
    let before = place.wait_ready("acme").await.unwrap();
    let secrets = place.namespace.api::<Secret>();
    let backup = copy_of(&secrets.get(KEYS).await.unwrap());
    secrets.delete(KEYS, &DeleteParams::default()).await.unwrap();
    wait_gone(&secrets, KEYS, DEADLINE).await.unwrap();
    look_again(&place, "lost");
    let tenant = place.wait_condition("acme", STALLED, True, "KeysSecretLost").await.unwrap();
    assert_says(&tenant, READY, &[KEYS, "restore it from a backup"]);
    assert!(secrets.get_opt(KEYS).await.unwrap().is_none());

    place.create(&backup).await.unwrap();
    look_again(&place, "restored");
    let after = place.wait_ready("acme").await.unwrap();
    assert_eq!(store_id(&after), store_id(&before));
    assert_eq!(secrets.get(KEYS).await.unwrap().data, backup.data);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_keys_than_the_stores_are_reported_and_the_right_ones_mend_it() {
    let place = prepare_tenant("mismatch", |_| {}).await;
    let before = place.wait_ready("acme").await.unwrap();
    let secrets = place.namespace.api::<Secret>();
    let right = copy_of(&secrets.get(KEYS).await.unwrap());
    let mut wrong = right.clone();
    let tenant_key = wrong.data.as_mut().unwrap().get_mut("tenant.key").unwrap();
    tenant_key.0 = "0123456789abcdef".repeat(4).into_bytes();
    replace_keys(&place, &wrong).await;
    let tenant = place.wait_condition("acme", STALLED, True, "KeyMismatch").await.unwrap();
    let tenant_message = &condition(&tenant, READY).unwrap().message;
    assert!(tenant_message.contains("key"), "{tenant_message}");
    assert_status(&tenant, READY, False);
    assert_status(&tenant, STORAGE_READY, False);

    replace_keys(&place, &right).await;
    let after = place.wait_ready("acme").await.unwrap();
    assert_eq!(store_id(&after), store_id(&before));
}

/// Puts another Secret in place and lets the pods start with it.
async fn replace_keys(place: &TenantPlace, keys: &Secret) {
    let secrets = place.namespace.api::<Secret>();
    let old = secrets.get(KEYS).await.unwrap().uid();
    secrets.delete(KEYS, &DeleteParams::default()).await.unwrap();
    place.create(keys).await.unwrap();
    wait_until(&secrets, KEYS, "it is the new one", DEADLINE, |secret| secret.uid() != old).await.unwrap();
    delete_pods(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_the_pods_cannot_write_says_so_and_is_used_once_they_can() {
    let mut place = prepare("folder").await;
    let (volume, folder) = place.create_volume().await.unwrap();
    chown(&folder, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    place.create(&tenant).await.unwrap();
    let failed = |tenant: &VoicemailTenant| {
        let reasons = ["StorageProbeFailed", "StorageUnavailable"];
        condition(tenant, READY).is_some_and(|ready| reasons.contains(&ready.reason.as_str()))
    };
    let description = "Ready is false because the storage can't be used";
    let tenant = wait_until(&place.tenants(), "acme", description, DEADLINE, failed).await.unwrap();
    assert_says(&tenant, READY, &["Permission denied", "let user 10001 write to the volume"]);
    assert_status(&tenant, STORAGE_READY, False);

    chown(&folder, Some(USER), Some(USER)).unwrap();
    place.wait_ready("acme").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_of_who_may_call_is_named_while_the_tenant_serves_until_it_is_there() {
    let place = prepare_tenant("access", |tenant| {
        tenant.spec.auth.basic = Some(Basic { secret_ref: Reference { name: "people".into() } });
    })
    .await;
    let tenant = place.wait_ready("acme").await.unwrap();
    assert_status(&tenant, ACCESS_READY, False);
    assert_says(&tenant, ACCESS_READY, &["spec.auth.basic", "Secret people", "create it with users"]);
    let observed = condition(&tenant, ACCESS_READY).unwrap().observed_generation;
    assert_eq!(observed, tenant.metadata.generation);

    let secret = |data: serde_json::Value| -> Secret {
        serde_json::from_value(json!({"metadata": {"name": "people"}, "stringData": data})).unwrap()
    };
    place.create(&secret(json!({"others": "x"}))).await.unwrap();
    look_again(&place, "incomplete");
    place.wait_condition("acme", ACCESS_READY, False, "AccessSecretIncomplete").await.unwrap();
    place.kubectl(&["patch", "secret", "people", "-p", r#"{"stringData": {"users": "nobody"}}"#]).unwrap();
    // Nobody tells the operator: it looks again by itself.
    let tenant = place.wait_condition("acme", ACCESS_READY, True, "SecretsComplete").await.unwrap();
    assert_status(&tenant, READY, True);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_refuses_a_child_is_told_with_an_event_while_it_is_tried_again() {
    let mut place = prepare("quota").await;
    let (volume, _) = place.create_volume().await.unwrap();
    let quota: ResourceQuota =
        serde_json::from_value(json!({"metadata": {"name": "few"}, "spec": {"hard": {"services": "0"}}}))
            .unwrap();
    place.create(&quota).await.unwrap();
    let counted = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
    let quotas = place.namespace.api::<ResourceQuota>();
    wait_until(&quotas, "few", "it is in force", DEADLINE, counted).await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    place.create(&tenant).await.unwrap();
    let tenant = place.wait_condition("acme", READY, False, "QuotaExceeded").await.unwrap();
    assert_says(&tenant, READY, &["exceeded quota: few", "tried again"]);
    assert_status(&tenant, RECONCILING, True);
    assert_status(&tenant, STALLED, False);
    let told = |event: &Event| event.reason.as_deref() == Some("QuotaExceeded");
    let all = kube::runtime::watcher::Config::default();
    wait_for_any(&place.namespace.api::<Event>(), all, "an event tells", DEADLINE, told).await.unwrap();
    quotas.delete("few", &DeleteParams::default()).await.unwrap();
    place.wait_ready("acme").await.unwrap();
}
