//! `docs/tutorial.md` as a new user goes through it: every command of its console blocks, in order, in one shell, and
//! what each prints against what the page shows.
//!
//! The prerequisites of the page are brought: the image on the node, a volume of the class, and the plugin on the PATH.
//! On a cluster that other tests share, the CRDs are there already, so the release is made their owner beforehand; and no
//! other operator may touch the namespace.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod page;
mod shell;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::PersistentVolume;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use voicemail_resources::VoicemailTenant;
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::image::ImageRef;
use voicemail_test_cluster::{Cluster, HostVolume, STORAGE_CLASS};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::{Site, Tenant, TenantManifest};
use voicemail_tests::tenant_place::{USER, prepare_cluster};

use page::{Step, read_steps};
use shell::Shell;

const NAMESPACE: &str = "trial";
const RELEASE: &str = "voicemail";
const VOLUME: &str = "trial-acme";
const CRDS: [&str; 3] = [
    "crd/voicemailtenants.voicemail.dev",
    "crd/gdprrequests.voicemail.dev",
    "crd/voicemailpolicies.voicemail.dev",
];

fn page() -> String {
    std::fs::read_to_string(workspace_path("docs/tutorial.md")).unwrap()
}

/// The tenant of the page, as the tests read it.
fn manifest() -> TenantManifest {
    let text = std::fs::read_to_string(workspace_path("examples/tutorial/tenant.yaml")).unwrap();
    let tenant: VoicemailTenant = serde_yaml::from_str(&text).unwrap();
    let mut manifest = TenantManifest::example().unwrap();
    *manifest.document() = serde_json::to_value(tenant).unwrap();
    manifest
}

async fn prepare() -> (Cluster, ImageRef) {
    voicemail_test_machine::install_crypto();
    let (cluster, image) = prepare_cluster().await.unwrap();
    let site = Site::of_cluster(cluster.clone()).await.unwrap();
    Tenant::remove_leftovers(&site, NAMESPACE, &manifest()).await.unwrap();
    let volume = HostVolume {
        name: VOLUME,
        size: "1Gi",
        labels: BTreeMap::new(),
        access_modes: &["ReadWriteMany"],
        uid: USER,
    };
    cluster.delete_host_volume(VOLUME).await.unwrap();
    cluster.create_host_volume(&volume).await.unwrap();
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": NAMESPACE, "name": "acme-voicemail"});
    let patch = Patch::Merge(json!({"spec": {"claimRef": claim}}));
    let volumes: Api<PersistentVolume> = Api::all(cluster.client().await.unwrap());
    volumes.patch(VOLUME, &PatchParams::default(), &patch).await.unwrap();
    adopt_crds(&cluster);
    (cluster, image)
}

/// An empty cluster has none; helm takes those of this release for its own.
fn adopt_crds(cluster: &Cluster) {
    for crd in CRDS {
        let name = format!("meta.helm.sh/release-name={RELEASE}");
        let namespace = format!("meta.helm.sh/release-namespace={NAMESPACE}");
        cluster.run_kubectl(&["annotate", crd, "--overwrite", &name, &namespace]).unwrap();
        cluster.run_kubectl(&["label", crd, "--overwrite", "app.kubernetes.io/managed-by=Helm"]).unwrap();
    }
}

/// kubectl, helm and the plugin, as the page presupposes them.
fn search_path(cluster: &Cluster) -> String {
    let folder = |program: &std::ffi::OsStr| Path::new(program).parent().unwrap().to_owned();
    let this = std::env::current_exe().unwrap();
    let plugin = this.ancestors().skip(1).take(2).find(|folder| folder.join("kubectl-voicemail").is_file());
    let folders: [PathBuf; 4] = [
        plugin.unwrap().to_owned(),
        folder(cluster.kubectl().command().get_program()),
        folder(cluster.helm().get_program()),
        PathBuf::from(std::env::var("PATH").unwrap()),
    ];
    folders.map(|folder| folder.display().to_string()).join(":")
}

/// A working folder with what the page reads, and nothing of ours in the way of what it writes.
fn working_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["charts", "examples"] {
        std::os::unix::fs::symlink(workspace_path(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_tutorial_prints_what_the_page_shows() {
    let (cluster, image) = prepare().await;
    let folder = working_folder();
    let environment = [
        ("PATH", search_path(&cluster)),
        ("KUBECONFIG", cluster.kubeconfig_path().display().to_string()),
        ("KUBECACHEDIR", folder.path().join("cache").display().to_string()),
        ("IMAGE", image.repository().to_owned()),
        ("TAG", image.tag().to_owned()),
        ("CLASS", STORAGE_CLASS.to_owned()),
    ];
    let steps = read_steps(&page());
    assert!(steps.len() > 35, "{}", steps.len());
    let run = tokio::task::spawn_blocking({
        let cluster = cluster.clone();
        move || {
            let mut shell = Shell::start(folder.path(), &environment);
            for (index, step) in steps.iter().enumerate() {
                follow(&mut shell, step);
                // Other operators of this cluster are kept out as soon as the namespace is there.
                if index == 0 {
                    keep_out(&cluster, NAMESPACE).unwrap();
                }
            }
        }
    });
    run.await.unwrap();
    cluster.delete_host_volume(VOLUME).await.unwrap();
}

fn follow(shell: &mut Shell, step: &Step) {
    let printed = shell.run(&step.command);
    if let Err(difference) = step.compare(&printed) {
        panic!("$ {}\n{difference}\n--- it printed\n{printed}", step.command);
    }
}
