//! The operator's memory of tenants between reconciles: one for each tenant, which is dropped as a whole.
//!
//! ```text
//!  place (namespace, name) ─┬─ TenantChildren, OrphanCandidates   what the watches tell of objects with that name
//!                           └─ TenantMemory                       of the tenant with one UID that is there
//! ```
//!
//! Flow: a reconcile says which tenant it has read ([`Memories::meet`]): if another one had that name, all that was
//! remembered of it is dropped. A reconcile that finds no tenant says so ([`Memories::forget`]). These two are all
//! that ends a memory; a new kind of memory is a field of [`TenantMemory`] and needs no more. What the watches tell is of
//! the cluster, not of the tenant: it stays as long as the objects do.
//!
//! What can go wrong: somebody still holds a tenant that is gone, or lost its name to another. What is noted of it goes nowhere.
//! A note made by name before any tenant was read (a request has ended) belongs to the tenant that is read first.

pub mod child_versions;
#[cfg(test)]
mod child_versions_tests;
pub mod core_probes;
pub mod ledger_schedule;
#[cfg(test)]
mod memory_tests;
pub mod orphan_candidates;
pub mod rollout;
pub mod shown_runs;
pub mod status_messages;
pub mod unwatched;

use child_versions::{Begun, ChildVersions, TenantChildren, Version, fingerprint};
use core_probes::CoreProbeSchedule;
use k8s_openapi::Resource as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use ledger_schedule::LedgerSchedule;
use orphan_candidates::{OrphanCandidates, OrphanKind};
use rollout::RolloutBudget;
use shown_runs::ShownRuns;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unwatched::MadeSecrets;
use voicemail_cores::pods::PodNote;
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::metrics::Metrics;
use voicemail_runtime::reconciling::failures::FailureCount;
use voicemail_runtime::reconciling::recent::Held;
use voicemail_runtime::reconciling::status_messages::StatusMessageLimiter;

/// How long a volume isn't asked for again that may not be read: rights change seldom, and each refusal is a line in the
/// cluster's audit log. After any change of the tenant, such as of a label, it is: somebody may have given the right.
const REFUSED: Duration = Duration::from_secs(12 * 3600);

/// Which tenant is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl TenantKey {
    /// That of an object.
    pub fn of(tenant: &VoicemailTenant) -> Self {
        Self {
            namespace: tenant.namespace().unwrap_or_default(),
            name: tenant.name_any(),
            uid: tenant.uid().unwrap_or_default(),
        }
    }

    fn place(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }
}

/// The memory of one tenant. Dropped as a whole.
#[derive(Debug, Default)]
pub struct TenantMemory {
    uid: Option<String>,
    /// Which of its children were found right, and whether it may be left alone.
    pub children: ChildVersions,
    /// When its cores were asked last.
    pub probes: CoreProbeSchedule,
    /// When its ledger of erasures was read last.
    pub ledger: LedgerSchedule,
    /// How often it has failed in a row.
    pub failures: FailureCount,
    /// How often its status may be written for a message alone.
    pub messages: StatusMessageLimiter,
    /// Which runs of its cores objects show.
    pub runs: ShownRuns,
    /// Its volume may not be read.
    pub refused_volume: Held<()>,
    /// Whether its namespace has a range of users, once that is known.
    pub user_range: Option<bool>,
    /// The Secrets that it was found to have.
    pub made: Held<MadeSecrets>,
    /// The tenant's version as it was written or found last.
    pub version: Option<String>,
    /// An event has said that its claim has been pending for long.
    pub claim_told: bool,
}

impl TenantMemory {
    fn is_of_another(&self, uid: &str) -> bool {
        self.uid.as_deref().is_some_and(|known| known != uid)
    }
}

#[derive(Debug, Default)]
struct Place {
    children: TenantChildren,
    orphans: OrphanCandidates,
    tenant: Option<TenantMemory>,
}

impl Place {
    fn is_empty(&self) -> bool {
        self.tenant.is_none() && self.children.is_empty() && self.orphans.is_empty()
    }
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<(String, String), Place>,
    /// Kinds whose watch has listed everything, by the namespace that it is for; none for all.
    listed: HashSet<(&'static str, Option<String>)>,
}

impl State {
    /// Whether a watch that sees this namespace has listed everything of that kind.
    fn is_listed(&self, kind: &'static str, namespace: &str) -> bool {
        [None, Some(namespace.to_owned())].into_iter().any(|scope| self.listed.contains(&(kind, scope)))
    }

    /// The places that a watch sees.
    fn within(&mut self, scope: Option<&str>) -> impl Iterator<Item = &mut Place> {
        let seen = move |namespace: &str| scope.is_none_or(|scope| scope == namespace);
        self.places.iter_mut().filter(move |((namespace, _), _)| seen(namespace)).map(|(_, place)| place)
    }
}

/// The memories of all tenants, and what is counted over all of them.
#[derive(Debug)]
pub struct Memories {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
    /// Which tenants move to a newer image.
    pub rollouts: RolloutBudget,
}

impl Memories {
    /// Nothing is known yet. At most that many tenants move to a newer image at a time.
    pub fn new(metrics: Arc<Metrics>, max_concurrent_rollouts: u16) -> Self {
        Self { state: Mutex::default(), metrics, rollouts: RolloutBudget::new(max_concurrent_rollouts) }
    }

