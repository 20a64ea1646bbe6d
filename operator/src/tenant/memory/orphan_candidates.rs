//! Names of a tenant's children that no tenant has for them, such as those of an earlier version.
//!
//! Only kinds that work against the tenant when nobody maintains them: an autoscaler that fights over replicas, a
//! policy that keeps callers out, a budget that blocks drains. Others lie still and go with their tenant.

use std::collections::BTreeSet;
use voicemail_cores::child_names::{child_name, sip_name};

/// A kind that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrphanKind {
    /// HorizontalPodAutoscaler.
    Autoscaler,
    /// NetworkPolicy.
    NetworkPolicy,
    /// PodDisruptionBudget.
    DisruptionBudget,
}

impl OrphanKind {
    fn named(kind: &str) -> Option<Self> {
        match kind {
            "HorizontalPodAutoscaler" => Some(Self::Autoscaler),
            "NetworkPolicy" => Some(Self::NetworkPolicy),
            "PodDisruptionBudget" => Some(Self::DisruptionBudget),
            _ => None,
        }
    }
}

/// Those of one tenant.
#[derive(Debug, Default)]
pub struct OrphanCandidates(BTreeSet<(OrphanKind, String)>);

impl OrphanCandidates {
    /// A child with our labels was seen. Each tenant has one of these kinds at most, named after it, and its telephone one
    /// more.
    pub(super) fn note(&mut self, kind: &str, tenant: &str, name: &str) {
        let Some(kind) = OrphanKind::named(kind) else { return };
        if name != child_name(tenant) && name != sip_name(tenant) {
            self.0.insert((kind, name.to_owned()));
        }
    }

    pub(super) fn settle(&mut self, candidate: &(OrphanKind, String)) {
        self.0.remove(candidate);
    }

    pub(super) fn list(&self) -> Vec<(OrphanKind, String)> {
        self.0.iter().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_another_name_than_the_tenants_child_is_a_candidate() {
        let mut orphans = OrphanCandidates::default();
        orphans.note("NetworkPolicy", "acme", "acme-voicemail");
        orphans.note("NetworkPolicy", "acme", "acme-voicemail-sip");
        orphans.note("ConfigMap", "acme", "acme-old");
        assert!(orphans.is_empty());
        orphans.note("NetworkPolicy", "acme", "acme-old");
        let found = (OrphanKind::NetworkPolicy, "acme-old".to_owned());
        assert_eq!(orphans.list(), std::slice::from_ref(&found));
        orphans.settle(&found);
        assert!(orphans.is_empty());
    }
}
