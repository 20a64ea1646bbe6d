//! Leader election: one replica works, the others stand by, ready to take over.
//!
//! Flow: [`Elector`] is pure and decides from what was seen and when, by this machine's monotonic clock:
//! another's clock is never trusted. [`lead`] reads and writes the Lease. Every write is a replace that
//! carries the resource version, so two can't both succeed.
//!
//! A lease is free when it has not changed for 15 s as seen here. A leader stops when its own last success
//! began 10 s ago, hence before anybody may take over. It tries every 2 s, and lets go when it ends.

use crate::calls::CallError;
use crate::fence::Fence;
use crate::metrics::Metrics;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use voicemail_resources::MANAGER;

/// Name of the Lease.
pub const LEASE: &str = "voicemail-operator";
const LEASE_SECONDS: i32 = 15;
const LEASE_DURATION: Duration = Duration::from_secs(15);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(5);

/// The fields of a Lease that decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Changes with every write.
    pub version: String,
    /// Who holds it; empty: nobody.
    pub holder: String,
}

/// The next act of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is no Lease: create it.
    Create,
    /// It is ours, or free: replace it.
    Take,
    /// It is another's.
    Wait,
}

/// One contender.
#[derive(Clone, Debug)]
pub struct Elector {
    me: String,
    seen: Option<(Seen, Instant)>,
    renewed: Option<Instant>,
}

impl Elector {
    /// A contender of that name.
    pub fn new(me: impl Into<String>) -> Self {
        Self { me: me.into(), seen: None, renewed: None }
    }

    /// Takes note of the Lease as read; only a change moves the time.
    pub fn observe(&mut self, lease: Option<Seen>, now: Instant) {
        let unchanged = matches!((&self.seen, &lease), (Some((old, _)), Some(new)) if old == new);
        if !unchanged {
            self.seen = lease.map(|lease| (lease, now));
        }
    }

    /// Decides.
    pub fn decide(&self, now: Instant) -> Decision {
        let Some((lease, since)) = &self.seen else { return Decision::Create };
        let mine = lease.holder == self.me;
        let free = lease.holder.is_empty() || now.duration_since(*since) >= LEASE_DURATION;
        if mine || free { Decision::Take } else { Decision::Wait }
    }

    /// A write that began at `began` succeeded.
    pub fn confirm(&mut self, written: Seen, began: Instant) {
        self.seen = Some((written, began));
        self.renewed = Some(began);
    }

    /// Whether this contender may act.
    pub fn leads(&self, now: Instant) -> bool {
        self.leads_until().is_some_and(|end| now < end)
    }

    /// The moment from which this contender may not act any more.
    pub fn leads_until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + RENEW_DEADLINE)
    }
}

struct Candidate {
    api: Api<Lease>,
    elector: Elector,
    lease: Option<Lease>,
}

/// Contends for the Lease. `elected` is cancelled when this replica leads; the function returns when it no
/// longer does, or after `stop`, having let go.
pub async fn lead(
    client: Client,
    namespace: &str,
    me: String,
    metrics: Arc<Metrics>,
    fence: Fence,
    elected: CancellationToken,
    stop: CancellationToken,
) {
    let api = Api::namespaced(client, namespace);
    let mut candidate = Candidate { api, elector: Elector::new(me), lease: None };
    let mut led = false;
    while !stop.is_cancelled() {
        if let Err(error) = candidate.attempt().await {
            tracing::warn!(%error, "the lease could not be read or written");
        }
        let leads = candidate.elector.leads(Instant::now());
        metrics.set_leader(LEASE, leads);
        match candidate.elector.leads_until() {
            Some(end) => fence.open_until(end),
            None => fence.close(),
        }
        if leads && !led {
            tracing::info!(lease = LEASE, "this replica leads");
            elected.cancel();
        }
        if led && !leads {
            tracing::error!(lease = LEASE, "the lease is lost");
            return;
        }
        led = leads;
        tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(RETRY) => {} }
    }
    fence.close();
    candidate.release(led).await;
    metrics.set_leader(LEASE, false);
}

impl Candidate {
    async fn attempt(&mut self) -> Result<(), CallError> {
        if !self.elector.leads(Instant::now()) || self.lease.is_none() {
            self.read().await?;
        }
        let began = Instant::now();
        let written = match self.elector.decide(began) {
            Decision::Wait => return Ok(()),
            Decision::Create => {
                in_time("create the lease", self.api.create(&written_by_us(), &self.build(None))).await
            }
            Decision::Take => {
                let lease = self.build(self.lease.as_ref());
                in_time("replace the lease", self.api.replace(LEASE, &written_by_us(), &lease)).await
            }
        };
        match written {
            Ok(lease) => {
                self.elector.confirm(read_lease(&lease), began);
                self.lease = Some(lease);
                Ok(())
            }
            Err(error) => {
                self.lease = None;
                if error.is_conflict() { Ok(()) } else { Err(error) }
            }
        }
    }

    async fn read(&mut self) -> Result<(), CallError> {
        self.lease = in_time("read the lease", self.api.get_opt(LEASE)).await?;
        self.elector.observe(self.lease.as_ref().map(read_lease), Instant::now());
        Ok(())
    }

