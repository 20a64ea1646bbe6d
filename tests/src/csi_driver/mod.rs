//! A CSI node plugin that answers kubelet as the Secrets Store CSI driver does: kubelet is real, only the vault is not.
//!
//! Flow: [`CsiDriver::start`] declares the kind SecretProviderClass and the CSIDriver, listens on a socket of its
//! own and offers it by one in kubelet's registration folder; kubelet finds the latter, asks for the driver's name and
//! address, and registers it. A pod with an inline volume of the driver then makes kubelet ask to publish it: the
//! SecretProviderClass is read, and each object that it names is copied from the vault's folder into the
//! volume.
//!
//! What can go wrong: a pod with such a volume can't end without its driver, so its namespace stays until another
//! one is started. Only one can be registered on the node at a time.

mod grpc;
mod messages;
mod plugin;
mod registration;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::storage::v1::CSINode;
use kube::Api;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use plugin::NodePlugin;
use registration::Registration;
use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::layout::NODE_NAME;
use voicemail_test_cluster::wait::wait_until;

/// Name of the driver.
pub const DRIVER: &str = "secrets-store.csi.k8s.io";
const CRD: &str = "secretproviderclasses.secrets-store.csi.x-k8s.io";
const DECLARATIONS: &str = include_str!("declarations.yaml");
const DEADLINE: Duration = Duration::from_secs(60);

/// A registered driver; its sockets end with it.
pub struct CsiDriver {
    cluster: Cluster,
    vaults: tempfile::TempDir,
    sockets: [PathBuf; 2],
    server: JoinHandle<()>,
    _registration: Registration,
}

impl CsiDriver {
    /// Makes sure that the cluster knows neither the driver nor its kind.
    pub fn remove_declarations(cluster: &Cluster) -> Result<()> {
        let ignoring = ["--ignore-not-found", "--wait=true", "--timeout=60s"];
        for object in [format!("crd/{CRD}"), format!("csidriver/{DRIVER}")] {
            let mut arguments = vec!["delete", object.as_str()];
            arguments.extend(ignoring);
            cluster.run_kubectl(&arguments)?;
        }
        Ok(())
    }

    /// Declares the driver and registers it with kubelet.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        cluster.kubectl().apply(DECLARATIONS)?;
        cluster.run_kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            &format!("crd/{CRD}"),
        ])?;
        let vaults = tempfile::tempdir()?;
        let (socket, registration) = socket_paths(&cluster.kubelet_folder());
        let plugin = NodePlugin::new(cluster.client().await?, vaults.path().to_owned());
        let server = grpc::serve(listen(&socket)?, Arc::new(plugin));
        let answering = Registration::start(&registration, &socket)?;
        let driver = Self {
            cluster: cluster.clone(),
            vaults,
            sockets: [registration, socket],
            server,
            _registration: answering,
        };
        driver.wait_registered().await?;
        Ok(driver)
    }

    /// Puts a secret into a vault.
    pub fn put_secret(&self, vault: &str, name: &str, value: &str) -> Result<()> {
        let folder = self.vaults.path().join(vault);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), value).with_context(|| format!("writing secret {name} of {vault}"))
    }

    async fn wait_registered(&self) -> Result<()> {
        let nodes: Api<CSINode> = Api::all(self.cluster.client().await?);
        let registered = |node: &CSINode| node.spec.drivers.iter().any(|driver| driver.name == DRIVER);
        wait_until(&nodes, NODE_NAME, "kubelet has registered the CSI driver", DEADLINE, registered)
            .await
            .map(drop)
    }
}

impl Drop for CsiDriver {
    fn drop(&mut self) {
        self.server.abort();
        for socket in &self.sockets {
            if let Err(error) = std::fs::remove_file(socket) {
                eprintln!("{} stays: {error}", socket.display());
            }
        }
    }
}

/// The driver's own socket, and the one by which kubelet finds it.
fn socket_paths(kubelet: &Path) -> (PathBuf, PathBuf) {
    let socket = kubelet.join("plugins/secrets-store/csi.sock");
    (socket, kubelet.join("plugins_registry/secrets-store-reg.sock"))
}

fn listen(path: &Path) -> Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // One of a driver that was killed.
    let _absent = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
