//! Metrics of the objects that wait to be reconciled, named like controller-runtime's `workqueue_…`.

use super::buckets;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// controller-runtime's queues carry their controller's name twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByQueue {
    name: &'static str,
    controller: &'static str,
}

type QueueHistogram = Family<ByQueue, Histogram, fn() -> Histogram>;

/// Metrics of waiting work.
#[derive(Debug)]
pub struct QueueMetrics {
    depth: Family<ByQueue, Gauge>,
    adds: Family<ByQueue, Counter>,
    retries: Family<ByQueue, Counter>,
    waited: QueueHistogram,
    worked: QueueHistogram,
}

impl Default for QueueMetrics {
    fn default() -> Self {
        Self {
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waited: Family::new_with_constructor(buckets),
            worked: Family::new_with_constructor(buckets),
        }
    }
}

impl QueueMetrics {
    pub(super) fn register(&self, queue: &mut Registry) {
        queue.register("depth", "Objects that a change has put into the queue", self.depth.clone());
        queue.register("adds", "Objects that came into the queue", self.adds.clone());
        let again = "Looks that were put off: after a failure, or until later";
        queue.register("retries", again, self.retries.clone());
        let waited = "From a change until its reconcile began";
        queue.register("queue_duration_seconds", waited, self.waited.clone());
        queue.register("work_duration_seconds", "Duration of reconciles", self.worked.clone());
    }

    /// Shows what hasn't happened yet as 0.
    pub(super) fn show(&self, controller: &'static str) {
        self.set_depth(controller, 0);
        drop(self.adds.get_or_create(&by_queue(controller)));
        drop(self.retries.get_or_create(&by_queue(controller)));
    }

    pub(super) fn observe_work(&self, controller: &'static str, took: Duration) {
        self.worked.get_or_create(&by_queue(controller)).observe(took.as_secs_f64());
    }

    /// Sets how many objects wait.
    pub fn set_depth(&self, controller: &'static str, depth: usize) {
        self.depth.get_or_create(&by_queue(controller)).set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// An object came into the queue.
    pub fn count_add(&self, controller: &'static str) {
        self.adds.get_or_create(&by_queue(controller)).inc();
    }

    /// An object is to be looked at again, later.
    pub fn count_retry(&self, controller: &'static str) {
        self.retries.get_or_create(&by_queue(controller)).inc();
    }

    /// An object that a change had put into the queue waited that long.
    pub fn observe_wait(&self, controller: &'static str, waited: Duration) {
        self.waited.get_or_create(&by_queue(controller)).observe(waited.as_secs_f64());
    }
}

fn by_queue(controller: &'static str) -> ByQueue {
    ByQueue { name: controller, controller }
}
