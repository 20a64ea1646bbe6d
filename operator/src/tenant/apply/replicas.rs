//! The Deployment and its autoscaler: who sets the replicas, and how they change hands.

use super::ApplyError;
use super::applier::{Applier, applied_hash, stamp};
use crate::api::MANAGER;
use crate::calls::within_deadline;
use crate::tenant::build::names::child_name;
use crate::tenant::children::Version;
use crate::tenant::validate::Plan;
use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

/// Field manager that holds the replicas between us and an autoscaler.
const HANDOVER: &str = "voicemail-operator-handover";

impl Applier<'_> {
    /// The Deployment. Where an autoscaler takes the replicas over, their number is first handed over to nobody in
    /// particular: a field that its only applier leaves out would fall back to one pod.
    pub(super) async fn ensure_deployment(&self, desired: Deployment) -> Result<Deployment, ApplyError> {
        let api: Api<Deployment> = Api::namespaced(self.context.client.clone(), &self.plan.namespace);
        let name = desired.name_any();
        let live = within_deadline("read a child", api.get_opt(&name)).await?;
        let scaled = desired.spec.as_ref().is_some_and(|spec| spec.replicas.is_none());
        if let Some(live) = live.as_ref().filter(|live| scaled && owns_replicas(live)) {
            self.check_ours(live, Deployment::KIND)?;
            self.hand_replicas_over(&api, live).await?;
        }
        let desired = stamp(&desired, Deployment::API_VERSION, Deployment::KIND)?;
        let wanted = applied_hash(&desired);
        let live = self.converge_from(&api, Deployment::KIND, live, desired).await?;
        self.remember(Deployment::KIND, &name, Version::of_deployment(&live), wanted);
        Ok(live)
    }

    async fn hand_replicas_over(&self, api: &Api<Deployment>, live: &Deployment) -> Result<(), ApplyError> {
        let (name, replicas) = (live.name_any(), live.spec.as_ref().and_then(|spec| spec.replicas));
        tracing::info!(namespace = self.plan.namespace, name, "leaving the replicas to the autoscaler");
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": replicas}});
        let (parameters, patch) = (PatchParams::apply(HANDOVER).force(), Patch::Apply(&body));
        within_deadline("hand the replicas over", api.patch(&name, &parameters, &patch)).await?;
        Ok(())
    }

    pub(super) async fn ensure_autoscaler(
        &self,
        desired: Option<HorizontalPodAutoscaler>,
    ) -> Result<(), ApplyError> {
        let Some(desired) = desired else {
            let Plan { namespace, name: tenant, .. } = self.plan;
            let (kind, name) = (HorizontalPodAutoscaler::KIND, child_name(tenant));
            if self.context.children.is_absent(kind, namespace, tenant, &name) {
                return Ok(());
            }
            let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.context.client.clone(), namespace);
            return self.remove(&api, kind).await;
        };
        self.keep(desired).await
    }
}

/// Whether the replicas are ours, by the record that the API server keeps of appliers.
fn owns_replicas(live: &Deployment) -> bool {
    live.managed_fields().iter().any(|entry| {
        let ours = entry.manager.as_deref() == Some(MANAGER);
        ours && entry.fields_v1.as_ref().is_some_and(|fields| fields.0["f:spec"].get("f:replicas").is_some())
    })
}
