//! The Deployment and its autoscaler: who sets the replicas, and how they change hands.

use crate::tenant::build::names::child_name;
use crate::tenant::memory::child_versions::Version;
use crate::tenant::steps::apply::ApplyError;
use crate::tenant::steps::apply::applier::{Applier, applied_hash, stamp};
use crate::tenant::steps::validate::Plan;
use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use voicemail_resources::MANAGER;
use voicemail_runtime::calls::within_deadline;

/// Field manager that holds the replicas between us and an autoscaler.
const HANDOVER: &str = "voicemail-operator-handover";

impl Applier<'_> {
    /// The Deployment. Where an autoscaler takes the replicas over, their number is first handed over to nobody in
    /// particular: a field that its only applier leaves out would fall back to one pod.
    pub(super) async fn ensure_deployment(&self, desired: Deployment) -> Result<Deployment, ApplyError> {
        let (name, handed) =
            (desired.name_any(), desired.spec.as_ref().is_some_and(|spec| spec.replicas.is_none()));
        let desired = stamp(&desired, Deployment::API_VERSION, Deployment::KIND)?;
        let wanted = applied_hash(&desired);
        let live = match handed {
            true => Box::pin(self.converge_scaled(&name, desired)).await?,
            false => Box::pin(self.make_or_converge(desired)).await?,
        };
        self.remember(Deployment::KIND, &name, Version::of_deployment(&live), wanted);
        Ok(live)
    }

    async fn converge_scaled(&self, name: &str, desired: Value) -> Result<Deployment, ApplyError> {
        let api: Api<Deployment> = Api::namespaced(self.context.client.clone(), &self.plan.namespace);
        let mut live = within_deadline("read a child", api.get_opt(name)).await?;
        let least = self.plan.autoscaling.as_ref().map(|scaling| scaling.min_replicas);
        if let Some(found) = live.as_ref().filter(|live| is_to_hand_over(live)) {
            self.check_ours(found, Deployment::KIND)?;
            live = Some(self.hand_replicas_over(&api, found, least.unwrap_or(1)).await?);
        }
        Box::pin(self.converge_from(&api, Deployment::KIND, live, desired)).await
    }

    async fn hand_replicas_over(
        &self,
        api: &Api<Deployment>,
        live: &Deployment,
        least: i32,
    ) -> Result<Deployment, ApplyError> {
        let (name, replicas) = (live.name_any(), handed_over(live, least));
        tracing::info!(
            namespace = self.plan.namespace,
            name,
            replicas,
            "leaving the replicas to the autoscaler"
        );
        let body = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"uid": live.uid()},
            "spec": {"replicas": replicas},
        });
        let (parameters, patch) = (PatchParams::apply(HANDOVER).force(), Patch::Apply(&body));
        Ok(within_deadline("hand the replicas over", api.patch(&name, &parameters, &patch)).await?)
    }

    pub(super) async fn ensure_autoscaler(
        &self,
        desired: Option<HorizontalPodAutoscaler>,
    ) -> Result<(), ApplyError> {
        let Some(desired) = desired else {
            let Plan { namespace, name: tenant, .. } = self.plan;
            let (kind, name) = (HorizontalPodAutoscaler::KIND, child_name(tenant));
            if self.context.memories.is_absent(kind, &self.plan.key(), &name) {
                return Ok(());
            }
            let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.context.client.clone(), namespace);
            return self.remove(&api, kind).await;
        };
        self.keep_as(desired, Version::of_autoscaler).await
    }
}

/// The replicas that an autoscaler takes over: as many as there are, but as many as it may have at least. One that finds
/// none, as after a deletion that was withdrawn, takes itself for switched off and never scales.
fn handed_over(live: &Deployment, least: i32) -> i32 {
    present(live).max(least).max(1)
}

fn present(live: &Deployment) -> i32 {
    live.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
}

/// Whether an autoscaler can't set the replicas yet: they are ours, or there are none.
fn is_to_hand_over(live: &Deployment) -> bool {
    owns_replicas(live) || present(live) == 0
}

/// Whether the replicas are ours, by the record that the API server keeps of appliers.
fn owns_replicas(live: &Deployment) -> bool {
    live.managed_fields().iter().any(|entry| {
        let ours = entry.manager.as_deref() == Some(MANAGER);
        ours && entry.fields_v1.as_ref().is_some_and(|fields| fields.0["f:spec"].get("f:replicas").is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: i32, manager: &str) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "acme-voicemail", "managedFields": [
                {"manager": manager, "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            ]},
            "spec": {"replicas": replicas, "selector": {}, "template": {}},
        }))
        .unwrap()
    }

    #[test]
    fn an_autoscaler_never_takes_over_fewer_replicas_than_it_may_have() {
        assert_eq!(handed_over(&deployment(0, MANAGER), 2), 2, "after a deletion that was withdrawn");
        assert_eq!(handed_over(&deployment(5, MANAGER), 2), 5);
    }

    #[test]
    fn replicas_are_handed_over_while_they_are_ours_and_where_none_are_left() {
        assert!(is_to_hand_over(&deployment(3, MANAGER)));
        assert!(is_to_hand_over(&deployment(0, HANDOVER)), "left so by a former release");
        assert!(!is_to_hand_over(&deployment(3, HANDOVER)));
    }
}
