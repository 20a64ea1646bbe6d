//! What the watches tell of the tenants' children, and which children were found to be as they should: what hasn't
//! changed since needs no look.
//!
//! Flow: each watch [`note`](Children::note)s the [`Version`]s that it sees; a reconcile that found or made a child right
//! remembers that version ([`found_right`](Children::found_right)). The next one reads only what differs, and one whose
//! tenant has no [`news`](Children::rest) asks nobody at all until its time has come.
//!
//! What can go wrong: a watch is behind. Then it tells of a version older than one that we wrote ourselves, which is no
//! news, or nothing yet, and the child is read as if nothing were known. While a watch lists anew, nothing is known of
//! its kind.

use super::status::has_settled;
use crate::api::VoicemailTenant;
use k8s_openapi::Resource as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Written by the controller of Deployments.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What matters of an object's state.
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

#[derive(Debug, Default)]
struct Known {
    seen: Option<Version>,
    /// The version that was right, and the hash of what was wanted.
    right: Option<(Version, String)>,
}

impl Known {
    fn is_news(&self) -> bool {
        match (self.seen, &self.right) {
            (Some(seen), Some((right, _))) => seen.mark != right.mark && !seen.is_older_than(*right),
            (seen, _) => seen.is_some(),
        }
    }
}

/// A reconcile that ended well.
#[derive(Debug)]
struct Rest {
    tenant: u64,
    troubles: u64,
    until: Instant,
}

#[derive(Debug, Default)]
struct Family {
    members: BTreeMap<Member, Known>,
    /// What each pod is in trouble about, and its address.
    pods: BTreeMap<String, PodNote>,
    /// A child went since the last reconcile began.
    lost: bool,
    rest: Option<Rest>,
}

/// What is kept of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodNote {
    /// Its address, once it runs.
    pub address: Option<std::net::IpAddr>,
    /// Why it doesn't serve though it was made, in words that don't change by themselves.
    pub trouble: Option<String>,
}

/// What a reconcile begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    troubles: u64,
}

#[derive(Debug, Default)]
struct State {
    families: HashMap<(String, String), Family>,
    /// Kinds whose watch has listed everything, by the namespace that it is for; none for all.
    complete: HashSet<(&'static str, Option<String>)>,
}

impl State {
    /// Whether a watch that sees this namespace has listed everything of that kind.
    fn is_complete(&self, kind: &'static str, namespace: &str) -> bool {
        [None, Some(namespace.to_owned())].into_iter().any(|scope| self.complete.contains(&(kind, scope)))
    }

    /// The families that a watch sees.
    fn within(&mut self, scope: Option<&str>) -> impl Iterator<Item = &mut Family> {
        let seen = move |namespace: &str| scope.is_none_or(|scope| scope == namespace);
        self.families.iter_mut().filter(move |((namespace, _), _)| seen(namespace)).map(|(_, family)| family)
    }

    fn family(&self, namespace: &str, tenant: &str) -> Option<&Family> {
        self.families.get(&(namespace.to_owned(), tenant.to_owned()))
    }
}

/// The children of all tenants, by namespace and tenant.
#[derive(Debug, Default)]
pub struct Children(Mutex<State>);

impl Children {
    /// A watch begins to list its kind anew: what it told before may be gone.
    pub fn begin_list(&self, kind: &'static str, scope: Option<&str>) {
        let mut state = self.lock();
        state.complete.remove(&(kind, scope.map(str::to_owned)));
        for family in state.within(scope) {
            let of_kind = family.members.iter_mut().filter(|((member, _), _)| *member == kind);
            of_kind.for_each(|(_, known)| known.seen = None);
            if kind == Pod::KIND {
                family.pods.clear();
            }
        }
    }

    /// A watch has listed everything of its kind: what it didn't tell of went while it was away.
    pub fn end_list(&self, kind: &'static str, scope: Option<&str>) {
        let mut state = self.lock();
        state.complete.insert((kind, scope.map(str::to_owned)));
        for family in state.within(scope) {
            let before = family.members.len();
            family.members.retain(|(member, _), known| *member != kind || known.seen.is_some());
            family.lost |= family.members.len() < before;
        }
    }

    /// A watch saw a child.
    pub fn note(&self, kind: &'static str, namespace: &str, tenant: &str, name: &str, version: Version) {
        self.change(namespace, tenant, |family| {
            family.members.entry((kind, name.to_owned())).or_default().seen = Some(version);
        });
    }

    /// A watch saw a child go.
    pub fn note_gone(&self, kind: &'static str, namespace: &str, tenant: &str, name: &str) {
        self.change(namespace, tenant, |family| {
            family.members.remove(&(kind, name.to_owned()));
            family.lost = true;
        });
    }

