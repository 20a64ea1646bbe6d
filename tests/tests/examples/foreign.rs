//! Manifests of others' kinds: the kinds are declared as far as the examples use them, and refuse what they don't know.

use serde_json::Value;
use voicemail_test_cluster::Cluster;
use voicemail_test_machine::command::run;
use voicemail_test_machine::workspace_path;

const KINDS: &str = include_str!("foreign.yaml");
const NAMESPACES: [&str; 2] = ["argocd", "voice"];

/// The kinds and namespaces while alive.
struct Foreign {
    cluster: Cluster,
}

impl Foreign {
    async fn declare() -> Self {
        voicemail_test_machine::install_crypto();
        let cluster = Cluster::ensure().await.unwrap();
        cluster.kubectl().apply(KINDS).unwrap();
        let names = ["crd/applications.argoproj.io", "crd/certificates.cert-manager.io"];
        let mut wait = cluster.kubectl().command();
        run(wait.args(["wait", "--for=condition=Established", "--timeout=30s"]).args(names)).unwrap();
        for namespace in NAMESPACES {
            let object =
                format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}-examples}}\n");
            cluster.kubectl().apply(&object).unwrap();
        }
        Self { cluster }
    }

    /// Applies a file, strictly, in the namespace that stands for the one that it names.
    fn apply(&self, file: &str, namespace: &str) {
        let path = workspace_path("examples").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text
            .replace(&format!("  namespace: {namespace}\n"), &format!("  namespace: {namespace}-examples\n"));
        let mut kubectl = self.cluster.kubectl().command();
        kubectl.args(["apply", "--validate=strict", "-n", &format!("{namespace}-examples"), "-f", "-"]);
        voicemail_test_machine::command::run_with_input(&mut kubectl, &text).unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        for namespace in NAMESPACES {
            let name = format!("{namespace}-examples");
            if let Err(error) = self.cluster.run_kubectl(&["delete", "namespace", &name, "--wait=false"]) {
                eprintln!("{name} stays: {error:#}");
            }
        }
    }
}

fn documents(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(workspace_path("examples").join(file)).unwrap();
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_for_argo_cd_and_cert_manager_are_accepted() {
    let foreign = Foreign::declare().await;
    foreign.apply("argo-cd/application.yaml", "argocd");
    foreign.apply("argo-cd/argocd-cm.yaml", "argocd");
    foreign.apply("tls/certificate.yaml", "voice");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_class_of_nfs_is_accepted_and_mounts_as_a_core_demands() {
    voicemail_test_machine::install_crypto();
    let cluster = Cluster::ensure().await.unwrap();
    let path = workspace_path("examples/nfs-storage-class.yaml");
    cluster.run_kubectl(&["apply", "--validate=strict", "-f", path.to_str().unwrap()]).unwrap();
    let options = documents("nfs-storage-class.yaml")[0]["mountOptions"].clone();
    assert!(options.as_array().unwrap().contains(&Value::from("lookupcache=none")), "{options}");
    cluster.run_kubectl(&["delete", "storageclass", "voice-voicemail-nfs"]).unwrap();
}

#[test]
fn the_operator_comes_a_wave_before_the_tenants_from_files_that_are_there() {
    let applications = documents("argo-cd/application.yaml");
    let waves: Vec<&str> = applications
        .iter()
        .map(|one| one["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str().unwrap())
        .collect();
    assert_eq!(waves, ["0", "1"]);
    let source = &applications[0]["spec"]["source"];
    let chart = workspace_path(source["path"].as_str().unwrap());
    for file in source["helm"]["valueFiles"].as_array().unwrap() {
        assert!(chart.join(file.as_str().unwrap()).is_file(), "{file}");
    }
}

/// The certificate is for the names that the operator calls.
#[test]
fn the_certificate_is_for_the_tenants_service_and_secret() {
    let certificate = &documents("tls/certificate.yaml")[0];
    let tenant = &documents("tls-tenant.yaml")[0];
    assert_eq!(certificate["spec"]["secretName"], tenant["spec"]["tls"]["secretRef"]["name"]);
    let names = certificate["spec"]["dnsNames"].as_array().unwrap();
    assert!(names.contains(&Value::from("acme-voicemail.voice.svc")), "{names:?}");
}
