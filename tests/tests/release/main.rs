//! The output of `tools/release` is enough to install the operator: its folder alone is used here, by Helm and by
//! kustomize; the image is built of the programs in it and comes from a private registry.
//!
//! The programs are those of the tests, of this machine's architecture; the release builds its own in the same way.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod private_registry;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, PULL_SECRETS_READY, READY};
use voicemail_test_cluster::foreign_operators::keep_out;
use voicemail_test_cluster::image::{PROGRAMS, PROMPTS, Program, build_programs};
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::user_range::{FIRST_USER, give_range};
use voicemail_test_cluster::volumes::HostVolume;
use voicemail_test_cluster::wait::wait_gone;
use voicemail_test_cluster::{Cluster, Families};
use voicemail_test_machine::cargo::Profile;
use voicemail_test_machine::command::run;
use voicemail_test_machine::prompts::english_prompts;
use voicemail_test_machine::workspace_path;
use voicemail_tests::operator_process::install_crds;
use voicemail_tests::tenant_manifest::{SIZE, tenant_on, wait_condition};

use private_registry::{PULL_SECRET, PrivateImage};

const MANIFESTS: &str = "voicemail-operator.yaml";
const PLUGIN: &str = "kubectl-voicemail";
const RELEASE: &str = "adopted";
/// How names begin that kustomize gives.
const PREFIX: &str = "own-";
/// Kinds whose objects count for the whole cluster, which is others' too.
const SHARED: [(&str, &str); 3] = [
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
];
const DEADLINE: Duration = Duration::from_secs(120);
const DENY_ALL: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, \
    metadata: {name: deny-all, namespace: NAMESPACE}, spec: {podSelector: {}, policyTypes: [Ingress]}}";
/// Where the manifests say that the image is.
const PUBLIC: &str = "ghcr.io/voicemail-dev/voicemail";

/// A folder with all that a release publishes, made once for each test of this program.
struct Artefacts {
    folder: tempfile::TempDir,
}

impl Artefacts {
    fn make(cluster: &Cluster) -> Self {
        build_programs(Profile::current()).unwrap();
        // Tests lie in `deps`, programs beside it.
        let built = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_owned();
        let programs = tempfile::tempdir().unwrap();
        for program in PROGRAMS.into_iter().chain([PLUGIN]) {
            symlink(built.join(program), programs.path().join(program)).unwrap();
        }
        symlink(english_prompts().unwrap(), programs.path().join(PROMPTS)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut release = Command::new(workspace_path("tools/release"));
        release.args(["--dry-run", "--architectures", architecture(), "--into"]).arg(folder.path());
        release.args(["--programs", &format!("{}={}", architecture(), programs.path().display())]);
        run(release.env("HELM", cluster.helm().get_program())).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A folder for kustomize: the manifests, with a kustomization of one's own.
    fn copy_manifests(&self, kustomization: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kustomization.yaml"), kustomization).unwrap();
        std::fs::copy(self.path(MANIFESTS), folder.path().join(MANIFESTS)).unwrap();
        folder
    }

    /// The programs and prompts that the image is made of.
    fn programs(&self) -> Vec<Program> {
        let file = |name| self.path(&format!("image/{}/{name}", architecture()));
        PROGRAMS.into_iter().chain([PROMPTS]).map(|name| (name.to_owned(), file(name))).collect()
    }

    /// The one file whose name begins and ends so.
    fn find(&self, begin: &str, end: &str) -> PathBuf {
        let names = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let fits = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        };
        let found: Vec<PathBuf> = names.filter(fits).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }
}

/// As images and artefacts call it.
fn architecture() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" }
}

fn check_sums(folder: &Path) -> usize {
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder)).unwrap();
    std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap().lines().count()
}

