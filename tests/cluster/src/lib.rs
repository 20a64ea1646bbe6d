//! A real single-node Kubernetes on this machine, without Docker and without an image registry.
//!
//! etcd, the API server, controllers, scheduler, kubelet, kube-proxy, containerd and a name server are built
//! from pinned Go modules (`programs`) and run in a network namespace of their own (`network`). Tests
//! against it are tests against the real thing: scheduling, garbage collection, admission, RBAC, volumes.
//!
//! [`Cluster::ensure`] finds a running one in a fraction of a second, repairs or replaces a broken one, and
//! starts one where there is none (`lifecycle`). It stays when the test ends; [`Cluster::down`] removes it
//! without a trace (`teardown`).
//!
//! Beside it: the image under test ([`image`]), a namespace of a test's own ([`namespace`]), waits with deadlines ([`wait`]). Nothing
//! here links a crate of the workspace.
//!
//! Limits: Linux, root, about 1 GB of memory, one for each machine because its addresses are fixed
//! ([`layout`]). Pods reach this machine but not the internet, and images come only from [`Cluster::load_image`].

mod addons;
pub mod audit;
mod control_plane;
pub mod fake_kubelet;
mod families;
pub mod foreign_operators;
pub mod helm3;
pub mod image;
pub mod images;
pub mod kubeconform;
mod kubectl;
pub mod layout;
mod leftovers;
mod lifecycle;
mod lock;
pub mod namespace;
mod network;
mod node;
pub mod operator_audit;
mod pki;
mod prerequisites;
mod processes;
mod programs;
mod recipe;
mod shell_image;
mod state;
mod sysctls;
mod teardown;
pub mod user_range;
pub mod volumes;
pub mod wait;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

pub use addons::STORAGE_CLASS;
pub use audit::AuditLog;
pub use families::Families;
pub use images::{Entry, Images};
pub use kubectl::Kubectl;
use layout::Layout;
pub use prerequisites::ALTERNATIVE;
pub use programs::Programs;
pub use volumes::HostVolume;

/// This machine's address on the link to the local cluster, which pods reach; there while the cluster runs.
pub fn cluster_link() -> Result<IpAddr> {
    layout::HOST_IP.parse().context("the address of the link to the cluster")
}

/// A running cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    layout: Layout,
    programs: Programs,
    instance: String,
}

impl Cluster {
    /// Finds the running cluster, or repairs, replaces or starts it. Safe from several processes at once.
    /// [`Families::chosen`] says what comes first.
    pub async fn ensure() -> Result<Self> {
        Self::ensure_of(Some(Families::chosen())).await
    }

    /// [`Cluster::ensure`] with that order of address families, or with either.
    pub async fn ensure_of(families: Option<Families>) -> Result<Self> {
        tokio::task::spawn_blocking(move || Self::ensure_now(families)).await?
    }

    /// [`Cluster::ensure`] for callers without an async runtime.
    pub fn ensure_blocking() -> Result<Self> {
        Self::ensure_now(Some(Families::chosen()))
    }

    fn ensure_now(families: Option<Families>) -> Result<Self> {
        let (layout, programs) = (Layout::find()?, Programs::locate()?);
        let state = lifecycle::ensure(&layout, &programs, families)?;
        Ok(Self { layout, programs, instance: state.instance })
    }

    /// Ends the cluster, if any, and removes everything it left but its logs and programs.
    pub async fn down() -> Result<()> {
        tokio::task::spawn_blocking(|| lifecycle::down(&Layout::find()?, &Programs::locate()?)).await?
    }

    /// Tells how the cluster is without changing it; an error if there is none.
    pub async fn status() -> Result<String> {
        tokio::task::spawn_blocking(|| lifecycle::describe(&Layout::find()?, &Programs::locate()?)).await?
    }

    /// Ends a component (`kube-apiserver`, `kubelet`, …) at once, as a crash would; [`Cluster::ensure`] starts it
    /// again. For fault tests.
    pub async fn kill_component(&self, component: &str) -> Result<()> {
        let (layout, component) = (self.layout.clone(), component.to_owned());
        tokio::task::spawn_blocking(move || lifecycle::kill_component(&layout, &component)).await?
    }

    /// Ends a component as a crash would, starts it again and waits until the cluster is healthy. For fault tests.
    pub async fn restart_component(&self, component: &str) -> Result<()> {
        let (layout, programs, component) =
            (self.layout.clone(), self.programs.clone(), component.to_owned());
        let work = move || lifecycle::restart_component(&layout, &programs, &component);
        tokio::task::spawn_blocking(work).await?
    }

