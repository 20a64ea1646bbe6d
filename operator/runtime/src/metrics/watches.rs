//! Whether the watches live: since when each kind's has brought nothing, and how often one started over.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    kind: String,
}

/// Counters of the watches.
#[derive(Debug, Default)]
pub struct WatchMetrics {
    age: Family<ByKind, Gauge>,
    failures: Family<ByKind, Counter>,
    signs: Mutex<BTreeMap<String, Instant>>,
}

impl WatchMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let age = "Since a watch has last brought a change";
        registry.register("watch_age_seconds", age, self.age.clone());
        registry.register("watch_failures", "Watches that started over", self.failures.clone());
    }

    /// A watch of that kind has brought something, or starts over.
    pub fn note(&self, kind: &str, works: bool) {
        if works {
            let mut signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
            signs.insert(kind.to_owned(), Instant::now());
        } else {
            self.failures.get_or_create(&ByKind { kind: kind.to_owned() }).inc();
        }
    }

    /// For a scrape.
    pub(super) fn measure(&self) {
        let signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, sign) in signs.iter() {
            let age = i64::try_from(sign.elapsed().as_secs()).unwrap_or(i64::MAX);
            self.age.get_or_create(&ByKind { kind: kind.clone() }).set(age);
        }
    }
}