fn check_archive(artefacts: &Artefacts) {
    let unpacked = tempfile::tempdir().unwrap();
    let archive = artefacts.find("voicemail-", &format!("linux-{}.tar.gz", architecture()));
    run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(unpacked.path())).unwrap();
    for program in PROGRAMS.into_iter().chain([PLUGIN]) {
        let said = run(Command::new(unpacked.path().join(program)).arg("--version")).unwrap();
        assert!(said.contains(env!("CARGO_PKG_VERSION")), "{program}: {said}");
    }
    for file in ["LICENSE", "THIRD-PARTY-NOTICES.md", PROMPTS] {
        assert!(unpacked.path().join(file).exists(), "{file} is missing");
    }
}

/// Each library of the SBOM that ends up in a program has its notice, and there is no notice without a text.
fn check_notices(artefacts: &Artefacts) {
    let notices = artefacts.text("THIRD-PARTY-NOTICES.md");
    let rows = notices.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let named: BTreeSet<&str> = rows.skip(1).collect();
    let bom: Value = serde_json::from_str(&artefacts.text("voicemail.cdx.json")).unwrap();
    let component =
        |one: &Value| format!("{} {}", one["name"].as_str().unwrap(), one["version"].as_str().unwrap());
    let components: BTreeSet<String> = bom["components"].as_array().unwrap().iter().map(component).collect();
    let unknown: Vec<&&str> = named.iter().filter(|name| !components.contains(**name)).collect();
    assert!(named.len() > 150 && unknown.is_empty(), "{} notices, not in the SBOM: {unknown:?}", named.len());
    for library in ["kube", "rustls", "rsipstack", "flite-slt", "axum", "serde"] {
        assert!(named.iter().any(|name| name.starts_with(&format!("{library} "))), "{library} has no notice");
    }
    let mut lengths: BTreeMap<&str, usize> = BTreeMap::new();
    for (names, text) in notices.split("\n## ").skip(1).filter_map(|section| section.split_once('\n')) {
        names.split(", ").for_each(|name| *lengths.entry(name).or_default() += text.len());
    }
    let short: Vec<&&str> =
        named.iter().filter(|name| lengths.get(**name).is_none_or(|length| *length < 500)).collect();
    assert!(short.is_empty(), "without the text of a licence: {short:?}");
}

/// By kustomize, from a registry of one's own: tenants get the image from there, too.
fn check_kustomization(artefacts: &Artefacts, cluster: &Cluster, namespace: &str) {
    let own = format!(
        "{}namespace: {namespace}\nimages:\n- {{name: {PUBLIC}, newName: registry.example.com/voicemail}}\n",
        artefacts.text("kustomization.yaml")
    );
    let folder = artefacts.copy_manifests(&own);
    let rendered = cluster.run_kubectl(&["kustomize", folder.path().to_str().unwrap()]).unwrap();
    let tag = format!("registry.example.com/voicemail:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(rendered.matches(&tag).count(), 2, "image and VOICEMAIL_IMAGE");
    assert!(!rendered.contains(PUBLIC));
    for kind in ["CustomResourceDefinition", "Deployment", "ClusterRole", "ServiceAccount"] {
        assert!(rendered.contains(&format!("\nkind: {kind}\n")), "{kind} is missing");
    }
    let mut apply = cluster.kubectl().command();
    apply.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-k",
    ]);
    run(apply.arg(folder.path())).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_installed_from_the_folder_of_a_release_alone() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure_of(Some(Families::Ipv6First)).await.unwrap();
    let artefacts = Artefacts::make(&cluster);
    assert!(check_sums(artefacts.folder.path()) >= 7);
    assert!(check_sums(&artefacts.path("image")) >= 4);
    assert!(!artefacts.text("RELEASE-NOTES.md").trim().is_empty());
    check_archive(&artefacts);
    check_notices(&artefacts);

    install_crds(&cluster).unwrap();
    let package = artefacts.find("voicemail-operator-", ".tgz");
    let mut template = cluster.helm();
    template.arg("template").arg("voicemail-operator").arg(&package);
    let rendered = run(template.args(["--namespace", "voicemail-system", "--no-hooks"])).unwrap();
    assert_eq!(rendered, artefacts.text(MANIFESTS), "the package and the plain manifests differ");
    let namespace = TestNamespace::create(cluster.config().await.unwrap(), "release").await.unwrap();
    keep_out(&cluster, namespace.name()).unwrap();
    give_range(&cluster, namespace.name()).unwrap();
    cluster.kubectl().apply(&DENY_ALL.replace("NAMESPACE", namespace.name())).unwrap();
    check_kustomization(&artefacts, &cluster, namespace.name());
    let image = PrivateImage::bring(&cluster, &artefacts.programs()).await;
    image.create_secret(namespace.name());
    let place = Place { cluster, namespace, image };
    place.install_by_helm(&package).await;
    place.install_by_kustomize(&artefacts).await;
}

