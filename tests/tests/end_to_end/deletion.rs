//! Tenants that are deleted while their stores still matter to somebody: what they wait for, what is left, and the way
//! out when the store is gone. On volumes, and on a real S3 server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, ObjectMeta};
use object_store::ObjectStore;
use serde_json::{Value, json};
use voicemail_api::config::{S3Credentials, StorageConfig, TenantConfig};
use voicemail_api::gdpr::{GdprBody, Operation};
use voicemail_engine::core::Core;
use voicemail_resources::conditions::{ConditionStatus, DELETION_BLOCKED};
use voicemail_resources::voicemail_tenant::{DeletionPolicy, VoicemailTenant};
use voicemail_resources::{ABANDON_STORE, CONFIRM_DELETION, TENANT_UID_LABEL};
use voicemail_telemetry::Metrics;
use voicemail_test_cluster::wait::{wait_for, wait_gone, wait_until};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::servers::minio::Minio;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_test_stores::object_stores::write_s3_keys;
use voicemail_tests::operator_process::CLUSTER_NAME;
use voicemail_tests::served_tenant::{MAILBOX, serve};
use voicemail_tests::stage::{Deposits, People};
use voicemail_tests::tenant_manifest::{condition, store_id, tenant_on};
use voicemail_tests::tenant_place::TenantPlace;
use voicemail_tests::tenant_stores::{BUCKET, minio_secret, start_minio, tenant_on_minio};

use ConditionStatus::True;

const FOLDER: &str = "voicemail/acme/v1/2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d";
const KEYS: &str = "acme-voicemail-keys";
const CHILD: &str = "acme-voicemail";
const RETIRE_POD: &str = "app.kubernetes.io/name=voicemail-retire";
/// The Job looks again after a minute at most, and a store that is away is given up after as long.
const PATIENT: Duration = Duration::from_secs(240);
const EVENTUALLY: Duration = Duration::from_secs(20);

async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

/// A tenant on a bucket of a MinIO of its own, Ready and in use.
async fn serve_on_bucket(place: &TenantPlace, policy: DeletionPolicy) -> (Minio, People) {
    let minio = start_minio().await.unwrap();
    place.create(&minio_secret(&minio)).await.unwrap();
    let mut tenant = tenant_on_minio(&minio).unwrap();
    tenant.spec.deletion_policy = policy;
    let served = serve(place, tenant).await.unwrap();
    (minio, served)
}

async fn serve_on_volume(place: &mut TenantPlace, policy: DeletionPolicy) -> (People, std::path::PathBuf) {
    let (volume, folder) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    tenant.spec.deletion_policy = policy;
    (serve(place, tenant).await.unwrap(), folder)
}

fn spoken() -> Bytes {
    Studio::open().unwrap().speak("please call me back", Coding::ALaw).unwrap()
}

/// Leaves one message; returns its id.
async fn leave_message(served: &People) -> voicemail_model::MessageId {
    let deposits = Deposits::start(&served.media_server, MAILBOX, &spoken(), 1, 1);
    deposits.wait_for_more(1).await.unwrap();
    deposits.stop().await.unwrap().promises[0].id
}

async fn delete(place: &TenantPlace) {
    place.tenants().delete("acme", &DeleteParams::default()).await.unwrap();
}

async fn wait_blocked(place: &TenantPlace, reason: &str) -> VoicemailTenant {
    let blocked = |tenant: &VoicemailTenant| {
        condition(tenant, DELETION_BLOCKED)
            .is_some_and(|found| found.status == True && found.reason == reason)
    };
    wait_until(&place.tenants(), "acme", &format!("its deletion waits: {reason}"), PATIENT, blocked)
        .await
        .unwrap()
}

fn message(tenant: &VoicemailTenant) -> String {
    condition(tenant, DELETION_BLOCKED).unwrap().message.clone()
}

async fn assert_event(place: &TenantPlace, reason: &str) {
    // It is sent behind the status.
    let look = async || {
        let events = place.namespace.api::<Event>().list(&ListParams::default()).await?;
        let is_there = events.iter().any(|event| event.reason.as_deref() == Some(reason));
        anyhow::ensure!(is_there, "no event {reason}");
        Ok(())
    };
    poll(EVENTUALLY, look).await.unwrap();
}

async fn objects(minio: &Minio) -> Vec<String> {
    let store = minio.endpoint().builder(BUCKET).build().unwrap();
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    all.into_iter().map(|object| object.location.to_string()).collect()
}

async fn registered(minio: &Minio) -> Vec<String> {
    let store = minio.endpoint().builder(BUCKET).build().unwrap();
    let path = object_store::path::Path::from(format!("{FOLDER}/tenant"));
    let found = object_store::ObjectStoreExt::get(&store, &path).await.unwrap().bytes().await.unwrap();
    let document: Value = serde_json::from_slice(&found).unwrap();
    document["clusters"].as_object().unwrap().keys().cloned().collect()
}

