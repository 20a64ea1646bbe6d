//! Children under names that no tenant has for them, such as those of an earlier version: found by their labels,
//! removed if their tenant owns them.
//!
//! Flow: the watches of children, which list them all when the operator starts, note names that
//! are none of ours; the tenant's next reconcile looks at those alone, so that a tenant without orphans costs no call.

use crate::tenant::context::Context;
use crate::tenant::memory::TenantKey;
use crate::tenant::memory::orphan_candidates::OrphanKind;
use crate::tenant::steps::apply::{Child, remove_owned};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, ResourceExt};
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::calls::CallError;

/// Removes the tenant's orphans.
///
/// # Errors
/// The API server refuses or doesn't answer; the next reconcile tries again.
pub async fn remove_orphans(tenant: &VoicemailTenant, context: &Context) -> Result<(), CallError> {
    let key = TenantKey::of(tenant);
    for candidate in context.memories.orphans(&key) {
        let (kind, orphan) = &candidate;
        match kind {
            OrphanKind::Autoscaler => remove::<HorizontalPodAutoscaler>(tenant, context, orphan).await?,
            OrphanKind::NetworkPolicy => remove::<NetworkPolicy>(tenant, context, orphan).await?,
            OrphanKind::DisruptionBudget => remove::<PodDisruptionBudget>(tenant, context, orphan).await?,
        }
        context.memories.settle_orphan(&key, &candidate);
    }
    Ok(())
}

async fn remove<K: Child>(
    tenant: &VoicemailTenant,
    context: &Context,
    orphan: &str,
) -> Result<(), CallError> {
    let api: Api<K> = Api::namespaced(context.client.clone(), &tenant.namespace().unwrap_or_default());
    let uid = tenant.uid().unwrap_or_default();
    remove_owned(&api, K::KIND, orphan, &tenant.name_any(), &uid).await
}
