//! Children under names that no tenant has for them, such as those of an earlier version: found by their labels,
//! removed if their tenant owns them.
//!
//! Flow: the watches of children, which list them all when the operator starts, [`note`](Orphans::note) names that
//! are none of ours; the tenant's next reconcile looks at those alone, so that a tenant without orphans costs no call.
//!
//! Only kinds that work against the tenant when nobody maintains them: an autoscaler that fights over replicas, a
//! policy that keeps callers out, a budget that blocks drains. Others lie still and go with their tenant.

use super::apply::{Child, remove_owned};
use super::build::names::child_name;
use crate::api::VoicemailTenant;
use crate::calls::CallError;
use crate::runtime::Context;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, ResourceExt};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Autoscaler,
    NetworkPolicy,
    DisruptionBudget,
}

impl Kind {
    fn named(kind: &str) -> Option<Self> {
        match kind {
            "HorizontalPodAutoscaler" => Some(Self::Autoscaler),
            "NetworkPolicy" => Some(Self::NetworkPolicy),
            "PodDisruptionBudget" => Some(Self::DisruptionBudget),
            _ => None,
        }
    }
}

type Candidates = BTreeSet<(Kind, String)>;

/// Candidates by namespace and tenant.
#[derive(Debug, Default)]
pub struct Orphans(Mutex<HashMap<(String, String), Candidates>>);

impl Orphans {
    /// A child with our labels was seen. Each tenant has one of these kinds at most, named after it.
    pub fn note(&self, kind: &str, namespace: &str, tenant: &str, name: &str) {
        let Some(kind) = Kind::named(kind) else { return };
        if name != child_name(tenant) {
            let key = (namespace.to_owned(), tenant.to_owned());
            self.lock().entry(key).or_default().insert((kind, name.to_owned()));
        }
    }

    /// The tenant is gone, and what it owned goes with it.
    pub fn forget(&self, namespace: &str, tenant: &str) {
        self.lock().remove(&(namespace.to_owned(), tenant.to_owned()));
    }

    fn settle(&self, namespace: &str, tenant: &str, candidate: &(Kind, String)) {
        let mut all = self.lock();
        let key = (namespace.to_owned(), tenant.to_owned());
        if let Some(candidates) = all.get_mut(&key) {
            candidates.remove(candidate);
            if candidates.is_empty() {
                all.remove(&key);
            }
        }
    }

    fn of(&self, namespace: &str, tenant: &str) -> Candidates {
        self.lock().get(&(namespace.to_owned(), tenant.to_owned())).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Candidates>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the tenant's orphans.
///
/// # Errors
/// The API server refuses or doesn't answer; the next reconcile tries again.
pub async fn remove_orphans(tenant: &VoicemailTenant, context: &Context) -> Result<(), CallError> {
    let (namespace, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
    for candidate in context.orphans.of(&namespace, &name) {
        let (kind, orphan) = &candidate;
        match kind {
            Kind::Autoscaler => remove::<HorizontalPodAutoscaler>(tenant, context, orphan).await?,
            Kind::NetworkPolicy => remove::<NetworkPolicy>(tenant, context, orphan).await?,
            Kind::DisruptionBudget => remove::<PodDisruptionBudget>(tenant, context, orphan).await?,
        }
        context.orphans.settle(&namespace, &name, &candidate);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_another_name_than_the_tenants_child_is_a_candidate() {
        let orphans = Orphans::default();
        orphans.note("NetworkPolicy", "voice", "acme", "acme-voicemail");
        orphans.note("ConfigMap", "voice", "acme", "acme-old");
        assert!(orphans.of("voice", "acme").is_empty());
        orphans.note("NetworkPolicy", "voice", "acme", "acme-old");
        assert_eq!(orphans.of("voice", "acme"), BTreeSet::from([(Kind::NetworkPolicy, "acme-old".into())]));
        assert!(orphans.of("other", "acme").is_empty() && orphans.of("voice", "beta").is_empty());
        orphans.forget("voice", "acme");
        assert!(orphans.of("voice", "acme").is_empty());
    }
}
