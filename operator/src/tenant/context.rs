//! State that the reconcilers of tenants and of their data-subject requests share.

use crate::settings::Settings;
use crate::tenant::facts::policies::Policies;
use crate::tenant::memory::rollout::Image;
use crate::tenant::memory::{Memories, TenantKey};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::events::Event;
use std::sync::Arc;
use std::time::Duration;
use voicemail_cores::core_client::Cores;
use voicemail_resources::{VoicemailPolicy, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};
use voicemail_runtime::fence::Fence;
use voicemail_runtime::metrics::Metrics;
use voicemail_runtime::reconciling::Services;
use voicemail_runtime::reconciling::recent::Recent;

/// How long a missing kind isn't asked for again.
const MISSING: Duration = Duration::from_secs(300);
/// How long a namespace isn't asked for again.
const LASTING: Duration = Duration::from_secs(60);

/// State that the reconcilers share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Plain HTTP to the pods' metrics ports.
    pub http: reqwest::Client,
    /// Flags.
    pub settings: Settings,
    /// Name of this cluster.
    pub cluster: String,
    /// The services of the runtime.
    pub services: Services,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Clients and tokens for the tenants' cores.
    pub cores: Cores,
    /// Kinds that this cluster didn't know a short while ago.
    pub missing_kinds: Recent<()>,
    /// Namespaces that were not being deleted a short while ago, and whether each has a range of users.
    pub namespaces: Recent<bool>,
    /// The memories of tenants.
    pub memories: Memories,
    /// What the platform team lets tenants be.
    pub policies: Policies,
    /// Held by the look that lists all tenants, once: other looks wait for what it learns.
    learning: tokio::sync::Mutex<()>,
}

impl Context {
    /// A context that knows nothing of any tenant yet. `http` reaches the pods' metrics ports; cores are told of changes
    /// while the fence is open.
    pub fn new(
        client: Client,
        http: reqwest::Client,
        settings: Settings,
        cluster: String,
        metrics: Arc<Metrics>,
        fence: Fence,
    ) -> Self {
        Self {
            services: Services::new(client.clone(), metrics.clone(), settings.replica()),
            cores: Cores::new(settings.account(), fence),
            missing_kinds: Recent::new(MISSING),
            namespaces: Recent::new(LASTING),
            memories: Memories::new(metrics.clone(), settings.max_concurrent_rollouts),
            policies: Policies::new(settings.watch_namespaces.0.is_empty()),
            learning: Default::default(),
            client,
            http,
            settings,
            cluster,
            metrics,
        }
    }

    /// The same with the policies of a file.
    pub fn with_policies(self, of_file: Vec<VoicemailPolicy>) -> Self {
        Self { policies: self.policies.with_file(of_file), ..self }
    }

    /// Decides which image a tenant gets, after learning who is moving to the default one.
    ///
    /// # Errors
    /// The tenants can't be listed.
    pub async fn choose_image(&self, tenant: &VoicemailTenant) -> Result<Image, CallError> {
        self.learn_rollouts().await?;
        Ok(self.memories.rollouts.choose(tenant, &self.settings.image))
    }

    async fn learn_rollouts(&self) -> Result<(), CallError> {
        let _turn = self.learning.lock().await;
        if self.memories.rollouts.is_known() {
            return Ok(());
        }
        let mut all = Vec::new();
        for api in self.settings.watch_namespaces.apis::<DeserializeGuard<VoicemailTenant>>(&self.client) {
            let list = within_deadline("list the tenants", api.list(&ListParams::default())).await?;
            // One that can't be read moves to no image.
            all.extend(list.items.into_iter().filter_map(|tenant| tenant.0.ok()));
        }
        self.memories.rollouts.learn(&all, &self.settings.image);
        Ok(())
    }

    /// The tenant isn't moved to a newer image now: others may be.
    pub fn give_place_back(&self, tenant: &VoicemailTenant) {
        self.memories.rollouts.forget(&TenantKey::of(tenant).uid);
    }

    /// Publishes an event. A lost one is logged and no failure.
    pub async fn publish(&self, event: Event, about: &ObjectReference) {
        self.services.publish(event, about).await;
    }
}