    /// A watch saw a pod.
    pub fn note_pod(&self, namespace: &str, tenant: &str, name: &str, note: PodNote) {
        self.change(namespace, tenant, |family| {
            family.pods.insert(name.to_owned(), note);
        });
    }

    /// A watch saw a pod go.
    pub fn note_pod_gone(&self, namespace: &str, tenant: &str, name: &str) {
        self.change(namespace, tenant, |family| {
            family.pods.remove(name);
            family.lost = true;
        });
    }

    /// Addresses of the tenant's pods that run.
    pub fn addresses(&self, namespace: &str, tenant: &str) -> Vec<std::net::IpAddr> {
        let state = self.lock();
        let pods = state.family(namespace, tenant).into_iter().flat_map(|family| family.pods.values());
        pods.filter_map(|pod| pod.address).collect()
    }

    /// Whether a child is as it was when it was found right for this hash of what is wanted.
    pub fn is_right(
        &self,
        kind: &'static str,
        namespace: &str,
        tenant: &str,
        name: &str,
        wanted: &str,
    ) -> bool {
        let state = self.lock();
        let family = state.family(namespace, tenant);
        family.and_then(|family| family.members.get(&(kind, name.to_owned()))).is_some_and(|known| {
            let matches = known.right.as_ref().is_some_and(|(_, hash)| hash == wanted);
            matches && known.seen.is_some() && !known.is_news()
        })
    }

    /// A child was found or made right.
    pub fn found_right(
        &self,
        kind: &'static str,
        namespace: &str,
        tenant: &str,
        name: &str,
        (version, wanted): (Version, String),
    ) {
        self.change(namespace, tenant, |family| {
            family.members.entry((kind, name.to_owned())).or_default().right = Some((version, wanted));
        });
    }

    /// Whether the tenant surely has no child of that kind and name with our labels.
    pub fn is_absent(&self, kind: &'static str, namespace: &str, tenant: &str, name: &str) -> bool {
        let state = self.lock();
        let known = |family: &Family| family.members.contains_key(&(kind, name.to_owned()));
        state.is_complete(kind, namespace) && !state.family(namespace, tenant).is_some_and(known)
    }

    /// A reconcile begins.
    pub fn begin(&self, tenant: &VoicemailTenant) -> Begun {
        self.change_of(tenant, |family| {
            family.rest = None;
            family.lost = false;
            Begun { troubles: troubles(family) }
        })
    }

    /// A reconcile of the tenant as it is here has ended well, and the next look is due then.
    pub fn end(&self, tenant: &VoicemailTenant, begun: Begun, until: Instant) {
        let rest = Rest { tenant: mark(tenant), troubles: begun.troubles, until };
        self.change_of(tenant, |family| family.rest = Some(rest));
    }

    /// How long the tenant may be left alone, because nothing has changed since its last reconcile; none when it must
    /// be looked at now.
    pub fn rest(&self, tenant: &VoicemailTenant, now: Instant) -> Option<Duration> {
        let state = self.lock();
        let family = state.family(&tenant.namespace().unwrap_or_default(), &tenant.name_any())?;
        let rest = family.rest.as_ref()?;
        let quiet = rest.tenant == mark(tenant)
            && rest.troubles == troubles(family)
            && !family.lost
            && !family.members.values().any(Known::is_news);
        rest.until.checked_duration_since(now).filter(|left| quiet && !left.is_zero())
    }

    /// The next look is due now.
    pub fn wake(&self, namespace: &str, tenant: &str) {
        self.change(namespace, tenant, |family| family.rest = None);
    }

    /// The tenant is gone; the watches tell of its children as they go.
    pub fn forget(&self, namespace: &str, tenant: &str) {
        self.lock().families.remove(&(namespace.to_owned(), tenant.to_owned()));
    }

    fn change_of<T>(&self, tenant: &VoicemailTenant, work: impl FnOnce(&mut Family) -> T) -> T {
        self.change(&tenant.namespace().unwrap_or_default(), &tenant.name_any(), work)
    }

    fn change<T>(&self, namespace: &str, tenant: &str, work: impl FnOnce(&mut Family) -> T) -> T {
        let mut state = self.lock();
        let key = (namespace.to_owned(), tenant.to_owned());
        let result = work(state.families.entry(key.clone()).or_default());
        let empty =
            |family: &Family| family.members.is_empty() && family.pods.is_empty() && family.rest.is_none();
        if state.families.get(&key).is_some_and(empty) {
            state.families.remove(&key);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn troubles(family: &Family) -> u64 {
    let troubles: Vec<_> =
        family.pods.iter().filter_map(|(name, pod)| Some((name, pod.trouble.as_ref()?))).collect();
    hash_of(&troubles)
}

/// All of a tenant that a person or a controller other than us may have changed, apart from its status.
fn mark(tenant: &VoicemailTenant) -> u64 {
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
