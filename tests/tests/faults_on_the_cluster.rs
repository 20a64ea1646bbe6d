//! Faults on the real cluster: after each, what was acknowledged plays, the operator works again without a hot loop, and
//! the time until then is printed. `docs/faults.md` has the table. The control plane's own faults are in
//! `control_plane_faults.rs`, since they disturb everybody.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{DeleteParams, EvictParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use voicemail_resources::conditions::{READY, STORAGE_READY};
use voicemail_test_cluster::wait::{wait_gone, wait_until};
use voicemail_test_machine::command::run;
use voicemail_test_machine::fault_proxy::{Fault, Rule};
use voicemail_tests::api_proxy::ApiProxy;
use voicemail_tests::fault_scene::{PATIENT, Scene};
use voicemail_tests::operator_process::install_crds;
use voicemail_tests::served_tenant::serve;
use voicemail_tests::tenant_manifest::{condition, tenant_on};
use voicemail_tests::tenant_place::TenantPlace;
use voicemail_tests::tenant_stores::{S3_SECRET, minio_secret, start_minio, tenant_on_minio};

const STORM: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_outlives_death_cut_connections_and_storms_of_errors() {
    let mut scene = Scene::on_volume("storms", 1).await.unwrap();
    let fault = scene.begin("operator killed as by the OOM killer (SIGKILL)").await.unwrap();
    scene.break_a_child().unwrap();
    scene.place.operator.restart().await.unwrap();
    scene.end(fault).await.unwrap();

    let fault = scene.begin("CRDs applied again while the operator works").await.unwrap();
    install_crds(&scene.place.cluster).unwrap();
    scene.break_a_child().unwrap();
    install_crds(&scene.place.cluster).unwrap();
    scene.end(fault).await.unwrap();

    let mut way = ApiProxy::start(&scene.place.cluster, &scene.place.identity).await.unwrap();
    scene.place.operator.restart().await.unwrap();
    scene.place.operator.wait_for_reconcile(0.0, PATIENT).await.unwrap();
    let fault = scene.begin("all watches cut off, no connection for 3 s").await.unwrap();
    way.faults.refuse_connections().await;
    scene.break_a_child().unwrap();
    voicemail_store::real_world().sleep(Duration::from_secs(3)).await;
    way.faults.accept_connections().await.unwrap();
    scene.end(fault).await.unwrap();

    let retry_after = Duration::from_secs(1);
    for (name, method, fault) in [
        ("5 s long 409 to every write", Method::PATCH, Fault::Conflict),
        (
            "5 s long 429 to every read",
            Method::GET,
            Fault::Throttled { status: StatusCode::TOO_MANY_REQUESTS, retry_after },
        ),
        ("5 s long 500 to every read", Method::GET, Fault::Failed(StatusCode::INTERNAL_SERVER_ERROR)),
        ("5 s long 503 to every write", Method::PATCH, Fault::Failed(StatusCode::SERVICE_UNAVAILABLE)),
        ("5 s long every write carried out and answered 500", Method::PATCH, applied_and_500()),
    ] {
        let begun = scene.begin(name).await.unwrap();
        let without_lease = |path: &str| !path.contains("/leases/");
        way.faults.push(Rule::new(fault).on(method).path_is(without_lease).forever());
        scene.break_a_child().unwrap();
        voicemail_store::real_world().sleep(STORM).await;
        way.faults.clear_rules();
        scene.end(begun).await.unwrap();
    }
    scene.print();
}

