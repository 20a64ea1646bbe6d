//! A namespace with an operator of its own, and volumes for its tenants: the stage of an end-to-end test.
//!
//! At most [`AT_ONCE`] such places exist at a time in one process. At the end the operator is killed first,
//! then tenants lose their finalizer, which nobody would remove any more, then namespace and volumes go.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::NamespaceResourceScope;
use kube::Api;
use kube::api::PostParams;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, READY};

use crate::operator_process::{OperatorIdentity, OperatorProcess, install_crds};
use crate::tenant_manifest::{SIZE, wait_condition};
use voicemail_test_cluster::foreign_operators::{install_policy, keep_out};
use voicemail_test_cluster::image::{ImageRef, build_image};
use voicemail_test_cluster::namespace::TestNamespace;
use voicemail_test_cluster::{Cluster, HostVolume};
use voicemail_test_machine::cargo::Profile;

/// How many places a process has at a time.
pub const AT_ONCE: usize = 3;
/// User of the core's pods.
pub const USER: u32 = 10_001;
/// For whatever needs pods to start or end.
pub const DEADLINE: Duration = Duration::from_secs(120);

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);
static PREPARED: OnceCell<ImageRef> = OnceCell::const_new();

/// The stage. Its parts end in the order in which they are written here.
pub struct TenantPlace {
    /// The operator of this namespace.
    pub operator: OperatorProcess,
    _cleanup: Cleanup,
    /// Who it is.
    pub identity: Arc<OperatorIdentity>,
    /// The namespace.
    pub namespace: TestNamespace,
    volumes: Vec<TestVolume>,
    /// The image under test.
    pub image: ImageRef,
    /// The cluster.
    pub cluster: Cluster,
    _permit: SemaphorePermit<'static>,
}

/// The cluster with CRDs and the image under test; the work is done once for each process.
pub async fn prepare_cluster() -> Result<(Cluster, ImageRef)> {
    let cluster = Cluster::ensure().await?;
    let image = PREPARED.get_or_try_init(|| async {
        install_crds(&cluster)?;
        install_policy(&cluster)?;
        build_image(&cluster, Profile::current()).await
    });
    let image = image.await?.clone();
    Ok((cluster, image))
}

impl TenantPlace {
    /// A namespace called `prefix` and something random, with a running operator.
    pub async fn prepare(prefix: &str) -> Result<Self> {
        Self::prepare_with(prefix, OperatorIdentity::install).await
    }

    /// The same with an operator for all namespaces. Those of other tests are closed to it.
    pub async fn prepare_for_all(prefix: &str) -> Result<Self> {
        Self::prepare_with(prefix, OperatorIdentity::install_for_all).await
    }

    async fn prepare_with(
        prefix: &str,
        install: fn(&Cluster, &str) -> Result<OperatorIdentity>,
    ) -> Result<Self> {
        let permit = PLACES.acquire().await?;
        let (cluster, image) = prepare_cluster().await?;
        let namespace = TestNamespace::create(cluster.config().await?, prefix).await?;
        keep_out(&cluster, namespace.name())?;
        let identity = Arc::new(install(&cluster, namespace.name())?);
        let operator = OperatorProcess::start(identity.clone(), "operator-0", &image).await?;
        let cleanup = Cleanup {
            cluster: cluster.clone(),
            namespace: namespace.name().to_owned(),
            identity: identity.clone(),
        };
        let volumes = Vec::new();
        Ok(Self {
            operator,
            _cleanup: cleanup,
            identity,
            namespace,
            volumes,
            image,
            cluster,
            _permit: permit,
        })
    }

    /// Makes a ReadWriteMany volume for a tenant; returns its name and its folder.
    pub async fn create_volume(&mut self) -> Result<(String, PathBuf)> {
        let name = format!("{}-{}", self.namespace.name(), self.volumes.len());
        let volume = HostVolume {
            name: &name,
            size: SIZE,
            labels: BTreeMap::new(),
            access_modes: &["ReadWriteMany"],
            uid: USER,
        };
        let folder = self.cluster.create_host_volume(&volume).await?;
        self.volumes.push(TestVolume { cluster: self.cluster.clone(), name: name.clone() });
        Ok((name, folder))
    }

    /// Creates an object in the namespace.
    pub async fn create<K>(&self, object: &K) -> Result<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + Serialize + Debug,
    {
        let created = self.namespace.api::<K>().create(&PostParams::default(), object).await;
        created.with_context(|| format!("creating a {}", K::kind(&())))
    }

    /// The tenants.
    pub fn tenants(&self) -> Api<VoicemailTenant> {
        self.namespace.api()
    }

    /// kubectl as administrator in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["--namespace", self.namespace.name()];
        all.extend(arguments);
        self.cluster.run_kubectl(&all)
    }

    /// Waits until the tenant is Ready for its present spec.
    pub async fn wait_ready(&self, tenant: &str) -> Result<VoicemailTenant> {
        self.wait_condition(tenant, READY, ConditionStatus::True, "Available").await
    }

    /// Waits until a condition has that status and reason for the tenant's present spec.
    pub async fn wait_condition(
        &self,
        tenant: &str,
        type_: &str,
        status: ConditionStatus,
        reason: &str,
    ) -> Result<VoicemailTenant> {
        wait_condition(&self.tenants(), tenant, (type_, status, reason), DEADLINE).await
    }
}

/// Takes the finalizer from all tenants, and the operator's cluster-wide rights.
struct Cleanup {
    cluster: Cluster,
    namespace: String,
    identity: Arc<OperatorIdentity>,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if std::env::var_os("VOICEMAIL_KEEP_NAMESPACES").is_none()
            && let Err(error) = self.release_tenants()
        {
            eprintln!("tenants in {} may stay: {error:#}", self.namespace);
        }
        if let Err(error) = self.identity.uninstall(&self.cluster) {
            eprintln!("rights of {} may stay: {error:#}", self.namespace);
        }
    }
}

impl Cleanup {
    fn release_tenants(&self) -> Result<()> {
        let listed = self.cluster.run_kubectl(&["get", "vmt", "-n", &self.namespace, "-o", "name"])?;
        for tenant in listed.lines() {
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            let arguments = ["patch", tenant, "-n", &self.namespace, "--type=merge", "-p", patch];
            self.cluster.run_kubectl(&arguments)?;
        }
        Ok(())
    }
}

/// Goes with its content at the end of the test.
struct TestVolume {
    cluster: Cluster,
    name: String,
}

impl Drop for TestVolume {
    fn drop(&mut self) {
        if std::env::var_os("VOICEMAIL_KEEP_NAMESPACES").is_some() {
            return;
        }
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        // The test's runtime is about to end and so can't finish a request; another one can.
        let deleting = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(cluster.delete_host_volume(&name))
        });
        if !matches!(deleting.join(), Ok(Ok(()))) {
            eprintln!("volume {} stays, deleting it failed", self.name);
        }
    }
}
