//! Numbers of objects, counted anew for every scrape.

use crate::population::Population;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Mutex, PoisonError};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProblem {
    condition: &'static str,
    reason: String,
}

type Census = Box<dyn Fn(&mut Population, Timestamp) + Send + Sync>;

/// Sources of these numbers.
#[derive(Default)]
pub(super) struct PopulationMetrics {
    tenants: Family<ByState, Gauge>,
    requests: Family<ByPhase, Gauge>,
    problems: Family<ByProblem, Gauge>,
    oldest: Gauge,
    overdue: Gauge,
    unreadable: Family<ByKind, Gauge>,
    censuses: Mutex<Vec<Census>>,
}

impl fmt::Debug for PopulationMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PopulationMetrics")
    }
}

impl PopulationMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tenants", "Tenants by state", self.tenants.clone());
        let problems = "Tenants whose condition says a problem, by its reason";
        registry.register("tenant_problems", problems, self.problems.clone());
        let open = "GdprRequests that haven't ended, by phase";
        registry.register("gdpr_open_requests", open, self.requests.clone());
        let oldest = "Age of the oldest GdprRequest that hasn't ended";
        registry.register("gdpr_oldest_open_request_seconds", oldest, self.oldest.clone());
        let overdue = "GdprRequests that haven't ended by their deadline";
        registry.register("gdpr_overdue_requests", overdue, self.overdue.clone());
        let unreadable = "Objects that the operator can't read";
        registry.register("unreadable_objects", unreadable, self.unreadable.clone());
    }

    pub(super) fn add_census(&self, census: impl Fn(&mut Population, Timestamp) + Send + Sync + 'static) {
        self.censuses.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(census));
    }

    /// For a scrape. A replica that stands by knows of no object, and shows none.
    pub(super) fn count(&self, now: Timestamp) {
        let censuses = self.censuses.lock().unwrap_or_else(PoisonError::into_inner);
        if censuses.is_empty() {
            return;
        }
        let mut population = Population::default();
        censuses.iter().for_each(|census| census(&mut population, now));
        self.tenants.clear();
        for (state, count) in &population.tenants {
            self.tenants.get_or_create(&ByState { state }).set(*count);
        }
        self.problems.clear();
        for ((condition, reason), count) in &population.problems {
            let problem = ByProblem { condition, reason: reason.clone() };
            self.problems.get_or_create(&problem).set(*count);
        }
        self.requests.clear();
        for (phase, count) in &population.requests {
            self.requests.get_or_create(&ByPhase { phase: phase.clone() }).set(*count);
        }
        self.oldest.set(population.oldest_seconds);
        self.overdue.set(population.overdue);
        for kind in ["GdprRequest", "VoicemailTenant"] {
            let count = population.unreadable.get(kind).copied().unwrap_or_default();
            self.unreadable.get_or_create(&ByKind { kind }).set(count);
        }
    }
}