fn applied_and_500() -> Fault {
    Fault::AppliedThenAnswered(StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test(flavor = "multi_thread")]
async fn evictions_lost_secrets_and_a_volume_gone_read_only_lose_no_message() {
    let mut place = prepare("volume").await;
    let (volume, folder) = place.create_volume().await.unwrap();
    let disk = OwnDisk::mount(&folder);
    let mut scene = Scene::create(place, tenant_on("acme", &volume).unwrap(), 2).await.unwrap();
    // Goes before the scene, whose volume can't be deleted under it.
    let disk = disk;
    evict_under_deposits(&mut scene).await;

    let fault = scene.begin("Secret with the keys deleted and put back").await.unwrap();
    lose_and_restore(&scene, "acme-voicemail-keys").await;
    scene.end(fault).await.unwrap();

    let fault = scene.begin("volume read-only for a while").await.unwrap();
    disk.remount("ro").await;
    let refused = scene.deposit_in_vain(STORAGE_READY, "StorageLocked").await.unwrap();
    disk.remount("rw").await;
    scene.keep(refused, 1).await.unwrap();
    scene.end(fault).await.unwrap();
    scene.print();
}

async fn evict_under_deposits(scene: &mut Scene) {
    let fault = scene.begin("a pod evicted while messages are left").await.unwrap();
    let deposits = scene.leave_messages(2, 100);
    deposits.wait_for_more(4).await.unwrap();
    let api = scene.place.namespace.api::<Pod>();
    let chosen = ListParams::default().labels("app.kubernetes.io/name=voicemail");
    let pod = api.list(&chosen).await.unwrap().items[0].name_any();
    api.evict(&pod, &EvictParams::default()).await.unwrap();
    wait_gone(&api, &pod, PATIENT).await.unwrap();
    scene.keep(deposits, 4).await.unwrap();
    scene.end(fault).await.unwrap();
}

/// The operator says what is lost, makes no other one, and goes on when it is back.
async fn lose_and_restore(scene: &Scene, name: &str) {
    let api = scene.place.namespace.api::<Secret>();
    let secret = api.get(name).await.unwrap();
    api.delete(name, &DeleteParams::default()).await.unwrap();
    scene.place.kubectl(&["label", "vmt", "acme", "--overwrite", "look=lost"]).unwrap();
    let lost = |tenant: &voicemail_resources::VoicemailTenant| {
        condition(tenant, READY)
            .is_some_and(|ready| ["KeysSecretLost", "CredentialsMissing"].contains(&ready.reason.as_str()))
    };
    wait_until(&scene.place.tenants(), "acme", "the loss is said", PATIENT, lost).await.unwrap();
    assert!(api.get_opt(name).await.unwrap().is_none(), "{name} was made anew");
    let metadata =
        ObjectMeta { name: Some(name.into()), labels: secret.metadata.labels, ..ObjectMeta::default() };
    let back = Secret { metadata, data: secret.data, ..Secret::default() };
    api.create(&PostParams::default(), &back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_server_that_is_away_and_lost_credentials_lose_no_message() {
    let place = prepare("account").await;
    let mut minio = start_minio().await.unwrap();
    place.create(&minio_secret(&minio)).await.unwrap();
    let tenant = tenant_on_minio(&minio).unwrap();
    let mut scene = Scene::create(place, tenant, 1).await.unwrap();

    let fault = scene.begin("storage server killed and started again").await.unwrap();
    minio.kill().unwrap();
    // The first client's call finds it out. A core without calls asks a store that costs money every two minutes only.
    let refused = scene.deposit_in_vain(STORAGE_READY, "StorageUnavailable").await.unwrap();
    minio.start_again().await.unwrap();
    scene.keep(refused, 1).await.unwrap();
    scene.end(fault).await.unwrap();

    let fault = scene.begin("Secret with credentials deleted and put back").await.unwrap();
    lose_and_restore(&scene, S3_SECRET).await;
    scene.end(fault).await.unwrap();
    scene.print();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_with_a_serving_tenant_goes_as_a_whole() {
    let mut place = prepare("whole").await;
    let (volume, folder) = place.create_volume().await.unwrap();
    let mut tenant = tenant_on("acme", &volume).unwrap();
    tenant.spec.replicas = 1;
    serve(&place, tenant).await.unwrap();
    let begin = Instant::now();
    let api = Api::<Namespace>::all(place.namespace.client());
    place.cluster.run_kubectl(&["delete", "namespace", place.namespace.name(), "--wait=false"]).unwrap();
    wait_gone(&api, place.namespace.name(), PATIENT).await.unwrap();
    println!("| namespace deleted with everything in it | gone after {:.1?} |", begin.elapsed());
    assert!(folder.join("v1").is_dir(), "the volume is retained, and its data with it");
}

async fn prepare(prefix: &str) -> TenantPlace {
    voicemail_test_machine::install_crypto();
    TenantPlace::prepare(prefix).await.unwrap()
}

/// A file system of its own under a volume's folder, which can go read-only as a failing disk does.
struct OwnDisk(PathBuf);

impl OwnDisk {
    fn mount(folder: &Path) -> Self {
        let options = "size=64m,uid=10001,gid=10001,mode=0770";
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "voicemail-test"]).arg(folder))
            .unwrap();
        Self(folder.to_owned())
    }

    /// Busy while a file is open for writing, which none is for long.
    async fn remount(&self, mode: &str) {
        let (end, world) = (Instant::now() + Duration::from_secs(20), voicemail_store::real_world());
        while let Err(error) =
            run(Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(&self.0))
        {
            assert!(Instant::now() < end, "{error:#}");
            world.back_off(6).await;
        }
    }
}

impl Drop for OwnDisk {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("umount").arg("--lazy").arg(&self.0)) {
            eprintln!("{} stays mounted: {error:#}", self.0.display());
        }
    }
}