    /// Stops a component without ending it, for that long. For fault tests.
    pub async fn pause_component(&self, component: &str, pause: Duration) -> Result<()> {
        let (layout, component) = (self.layout.clone(), component.to_owned());
        let work = move || lifecycle::pause_component(&layout, &component, pause);
        tokio::task::spawn_blocking(work).await?
    }

    /// Names this very cluster; after a replacement it is another.
    pub fn instance_id(&self) -> &str {
        &self.instance
    }

    /// kubeconfig of the administrator; its current context is [`layout::CONTEXT`].
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.layout.admin_kubeconfig()
    }

    /// The API's configuration for kube's client, as administrator.
    pub async fn config(&self) -> Result<Config> {
        let path = self.kubeconfig_path();
        let kubeconfig =
            Kubeconfig::read_from(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
    }

    /// A client of the API, as administrator; it belongs to the runtime that asks for it.
    pub async fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.config().await?)?)
    }

    /// kubectl as administrator.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.programs.path("kubectl"), self.kubeconfig_path())
    }

    /// Runs kubectl to its end and returns what it printed.
    pub fn run_kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl().run(arguments)
    }

    /// helm as administrator, to add arguments to.
    pub fn helm(&self) -> Command {
        let mut command = Command::new(self.programs.path("helm"));
        let kubeconfig = self.kubeconfig_path();
        command
            .env(kubectl::CACHE_VARIABLE, kubectl::cache_folder(&kubeconfig))
            .env("KUBECONFIG", kubeconfig);
        command
    }

    /// The API server's audit log: one JSON object a line, without contents of objects.
    pub fn audit_log_path(&self) -> PathBuf {
        self.layout.path("audit.log")
    }

    /// The audit log from now on.
    pub fn audit_log(&self) -> Result<AuditLog> {
        AuditLog::from_now(self.audit_log_path())
    }

    /// Folder of the components' logs.
    pub fn logs_folder(&self) -> PathBuf {
        self.layout.path("logs")
    }

    /// kubelet's folder, where node plugins register (elsewhere `/var/lib/kubelet`).
    pub fn kubelet_folder(&self) -> PathBuf {
        self.layout.path("kubelet")
    }

    /// Name of the network namespace in which node and pods live.
    pub fn netns_name(&self) -> &'static str {
        layout::NETNS
    }

    /// A command that runs `program` in the node's network namespace.
    pub fn on_node(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", layout::netns_path().display())).arg("--").arg(program);
        command
    }

    /// The node's image store.
    pub fn images(&self) -> Images {
        Images::new(&self.programs)
    }

    /// Puts the image `reference` of a docker-archive on the node.
    pub async fn load_image(&self, archive: &Path, reference: &str) -> Result<()> {
        let (images, archive, reference) = (self.images(), archive.to_owned(), reference.to_owned());
        tokio::task::spawn_blocking(move || images.load(&archive, &reference)).await?
    }

    /// Has the node trust a registry's authority (PEM), as whoever sets up nodes does; containerd looks at each pull.
    pub fn trust_registry(&self, registry: SocketAddr, authority: &str) -> Result<()> {
        let folder = self.layout.path(layout::REGISTRIES).join(registry.to_string());
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("ca.crt"), authority)?;
        let url = format!("https://{registry}");
        let hosts = format!("server = {url:?}\n[host.{url:?}]\n  ca = {:?}\n", folder.join("ca.crt"));
        std::fs::write(folder.join("hosts.toml"), hosts)
            .context("cannot write what containerd reads of a registry")
    }

    /// Ends that trust.
    pub fn forget_registry(&self, registry: SocketAddr) -> Result<()> {
        let folder = self.layout.path(layout::REGISTRIES).join(registry.to_string());
        std::fs::remove_dir_all(folder).context("cannot forget a registry")
    }

    /// Name of an image with a shell, busybox and curl, which is put on the node unless it is there.
    pub async fn shell_image(&self) -> Result<String> {
        let images = self.images();
        tokio::task::spawn_blocking(move || shell_image::ensure(&images)).await?
    }

    /// Folder of the node's volumes, one folder each.
    pub fn volumes_folder(&self) -> PathBuf {
        self.layout.path("volumes")
    }

    /// Folder of what belongs to this very cluster and goes with it.
    pub fn folder(&self) -> &Path {
        self.layout.root()
    }

    /// Makes a volume of class [`STORAGE_CLASS`] on the node's disk; returns its folder.
    pub async fn create_host_volume(&self, volume: &HostVolume<'_>) -> Result<PathBuf> {
        volumes::create(self.client().await?, self.volumes_folder(), volume).await
    }

    /// Deletes such a volume with its content.
    pub async fn delete_host_volume(&self, name: &str) -> Result<()> {
        volumes::delete(self.client().await?, self.volumes_folder(), name).await
    }
}
