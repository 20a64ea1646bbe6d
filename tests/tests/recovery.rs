//! Recovery as docs/backup-and-restore.md has it, on S3: a tenant bootstrapped on a store that exists, the master region's
//! loss, and the loss of another region without a backup.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::process::Command;
use std::time::{Duration, Instant};

use kube::Api as KubeApi;
use serde_json::{Value, json};
use voicemail_model::MessageId;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, READY, RECONCILING, STORAGE_READY};
use voicemail_test_cluster::layout::HOST_IP;
use voicemail_test_machine::command::run;
use voicemail_test_machine::servers::minio::Minio;
use voicemail_test_machine::servers::s3_admin::REGION;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_tests::stage::{Api, ApiError, Deposit, People, SharedOperator, Site, Tenant, TenantManifest};
use voicemail_tests::tenant_manifest::wait_condition;
use voicemail_tests::tenant_stores::{BUCKET, start_minio};

/// An idle core asks a region after 90 s, and the operator asks the core after 60 s.
const PATIENCE: Duration = Duration::from_secs(240);

struct Scene {
    site: Site,
    _operator: SharedOperator,
}

impl Scene {
    async fn open(namespaces: &[&str]) -> Self {
        let (site, operator) = SharedOperator::local().await.unwrap();
        for namespace in namespaces {
            Tenant::remove_leftovers(&site, namespace, &TenantManifest::example().unwrap()).await.unwrap();
        }
        Self { site, _operator: operator }
    }

    /// Makes namespace and credentials, and applies the tenant.
    async fn apply(&self, namespace: &str, manifest: &TenantManifest, stores: &[(&str, &Minio)]) -> Tenant {
        Tenant::create_namespace(&self.site, namespace).await.unwrap();
        for (name, minio) in stores {
            self.write_credentials(namespace, name, minio).await;
        }
        Tenant::apply(&self.site, namespace, manifest).await.unwrap()
    }

    async fn write_credentials(&self, namespace: &str, name: &str, minio: &Minio) {
        let keys = minio.endpoint().keys;
        let data = json!({"accessKeyId": keys.access_key, "secretAccessKey": keys.secret_key});
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        self.site.apply_text(namespace, secret.to_string()).await.unwrap();
    }

    async fn wait_condition(&self, tenant: &Tenant, type_: &str, status: ConditionStatus, reason: &str) {
        let api: KubeApi<VoicemailTenant> = self.site.api(tenant.namespace()).unwrap();
        wait_condition(&api, tenant.name(), (type_, status, reason), PATIENCE).await.unwrap();
    }

    /// Lets a region lead to another address.
    async fn point_at(&self, tenant: &Tenant, region: usize, minio: &Minio) {
        let path = format!("/spec/regions/{region}/storage/s3/endpoint");
        let patch = json!([{"op": "replace", "path": path, "value": minio.endpoint().url}]).to_string();
        let arguments =
            ["patch", "vmt", tenant.name(), "-n", tenant.namespace(), "--type=json", "-p", &patch];
        self.site.run_kubectl(&arguments).await.unwrap();
    }

    async fn people(&self, tenant: &Tenant, manifest: &TenantManifest) -> People {
        People::meet(&self.site, tenant, manifest).await.unwrap()
    }
}

/// A tenant in these namespaces and buckets; `served` is the region of its cluster.
fn manifest(namespace: &str, regions: &[(&str, &str, &Minio)], served: &str) -> TenantManifest {
    let mut manifest = TenantManifest::example().unwrap().in_namespace(namespace);
    let describe = |(name, secret, minio): &(&str, &str, &Minio)| {
        json!({"name": name, "storage": {"s3": {
            "bucket": BUCKET, "region": REGION, "endpoint": minio.endpoint().url,
            "credentials": {"secretRef": {"name": secret}},
        }}})
    };
    let list: Vec<Value> = regions.iter().map(describe).collect();
    let spec = &mut manifest.document()["spec"];
    (spec["regions"], spec["localRegion"], spec["replicas"]) = (list.into(), served.into(), 1.into());
    spec["primaryRegion"] = spec["regions"][0]["name"].clone();
    manifest
}

/// Leaves one, by whichever pod answers; one that is about to go may still know an old address.
async fn leave_message(people: &People) -> MessageId {
    people.provision(&["1001"]).await.unwrap();
    let (world, start) = (voicemail_store::real_world(), Instant::now());
    let audio = Studio::open().unwrap().speak("are you still there", Coding::ALaw).unwrap();
    let deposit = Deposit::new("1001", "+441632960001", &audio);
    loop {
        match people.media_server.deposit(&deposit).await {
            Ok(answer) => return answer.id,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error:#}"),
        }
        world.sleep(Duration::from_millis(500)).await;
    }
}