/// Another cluster opens the tenant's store, as its cores would, and is registered in it from then on.
async fn open_elsewhere(place: &TenantPlace, minio: &Minio, folder: &Path) -> Core {
    let secret = place.namespace.api::<Secret>().get(KEYS).await.unwrap();
    for (name, bytes) in secret.data.unwrap() {
        std::fs::write(folder.join(name), bytes.0).unwrap();
    }
    write_s3_keys(folder, &minio.endpoint().keys).unwrap();
    let map = place.namespace.api::<ConfigMap>().get(CHILD).await.unwrap();
    let mut config = TenantConfig::parse(&map.data.unwrap()["config.yaml"]).unwrap();
    config.cluster = "elsewhere".into();
    config.keys_dir = folder.to_owned();
    config.gdpr.expected_head = None;
    let StorageConfig::S3(s3) = &mut config.regions[0].storage else { panic!("{config:?}") };
    s3.credentials = S3Credentials::Files { dir: folder.to_owned() };
    Core::open(&config, voicemail_store::real_world(), &Metrics::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_emptied_once_no_hold_and_no_other_cluster_needs_it_and_the_proof_is_a_last_list() {
    let mut place = prepare("empty").await;
    let (minio, served) = serve_on_bucket(&place, DeletionPolicy::Delete).await;
    let id = leave_message(&served).await;
    served.officer.hold(MAILBOX, id, "court").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    drop(open_elsewhere(&place, &minio, folder.path()).await);
    delete(&place).await;
    wait_blocked(&place, "ConfirmationMissing").await;
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    let held = message(&wait_blocked(&place, "LegalHold").await);
    assert!(held.contains("1 messages are under a legal hold") && held.contains("elsewhere"), "{held}");
    assert_event(&place, "LegalHold").await;

    // Neither the death of the Job's pod nor that of the operator loses anything.
    place.kubectl(&["delete", "pod", "-l", RETIRE_POD, "--force", "--grace-period=0"]).unwrap();
    place.operator.restart().await.unwrap();
    served.officer.end_hold(MAILBOX, id).await.unwrap();
    let others = message(&wait_blocked(&place, "OtherClusters").await);
    assert!(
        others.contains("elsewhere") && others.contains("retire --deregister --cluster NAME"),
        "{others}"
    );
    assert!(!objects(&minio).await.is_empty(), "something was removed already");
    let command = ["voicemail", "admin", "retire", "--deregister", "--cluster", "elsewhere"];
    let target = format!("deploy/{CHILD}");
    place.kubectl(&[&["exec", &target, "--"], &command[..]].concat()).unwrap();

    let begin = Instant::now();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
    println!("the tenant was gone {:?} after nothing stood in the way", begin.elapsed());
    assert_eq!(objects(&minio).await, Vec::<String>::new());
    assert!(place.namespace.api::<Secret>().get_opt(KEYS).await.unwrap().is_none());
    assert_event(&place, "StoreEmptied").await;
    wait_no_pods(&place).await;
}

/// Cores and Jobs go with the tenant.
async fn wait_no_pods(place: &TenantPlace) {
    let pods = place.namespace.api::<Pod>();
    for pod in pods.list(&ListParams::default()).await.unwrap() {
        wait_gone(&pods, &pod.name_any(), PATIENT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_retain_this_cluster_leaves_the_register_of_the_store_and_all_data_stays() {
    let place = prepare("leave").await;
    let (minio, served) = serve_on_bucket(&place, DeletionPolicy::Retain).await;
    leave_message(&served).await;
    assert_eq!(registered(&minio).await, [CLUSTER_NAME]);
    let before = objects(&minio).await;
    // In the foreground, as Argo CD deletes: what the Job mounts must still be there.
    place.tenants().delete("acme", &DeleteParams::foreground()).await.unwrap();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
    assert_eq!(registered(&minio).await, Vec::<String>::new());
    let after = objects(&minio).await;
    let lost: Vec<&String> =
        before.iter().filter(|key| !after.contains(key) && key.contains("/au/")).collect();
    assert_eq!(lost, Vec::<&String>::new());
    assert!(place.namespace.api::<Secret>().get_opt(KEYS).await.unwrap().is_some());
    assert_event(&place, "StoreLetGo").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_moves_to_another_namespace_with_its_messages_by_the_documented_steps() {
    let here = prepare("from").await;
    let (minio, served) = serve_on_bucket(&here, DeletionPolicy::Retain).await;
    let id = leave_message(&served).await;
    let store = store_id(&here.tenants().get("acme").await.unwrap()).unwrap().to_owned();
    delete(&here).await;
    wait_gone(&here.tenants(), "acme", PATIENT).await.unwrap();

    let there = prepare("to").await;
    there.create(&minio_secret(&minio)).await.unwrap();
    for name in [KEYS, "acme-voicemail-ledger"] {
        let Some(kept) = here.namespace.api::<Secret>().get_opt(name).await.unwrap() else { continue };
        there.create(&carried_over(kept)).await.unwrap();
    }
    let mut tenant = tenant_on_minio(&minio).unwrap();
    tenant.spec.deletion_policy = DeletionPolicy::Retain;
    let moved = serve(&there, tenant).await.unwrap();
    let now = there.tenants().get("acme").await.unwrap();
    assert_eq!(store_id(&now), Some(store.as_str()), "another store is served");
    let heard = moved.agent.audio(MAILBOX, id).await.unwrap();
    assert_eq!(heard, spoken(), "the message isn't the one that was left");
}

/// A Secret for another namespace: without what binds it to the one that it was in.
fn carried_over(kept: Secret) -> Secret {
    let mut labels = kept.metadata.labels.unwrap_or_default();
    labels.remove(TENANT_UID_LABEL);
    let metadata = ObjectMeta { name: kept.metadata.name, labels: Some(labels), ..ObjectMeta::default() };
    Secret { metadata, data: kept.data, ..Secret::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_for_good_is_said_and_a_person_lets_the_tenant_go() {
    let place = prepare("lost").await;
    let (mut minio, _served) = serve_on_bucket(&place, DeletionPolicy::Delete).await;
    minio.kill().unwrap();
    delete(&place).await;
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    let said = message(&wait_blocked(&place, "StoreNotReached").await);
    let way_out = format!("kubectl annotate vmt acme -n {} {ABANDON_STORE}=acme", place.namespace.name());
    assert!(said.contains(&way_out), "{said}");
    assert_event(&place, "StoreNotReached").await;
    place.kubectl(&["annotate", "vmt", "acme", &format!("{ABANDON_STORE}=acme")]).unwrap();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
    assert!(place.namespace.api::<Secret>().get_opt(KEYS).await.unwrap().is_some(), "the keys were deleted");
    assert_event(&place, "StoreAbandoned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_can_not_start_is_said_and_a_mended_spec_lets_the_deletion_go_on() {
    let mut place = prepare("unable").await;
    let (_served, _) = serve_on_volume(&mut place, DeletionPolicy::Retain).await;
    let patch = json!({"spec": {"image": "localhost/no-such-voicemail:2"}}).to_string();
    delete(&place).await;
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &patch]).unwrap();
    let gone_or_said = |tenant: Option<&VoicemailTenant>| {
        tenant.is_none_or(|tenant| {
            condition(tenant, DELETION_BLOCKED).is_some_and(|found| found.reason == "RetireJobCannotStart")
        })
    };
    let tenants = place.tenants();
    let waited = wait_for(&tenants, "acme", "the Job can't start", PATIENT, gone_or_said).await.unwrap();
    let tenant = waited.expect("the deletion ended before the image was changed");
    assert!(message(&tenant).contains("no-such-voicemail") && message(&tenant).contains(ABANDON_STORE));
    let patch = json!({"spec": {"image": place.image.as_str()}}).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=merge", "-p", &patch]).unwrap();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_waits_for_an_erasure_asked_for_by_the_api_and_is_then_emptied() {
    let mut place = prepare("purge").await;
    let (served, folder) = serve_on_volume(&mut place, DeletionPolicy::Delete).await;
    leave_message(&served).await;
    let body: GdprBody = serde_json::from_value(json!({
        "caseid": "77", "consumers": [{"consumer": [{"phone": "+441632960000"}]}],
    }))
    .unwrap();
    let body = GdprBody { undo_window: Some("1h".into()), ..body };
    served.officer.exercise(Operation::ForgetMe, &body).await.unwrap();
    delete(&place).await;
    place.kubectl(&["annotate", "vmt", "acme", &format!("{CONFIRM_DELETION}=acme")]).unwrap();
    let said = message(&wait_blocked(&place, "OpenGdprRuns").await);
    assert!(said.contains("data-subject requests haven't ended: 77/"), "{said}");
    assert!(!said.contains("+44"), "a number is in a condition");

    // The cores serve on, so that the request can end.
    let undo = GdprBody { undo_window: None, ..body };
    served.officer.exercise(Operation::UndoForget, &undo).await.unwrap();
    wait_gone(&place.tenants(), "acme", PATIENT).await.unwrap();
    assert_event(&place, "StoreEmptied").await;
    let left = files_with_content(&folder);
    assert!(left.is_empty(), "{left:?}");
    wait_gone(&place.namespace.api::<PersistentVolumeClaim>(), CHILD, PATIENT).await.unwrap();
}

/// Empty folders and lock files without content may stay.
fn files_with_content(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            left.extend(files_with_content(&path));
        } else if path.metadata().unwrap().len() > 0 {
            left.push(path);
        }
    }
    left
}
