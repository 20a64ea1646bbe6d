//! Tenants on object stores, on a real Kubernetes and real servers: their credentials by Secret and by CSI volume,
//! what is reported when one is missing, wrong or rotated, and when a region is away.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::{Api, ResourceExt};
use object_store::ObjectStore;
use serde_json::json;
use voicemail_operator::tenant::build::secret_provider_class::provider_class_resource;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, READY, STORAGE_READY};
use voicemail_resources::voicemail_tenant::AzureBlob;
use voicemail_resources::voicemail_tenant::RegionRole;
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::servers::azure_admin::AzureEndpoint;
use voicemail_tests::csi_driver::CsiDriver;
use voicemail_tests::tenant_manifest::{condition, named_example};
use voicemail_tests::tenant_place::{DEADLINE, TenantPlace};
use voicemail_tests::tenant_stores::{
    BUCKET, CONTAINER, secret, start_azurite, start_minio, tenant_on_minio,
};

use ConditionStatus::{False, True};

const CHILD: &str = "acme-voicemail";
/// An idle core asks a region after 90 s, and the operator asks the core after 60 s.
const NOTICED: Duration = Duration::from_secs(240);

/// A place without a tenant, once the cluster's link to this machine is there.
async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

fn example(file: &str) -> VoicemailTenant {
    let mut tenant = named_example(file).unwrap();
    tenant.spec.replicas = 1;
    tenant.spec.resources = None;
    tenant
}

fn azure(tenant: &mut VoicemailTenant, region: usize) -> &mut AzureBlob {
    tenant.spec.regions[region].storage.azure_blob.as_mut().unwrap()
}

/// Puts another content into a Secret.
async fn change(place: &TenantPlace, name: &str, entries: &[(&str, &str)]) {
    let api = place.namespace.api::<Secret>();
    let mut new = secret(name, entries);
    new.metadata.resource_version = api.get(name).await.unwrap().resource_version();
    api.replace(name, &kube::api::PostParams::default(), &new).await.unwrap();
}

fn says(tenant: &VoicemailTenant, type_: &str, parts: &[&str]) {
    let message = &condition(tenant, type_).unwrap().message;
    parts.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
}

async fn pods(place: &TenantPlace) -> Vec<Pod> {
    place.namespace.api::<Pod>().list(&ListParams::default()).await.unwrap().items
}

/// Name and restarts of the pods, which tell whether any was started anew.
async fn lives(place: &TenantPlace) -> Vec<(String, i32)> {
    let restarts = |pod: &Pod| pod.status.clone().unwrap().container_statuses.unwrap()[0].restart_count;
    pods(place).await.iter().map(|pod| (pod.name_any(), restarts(pod))).collect()
}

async fn assert_no_claim(place: &TenantPlace) {
    let claims = place.namespace.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
    assert!(claims.items.is_empty(), "{:?}", claims.items);
    let deployment = place.namespace.api::<Deployment>().get(CHILD).await.unwrap();
    let text = serde_json::to_string(&deployment.spec).unwrap();
    assert!(!text.contains("persistentVolumeClaim") && !text.contains("/var/lib/voicemail"), "{text}");
}

/// Every object of a store is below the tenant's folder, and there are some.
async fn assert_below(store: &dyn ObjectStore, folder: &str) {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(!objects.is_empty());
    let outside: Vec<_> =
        objects.iter().filter(|object| !object.location.as_ref().starts_with(folder)).collect();
    assert!(outside.is_empty(), "not below {folder}: {outside:?}");
}

