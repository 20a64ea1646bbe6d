//! Makes tenants, waits for them, and times a change of one.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, pin_mut, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::collections::BTreeSet;
use voicemail_operator::api::VoicemailTenant;
use voicemail_operator::api::conditions::{ConditionStatus, READY};
use voicemail_tests::cluster::Cluster;
use voicemail_tests::namespace::TestNamespace;
use voicemail_tests::tenant_manifest::{condition, named_example};

use crate::fake_nodes::KEY;

const AT_A_TIME: usize = 16;
const DEADLINE: Duration = Duration::from_secs(900);
const SECRET: &str = "acme-s3";

/// The tenants of one namespace.
pub(crate) struct Tenants {
    api: Api<VoicemailTenant>,
    deployments: Api<Deployment>,
}

pub(crate) fn name(number: usize) -> String {
    format!("t{number:04}")
}

impl Tenants {
    /// Makes what all tenants need.
    pub(crate) async fn prepare(namespace: &TestNamespace) -> Result<Self> {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": SECRET}, "stringData": {"accessKeyId": "key", "secretAccessKey": "secret"},
        }))?;
        namespace.api::<Secret>().create(&PostParams::default(), &secret).await?;
        Ok(Self { api: namespace.api(), deployments: namespace.api() })
    }

    fn build(&self, name: &str, secret: &str) -> Result<VoicemailTenant> {
        let mut tenant = named_example("s3-tenant.yaml")?;
        tenant.metadata.name = Some(name.to_owned());
        tenant.spec.tenant_id = format!("scale-{name}");
        let s3 = tenant.spec.regions.first_mut().and_then(|region| region.storage.s3.as_mut());
        let s3 = s3.context("the example is not on S3")?;
        s3.prefix = Some(name.to_owned());
        s3.credentials.secret.as_mut().context("the example has no Secret")?.name = secret.to_owned();
        tenant.spec.scheduling = serde_json::from_value(json!({
            "nodeSelector": {KEY: "fake"}, "tolerations": [{"key": KEY}],
        }))?;
        Ok(tenant)
    }

    /// Makes the tenants of these numbers and waits until all are Ready; returns how long that took.
    pub(crate) async fn create_ready(&self, numbers: Range<usize>) -> Result<Duration> {
        let begin = Instant::now();
        let waiting = self.wait_ready(numbers.clone());
        let creating = self.create(numbers.map(name).collect(), SECRET);
        tokio::time::timeout(DEADLINE, async { tokio::try_join!(creating, waiting) })
            .await
            .context("the tenants didn't become Ready in time")??;
        Ok(begin.elapsed())
    }

    async fn create(&self, names: Vec<String>, secret: &str) -> Result<()> {
        let create = |name: String| async move {
            let tenant = self.build(&name, secret)?;
            self.api.create(&PostParams::default(), &tenant).await.with_context(|| name.clone())?;
            anyhow::Ok(())
        };
        stream::iter(names).map(create).buffer_unordered(AT_A_TIME).try_collect().await
    }

    async fn wait_ready(&self, numbers: Range<usize>) -> Result<()> {
        let mut left: BTreeSet<String> = numbers.map(name).collect();
        let events =
            watcher(self.api.clone(), watcher::Config::default()).default_backoff().applied_objects();
        pin_mut!(events);
        while let Some(tenant) = events.next().await {
            let Ok(tenant) = tenant else { continue };
            if condition(&tenant, READY).is_some_and(|ready| ready.status == ConditionStatus::True) {
                left.remove(&tenant.name_any());
            }
            if left.is_empty() {
                return Ok(());
            }
        }
        bail!("the watch of tenants ended")
    }

    /// Tenants whose credentials aren't there.
    pub(crate) async fn create_broken(&self, count: usize) -> Result<()> {
        self.create((0..count).map(|number| format!("broken-{number}")).collect(), "no-such-secret").await
    }

    /// From a change of a tenant's spec to its Deployment's.
    pub(crate) async fn time_change(&self, number: usize) -> Result<Duration> {
        let child = format!("{}-voicemail", name(number));
        let before = self.deployments.get(&child).await?.metadata.generation;
        let config = watcher::Config::default().fields(&format!("metadata.name={child}"));
        let events = watcher(self.deployments.clone(), config).default_backoff().applied_objects();
        pin_mut!(events);
        // Only then is the watch there, and its own start not part of the time.
        events.next().await.context("the watch of a Deployment ended")??;
        let begin = Instant::now();
        let patch = json!({"spec": {"resources": {"requests": {"cpu": "111m"}}}});
        self.api.patch(&name(number), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        while let Some(deployment) = events.next().await {
            if deployment?.metadata.generation != before {
                return Ok(begin.elapsed());
            }
        }
        bail!("the watch of a Deployment ended")
    }

    /// Takes the finalizers, which nobody would remove once the operator is gone.
    pub(crate) fn release(cluster: &Cluster, namespace: &str) -> Result<()> {
        let listed = cluster.run_kubectl(&["get", "vmt", "-n", namespace, "-o", "name"])?;
        for tenants in listed.lines().collect::<Vec<_>>().chunks(100) {
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            let mut arguments = vec!["patch", "-n", namespace, "--type=merge", "-p", patch];
            arguments.extend(tenants);
            cluster.run_kubectl(&arguments)?;
        }
        Ok(())
    }
}