/// Lists and plays it, once the new pods answer.
async fn assert_heard(agent: &Api, id: MessageId) {
    let (world, start) = (voicemail_store::real_world(), Instant::now());
    while agent.list("1001").await.is_err() {
        assert!(start.elapsed() < PATIENCE, "nothing can be listed");
        world.sleep(Duration::from_millis(500)).await;
    }
    let ids: Vec<MessageId> = agent.list("1001").await.unwrap().iter().map(|message| message.id).collect();
    assert_eq!(ids, [id]);
    assert!(agent.audio("1001", id).await.unwrap().len() > 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_bootstrapped_on_a_store_that_exists_with_its_keys_and_no_others() {
    let (first, second) = ("recovery-lost", "recovery-new");
    let scene = Scene::open(&[first, second]).await;
    let minio = start_minio().await.unwrap();
    let stores = [("acme-s3", &minio)];
    let old = manifest(first, &[("eu-west", "acme-s3", &minio)], "eu-west");
    let tenant = scene.apply(first, &old, &stores).await;
    tenant.wait_ready().await.unwrap();
    let id = leave_message(&scene.people(&tenant, &old).await).await;
    let secrets = tenant.keep_secrets().await.unwrap();
    // The cluster is lost; its objects stay in the bucket.
    tenant.remove().await.unwrap();

    let new = manifest(second, &[("eu-west", "acme-s3", &minio)], "eu-west");
    let stranger = scene.apply(second, &new, &stores).await;
    scene.wait_condition(&stranger, STORAGE_READY, ConditionStatus::False, "KeyMismatch").await;
    stranger.remove().await.unwrap();

    Tenant::create_namespace(&scene.site, second).await.unwrap();
    for secret in &secrets {
        scene.site.apply_text(second, secret.to_string()).await.unwrap();
    }
    let tenant = scene.apply(second, &new, &stores).await;
    tenant.wait_ready().await.unwrap();
    assert_heard(&scene.people(&tenant, &new).await.agent, id).await;
    tenant.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_lost_serves_again_from_its_copy_at_another_address() {
    let namespace = "recovery-master";
    let scene = Scene::open(&[namespace]).await;
    let mut lost = start_minio().await.unwrap();
    let manifest = manifest(namespace, &[("eu-west", "acme-s3", &lost)], "eu-west");
    let tenant = scene.apply(namespace, &manifest, &[("acme-s3", &lost)]).await;
    tenant.wait_ready().await.unwrap();
    let people = scene.people(&tenant, &manifest).await;
    let id = leave_message(&people).await;

    // A copy of everything that it had; then it is gone.
    lost.stop().await.unwrap();
    let mut copy = Minio::start(HOST_IP.parse().unwrap()).await.unwrap();
    copy.stop().await.unwrap();
    std::fs::remove_dir_all(copy.data_folder()).unwrap();
    run(Command::new("cp").arg("-a").arg(lost.data_folder()).arg(copy.data_folder())).unwrap();
    copy.set_keys(lost.endpoint().keys);
    copy.start_again().await.unwrap();
    let refused = people.agent.list("1001").await.err().unwrap().downcast::<ApiError>().unwrap();
    assert_eq!(refused.status, 503, "{refused}");

    scene.point_at(&tenant, 0, &copy).await;
    scene.wait_condition(&tenant, READY, ConditionStatus::True, "Available").await;
    tenant.wait_ready().await.unwrap();
    assert_heard(&people.agent, id).await;
    tenant.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_lost_without_a_backup_is_replaced_by_an_empty_one() {
    let namespace = "recovery-region";
    let scene = Scene::open(&[namespace]).await;
    let (master, lost) = (start_minio().await.unwrap(), start_minio().await.unwrap());
    let regions = [("eu-west", "acme-eu", &master), ("us-east", "acme-us", &lost)];
    let manifest = manifest(namespace, &regions, "us-east");
    let tenant = scene.apply(namespace, &manifest, &[("acme-eu", &master), ("acme-us", &lost)]).await;
    tenant.wait_ready().await.unwrap();
    let people = scene.people(&tenant, &manifest).await;
    scene.wait_condition(&tenant, STORAGE_READY, ConditionStatus::True, "StoreAnswers").await;
    let gone = leave_message(&people).await;
    drop(lost);

    let empty = start_minio().await.unwrap();
    scene.write_credentials(namespace, "acme-us", &empty).await;
    scene.point_at(&tenant, 1, &empty).await;
    // New pods, since those that ran know the old address.
    scene.wait_condition(&tenant, RECONCILING, ConditionStatus::False, "UpToDate").await;
    scene.wait_condition(&tenant, STORAGE_READY, ConditionStatus::True, "StoreAnswers").await;
    let people = scene.people(&tenant, &manifest).await;
    let new = leave_message(&people).await;
    let agent = people.agent;
    let listed: Vec<MessageId> = agent.list("1001").await.unwrap().iter().map(|message| message.id).collect();
    assert_eq!(listed, [new, gone], "it is known, since the master knows it");
    assert!(agent.audio("1001", gone).await.is_err(), "but its recording is gone");
    assert!(agent.audio("1001", new).await.unwrap().len() > 1000, "the region takes deposits again");
    tenant.remove().await.unwrap();
}
