//! Makes tenants, waits for them, and times a change of one.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, pin_mut, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, READY};
use voicemail_test_cluster::wait::wait_for_any;
use voicemail_tests::tenant_manifest::{condition, named_example};

use crate::fake_nodes::KEY;
use crate::spread::Spread;

const AT_A_TIME: usize = 16;
const DEADLINE: Duration = Duration::from_secs(900);
const SECRET: &str = "acme-s3";

/// The tenants, in their namespaces.
pub(crate) struct Tenants {
    spread: Spread,
}

pub(crate) fn name(number: usize) -> String {
    format!("t{number:04}")
}

impl Tenants {
    /// Makes what all tenants need.
    pub(crate) async fn prepare(spread: Spread) -> Result<Self> {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": SECRET}, "stringData": {"accessKeyId": "key", "secretAccessKey": "secret"},
        }))?;
        for namespace in spread.all() {
            namespace.api::<Secret>().create(&PostParams::default(), &secret).await?;
        }
        Ok(Self { spread })
    }

    /// Whether an object is of one of the tenants' namespaces.
    pub(crate) fn has_namespace(&self, name: &str) -> bool {
        self.spread.all().iter().any(|namespace| namespace.name() == name)
    }

    fn build(name: &str, secret: &str) -> Result<VoicemailTenant> {
        let mut tenant = named_example("s3-tenant.yaml")?;
        tenant.metadata.name = Some(name.to_owned());
        tenant.spec.tenant_id = format!("scale-{name}");
        let s3 = tenant.spec.regions.first_mut().and_then(|region| region.storage.s3.as_mut());
        let s3 = s3.context("the example is not on S3")?;
        s3.prefix = Some(name.to_owned());
        s3.credentials.secret_ref.as_mut().context("the example has no Secret")?.name = secret.to_owned();
        tenant.spec.pod_template = serde_json::from_value(json!({"spec": {
            "nodeSelector": {KEY: "fake"}, "tolerations": [{"key": KEY, "operator": "Exists"}],
        }}))?;
        Ok(tenant)
    }

    /// Makes the tenants of these numbers and waits until all are Ready; returns how long that took.
    pub(crate) async fn create_ready(&self, numbers: Range<usize>) -> Result<Duration> {
        let begin = Instant::now();
        self.create_until(
            numbers.map(|number| (number, name(number))).collect(),
            SECRET,
            ConditionStatus::True,
        )
        .await?;
        Ok(begin.elapsed())
    }

    async fn create(&self, tenants: Vec<(usize, String)>, secret: &str) -> Result<()> {
        let create = |(number, name): (usize, String)| async move {
            let (api, tenant) = (self.api(number)?, Self::build(&name, secret)?);
            api.create(&PostParams::default(), &tenant).await.with_context(|| name.clone())?;
            anyhow::Ok(())
        };
        stream::iter(tenants).map(create).buffer_unordered(AT_A_TIME).try_collect().await
    }

    fn api(&self, number: usize) -> Result<Api<VoicemailTenant>> {
        Ok(self.spread.of(number)?.api())
    }

    /// Makes tenants and waits until that is what they all say of being Ready.
    async fn create_until(
        &self,
        tenants: Vec<(usize, String)>,
        secret: &str,
        ready: ConditionStatus,
    ) -> Result<()> {
        let mut left: BTreeSet<String> = tenants.iter().map(|(_, name)| name.clone()).collect();
        let is_last = |tenant: &VoicemailTenant| {
            if condition(tenant, READY).is_some_and(|found| found.status == ready) {
                left.remove(&tenant.name_any());
            }
            left.is_empty()
        };
        let all = Api::<VoicemailTenant>::all(self.spread.client());
        let description = format!("all new tenants have Ready={ready:?}");
        let waiting = wait_for_any(&all, watcher::Config::default(), &description, DEADLINE, is_last);
        tokio::try_join!(self.create(tenants, secret), waiting).map(drop)
    }

    /// Makes tenants whose credentials aren't there, and waits until they say so.
    pub(crate) async fn create_broken(&self, count: usize) -> Result<()> {
        let tenants = (0..count).map(|number| (number, format!("broken-{number}"))).collect();
        self.create_until(tenants, "no-such-secret", ConditionStatus::False).await
    }

    /// From a change of a tenant's spec to its Deployment's.
    pub(crate) async fn time_change(&self, number: usize) -> Result<Duration> {
        let child = format!("{}-voicemail", name(number));
        let deployments: Api<Deployment> = self.spread.of(number)?.api();
        let before = deployments.get(&child).await?.metadata.generation;
        let config = watcher::Config::default().fields(&format!("metadata.name={child}"));
        let events = watcher(deployments, config).default_backoff().applied_objects();
        pin_mut!(events);
        // Only then is the watch there, and its own start not part of the time.
        events.next().await.context("the watch of a Deployment ended")??;
        let begin = Instant::now();
        let patch = json!({"spec": {"resources": {"requests": {"cpu": "111m"}}}});
        self.api(number)?.patch(&name(number), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        while let Some(deployment) = events.next().await {
            if deployment?.metadata.generation != before {
                return Ok(begin.elapsed());
            }
        }
        bail!("the watch of a Deployment ended")
    }

    /// Takes the finalizers, which nobody would remove once the operator is gone, and then the namespaces.
    pub(crate) async fn remove(self) -> Result<()> {
        let client = self.spread.client();
        let release = |tenant: VoicemailTenant| {
            let api: Api<VoicemailTenant> =
                Api::namespaced(client.clone(), &tenant.namespace().unwrap_or_default());
            let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            async move { api.patch(&tenant.name_any(), &PatchParams::default(), &patch).await.map(drop) }
        };
        let listed = Api::<VoicemailTenant>::all(client.clone()).list(&ListParams::default()).await?;
        let ours = listed
            .items
            .into_iter()
            .filter(|tenant| tenant.namespace().is_some_and(|namespace| self.has_namespace(&namespace)));
        stream::iter(ours).map(release).buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
        self.spread.remove().await
    }
}
