//! etcd, the API server, the controller manager and the scheduler: their arguments and one file.
//!
//! Pure: the same folders give the same text, which the recipe's digest covers.
//!
//! Settings that are easy to miss:
//! - etcd doesn't wait for the disk; a test cluster may lose its data with the machine.
//! - The API server reaches kubelet by address, because nothing resolves the node's name.
//! - Discovery names a key set that pods reach (`kubernetes.default.svc`), as providers' clusters do.
//! - The controller manager asks as often as it likes; at its usual 20 requests a second the service accounts
//!   of its controllers alone would take 5 s.
//! - The claim binder looks again every 2 s, not every 15, for claims that were made before their volume.

use crate::families::Families;
use crate::layout::{API_PORT, Layout, POD_CIDR, POD_CIDR6, SERVICE_CIDR, SERVICE_CIDR6};
use crate::processes::Component;
use crate::programs::Programs;

const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";
const ISSUER: &str = "https://kubernetes.default.svc";

/// Every request's user, verb, object and answer, never its content.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
";

/// Files that the components read: (name below the cluster's folder, content).
pub(super) fn files() -> Vec<(String, String)> {
    vec![("config/audit-policy.yaml".to_owned(), AUDIT_POLICY.to_owned())]
}

/// etcd and the API server.
pub(super) fn storage_and_api(layout: &Layout, programs: &Programs, families: Families) -> Vec<Component> {
    vec![etcd(layout, programs), api_server(layout, programs, families)]
}

/// The controllers, which watch the API server.
pub(super) fn controllers(layout: &Layout, programs: &Programs, families: Families) -> Vec<Component> {
    vec![controller_manager(layout, programs, families), scheduler(layout, programs)]
}

fn etcd(layout: &Layout, programs: &Programs) -> Component {
    let arguments = vec![
        format!("--data-dir={}", layout.text("etcd")),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        format!("--listen-peer-urls={ETCD_PEER}"),
        format!("--initial-advertise-peer-urls={ETCD_PEER}"),
        format!("--initial-cluster=default={ETCD_PEER}"),
        "--unsafe-no-fsync".to_owned(),
    ];
    component("etcd", programs, arguments)
}

fn api_server(layout: &Layout, programs: &Programs, families: Families) -> Component {
    let pki = |name: &str| layout.text(&format!("pki/{name}"));
    let arguments = vec![
        format!("--etcd-servers={ETCD}"),
        format!("--advertise-address={}", families.node()),
        format!("--secure-port={API_PORT}"),
        format!("--service-cluster-ip-range={}", families.list(SERVICE_CIDR, SERVICE_CIDR6)),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--kubelet-client-certificate={}", pki("kubelet-client.crt")),
        format!("--kubelet-client-key={}", pki("kubelet-client.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--service-account-issuer={ISSUER}"),
        format!("--service-account-jwks-uri={ISSUER}/openid/v1/jwks"),
        format!("--service-account-key-file={}", pki("service-account.pub")),
        format!("--service-account-signing-key-file={}", pki("service-account.key")),
        format!("--audit-policy-file={}", layout.text("config/audit-policy.yaml")),
        format!("--audit-log-path={}", layout.text("audit.log")),
        "--audit-log-maxsize=500".to_owned(),
        "--audit-log-maxbackup=1".to_owned(),
        format!("--cert-dir={}", layout.text("pki")),
    ];
    component("kube-apiserver", programs, arguments)
}

fn controller_manager(layout: &Layout, programs: &Programs, families: Families) -> Component {
    let arguments = vec![
        format!("--kubeconfig={}", layout.text("kubeconfigs/kube-controller-manager")),
        "--use-service-account-credentials".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--allocate-node-cidrs=true".to_owned(),
        format!("--cluster-cidr={}", families.list(POD_CIDR, POD_CIDR6)),
        format!("--service-cluster-ip-range={}", families.list(SERVICE_CIDR, SERVICE_CIDR6)),
        format!("--root-ca-file={}", layout.text("pki/ca.crt")),
        format!("--service-account-private-key-file={}", layout.text("pki/service-account.key")),
        format!("--cluster-signing-cert-file={}", layout.text("pki/ca.crt")),
        format!("--cluster-signing-key-file={}", layout.text("pki/ca.key")),
        "--pvclaimbinder-sync-period=2s".to_owned(),
        format!("--flex-volume-plugin-dir={}", layout.text("volume-plugins")),
        format!("--cert-dir={}", layout.text("pki/kube-controller-manager")),
    ];
    component("kube-controller-manager", programs, arguments)
}

fn scheduler(layout: &Layout, programs: &Programs) -> Component {
    let arguments = vec![
        format!("--kubeconfig={}", layout.text("kubeconfigs/kube-scheduler")),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--cert-dir={}", layout.text("pki/kube-scheduler")),
    ];
    component("kube-scheduler", programs, arguments)
}

/// A program of ours with its arguments and the system's programs on its path.
pub(super) fn component(name: &str, programs: &Programs, arguments: Vec<String>) -> Component {
    let mut argv = vec![programs.path(name).display().to_string()];
    argv.extend(arguments);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    Component { name: name.to_owned(), argv, path }
}