/// Where nothing is made easy: IPv6 comes first, an image in a private registry, everything denied by NetworkPolicies, users of the
/// namespace's range, pods under the restricted profile, no default storage class.
struct Place {
    cluster: Cluster,
    namespace: TestNamespace,
    image: PrivateImage,
}

impl Place {
    async fn install_by_helm(&self, package: &Path) {
        let folder = tempfile::tempdir().unwrap();
        let values = self.image.write_values(package, folder.path());
        let watched = format!("watchNamespaces={{{}}}", self.namespace.name());
        let mut helm = self.helm("install");
        helm.arg(package).arg("--values").arg(values).args(["--set", &watched]);
        helm.args(["--set", "crds.enabled=false,clusterName=release,roles.create=false,replicas=1"]);
        // As the chart does by itself where the cluster serves OpenShift's kinds.
        helm.args(["--set", "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null"]);
        run(&mut helm).unwrap();
        self.check_operator(RELEASE).await;
        self.check_tenant("helmed").await;
        run(&mut self.helm("uninstall")).unwrap();
    }

    fn helm(&self, action: &str) -> Command {
        let mut helm = self.cluster.helm();
        helm.args([action, RELEASE, "--namespace", self.namespace.name(), "--wait", "--timeout", "2m"]);
        helm
    }

    async fn install_by_kustomize(&self, artefacts: &Artefacts) {
        let folder = artefacts.copy_manifests(&self.kustomization(artefacts));
        let folder = folder.path().to_str().unwrap();
        self.cluster.run_kubectl(&["apply", "--server-side", "-k", folder]).unwrap();
        let operator = format!("deployment/{PREFIX}voicemail-operator");
        let rollout = ["rollout", "status", &operator, "-n", self.namespace.name(), "--timeout=120s"];
        self.cluster.run_kubectl(&rollout).unwrap();
        self.check_operator(&format!("{PREFIX}voicemail-operator")).await;
        self.check_tenant("kustomized").await;
        self.cluster.run_kubectl(&["delete", "-k", folder, "--wait=true", "--timeout=120s"]).unwrap();
    }

    /// As its comment says, with names of one's own, for this namespace, without what all operators of a cluster share.
    fn kustomization(&self, artefacts: &Artefacts) -> String {
        let text = artefacts.text("kustomization.yaml");
        let said: String = text
            .lines()
            .filter_map(|line| line.strip_prefix("#   "))
            .map(|line| format!("{line}\n"))
            .collect();
        let image = format!("{:?}, digest: {:?}", self.image.repository(), self.image.digest);
        let said = said.replace("REGISTRY/voicemail", &image);
        let namespace = self.namespace.name();
        let users = "/spec/template/spec/securityContext";
        let own = json!([
            {"op": "add", "path": "/spec/template/spec/containers/0/env/-",
             "value": {"name": "WATCH_NAMESPACES", "value": namespace}},
            // As the page on OpenShift says.
            {"op": "remove", "path": format!("{users}/runAsUser")},
            {"op": "remove", "path": format!("{users}/runAsGroup")},
        ]);
        let own = json!({"target": {"kind": "Deployment"}, "patch": own.to_string()});
        let shared = SHARED.map(|(group, kind)| {
            let patch =
                json!({"apiVersion": group, "kind": kind, "metadata": {"name": "any"}, "$patch": "delete"});
            json!({"target": {"kind": kind}, "patch": patch.to_string()})
        });
        let further: String = [own].iter().chain(&shared).map(|patch| format!("- {patch}\n")).collect();
        format!("{text}namespace: {namespace}\nnamePrefix: {PREFIX}\n{said}{further}")
    }

