//! Versions of the tenants' children, as the watches report them and as a reconcile last verified them. A child whose
//! version hasn't changed since isn't read.
//!
//! Flow: each watch notes the [`Version`]s that it sees ([`TenantChildren`]); a reconcile that found or made a child right
//! remembers that version ([`ChildVersions`]). The next one reads only what differs. If no watched object changed since
//! the last successful reconcile, no request is sent until its time has come.
//!
//! What can go wrong: a watch is behind. Then it tells of a version older than one that we wrote ourselves, which is no
//! news, or nothing yet, and the child is read as if nothing were known. While a watch lists anew, nothing is known of
//! its kind.

use crate::tenant::steps::readiness::has_settled;
use crate::tenant::steps::telephony_status;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use voicemail_cores::pods::PodNote;
use voicemail_resources::VoicemailTenant;

/// Written by the controller of Deployments.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The part of an object's state that decides whether it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its resource version as a number, by which the older of two is told; Kubernetes says so since 1.35.
    number: Option<u64>,
    mark: u64,
}

impl Version {
    /// Of an object that has only what we write, or whose generation counts that.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::with(metadata, 0)
    }

    /// Of a Deployment: also whether its pods serve, and why they can't be made.
    pub fn of_deployment(deployment: &Deployment) -> Self {
        Self::with(&deployment.metadata, hash_of(&describe(deployment)))
    }

    /// Of a StatefulSet: also whether its pods take calls.
    pub fn of_stateful_set(set: &StatefulSet) -> Self {
        let ready = set.status.as_ref().and_then(|status| status.ready_replicas);
        Self::with(&set.metadata, hash_of(&(ready, telephony_status::has_settled(set))))
    }

    /// Of an autoscaler: what it should do, by what it says. Its status changes with the load, and many clusters count no
    /// generation for it.
    pub fn of_autoscaler(scaler: &HorizontalPodAutoscaler) -> Self {
        let spec = serde_json::to_string(&scaler.spec).unwrap_or_default();
        let counted = ObjectMeta { generation: Some(0), ..scaler.metadata.clone() };
        Self::with(&counted, hash_of(&spec))
    }

    fn with(metadata: &ObjectMeta, more: u64) -> Self {
        let number = metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
        let annotations: Vec<_> =
            metadata.annotations.iter().flatten().filter(|(key, _)| key.as_str() != REVISION).collect();
        let owners: Vec<_> = metadata.owner_references.iter().flatten().map(|owner| &owner.uid).collect();
        let state = match metadata.generation {
            Some(generation) => generation.to_string(),
            None => metadata.resource_version.clone().unwrap_or_default(),
        };
        let going = metadata.deletion_timestamp.is_some();
        let parts =
            (&metadata.uid, state, &metadata.labels, annotations, owners, &metadata.finalizers, going);
        Self { number, mark: hash_of(&(parts, more)) }
    }

    fn is_older_than(self, other: Self) -> bool {
        matches!((self.number, other.number), (Some(one), Some(two)) if one < two)
    }
}