fn regions(tenant: &VoicemailTenant) -> Vec<(String, String, bool, bool)> {
    let status = tenant.status.clone().unwrap();
    status
        .regions
        .into_iter()
        .map(|region| {
            let (primary, reachable) = (region.role == RegionRole::Primary, !region.is_unreachable());
            (region.name, region.storage, primary, reachable)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_in_a_folder_of_a_bucket_waits_for_its_secret_and_takes_a_mended_one_without_a_restart() {
    let place = prepare("bucket").await;
    let minio = start_minio().await.unwrap();
    let tenant = tenant_on_minio(&minio).unwrap();
    place.create(&tenant).await.unwrap();

    let refused = place.wait_condition("acme", STORAGE_READY, False, "CredentialsMissing").await.unwrap();
    says(&refused, STORAGE_READY, &["region eu-west", "Secret acme-s3", "accessKeyId and secretAccessKey"]);
    assert!(pods(&place).await.is_empty());
    let keys = minio.endpoint().keys;
    place.create(&secret("acme-s3", &[("accessKeyId", &keys.access_key)])).await.unwrap();
    let lacks = |tenant: &VoicemailTenant| {
        condition(tenant, STORAGE_READY)
            .is_some_and(|storage| storage.message.contains("has no secretAccessKey"))
    };
    wait_until(&place.tenants(), "acme", "the missing key is named", DEADLINE, lacks).await.unwrap();

    change(&place, "acme-s3", &[("accessKeyId", &keys.access_key), ("secretAccessKey", "wrong")]).await;
    let refused = place.wait_condition("acme", STORAGE_READY, False, "CredentialsRefused").await.unwrap();
    let source = "check Secret acme-s3 (accessKeyId and secretAccessKey) of region eu-west";
    says(&refused, STORAGE_READY, &[source]);
    says(&refused, READY, &["0 of 1 replicas serve", source]);
    let before = lives(&place).await;
    let right = [("accessKeyId", keys.access_key.as_str()), ("secretAccessKey", &keys.secret_key)];
    change(&place, "acme-s3", &right).await;
    let ready = place.wait_ready("acme").await.unwrap();
    assert_eq!(regions(&ready), [("eu-west".into(), "s3".into(), true, true)]);
    assert_eq!(lives(&place).await, before, "a Secret's content needs no new pod");
    assert_no_claim(&place).await;
    let store = minio.endpoint().builder(BUCKET).build().unwrap();
    assert_below(&store, &format!("voicemail/acme/v1/{}", tenant.spec.tenant_id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_on_azure_serves_rolls_for_another_secret_and_leaves_its_objects() {
    let place = prepare("blob").await;
    let (_azurite, endpoint) = start_azurite("acmevoice").await.unwrap();
    let mut tenant = example("azure-tenant.yaml");
    azure(&mut tenant, 0).endpoint = Some(endpoint.url.clone());
    for name in ["acme-azure", "another"] {
        place.create(&secret(name, &[("accountKey", &endpoint.account.key)])).await.unwrap();
    }
    place.create(&tenant).await.unwrap();
    let ready = place.wait_ready("acme").await.unwrap();
    assert_eq!(regions(&ready), [("eu-west".into(), "azureBlob".into(), true, true)]);
    assert_no_claim(&place).await;
    let store = endpoint.builder(CONTAINER).build().unwrap();
    let folder = format!("acme/v1/{}", tenant.spec.tenant_id);
    assert_below(&store, &folder).await;

    let before = lives(&place).await;
    let path = "/spec/regions/0/storage/azureBlob/credentials/secretRef/name";
    let patch = json!([{"op": "replace", "path": path, "value": "another"}]).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=json", "-p", &patch]).unwrap();
    let rolled =
        |deployment: &Deployment| serde_json::to_string(&deployment.spec).unwrap().contains("another");
    let deployments = place.namespace.api::<Deployment>();
    wait_until(&deployments, CHILD, "it mounts the other Secret", DEADLINE, rolled).await.unwrap();
    let settled = |tenant: &VoicemailTenant| {
        condition(tenant, "Reconciling").is_some_and(|found| found.reason == "UpToDate")
            && condition(tenant, READY)
                .is_some_and(|ready| ready.observed_generation == tenant.metadata.generation)
    };
    wait_until(&place.tenants(), "acme", "the roll-out is over", DEADLINE, settled).await.unwrap();
    let names = |lives: &[(String, i32)]| lives.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_ne!(names(&lives(&place).await), names(&before));

    place.tenants().delete("acme", &DeleteParams::default()).await.unwrap();
    wait_gone(&place.tenants(), "acme", DEADLINE).await.unwrap();
    assert_below(&store, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_goes_away_is_named_while_the_tenant_serves() {
    let place = prepare("regions").await;
    let (_master, first) = start_azurite("acmevoiceeu").await.unwrap();
    let (mut other, second) = start_azurite("acmevoiceus").await.unwrap();
    let mut tenant = example("two-regions-tenant.yaml");
    for (region, endpoint, name) in [(0, &first, "acme-eu"), (1, &second, "acme-us")] {
        azure(&mut tenant, region).endpoint = Some(endpoint.url.clone());
        place.create(&secret(name, &[("accountKey", &endpoint.account.key)])).await.unwrap();
    }
    place.create(&tenant).await.unwrap();
    place.wait_ready("acme").await.unwrap();
    let both = |second: bool| {
        [
            ("eu-west".into(), "azureBlob".into(), true, true),
            ("us-east".into(), "azureBlob".into(), false, second),
        ]
    };
    let ready = place.wait_condition("acme", STORAGE_READY, True, "StoreAnswers").await.unwrap();
    assert_eq!(regions(&ready), both(true));

    other.stop().await.unwrap();
    let away = |tenant: &VoicemailTenant| {
        condition(tenant, STORAGE_READY).is_some_and(|storage| storage.reason == "RegionUnreachable")
    };
    let away = wait_until(&place.tenants(), "acme", "the region is missed", NOTICED, away).await.unwrap();
    says(&away, STORAGE_READY, &["region us-east can't be used", "The tenant serves"]);
    assert_eq!(condition(&away, READY).unwrap().status, True);
    assert_eq!(regions(&away), both(false));
    let wide = place.kubectl(&["get", "vmt", "-o", "wide"]).unwrap();
    assert!(wide.contains("UNREACHABLE") && wide.contains("us-east"), "{wide}");

    other.start_again().await.unwrap();
    let back = place.wait_condition("acme", STORAGE_READY, True, "StoreAnswers").await.unwrap();
    assert_eq!(regions(&back), both(true));
}

/// The kind and the driver belong to the whole cluster, so one test shows both that they are missing and their use.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_vault_waits_for_the_driver_and_is_mounted_by_it() {
    let place = prepare("vault").await;
    CsiDriver::remove_declarations(&place.cluster).unwrap();
    let (_azurite, endpoint) = start_azurite("acmevoice").await.unwrap();
    let mut tenant = example("keyvault-tenant.yaml");
    azure(&mut tenant, 0).endpoint = Some(endpoint.url.clone());
    place.create(&tenant).await.unwrap();
    let missing =
        place.wait_condition("acme", STORAGE_READY, False, "SecretProviderClassMissing").await.unwrap();
    says(&missing, STORAGE_READY, &["region eu-west", "install the Secrets Store CSI driver"]);

    let driver = CsiDriver::start(&place.cluster).await.unwrap();
    driver.put_secret("acme-vault", "storage-key", &endpoint.account.key).unwrap();
    place.wait_ready("acme").await.unwrap();
    let classes: Api<DynamicObject> =
        Api::namespaced_with(place.namespace.client(), place.namespace.name(), &provider_class_resource());
    let class = classes.get("acme-voicemail-eu-west").await.unwrap();
    assert_eq!(class.data["spec"]["parameters"]["keyvaultName"], "acme-vault");
    assert!(class.labels().contains_key("voicemail.dev/tenant-uid") && class.owner_references().is_empty());
    assert_no_claim(&place).await;

    mend_drift(&place, &classes).await;
    leave_vault(&place, &classes, &endpoint).await;
    place.tenants().delete("acme", &DeleteParams::default()).await.unwrap();
    // kubelet can't take away a pod's volume without its driver.
    for pod in pods(&place).await {
        wait_gone(&place.namespace.api::<Pod>(), &pod.name_any(), DEADLINE).await.unwrap();
    }
    drop(driver);
    CsiDriver::remove_declarations(&place.cluster).unwrap();
}

/// A change that somebody made to the class is reverted at the tenant's next reconcile.
async fn mend_drift(place: &TenantPlace, classes: &Api<DynamicObject>) {
    let patch = r#"{"spec":{"parameters":{"keyvaultName":"somebody-elses"}}}"#;
    let class = "secretproviderclass/acme-voicemail-eu-west";
    place.kubectl(&["patch", class, "--type=merge", "-p", patch]).unwrap();
    place.kubectl(&["label", "vmt", "acme", "look=again"]).unwrap();
    let right = |class: &DynamicObject| class.data["spec"]["parameters"]["keyvaultName"] == "acme-vault";
    let name = "acme-voicemail-eu-west";
    wait_until(classes, name, "it names the right vault again", DEADLINE, right).await.unwrap();
}

/// Credentials of another kind need no class any more, and the tenant goes on.
async fn leave_vault(place: &TenantPlace, classes: &Api<DynamicObject>, endpoint: &AzureEndpoint) {
    place.create(&secret("plain", &[("accountKey", &endpoint.account.key)])).await.unwrap();
    let credentials = json!({"secretRef": {"name": "plain"}});
    let path = "/spec/regions/0/storage/azureBlob/credentials";
    let patch = json!([{"op": "replace", "path": path, "value": credentials}]).to_string();
    place.kubectl(&["patch", "vmt", "acme", "--type=json", "-p", &patch]).unwrap();
    wait_gone(classes, "acme-voicemail-eu-west", DEADLINE).await.unwrap();
    assert!(classes.list(&ListParams::default()).await.unwrap().items.is_empty());
    place.wait_ready("acme").await.unwrap();
}
