//! What Prometheus' operator is given, where the cluster knows its kinds.

use super::ApplyError;
use super::applier::{Applier, stamp};
use kube::Api;
use kube::api::DynamicObject;
use kube::core::ApiResource;

impl Applier<'_> {
    /// A child of a kind that the cluster may not know, or none.
    pub(super) async fn ensure_known(
        &self,
        kind: ApiResource,
        desired: Option<DynamicObject>,
    ) -> Result<(), ApplyError> {
        let now = std::time::Instant::now();
        if self.context.kinds.is_missing(&kind.kind, now) {
            return Ok(());
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.context.client.clone(), &self.plan.namespace, &kind);
        let done = match desired {
            Some(desired) => {
                let desired = stamp(&desired, &kind.api_version, &kind.kind)?;
                self.converge_in(&api, &kind.kind, desired).await.map(drop)
            }
            None => self.remove(&api, &kind.kind).await,
        };
        match done {
            // A kind that isn't there answers as a missing page, one that just came as a missing object.
            Err(ApplyError::Call(error)) if error.is_unknown_kind() || error.is_not_found() => {
                self.context.kinds.note(&kind.kind, now);
                Ok(())
            }
            done => done,
        }
    }
}