fn describe(deployment: &Deployment) -> String {
    let desired = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let conditions = deployment.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let failures = conditions.filter(|condition| condition.type_ == "ReplicaFailure");
    let words: Vec<_> = failures.map(|failure| (&failure.status, &failure.reason)).collect();
    format!("{} {words:?}", has_settled(deployment, desired))
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A kind and a name.
type Member = (&'static str, String);

/// The counters at the begin of a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pod_failures: u64,
    lost: u64,
}

/// Objects that bear a tenant's name, as the watches report them.
#[derive(Debug, Default)]
pub struct TenantChildren {
    /// As each was seen last; none since its watch lists anew.
    seen: BTreeMap<Member, Option<Version>>,
    pods: BTreeMap<String, PodNote>,
    /// How many have gone.
    lost: u64,
}

impl TenantChildren {
    pub(super) fn begin_list(&mut self, kind: &'static str, of_pods: bool) {
        self.seen.iter_mut().filter(|((of, _), _)| *of == kind).for_each(|(_, seen)| *seen = None);
        if of_pods {
            self.pods.clear();
        }
    }

    pub(super) fn end_list(&mut self, kind: &'static str, versions: Option<&mut ChildVersions>) {
        let before = self.seen.len();
        self.seen.retain(|(of, _), seen| *of != kind || seen.is_some());
        let unseen = versions.map_or(0, |versions| versions.forget_unseen(kind, &self.seen));
        if self.seen.len() < before || unseen > 0 {
            self.lost = self.lost.wrapping_add(1);
        }
    }

    pub(super) fn note(&mut self, kind: &'static str, name: &str, version: Version) {
        self.seen.insert((kind, name.to_owned()), Some(version));
    }

    pub(super) fn note_gone(&mut self, kind: &'static str, name: &str) {
        self.seen.remove(&(kind, name.to_owned()));
        self.lost = self.lost.wrapping_add(1);
    }

    pub(super) fn note_pod(&mut self, name: &str, note: PodNote) {
        self.pods.insert(name.to_owned(), note);
    }

    pub(super) fn note_pod_gone(&mut self, name: &str) {
        self.pods.remove(name);
        self.lost = self.lost.wrapping_add(1);
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.pods.values().filter_map(|pod| pod.address).collect()
    }

    pub(super) fn begin(&self) -> Begun {
        Begun { pod_failures: self.pod_failures(), lost: self.lost }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.pods.is_empty()
    }

    fn pod_failures(&self) -> u64 {
        let failing = self.pods.iter().filter_map(|(name, pod)| Some((name, pod.failure.as_ref()?)));
        hash_of(&failing.collect::<Vec<_>>())
    }
}

/// A reconcile that ended well.
#[derive(Debug)]
struct Rest {
    tenant: u64,
    begun: Begun,
    until: Instant,
}

/// Which versions of a tenant's children were right, each with the hash of what was wanted.
#[derive(Debug, Default)]
pub struct ChildVersions {
    right: BTreeMap<Member, (Version, String)>,
    rest: Option<Rest>,
}

impl ChildVersions {
    pub(super) fn is_right(
        &self,
        children: &TenantChildren,
        kind: &'static str,
        name: &str,
        wanted: &str,
    ) -> bool {
        let member = (kind, name.to_owned());
        let right = self.right.get(&member).filter(|(_, hash)| hash == wanted);
        let seen = children.seen.get(&member).copied().flatten();
        right.is_some() && seen.is_some_and(|seen| !self.is_news(&member, seen))
    }

    pub(super) fn found_right(&mut self, kind: &'static str, name: &str, right: (Version, String)) {
        self.right.insert((kind, name.to_owned()), right);
    }

    pub(super) fn is_absent(&self, children: &TenantChildren, kind: &'static str, name: &str) -> bool {
        let member = (kind, name.to_owned());
        !children.seen.contains_key(&member) && !self.right.contains_key(&member)
    }

    pub(super) fn forget(&mut self, kind: &'static str, name: &str) {
        self.right.remove(&(kind, name.to_owned()));
    }

    /// Says how many there were.
    fn forget_unseen(&mut self, kind: &'static str, seen: &BTreeMap<Member, Option<Version>>) -> usize {
        let before = self.right.len();
        self.right.retain(|member, _| member.0 != kind || seen.contains_key(member));
        before - self.right.len()
    }

    pub(super) fn rest(&mut self, tenant: u64, begun: Begun, until: Instant) {
        self.rest = Some(Rest { tenant, begun, until });
    }

    pub(super) fn wake(&mut self) {
        self.rest = None;
    }

    pub(super) fn requeue_if_unchanged(
        &self,
        children: &TenantChildren,
        tenant: u64,
        now: Instant,
    ) -> Option<Duration> {
        let rest = self.rest.as_ref()?;
        let mut seen = children.seen.iter().filter_map(|(member, seen)| Some((member, (*seen)?)));
        let quiet = rest.tenant == tenant
            && rest.begun == children.begin()
            && !seen.any(|(member, seen)| self.is_news(member, seen));
        rest.until.checked_duration_since(now).filter(|left| quiet && !left.is_zero())
    }

    fn is_news(&self, member: &Member, seen: Version) -> bool {
        let news = |right: Version| seen.mark != right.mark && !seen.is_older_than(right);
        self.right.get(member).is_none_or(|(right, _)| news(*right))
    }
}

/// All of a tenant that a person or a controller other than us may have changed, apart from its status.
pub(super) fn fingerprint(tenant: &VoicemailTenant) -> u64 {
    let metadata = tenant.meta();
    hash_of(&(
        &metadata.uid,
        metadata.generation,
        &metadata.labels,
        &metadata.annotations,
        &metadata.finalizers,
        metadata.deletion_timestamp.is_some(),
    ))
}
