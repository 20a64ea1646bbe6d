//! containerd, kubelet and kube-proxy: their arguments and configuration files.
//!
//! Pure: the same folders give the same text, which the recipe's digest covers.
//!
//! Settings that are easy to miss:
//! - containerd finds its shim on the `PATH`, may not lower `oom_score_adj` without `CAP_SYS_RESOURCE`, and keeps
//!   pods' network namespaces below its own state folder, so that ours are told from others'.
//! - kubelet accepts cgroup v1 and manages cgroups itself (no systemd); nothing resolves names for it.
//! - Images are never collected, and stay until they are replaced: most are loaded, none is pulled but from a registry that a
//!   test starts and has the node trust.

use crate::control_plane::component;
use crate::families::Families;
use crate::layout::{
    Layout, NODE_IP, NODE_IP6, NODE_NAME, NODE_POD_CIDR, NODE_POD_CIDR6, POD_CIDR, POD_CIDR6, REGISTRIES,
    containerd_socket, containerd_state, run_folder,
};
use crate::processes::Component;
use crate::programs::Programs;

/// Files that the components read: (name below the cluster's folder, content).
pub(super) fn files(layout: &Layout, programs: &Programs, families: Families) -> Vec<(String, String)> {
    vec![
        ("config/containerd.toml".to_owned(), containerd_config(layout, programs)),
        ("cni/10-bridge.conflist".to_owned(), network_config(layout, families)),
        ("config/kubelet.yaml".to_owned(), kubelet_config(layout, families)),
    ]
}

/// The container runtime, which must hold images before kubelet starts.
pub(super) fn runtime(layout: &Layout, programs: &Programs) -> Vec<Component> {
    let mut containerd =
        component("containerd", programs, vec!["--config".to_owned(), layout.text("config/containerd.toml")]);
    containerd.path = format!("{}:{}", programs.folder_of("containerd").display(), containerd.path);
    vec![containerd]
}

/// The processes that make this machine a node.
pub(super) fn agents(layout: &Layout, programs: &Programs, families: Families) -> Vec<Component> {
    let kubelet = vec![
        format!("--config={}", layout.text("config/kubelet.yaml")),
        format!("--kubeconfig={}", layout.text("kubeconfigs/kubelet")),
        format!("--root-dir={}", layout.text("kubelet")),
        format!("--cert-dir={}", layout.text("pki/kubelet")),
        format!("--hostname-override={NODE_NAME}"),
        format!("--node-ip={}", families.list(NODE_IP, NODE_IP6)),
    ];
    let kube_proxy = vec![
        format!("--kubeconfig={}", layout.text("kubeconfigs/kube-proxy")),
        format!("--hostname-override={NODE_NAME}"),
        format!("--cluster-cidr={}", families.list(POD_CIDR, POD_CIDR6)),
        "--proxy-mode=nftables".to_owned(),
        "--conntrack-max-per-core=0".to_owned(),
    ];
    vec![component("kubelet", programs, kubelet), component("kube-proxy", programs, kube_proxy)]
}

fn containerd_config(layout: &Layout, programs: &Programs) -> String {
    format!(
        r#"version = 3
root = '{root}'
state = '{state}'

[grpc]
  address = '{socket}'

[plugins.'io.containerd.internal.v1.opt']
  path = '{opt}'

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'localhost/pause:1'

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '{registries}'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{cni}']
  conf_dir = '{cni_config}'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = '{runc}'
  Root = '{runc_state}'
  SystemdCgroup = false
"#,
        root = layout.text("containerd"),
        state = containerd_state(),
        socket = containerd_socket(),
        registries = layout.text(REGISTRIES),
        opt = layout.text("containerd-opt"),
        cni = programs.folder_of("bridge").display(),
        cni_config = layout.text("cni"),
        runc = programs.path("runc").display(),
        runc_state = run_folder().join("runc").display(),
    )
}

fn network_config(layout: &Layout, families: Families) -> String {
    let range = |subnet: &str| format!(r#"[{{"subnet": "{subnet}"}}]"#);
    format!(
        r#"{{
  "cniVersion": "1.0.0",
  "name": "voicemail-cluster",
  "plugins": [
    {{
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {{
        "type": "host-local",
        "dataDir": "{leases}",
        "ranges": [{ranges}],
        "routes": [{routes}]
      }}
    }},
    {{"type": "portmap", "capabilities": {{"portMappings": true}}}}
  ]
}}
"#,
        leases = layout.text("cni-leases"),
        ranges = families.list(&range(NODE_POD_CIDR), &range(NODE_POD_CIDR6)),
        routes = families.list(r#"{"dst": "0.0.0.0/0"}"#, r#"{"dst": "::/0"}"#),
    )
}

fn kubelet_config(layout: &Layout, families: Families) -> String {
    format!(
        r#"apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://{socket}
podLogsDir: {logs}
volumePluginDir: {plugins}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {ca}}}
authorization:
  mode: Webhook
clusterDomain: cluster.local
clusterDNS: ["{dns}"]
resolvConf: ""
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
maxPods: 200
imageGCHighThresholdPercent: 100
evictionHard:
  memory.available: 100Mi
  nodefs.available: 1%
  imagefs.available: 1%
"#,
        dns = families.dns(),
        socket = containerd_socket(),
        logs = layout.text("pod-logs"),
        plugins = layout.text("volume-plugins"),
        ca = layout.text("pki/ca.crt"),
    )
}
