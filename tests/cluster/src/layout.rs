//! Names, addresses and folders of the local cluster.
//!
//! The addresses are fixed, so a machine holds at most one such cluster, whichever clone started it; all that
//! must be found by any clone is therefore under `/run/voicemail-operator` (gone after a reboot, like the
//! processes) and under the user's cache folder (`$VOICEMAIL_CACHE`, `$XDG_CACHE_HOME` or `~/.cache`).
//!
//! Limits: Unix socket paths end at 107 bytes and kubelet keeps sockets below the cluster folder, so the cache
//! folder's own path must stay below about 50.

use std::path::{Path, PathBuf};

use anyhow::Result;
use voicemail_test_machine::cache::cache_folder;

/// Name of the one node.
pub const NODE_NAME: &str = "voicemail-node";
/// This machine's end of the link into the cluster; pods reach host programs here.
pub const HOST_IP: &str = "10.200.0.1";
/// The node's end of that link.
pub const NODE_IP: &str = "10.200.0.2";
/// Prefix length of the link.
pub const LINK_PREFIX: u8 = 30;
/// Addresses of Services.
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// Address of the Service `kubernetes`.
pub const API_SERVICE_IP: &str = "10.96.0.1";
/// Address of the cluster's name server.
pub const DNS_IP: &str = "10.96.0.10";
/// Addresses of pods.
pub const POD_CIDR: &str = "10.244.0.0/16";
/// Addresses of the one node's pods.
pub const NODE_POD_CIDR: &str = "10.244.0.0/24";
/// The same of IPv6, where this machine has it: this machine's end of the link, and the node's.
pub const HOST_IP6: &str = "fd00:10:200::1";
/// The node's end.
pub const NODE_IP6: &str = "fd00:10:200::2";
/// Address of the Service `kubernetes` where IPv6 comes first.
pub const API_SERVICE_IP6: &str = "fd00:10:96::1";
/// Address of the cluster's name server where IPv6 comes first.
pub const DNS_IP6: &str = "fd00:10:96::a";
/// Prefix length of the link.
pub const LINK_PREFIX6: u8 = 126;
/// Addresses of Services.
pub const SERVICE_CIDR6: &str = "fd00:10:96::/112";
/// Addresses of pods.
pub const POD_CIDR6: &str = "fd00:10:244::/56";
/// Addresses of the one node's pods.
pub const NODE_POD_CIDR6: &str = "fd00:10:244::/64";
/// Port of the API server on [`NODE_IP`].
pub const API_PORT: u16 = 6443;
/// Network namespace in which all of it runs.
pub const NETNS: &str = "voicemail-cluster";
/// This machine's network device of the link.
pub const HOST_LINK: &str = "vm-cluster0";
/// The node's network device of the link.
pub const NODE_LINK: &str = "vm-node0";
/// The context, cluster and user name in the kubeconfig.
pub const CONTEXT: &str = "voicemail-local";

/// Folder below the cluster's with a folder for each registry that containerd trusts beyond the public ones.
pub const REGISTRIES: &str = "registries";

const RUN: &str = "/run/voicemail-operator";

/// Whether this machine's network has IPv6: then the cluster has both families.
pub fn has_ipv6() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6").is_ok_and(|text| text.trim() == "0")
}

/// The folders of one cluster.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The folders below the user's cache folder.
    pub fn find() -> Result<Self> {
        Ok(Self { root: cache_folder()?.join("cluster") })
    }

    /// The folders of a cluster somebody else's cache folder holds.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Folder of the programs in the same cache folder.
    pub fn programs(&self) -> PathBuf {
        self.root.with_file_name("programs")
    }

    /// Folder of everything that survives the starting process.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder below the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The same as text, for command lines and configuration files.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Log file of a component.
    pub fn log(&self, component: &str) -> PathBuf {
        self.root.join("logs").join(format!("{component}.log"))
    }

    /// kubeconfig of the administrator.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.path("kubeconfigs/admin")
    }
}

/// Folder of short-lived files and sockets.
pub fn run_folder() -> PathBuf {
    PathBuf::from(RUN)
}

/// containerd's socket.
pub fn containerd_socket() -> String {
    format!("{RUN}/containerd.sock")
}

/// containerd's folder of mounts and shim bundles.
pub fn containerd_state() -> String {
    format!("{RUN}/containerd")
}

/// The network namespace as a file.
pub fn netns_path() -> PathBuf {
    Path::new("/run/netns").join(NETNS)
}
