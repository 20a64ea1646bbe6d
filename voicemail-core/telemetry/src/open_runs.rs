//! Gauges of open data-subject requests, set when somebody asks for the metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use voicemail_api::gdpr::{Operation, RunState};

type Number = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

/// The measurements of open runs at this moment. Seconds count from now; ratios are of the time from receipt to
/// deadline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Open runs by phase.
    pub phases: BTreeMap<RunState, u64>,
    /// By operation: how long until the earliest deadline; negative once it has passed.
    pub to_deadline: BTreeMap<Operation, f64>,
    /// By operation: how much of the time until its deadline the latest run has used.
    pub deadline_used: BTreeMap<Operation, f64>,
    /// How long ago the oldest mark was set that is neither undone nor erased.
    pub oldest_mark: f64,
    /// Messages that are hidden and not yet erased.
    pub waiting: u64,
    /// Runs past their deadline.
    pub overdue: u64,
    /// How long ago the latest erasure should have begun that hasn't ended.
    pub late: f64,
    /// Requests of which nobody can say how they are: their documents can't be read.
    pub unreadable: u64,
}

/// The gauges.
#[derive(Default)]
pub(super) struct OpenRuns {
    phases: Family<PhaseLabels, Gauge>,
    to_deadline: Family<OperationLabels, Number>,
    deadline_used: Family<OperationLabels, Number>,
    oldest_mark: Number,
    waiting: Gauge,
    overdue: Gauge,
    late: Number,
}

impl OpenRuns {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("gdpr_runs", "Open data-subject requests by phase", self.phases.clone());
        let help = "Time until the earliest deadline of an open request; negative once it has passed";
        registry.register("gdpr_seconds_to_deadline", help, self.to_deadline.clone());
        let help = "Share of the time until its deadline that an open request has used, the most of all";
        registry.register("gdpr_deadline_used_ratio", help, self.deadline_used.clone());
        let help = "Age of the oldest mark that is neither undone nor erased";
        registry.register("gdpr_oldest_mark_seconds", help, self.oldest_mark.clone());
        let help = "Messages that are hidden and wait for their erasure";
        registry.register("gdpr_messages_waiting", help, self.waiting.clone());
        registry.register("gdpr_overdue_runs", "Open requests past their deadline", self.overdue.clone());
        let help = "How long ago an erasure should have begun that hasn't ended";
        registry.register("gdpr_erasure_late_seconds", help, self.late.clone());
    }

    pub(super) fn show(&self, measured: &Measured) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.phases.clear();
        for (state, count) in &measured.phases {
            self.phases.get_or_create(&PhaseLabels { phase: name(*state) }).set(whole(*count));
        }
        if measured.unreadable > 0 {
            self.phases.get_or_create(&PhaseLabels { phase: "unreadable" }).set(whole(measured.unreadable));
        }
        for (family, values) in
            [(&self.to_deadline, &measured.to_deadline), (&self.deadline_used, &measured.deadline_used)]
        {
            family.clear();
            for (operation, value) in values {
                family.get_or_create(&OperationLabels { operation: operation.segment() }).set(*value);
            }
        }
        self.oldest_mark.set(measured.oldest_mark);
        self.waiting.set(whole(measured.waiting));
        self.overdue.set(whole(measured.overdue));
        self.late.set(measured.late);
    }
}

fn name(state: RunState) -> &'static str {
    match state {
        RunState::Opening => "opening",
        RunState::AwaitingApproval => "awaitingApproval",
        RunState::Marking => "marking",
        RunState::Marked => "marked",
        RunState::Undoing => "undoing",
        RunState::Purging => "purging",
        RunState::PartiallyFailed => "partiallyFailed",
        RunState::Collecting => "collecting",
        // Unreachable: callers filter ended runs.
        _ => "ended",
    }
}