    /// The Lease as it should be, on the version that was seen.
    fn build(&self, seen: Option<&Lease>) -> Lease {
        let old = seen.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let mine = old.holder_identity.as_deref() == Some(&self.elector.me);
        let now = MicroTime(Timestamp::now());
        let transitions = old.lease_transitions.unwrap_or(0);
        Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.into()),
                resource_version: seen.and_then(ResourceExt::resource_version),
                ..Default::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.elector.me.clone()),
                lease_duration_seconds: Some(LEASE_SECONDS),
                acquire_time: if mine { old.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if mine || seen.is_none() {
                    transitions
                } else {
                    transitions.saturating_add(1)
                }),
                ..Default::default()
            }),
        }
    }

    /// Lets go, so that a standby needs not wait.
    async fn release(&self, led: bool) {
        let Some(lease) = self.lease.as_ref().filter(|_| led) else { return };
        let mut free = self.build(Some(lease));
        if let Some(spec) = &mut free.spec {
            spec.holder_identity = Some(String::new());
        }
        match in_time("release the lease", self.api.replace(LEASE, &written_by_us(), &free)).await {
            Ok(_) => tracing::info!(lease = LEASE, "the lease is released"),
            Err(error) => tracing::warn!(%error, "the lease could not be released"),
        }
    }
}

fn read_lease(lease: &Lease) -> Seen {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
    Seen { version: lease.resource_version().unwrap_or_default(), holder: holder.unwrap_or_default() }
}

async fn in_time<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(CALL, crate::calls::within_deadline(what, call)).await {
        Ok(result) => result,
        Err(_) => Err(CallError::Deadline { what }),
    }
}

/// So that the API server's record of who wrote what names the operator.
fn written_by_us() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that accepts a write only on the version it holds.
    #[derive(Default)]
    struct Server {
        lease: Option<Seen>,
        writes: u32,
    }

    impl Server {
        fn write(&mut self, elector: &mut Elector, now: Instant) -> bool {
            elector.observe(self.lease.clone(), now);
            self.write_blind(elector, now)
        }

        fn write_blind(&mut self, elector: &mut Elector, now: Instant) -> bool {
            let based_on = elector.seen.as_ref().map(|(seen, _)| seen.clone());
            if elector.decide(now) == Decision::Wait || based_on != self.lease {
                return false;
            }
            self.writes += 1;
            let written = Seen { version: self.writes.to_string(), holder: elector.me.clone() };
            self.lease = Some(written.clone());
            elector.confirm(written, now);
            true
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_first_of_two_contenders_leads_and_the_other_waits() {
        let (mut server, start) = (Server::default(), Instant::now());
        let (mut a, mut b) = (Elector::new("a"), Elector::new("b"));
        assert!(server.write(&mut a, start));
        assert!(!server.write(&mut b, start));
        assert!(a.leads(start) && !b.leads(start));
    }

    #[test]
    fn of_two_that_saw_the_same_only_one_writes() {
        let (mut server, start) = (Server::default(), Instant::now());
        let (mut a, mut b) = (Elector::new("a"), Elector::new("b"));
        a.observe(None, start);
        b.observe(None, start);
        assert!(server.write_blind(&mut a, start));
        assert!(!server.write_blind(&mut b, start));
    }

    #[test]
    fn two_never_lead_at_the_same_moment_when_the_leader_falls_silent() {
        let (mut server, start) = (Server::default(), Instant::now());
        let (mut a, mut b) = (Elector::new("a"), Elector::new("b"));
        server.write(&mut a, start);
        let mut taken = None;
        for tick in 0..40 {
            let now = start + seconds(tick);
            if server.write(&mut b, now) && taken.is_none() {
                taken = Some(tick);
            }
            assert!(!(a.leads(now) && b.leads(now)), "at {tick} s");
        }
        assert_eq!(taken, Some(15));
    }

    #[test]
    fn a_leader_that_renews_keeps_the_lease_whatever_the_other_does() {
        let (mut server, start) = (Server::default(), Instant::now());
        let (mut a, mut b) = (Elector::new("a"), Elector::new("b"));
        for tick in (0..60).step_by(2) {
            let now = start + seconds(tick);
            assert!(server.write(&mut a, now));
            assert!(!server.write(&mut b, now + seconds(1)));
        }
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        let (mut server, start) = (Server::default(), Instant::now());
        let (mut a, mut b) = (Elector::new("a"), Elector::new("b"));
        server.write(&mut a, start);
        server.lease = Some(Seen { version: "released".into(), holder: String::new() });
        assert!(server.write(&mut b, start + seconds(1)));
    }

    #[test]
    fn a_standby_that_starts_late_waits_a_whole_lease_from_what_it_saw_itself() {
        let (start, mut late) = (Instant::now(), Elector::new("late"));
        late.observe(Some(Seen { version: "7".into(), holder: "a".into() }), start);
        assert_eq!(late.decide(start + seconds(14)), Decision::Wait);
        assert_eq!(late.decide(start + seconds(15)), Decision::Take);
    }
}
