//! The operator's metrics, under the names of controller-runtime, for which dashboards exist.
//!
//! Labelled by controller and kind of outcome only: never by object, tenant or text of an error. What objects there are is
//! counted when somebody asks ([`Population`]), from the stores of the watches: only the replica that leads has them.
//! `docs/operator-metrics.md` lists all of it; a test compares.

mod objects;
mod queue;
mod watches;

pub use queue::QueueMetrics;
pub use watches::WatchMetrics;

use crate::population::Population;
use jiff::Timestamp;
use objects::PopulationMetrics;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByController {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLease {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    code: String,
    host: String,
    method: String,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Success,
    /// To be repeated.
    Error,
    /// Repeating alone won't help.
    Terminal,
    /// Too slow.
    Timeout,
    /// A fault of ours.
    Panic,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Terminal => "terminal_error",
            Self::Error | Self::Timeout | Self::Panic => "error",
        }
    }
}

type ByControllerCounter = Family<ByController, Counter>;
/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    total: Family<ByResult, Counter>,
    errors: ByControllerCounter,
    terminal: ByControllerCounter,
    panics: ByControllerCounter,
    timeouts: ByControllerCounter,
    seconds: Family<ByController, Histogram, fn() -> Histogram>,
    active: Family<ByController, Gauge>,
    concurrency: Family<ByController, Gauge>,
    leader: Family<ByLease, Gauge>,
    paused: Gauge,
    paused_uids: Mutex<BTreeSet<String>>,
    failing: Family<ByController, Gauge>,
    requests: Family<ByAnswer, Counter>,
    queue: QueueMetrics,
    watches: WatchMetrics,
    population: PopulationMetrics,
}