    /// This tenant was read in its place: what is remembered of another one that had its name is dropped.
    pub fn meet(&self, tenant: &TenantKey, paused: bool) {
        let former = {
            let mut state = self.lock();
            let known = &mut state.places.entry(tenant.place()).or_default().tenant;
            let former = known.take_if(|known| known.is_of_another(&tenant.uid));
            known.get_or_insert_default().uid = Some(tenant.uid.clone());
            former
        };
        self.end(former);
        self.metrics.set_paused(&tenant.uid, paused);
    }

    /// There is no tenant in this place any more: all that is remembered of it is dropped.
    pub fn forget(&self, namespace: &str, name: &str) {
        let former = self.change(namespace, name, |place| {
            place.orphans = OrphanCandidates::default();
            place.tenant.take()
        });
        self.end(former);
    }

    /// Removes a tenant from the shared counters when its memory ends.
    fn end(&self, memory: Option<TenantMemory>) {
        if let Some(uid) = memory.and_then(|memory| memory.uid) {
            self.metrics.set_paused(&uid, false);
            self.rollouts.forget(&uid);
        }
    }

    /// Works on the memory of a tenant; on one that is thrown away while it hasn't been met, or if it is gone, or another
    /// tenant has its name by now.
    pub fn of<T>(&self, tenant: &TenantKey, work: impl FnOnce(&mut TenantMemory) -> T) -> T {
        self.with(tenant, |_, memory| work(memory))
    }

    /// Works on the memory of the tenant in this place, whichever it is.
    pub fn at<T>(&self, namespace: &str, name: &str, work: impl FnOnce(&mut TenantMemory) -> T) -> T {
        self.change(namespace, name, |place| work(place.tenant.get_or_insert_default()))
    }

    fn with<T>(&self, tenant: &TenantKey, work: impl FnOnce(&TenantChildren, &mut TenantMemory) -> T) -> T {
        self.change(&tenant.namespace, &tenant.name, |place| {
            match place.tenant.as_mut().filter(|known| !known.is_of_another(&tenant.uid)) {
                Some(memory) => {
                    memory.uid = Some(tenant.uid.clone());
                    work(&place.children, memory)
                }
                None => work(&place.children, &mut TenantMemory::default()),
            }
        })
    }

    fn change<T>(&self, namespace: &str, name: &str, work: impl FnOnce(&mut Place) -> T) -> T {
        let mut state = self.lock();
        let key = (namespace.to_owned(), name.to_owned());
        let result = work(state.places.entry(key.clone()).or_default());
        if state.places.get(&key).is_some_and(Place::is_empty) {
            state.places.remove(&key);
        }
        result
    }