    /// The operator runs the image of the registry, by its digest.
    async fn check_operator(&self, name: &str) {
        let deployment = self.namespace.api::<Deployment>().get(name).await.unwrap();
        assert!(deployment.status.unwrap().ready_replicas >= Some(1));
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.containers[0].image.as_deref(), Some(&*self.image.reference()));
        assert_eq!(pod.image_pull_secrets.unwrap()[0].name, PULL_SECRET);
    }

    /// A tenant says that the pull secret is missing, and gets ready once it is there; no field of its own names it.
    async fn check_tenant(&self, name: &str) {
        let volume = format!("{}-{name}", self.namespace.name());
        self.create_volume(&volume).await;
        self.image.delete_secret(self.namespace.name());
        self.image.forget_on_node();
        let tenants = self.namespace.api::<VoicemailTenant>();
        tenants.create(&PostParams::default(), &tenant_of(name, &volume)).await.unwrap();
        let missing = (PULL_SECRETS_READY, ConditionStatus::False, "PullSecretNotFound");
        wait_condition(&tenants, name, missing, DEADLINE).await.unwrap();
        let before = self.image.count_fetches();
        self.image.create_secret(self.namespace.name());
        wait_condition(&tenants, name, (READY, ConditionStatus::True, "Available"), DEADLINE).await.unwrap();
        let asked = self.image.count_fetches() - before;
        let events = || self.cluster.run_kubectl(&["get", "events", "-n", self.namespace.name()]);
        assert!(asked > 0, "the node didn't ask the registry as the Secret says; events: {:?}", events());
        self.check_pod(name).await;
        tenants.delete(name, &DeleteParams::default()).await.unwrap();
        wait_gone(&tenants, name, DEADLINE).await.unwrap();
        self.cluster.delete_host_volume(&volume).await.unwrap();
    }

    async fn create_volume(&self, name: &str) {
        let volume = HostVolume {
            name,
            size: SIZE,
            labels: BTreeMap::new(),
            access_modes: &["ReadWriteMany"],
            uid: FIRST_USER,
        };
        self.cluster.create_host_volume(&volume).await.unwrap();
    }

    async fn check_pod(&self, tenant: &str) {
        let chosen = ListParams::default().labels(&format!("voicemail.dev/tenant={tenant}"));
        let pods = self.namespace.api::<Pod>().list(&chosen).await.unwrap();
        let pod = pods.items[0].spec.clone().unwrap();
        assert_eq!(pod.security_context.unwrap().run_as_user, Some(i64::from(FIRST_USER)));
        assert_eq!(pod.containers[0].image.as_deref(), Some(&*self.image.reference()));
        let addresses = pods.items[0].status.clone().unwrap().pod_ips.unwrap();
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.ip.parse().unwrap()).collect();
        assert!(addresses.len() == 2 && addresses[0].is_ipv6(), "the pod's addresses: {addresses:?}");
    }
}

/// A tenant with one pod, whose Service says nothing of address families.
fn tenant_of(name: &str, volume: &str) -> VoicemailTenant {
    let mut tenant = tenant_on(name, volume).unwrap();
    tenant.spec.replicas = 1;
    tenant
}

/// Both Containerfiles make the same image: what comes behind their last base is the same, but for where programs come from.
#[test]
fn both_containerfiles_end_in_the_same_image() {
    let last_stage = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(workspace_path(file)).unwrap();
        let stage =
            text.rsplit_once("FROM ${BASE}").unwrap_or_else(|| panic!("{file} isn't on BASE")).1.to_owned();
        stage.lines().map(|line| line.replace("--from=build ", "").replace("/programs/", "")).collect()
    };
    assert_eq!(last_stage("Containerfile"), last_stage("Containerfile.build"));
}