fn buckets() -> Histogram {
    Histogram::new([0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 120.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            total: Family::default(),
            errors: Family::default(),
            terminal: Family::default(),
            panics: Family::default(),
            timeouts: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            active: Family::default(),
            concurrency: Family::default(),
            leader: Family::default(),
            paused: Gauge::default(),
            paused_uids: Mutex::default(),
            failing: Family::default(),
            requests: Family::default(),
            queue: QueueMetrics::default(),
            watches: WatchMetrics::default(),
            population: PopulationMetrics::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let main = self.registry.sub_registry_with_prefix("controller_runtime");
        main.register("reconcile", "Reconciles by result", self.total.clone());
        main.register("reconcile_errors", "Reconciles to be repeated", self.errors.clone());
        main.register(
            "terminal_reconcile_errors",
            "Reconciles that repeating won't help",
            self.terminal.clone(),
        );
        main.register("reconcile_panics", "Reconciles that panicked", self.panics.clone());
        main.register("reconcile_timeouts", "Reconciles that took too long", self.timeouts.clone());
        main.register("reconcile_time_seconds", "Duration of reconciles", self.seconds.clone());
        main.register("active_workers", "Reconciles under way", self.active.clone());
        main.register("max_concurrent_reconciles", "Reconciles allowed at a time", self.concurrency.clone());
        let paused = "Tenants that the operator keeps its hands off, by annotation";
        self.registry.register("voicemail_paused_tenants", paused, self.paused.clone());
        let leading = "1 if this replica works, 0 if it stands by";
        self.registry.register("leader_election_master_status", leading, self.leader.clone());
        self.registry.register("rest_client_requests", "Calls to the API server", self.requests.clone());
        self.queue.register(self.registry.sub_registry_with_prefix("workqueue"));
        let mine = self.registry.sub_registry_with_prefix("voicemail");
        mine.register("objects_in_backoff", "Objects whose last reconcile failed", self.failing.clone());
        self.watches.register(mine);
        self.population.register(mine);
    }

    /// A reconcile begins; it is under way until the value is dropped.
    pub fn begin(&self, controller: &'static str) -> ActiveGuard {
        let gauge = self.active.get_or_create(&ByController { controller }).clone();
        gauge.inc();
        ActiveGuard(gauge)
    }

    /// A reconcile ended.
    pub fn end(&self, controller: &'static str, outcome: Outcome, took: Duration) {
        let label = ByController { controller };
        self.total.get_or_create(&ByResult { controller, result: outcome.label() }).inc();
        self.seconds.get_or_create(&label).observe(took.as_secs_f64());
        self.queue.observe_work(controller, took);
        if outcome != Outcome::Success {
            self.errors.get_or_create(&label).inc();
        }
        match outcome {
            Outcome::Terminal => self.terminal.get_or_create(&label).inc(),
            Outcome::Panic => self.panics.get_or_create(&label).inc(),
            Outcome::Timeout => self.timeouts.get_or_create(&label).inc(),
            Outcome::Success | Outcome::Error => 0,
        };
    }

    /// Metrics of objects that wait to be reconciled.
    pub fn queue(&self) -> &QueueMetrics {
        &self.queue
    }

    /// How many objects failed at their last reconcile.
    pub fn set_failing(&self, controller: &'static str, objects: usize) {
        let gauge = self.failing.get_or_create(&ByController { controller }).clone();
        gauge.set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// The API server answered, or didn't: `<error>`.
    pub fn count_call(&self, host: &str, method: &str, code: &str) {
        let label = ByAnswer { code: code.into(), host: host.into(), method: method.into() };
        self.requests.get_or_create(&label).inc();
    }

    /// Metrics of the watches.
    pub fn watches(&self) -> &WatchMetrics {
        &self.watches
    }

    /// Who counts objects whenever the metrics are asked for.
    pub fn add_census(&self, census: impl Fn(&mut Population, Timestamp) + Send + Sync + 'static) {
        self.population.add_census(census);
    }

    /// How many reconciles are allowed at a time.
    pub fn set_concurrency(&self, controller: &'static str, concurrency: u16) {
        let label = ByController { controller };
        self.concurrency.get_or_create(&label).set(concurrency.into());
        // What hasn't happened yet is shown as 0, so that rates begin at the first time.
        drop(self.active.get_or_create(&label));
        drop(self.failing.get_or_create(&label));
        for counter in [&self.errors, &self.terminal, &self.panics, &self.timeouts] {
            drop(counter.get_or_create(&label));
        }
        for result in ["success", "error", "terminal_error"] {
            drop(self.total.get_or_create(&ByResult { controller, result }));
        }
        self.queue.show(controller);
    }

    /// Whether the operator keeps its hands off the tenant of that UID.
    pub fn set_paused(&self, uid: &str, paused: bool) {
        let mut uids = self.paused_uids.lock().unwrap_or_else(PoisonError::into_inner);
        if paused {
            uids.insert(uid.to_owned());
        } else {
            uids.remove(uid);
        }
        self.paused.set(i64::try_from(uids.len()).unwrap_or(i64::MAX));
    }

    /// Whether this replica has the lease of that name, and works.
    pub fn set_leader(&self, lease: &'static str, leads: bool) {
        self.leader.get_or_create(&ByLease { name: lease }).set(leads.into());
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        self.population.count(Timestamp::now());
        self.watches.measure();
        let mut text = String::new();
        match text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}

/// Counts a reconcile as under way while it lives.
#[derive(Debug)]
pub struct ActiveGuard(Gauge);

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn names_are_those_of_controller_runtime() {
        let metrics = Metrics::default();
        metrics.set_leader("voicemail-operator", true);
        drop(metrics.begin("tenant"));
        metrics.end("tenant", Outcome::Panic, Duration::from_millis(3));
        let text = metrics.render();
        for line in [
            "controller_runtime_reconcile_total{controller=\"tenant\",result=\"error\"} 1",
            "controller_runtime_reconcile_panics_total{controller=\"tenant\"} 1",
            "controller_runtime_active_workers{controller=\"tenant\"} 0",
            "leader_election_master_status{name=\"voicemail-operator\"} 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn all_metrics_and_no_others_are_in_the_documents_table() {
        let metrics = Metrics::default();
        // What has no series yet isn't shown.
        metrics.set_concurrency("c", 1);
        metrics.set_leader("voicemail-operator", true);
        metrics.end("c", Outcome::Success, Duration::ZERO);
        metrics.queue().observe_wait("c", Duration::ZERO);
        metrics.count_call("h", "GET", "200");
        metrics.watches().note("Pod", true);
        metrics.watches().note("Pod", false);
        metrics.add_census(|population, _| {
            population.tenants.insert("ready", 1);
            population.requests.insert("Marked".into(), 1);
            population.problems.insert(("Ready", "PodsRefused".into()), 1);
        });
        let text = metrics.render();
        let shown: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        let table = include_str!("../../../../docs/operator-metrics.md");
        let row = |line: &'static str| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.trim_end_matches('`'), cells.next()?))
        };
        let documented: BTreeMap<&str, &str> = table.lines().filter_map(row).collect();
        assert_eq!(shown, documented);
    }

    #[test]
    fn objects_are_counted_whenever_somebody_asks() {
        let metrics = Metrics::default();
        assert!(!metrics.render().contains("voicemail_tenants{"), "a replica that stands by knows of none");
        let stalled = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let state = stalled.clone();
        metrics.add_census(move |population, _| {
            let stalled = state.load(std::sync::atomic::Ordering::Relaxed);
            population.tenants.insert(if stalled { "stalled" } else { "ready" }, 1);
        });
        assert!(metrics.render().contains("voicemail_tenants{state=\"ready\"} 1"));
        stalled.store(true, std::sync::atomic::Ordering::Relaxed);
        let text = metrics.render();
        assert!(
            text.contains("voicemail_tenants{state=\"stalled\"} 1") && !text.contains("ready\"}"),
            "{text}"
        );
    }

    #[test]
    fn a_watch_grows_old_and_its_failures_are_counted() {
        let metrics = Metrics::default();
        metrics.watches().note("Pod", true);
        metrics.watches().note("Pod", false);
        let text = metrics.render();
        assert!(text.contains("voicemail_watch_age_seconds{kind=\"Pod\"} 0"), "{text}");
        assert!(text.contains("voicemail_watch_failures_total{kind=\"Pod\"} 1"), "{text}");
    }
}