    /// How many places there is something to remember of.
    pub fn count(&self) -> usize {
        self.lock().places.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports of the watches.
impl Memories {
    /// A watch begins to list its kind anew: what it told before may be gone.
    pub fn begin_list(&self, kind: &'static str, scope: Option<&str>) {
        let mut state = self.lock();
        state.listed.remove(&(kind, scope.map(str::to_owned)));
        for place in state.within(scope) {
            place.children.begin_list(kind, kind == Pod::KIND);
        }
    }

    /// A watch has listed everything of its kind: what it didn't tell of went while it was away.
    pub fn end_list(&self, kind: &'static str, scope: Option<&str>) {
        let mut state = self.lock();
        state.listed.insert((kind, scope.map(str::to_owned)));
        for place in state.within(scope) {
            place.children.end_list(kind, place.tenant.as_mut().map(|tenant| &mut tenant.children));
        }
        state.places.retain(|_, place| !place.is_empty());
    }

    /// A watch saw a child.
    pub fn note_child(
        &self,
        kind: &'static str,
        namespace: &str,
        tenant: &str,
        name: &str,
        version: Version,
    ) {
        self.change(namespace, tenant, |place| {
            place.orphans.note(kind, tenant, name);
            place.children.note(kind, name, version);
        });
    }

    /// A watch saw a child go.
    pub fn note_child_gone(&self, kind: &'static str, namespace: &str, tenant: &str, name: &str) {
        self.change(namespace, tenant, |place| {
            place.children.note_gone(kind, name);
            if let Some(tenant) = &mut place.tenant {
                tenant.children.forget(kind, name);
            }
        });
    }

    /// A watch saw a pod.
    pub fn note_pod(&self, namespace: &str, tenant: &str, name: &str, note: PodNote) {
        self.change(namespace, tenant, |place| place.children.note_pod(name, note));
    }

    /// A watch saw a pod go.
    pub fn note_pod_gone(&self, namespace: &str, tenant: &str, name: &str) {
        self.change(namespace, tenant, |place| place.children.note_pod_gone(name));
    }

    /// Addresses of the tenant's pods that run.
    pub fn addresses(&self, namespace: &str, tenant: &str) -> Vec<IpAddr> {
        self.change(namespace, tenant, |place| place.children.addresses())
    }

    /// Children under names that no tenant has for them.
    pub fn orphans(&self, tenant: &TenantKey) -> Vec<(OrphanKind, String)> {
        self.change(&tenant.namespace, &tenant.name, |place| place.orphans.list())
    }

    /// An orphan was looked at, and removed if it was the tenant's.
    pub fn settle_orphan(&self, tenant: &TenantKey, orphan: &(OrphanKind, String)) {
        self.change(&tenant.namespace, &tenant.name, |place| place.orphans.settle(orphan));
    }
}

/// Questions and reports of reconciles about the children.
impl Memories {
    /// Whether a child is as it was when it was found right for this hash of what is wanted.
    pub fn is_right(&self, kind: &'static str, tenant: &TenantKey, name: &str, wanted: &str) -> bool {
        self.with(tenant, |children, memory| memory.children.is_right(children, kind, name, wanted))
    }

    /// A child was found or made right.
    pub fn found_right(&self, kind: &'static str, tenant: &TenantKey, name: &str, right: (Version, String)) {
        self.with(tenant, |_, memory| memory.children.found_right(kind, name, right));
    }

    /// Whether the tenant surely has no child of that kind and name with our labels.
    pub fn is_absent(&self, kind: &'static str, tenant: &TenantKey, name: &str) -> bool {
        let listed = self.lock().is_listed(kind, &tenant.namespace);
        listed && self.with(tenant, |children, memory| memory.children.is_absent(children, kind, name))
    }

    /// Whether a child of that kind and name with our labels is known to be there.
    pub fn is_seen(&self, kind: &'static str, tenant: &TenantKey, name: &str) -> bool {
        self.with(tenant, |children, memory| !memory.children.is_absent(children, kind, name))
    }

    /// A reconcile begins.
    pub fn begin(&self, tenant: &VoicemailTenant) -> Begun {
        self.with(&TenantKey::of(tenant), |children, memory| {
            memory.children.wake();
            children.begin()
        })
    }

    /// A reconcile of the tenant as it is here has ended well, and the next look is due then.
    pub fn rest(&self, tenant: &VoicemailTenant, begun: Begun, until: Instant) {
        self.with(&TenantKey::of(tenant), |_, memory| {
            memory.children.rest(fingerprint(tenant), begun, until);
        });
    }

    /// How long the tenant may be left alone, because nothing has changed since its last reconcile; none when it must
    /// be looked at now.
    pub fn requeue_if_unchanged(&self, tenant: &VoicemailTenant, now: Instant) -> Option<Duration> {
        self.with(&TenantKey::of(tenant), |children, memory| {
            memory.children.requeue_if_unchanged(children, fingerprint(tenant), now)
        })
    }

    /// Whether the tenant's volume was refused a while ago, and the tenant hasn't changed since.
    pub fn is_volume_refused(&self, tenant: &VoicemailTenant, now: Instant) -> bool {
        self.of(&TenantKey::of(tenant), |memory| {
            memory.refused_volume.find(fingerprint(tenant), now, REFUSED).is_some()
        })
    }

    /// The tenant's volume was refused.
    pub fn note_volume_refused(&self, tenant: &VoicemailTenant, now: Instant) {
        self.of(&TenantKey::of(tenant), |memory| memory.refused_volume.note(fingerprint(tenant), now, ()));
    }

    /// Whether the tenant's namespace has a range of users, if that is known.
    pub fn user_range(&self, tenant: &VoicemailTenant) -> Option<bool> {
        self.of(&TenantKey::of(tenant), |memory| memory.user_range)
    }

    /// It is known.
    pub fn note_user_range(&self, tenant: &VoicemailTenant, found: bool) {
        self.of(&TenantKey::of(tenant), |memory| memory.user_range = Some(found));
    }

    /// The Secrets that a look found right or made a short while ago.
    pub fn find_made_secrets(&self, tenant: &VoicemailTenant, now: Instant) -> Option<MadeSecrets> {
        self.of(&TenantKey::of(tenant), |memory| memory.made.find(fingerprint(tenant), now, unwatched::HOLDS))
    }

    /// They are right now.
    pub fn note_made_secrets(&self, tenant: &VoicemailTenant, now: Instant, made: MadeSecrets) {
        self.of(&TenantKey::of(tenant), |memory| memory.made.note(fingerprint(tenant), now, made));
    }

    /// Whether the tenant is as the last look left it.
    pub fn is_as_left(&self, tenant: &VoicemailTenant) -> bool {
        let version = tenant.resource_version();
        version.is_some() && self.of(&TenantKey::of(tenant), |memory| memory.version == version)
    }

    /// The next look at the tenant in this place is due now.
    pub fn wake(&self, namespace: &str, tenant: &str) {
        self.change(namespace, tenant, |place| {
            if let Some(tenant) = &mut place.tenant {
                tenant.children.wake();
            }
        });
    }
}
