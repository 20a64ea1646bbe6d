//! The operator as a process of this machine, for one namespace or for all, under the rights that the chart gives it.
//!
//! Flow: [`OperatorIdentity::install`] applies what the chart renders as RBAC for that namespace, and writes a kubeconfig with a
//! token of that account alone; so a right that the chart forgets fails the tests, and the audit log names the operator.
//! [`OperatorProcess::start`] then runs the workspace's program.
//!
//! Each process keeps its name in the lease over [`OperatorProcess::restart`], as a container that is started
//! again in its pod does, and so leads again at once. A process ends with its value, killed by its pid; if a
//! test fails meanwhile, the last lines of its log are printed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use voicemail_test_cluster::Cluster;
use voicemail_test_cluster::image::ImageRef;
use voicemail_test_machine::command::run;

/// Name of the operator's service account.
pub const ACCOUNT: &str = "voicemail-operator";
const DIRECT: &str = "kubeconfig-direct";
const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
const LOG_LINES: usize = 60;
const DEFAULT_BUDGET: u16 = 5;
/// Name of the cluster that the operator is told.
pub const CLUSTER_NAME: &str = "test";

/// The namespaces that an operator watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    OwnNamespace,
    AllNamespaces,
}

/// Who the operator is in the cluster.
#[derive(Debug)]
pub struct OperatorIdentity {
    namespace: String,
    scope: Scope,
    folder: TempDir,
}

impl OperatorIdentity {
    /// Installs account and rights for one namespace.
    pub fn install(cluster: &Cluster, namespace: &str) -> Result<Self> {
        Self::install_for(cluster, namespace, Scope::OwnNamespace)
    }

    /// Installs the account in that namespace, and rights for all. [`Self::uninstall`] takes them away.
    pub fn install_for_all(cluster: &Cluster, namespace: &str) -> Result<Self> {
        Self::install_for(cluster, namespace, Scope::AllNamespaces)
    }

    fn install_for(cluster: &Cluster, namespace: &str, scope: Scope) -> Result<Self> {
        cluster.kubectl().apply(&render_rbac(cluster, namespace, scope)?)?;
        let token =
            cluster.run_kubectl(&["create", "token", ACCOUNT, "-n", namespace, "--duration", "2h"])?;
        let folder = tempfile::tempdir()?;
        let kubeconfig = write_token(&std::fs::read_to_string(cluster.kubeconfig_path())?, token.trim())?;
        std::fs::write(folder.path().join("kubeconfig"), &kubeconfig)?;
        std::fs::write(folder.path().join(DIRECT), kubeconfig)?;
        Ok(Self { namespace: namespace.to_owned(), scope, folder })
    }

    /// Takes away what doesn't end with its namespace.
    pub fn uninstall(&self, cluster: &Cluster) -> Result<()> {
        if self.scope == Scope::AllNamespaces {
            let name = format!("{ACCOUNT}-{}", self.namespace);
            cluster.run_kubectl(&["delete", "clusterrolebinding,clusterrole", &name])?;
        }
        Ok(())
    }

    /// The namespaces that it looks after, as the operator is told: all when there are none.
    fn watched(&self) -> &str {
        if self.scope == Scope::OwnNamespace { &self.namespace } else { "" }
    }

    /// Its name in the audit log.
    pub fn username(&self) -> String {
        format!("system:serviceaccount:{}:{ACCOUNT}", self.namespace)
    }

    /// The kubeconfig that leads straight to the API server.
    pub fn direct_kubeconfig(&self) -> PathBuf {
        self.path(DIRECT)
    }

