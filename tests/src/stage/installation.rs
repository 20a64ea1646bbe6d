//! The operator in the cluster, installed from the chart as users install it.
//!
//! Flow: the CRDs are applied, since all operators of a cluster share them and no release may own them, then `helm
//! upgrade --install`, then the Deployment's pods are waited for. Only one operator may watch a namespace; on the local cluster
//! everybody therefore uses the same release, under an [`OperatorLock`]: the demo alone, tests together.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use super::site::run_aside;
use super::{OperatorLock, Site, own_namespace};
use voicemail_test_cluster::image::{ImageRef, build_image};
use voicemail_test_cluster::wait::wait_until;
use voicemail_test_machine::cargo::Profile;
use voicemail_test_machine::workspace_path;

/// Namespace of the release, unless another is asked for.
pub const NAMESPACE: &str = "voicemail-system";
/// Name of the release and of its Deployment.
pub const RELEASE: &str = "voicemail-operator";
const CHART: &str = "charts/voicemail-operator";
const PATIENCE: Duration = Duration::from_secs(120);

/// Which namespaces an operator works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// All.
    Cluster,
    /// These alone, which must exist.
    Namespaces(Vec<String>),
}

/// An operator that runs.
#[derive(Clone, Debug)]
pub struct Installation {
    site: Site,
    namespace: String,
    release: String,
}

impl Installation {
    /// The release that everybody shares, whether it is there or not.
    pub fn shared(site: &Site) -> Self {
        Self::named(site, NAMESPACE, RELEASE)
    }

    /// A release, whether it is there or not.
    pub fn named(site: &Site, namespace: &str, release: &str) -> Self {
        Self { site: site.clone(), namespace: namespace.to_owned(), release: release.to_owned() }
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Installs it or brings it to this image, and waits until its Deployment is available.
    pub async fn install(&self, image: &ImageRef, watch: &Watch) -> Result<()> {
        own_namespace::make(&self.site, &self.namespace).await?;
        apply_crds(&self.site).await?;
        run_aside(self.upgrade_command(image, watch)).await.context("installing the operator")?;
        self.wait_available().await
    }

    fn upgrade_command(&self, image: &ImageRef, watch: &Watch) -> std::process::Command {
        let mut command = self.site.helm();
        command.args(["upgrade", "--install", &self.release]).arg(workspace_path(CHART));
        command.args(["--namespace", &self.namespace, "--set", "crds.enabled=false", "--reset-values"]);
        command.args(["--set-string", &format!("image.repository={}", image.repository())]);
        command.args(["--set-string", &format!("image.tag={}", image.tag())]);
        // It is cluster-wide, and tests write others' names; four_eyes.rs tests it in a namespace of its own.
        command.args(["--set", "admissionPolicy.enabled=false"]);
        if let Watch::Namespaces(names) = watch {
            let list = serde_json::Value::from(names.clone());
            command.args(["--set-json", &format!("watchNamespaces={list}")]);
            command.args(["--set-string", "clusterName=here"]);
        }
        command
    }

    /// Waits until all its pods are of the latest version and available.
    pub async fn wait_available(&self) -> Result<()> {
        let api: Api<Deployment> = self.site.api(&self.namespace)?;
        wait_until(&api, &self.release, "the operator is available", PATIENCE, is_available).await.map(drop)
    }

    /// Whether it runs this image in these namespaces.
    async fn is_as_wanted(&self, image: &ImageRef, watch: &Watch) -> Result<bool> {
        let api: Api<Deployment> = self.site.api(&self.namespace)?;
        let Some(found) = api.get_opt(&self.release).await? else { return Ok(false) };
        Ok(runs(&found, image) && watches(&found) == *watch && is_available(&found))
    }

    /// Removes the release and its namespace; the CRDs stay, and so do the tenants. An absent one is no error.
    pub async fn uninstall(&self) -> Result<()> {
        if !own_namespace::is_there(&self.site, &self.namespace).await? {
            return Ok(());
        }
        // The check beforehand needs the watched namespaces, which may be gone already.
        let mut command = self.site.helm();
        command.args([
            "uninstall",
            &self.release,
            "--namespace",
            &self.namespace,
            "--ignore-not-found",
            "--no-hooks",
        ]);
        run_aside(command).await.context("removing the operator")?;
        own_namespace::remove(&self.site, &self.namespace).await
    }
}

/// Applies the CRDs of this workspace.
async fn apply_crds(site: &Site) -> Result<()> {
    site.apply_file("default", &workspace_path("crds")).await.context("applying the CRDs")?;
    let arguments =
        ["wait", "--for=condition=Established", "--timeout=30s", "crd/voicemailtenants.voicemail.dev"];
    let others = ["crd/gdprrequests.voicemail.dev", "crd/voicemailpolicies.voicemail.dev"];
    site.run_kubectl(&[&arguments[..], &others].concat()).await.map(drop)
}

fn is_available(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let Some(status) = &deployment.status else { return false };
    let all = |count: Option<i32>| count.unwrap_or(0) == wanted;
    status.observed_generation == deployment.metadata.generation
        && all(status.replicas)
        && all(status.updated_replicas)
        && all(status.available_replicas)
}

fn runs(deployment: &Deployment, image: &ImageRef) -> bool {
    containers(deployment).any(|container| container.image.as_deref() == Some(image.as_str()))
}

fn watches(deployment: &Deployment) -> Watch {
    let variables = containers(deployment).flat_map(|container| container.env.iter().flatten());
    let named = variables.filter(|variable| variable.name == "WATCH_NAMESPACES");
    let list = named.filter_map(|variable| variable.value.as_deref()).next().unwrap_or_default();
    let names: Vec<String> = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() { Watch::Cluster } else { Watch::Namespaces(names) }
}

fn containers(deployment: &Deployment) -> impl Iterator<Item = &k8s_openapi::api::core::v1::Container> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.into_iter().flat_map(|pod| &pod.containers)
}

/// A cluster-wide operator that tests use together; nobody changes it while this is alive.
#[derive(Debug)]
pub struct SharedOperator {
    installation: Installation,
    _lock: OperatorLock,
}

impl SharedOperator {
    /// The local cluster, with the operator of the image under test.
    pub async fn local() -> Result<(Site, Self)> {
        voicemail_test_machine::install_crypto();
        let site = Site::local().await?;
        let image = build_image(site.cluster().context("no local cluster")?, Profile::current()).await?;
        let operator = Self::ensure(&site, &image).await?;
        Ok((site, operator))
    }

    /// Finds the operator of this image, or installs it when nobody uses another one any more.
    pub async fn ensure(site: &Site, image: &ImageRef) -> Result<Self> {
        let installation = Installation::shared(site);
        let mut lock = OperatorLock::shared(site).await?;
        while !installation.is_as_wanted(image, &Watch::Cluster).await? {
            drop(lock);
            let alone = OperatorLock::alone(site).await?;
            if !installation.is_as_wanted(image, &Watch::Cluster).await? {
                installation.install(image, &Watch::Cluster).await?;
            }
            lock = alone.share().await?;
        }
        Ok(Self { installation, _lock: lock })
    }

    /// The release.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }
}
