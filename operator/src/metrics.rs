//! The operator's metrics, under the names of controller-runtime, for which dashboards exist.
//!
//! Labelled by controller and kind of outcome only: never by object, tenant or text of an error. What objects there are is
//! counted when somebody asks ([`Population`]), from the stores of the watches: only the replica that leads has them.
//! `docs/operator-metrics.md` lists all of it; a test compares.

use crate::population::Population;
use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// controller-runtime's queues carry their controller's name twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByQueue {
    name: &'static str,
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    code: String,
    host: String,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: String,
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
type QueueHistogram = Family<ByQueue, Histogram, fn() -> Histogram>;
type Census = Box<dyn Fn(&mut Population, Timestamp) + Send + Sync>;

/// What is known of the work that waits.
#[derive(Debug)]
struct QueueMetrics {
    depth: Family<ByQueue, Gauge>,
    adds: Family<ByQueue, Counter>,
    retries: Family<ByQueue, Counter>,
    waited: QueueHistogram,
    worked: QueueHistogram,
}

/// What is known of the objects, counted anew for every scrape.
#[derive(Debug, Default)]
struct PopulationMetrics {
    tenants: Family<ByState, Gauge>,
    requests: Family<ByPhase, Gauge>,
    oldest: Gauge,
    overdue: Gauge,
}

/// Who counts the objects.
#[derive(Default)]
struct Censuses(Mutex<Vec<Census>>);