    /// Has the operator reach the API server by plain HTTP at this address, from its next start on.
    pub fn reroute(&self, address: SocketAddr) -> Result<()> {
        let mut value: Value = serde_yaml::from_str(&std::fs::read_to_string(self.direct_kubeconfig())?)?;
        let clusters = value["clusters"].as_array_mut().context("the kubeconfig has no clusters")?;
        clusters
            .iter_mut()
            .for_each(|cluster| cluster["cluster"] = json!({"server": format!("http://{address}")}));
        Ok(std::fs::write(self.path("kubeconfig"), serde_yaml::to_string(&value)?)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Puts the CRDs into the cluster and waits until the API serves them.
pub fn install_crds(cluster: &Cluster) -> Result<()> {
    let mut names = Vec::new();
    let mut manifests = String::new();
    for (_, crd) in voicemail_resources::crds() {
        manifests.push_str(&format!("---\n{}", serde_yaml::to_string(&crd)?));
        names.push(format!("crd/{}", crd.metadata.name.unwrap_or_default()));
    }
    forget_former_versions(cluster)?;
    cluster.kubectl().apply(&manifests)?;
    let mut command = cluster.kubectl().command();
    run(command.args(["wait", "--for=condition=Established", "--timeout=30s"]).args(names)).map(drop)
}

/// The API server refuses a CRD without a version in which objects may be stored. On a cluster for tests there are none
/// that anybody needs, so a CRD of a former version goes first.
fn forget_former_versions(cluster: &Cluster) -> Result<()> {
    for (_, crd) in voicemail_resources::crds() {
        let name = format!("crd/{}", crd.metadata.name.unwrap_or_default());
        let path = "jsonpath={.status.storedVersions[*]}";
        let mut get = cluster.kubectl().command();
        let stored = run(get.args(["get", &name, "--ignore-not-found", "-o", path]))?;
        let served = |version: &str| crd.spec.versions.iter().any(|known| known.name == version);
        if !stored.split_whitespace().all(served) {
            run(cluster.kubectl().command().args(["delete", &name]))?;
        }
    }
    Ok(())
}

fn render_rbac(cluster: &Cluster, namespace: &str, scope: Scope) -> Result<String> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/voicemail-operator");
    let mut helm = cluster.helm();
    helm.arg("template").arg(ACCOUNT).arg(chart).args(["--namespace", namespace]);
    helm.args(["--set", &format!("clusterName={CLUSTER_NAME},roles.create=false")]);
    if scope == Scope::OwnNamespace {
        helm.args(["--set", &format!("watchNamespaces={{{namespace}}}")]);
    }
    run(helm.args(["--show-only", "templates/rbac.yaml"]))
}

/// The kubeconfig with this token as its only credential.
fn write_token(kubeconfig: &str, token: &str) -> Result<String> {
    let mut value: Value = serde_yaml::from_str(kubeconfig)?;
    let users = value["users"].as_array_mut().context("the kubeconfig has no users")?;
    users.iter_mut().for_each(|user| user["user"] = json!({"token": token}));
    Ok(serde_yaml::to_string(&value)?)
}

/// A running, or killed, operator.
#[derive(Debug)]
pub struct OperatorProcess {
    identity: Arc<OperatorIdentity>,
    name: String,
    image: ImageRef,
    cluster: String,
    budget: u16,
    health: SocketAddr,
    child: Option<Child>,
}

impl OperatorProcess {
    /// Starts the operator under the name that it shall have in the lease, and waits until it is ready.
    pub async fn start(identity: Arc<OperatorIdentity>, name: &str, image: &ImageRef) -> Result<Self> {
        let health = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (name, image) = (name.to_owned(), image.clone());
        let (cluster, budget) = (CLUSTER_NAME.to_owned(), DEFAULT_BUDGET);
        let mut process = Self { identity, name, cluster, image, budget, health, child: None };
        process.restart().await?;
        Ok(process)
    }

    /// The default image of tenants, from the next start on.
    pub fn set_image(&mut self, image: &str) -> &mut Self {
        self.image = ImageRef::named(image);
        self
    }

    /// Name of the cluster that it is told, from the next start on: stores take two names for two clusters.
    pub fn set_cluster(&mut self, name: &str) -> &mut Self {
        self.cluster = name.to_owned();
        self
    }

    /// How many tenants move to another default image at a time, from the next start on.
    pub fn set_budget(&mut self, budget: u16) -> &mut Self {
        self.budget = budget;
        self
    }

    /// Its name in the lease.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its pid.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("the operator doesn't run")?.id())
    }

    /// Kills it, if it runs, and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.child = Some(self.command()?.spawn().context("cannot start the operator")?);
        let end = Instant::now() + READY_WITHIN;
        while !self.ask("/readyz").is_ok_and(|answer| answer.contains(" 200 ")) {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("the operator ended with {status}:\n{}", self.log_tail());
            }
            ensure!(Instant::now() < end, "the operator is not ready:\n{}", self.log_tail());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_path())?;
        let mut command = Command::new(find_program()?);
        command
            .arg("run")
            .env("KUBECONFIG", self.identity.path("kubeconfig"))
            .env("WATCH_NAMESPACES", self.identity.watched())
            .env("POD_NAMESPACE", &self.identity.namespace)
            .env("POD_NAME", &self.name)
            .env("SERVICE_ACCOUNT", ACCOUNT)
            .env("CLUSTER_NAME", &self.cluster)
            .env("VOICEMAIL_IMAGE", self.image.as_str())
            .env("MAX_CONCURRENT_ROLLOUTS", self.budget.to_string())
            .env("HEALTH_ADDRESS", self.health.to_string())
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(command)
    }

    /// SIGKILL: it ends wherever it is.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().context("cannot kill the operator")?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGSTOP: it does nothing any more, wherever it is.
    pub fn freeze(&self) -> Result<()> {
        self.signal(rustix::process::Signal::STOP)
    }

    /// SIGCONT: it goes on where it was frozen.
    pub fn thaw(&self) -> Result<()> {
        self.signal(rustix::process::Signal::CONT)
    }

    fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let child = self.child.as_ref().context("the operator doesn't run")?;
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(child), signal)?)
    }

    /// Starts it again if it has ended by itself, as kubelet does with a container; returns whether it had.
    pub async fn revive(&mut self) -> Result<bool> {
        let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten().is_some();
        if ended {
            self.restart().await?;
        }
        Ok(ended)
    }

    /// Waits until it ends by itself; returns how.
    pub async fn wait_end(&mut self, deadline: Duration) -> Result<std::process::ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            let child = self.child.as_mut().context("the operator doesn't run")?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                return Ok(status);
            }
            ensure!(Instant::now() < end, "it still runs after {deadline:?}:\n{}", self.log_tail());
            tokio::time::sleep(POLL).await;
        }
    }

    /// SIGTERM: it ends running reconciles, lets go of the lease, and must end well.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = tokio::task::spawn_blocking(move || child.wait()).await??;
        ensure!(status.success(), "the operator ended with {status} after SIGTERM:\n{}", self.log_tail());
        Ok(())
    }

    /// One of its metrics, summed over its labels that contain `labels`; 0 while there is none.
    pub fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.ask("/metrics")?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    /// Reconciles of tenants that have ended since it was started.
    pub fn tenant_reconciles(&self) -> Result<f64> {
        self.metric("controller_runtime_reconcile_total", "voicemailtenant")
    }

    /// Waits until more than `before` reconciles of tenants have ended and none is under way.
    pub async fn wait_for_reconcile(&self, before: f64, deadline: Duration) -> Result<()> {
        let end = Instant::now() + deadline;
        let active = || self.metric("controller_runtime_active_workers", "voicemailtenant");
        while self.tenant_reconciles()? <= before || active()? > 0.0 {
            ensure!(Instant::now() < end, "no reconcile ended within {deadline:?}:\n{}", self.log_tail());
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn ask(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.health, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// File of everything that it has printed.
    pub fn log_path(&self) -> PathBuf {
        self.identity.path(&format!("{}.log", self.name))
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- last lines of the operator {}\n{}", self.name, self.log_tail());
        }
        if let Err(error) = self.kill() {
            eprintln!("the operator may still run: {error:#}");
        }
    }
}

/// The program beside the running test, where cargo put it.
fn find_program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folders = this.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("voicemail-operator")).find(|path| path.is_file());
    found.with_context(|| format!("no voicemail-operator near {}", this.display()))
}
