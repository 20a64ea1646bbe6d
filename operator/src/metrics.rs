//! The operator's metrics, under the names of controller-runtime, for which dashboards exist.
//!
//! Labelled by controller and kind of outcome only: never by object, tenant or text of an error.

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

    /// How many reconciles are allowed at a time.
    pub fn set_concurrency(&self, controller: &'static str, concurrency: u16) {
        self.concurrency.get_or_create(&ByController { controller }).set(concurrency.into());
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
}