impl std::fmt::Debug for Censuses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Censuses")
    }
}

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
    queue: QueueMetrics,
    failing: Family<ByController, Gauge>,
    requests: Family<ByAnswer, Counter>,
    watch_age: Family<ByKind, Gauge>,
    watch_failures: Family<ByKind, Counter>,
    watch_signs: Mutex<BTreeMap<String, Instant>>,
    population: PopulationMetrics,
    censuses: Censuses,
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
            queue: QueueMetrics {
                depth: Family::default(),
                adds: Family::default(),
                retries: Family::default(),
                waited: Family::new_with_constructor(buckets),
                worked: Family::new_with_constructor(buckets),
            },
            failing: Family::default(),
            requests: Family::default(),
            watch_age: Family::default(),
            watch_failures: Family::default(),
            watch_signs: Mutex::default(),
            population: PopulationMetrics::default(),
            censuses: Censuses::default(),
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
        self.register_queue();
        self.register_surroundings();
    }

    fn register_queue(&mut self) {
        let queue = self.registry.sub_registry_with_prefix("workqueue");
        queue.register("depth", "Objects that a change has put into the queue", self.queue.depth.clone());
        queue.register("adds", "Objects that came into the queue", self.queue.adds.clone());
        let again = "Looks that were put off: after a failure, or until later";
        queue.register("retries", again, self.queue.retries.clone());
        let waited = "From a change until its reconcile began";
        queue.register("queue_duration_seconds", waited, self.queue.waited.clone());
        queue.register("work_duration_seconds", "Duration of reconciles", self.queue.worked.clone());
    }

    fn register_surroundings(&mut self) {
        let registry = &mut self.registry;
        registry.register("rest_client_requests", "Calls to the API server", self.requests.clone());
        let mine = registry.sub_registry_with_prefix("voicemail");
        mine.register("objects_in_backoff", "Objects whose last reconcile failed", self.failing.clone());
        let age = "Since a watch has last brought a change";
        mine.register("watch_age_seconds", age, self.watch_age.clone());
        mine.register("watch_failures", "Watches that started over", self.watch_failures.clone());
        mine.register("tenants", "Tenants by state", self.population.tenants.clone());
        let open = "GdprRequests that haven't ended, by phase";
        mine.register("gdpr_open_requests", open, self.population.requests.clone());
        let oldest = "Age of the oldest GdprRequest that hasn't ended";
        mine.register("gdpr_oldest_open_request_seconds", oldest, self.population.oldest.clone());
        let overdue = "GdprRequests that haven't ended by their deadline";
        mine.register("gdpr_overdue_requests", overdue, self.population.overdue.clone());
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
        self.queue.worked.get_or_create(&by_queue(controller)).observe(took.as_secs_f64());
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

    /// Sets how many objects wait.
    pub fn set_queue_depth(&self, controller: &'static str, depth: usize) {
        self.queue.depth.get_or_create(&by_queue(controller)).set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// An object came into the queue.
    pub fn count_add(&self, controller: &'static str) {
        self.queue.adds.get_or_create(&by_queue(controller)).inc();
    }

    /// An object is to be looked at again, later.
    pub fn count_retry(&self, controller: &'static str) {
        self.queue.retries.get_or_create(&by_queue(controller)).inc();
    }

    /// An object that a change had put into the queue waited that long.
    pub fn observe_wait(&self, controller: &'static str, waited: Duration) {
        self.queue.waited.get_or_create(&by_queue(controller)).observe(waited.as_secs_f64());
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

    /// A watch of that kind has brought something, or starts over.
    pub fn note_watch(&self, kind: &str, works: bool) {
        if works {
            let mut signs = self.watch_signs.lock().unwrap_or_else(PoisonError::into_inner);
            signs.insert(kind.to_owned(), Instant::now());
        } else {
            self.watch_failures.get_or_create(&ByKind { kind: kind.to_owned() }).inc();
        }
    }

    /// Who counts objects whenever the metrics are asked for.
    pub fn add_census(&self, census: impl Fn(&mut Population, Timestamp) + Send + Sync + 'static) {
        self.censuses.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(census));
    }

    fn count_population(&self) {
        let mut population = Population::default();
        let censuses = self.censuses.0.lock().unwrap_or_else(PoisonError::into_inner);
        censuses.iter().for_each(|census| census(&mut population, Timestamp::now()));
        if censuses.is_empty() {
            return;
        }
        self.population.tenants.clear();
        for (state, count) in &population.tenants {
            self.population.tenants.get_or_create(&ByState { state }).set(*count);
        }
        self.population.requests.clear();
        for (phase, count) in &population.requests {
            self.population.requests.get_or_create(&ByPhase { phase: phase.clone() }).set(*count);
        }
        self.population.oldest.set(population.oldest_seconds);
        self.population.overdue.set(population.overdue);
    }

    fn count_watches(&self) {
        let signs = self.watch_signs.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, sign) in signs.iter() {
            let age = i64::try_from(sign.elapsed().as_secs()).unwrap_or(i64::MAX);
            self.watch_age.get_or_create(&ByKind { kind: kind.clone() }).set(age);
        }
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
        self.set_queue_depth(controller, 0);
        drop(self.queue.adds.get_or_create(&by_queue(controller)));
        drop(self.queue.retries.get_or_create(&by_queue(controller)));
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

    /// Whether this replica works.
    pub fn set_leader(&self, leads: bool) {
        self.leader.get_or_create(&ByLease { name: crate::leader::LEASE }).set(leads.into());
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        self.count_population();
        self.count_watches();
        let mut text = String::new();
        match text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}

fn by_queue(controller: &'static str) -> ByQueue {
    ByQueue { name: controller, controller }
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

    #[test]
    fn names_are_those_of_controller_runtime() {
        let metrics = Metrics::default();
        metrics.set_leader(true);
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
        metrics.set_leader(true);
        metrics.end("c", Outcome::Success, Duration::ZERO);
        metrics.observe_wait("c", Duration::ZERO);
        metrics.count_call("h", "GET", "200");
        metrics.note_watch("Pod", true);
        metrics.note_watch("Pod", false);
        metrics.add_census(|population, _| {
            population.tenants.insert("ready", 1);
            population.requests.insert("Marked".into(), 1);
        });
        let text = metrics.render();
        let shown: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        let table = include_str!("../../docs/operator-metrics.md");
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
        metrics.note_watch("Pod", true);
        metrics.note_watch("Pod", false);
        let text = metrics.render();
        assert!(text.contains("voicemail_watch_age_seconds{kind=\"Pod\"} 0"), "{text}");
        assert!(text.contains("voicemail_watch_failures_total{kind=\"Pod\"} 1"), "{text}");
    }
}
