//! Objects that wait to be reconciled, for the metrics that controller-runtime calls `workqueue_…`.
//!
//! kube's queue can't be looked into. So whatever puts an object into it says so here ([`Queue::note`]), and so does the
//! reconcile that begins ([`Queue::take`]). Several changes of one object are one entry, as in the queue itself. A look
//! that an earlier reconcile has asked for comes without a note: it counts as an entry that didn't wait.

use crate::metrics::Metrics;
use crate::place::place;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The queue of one controller.
#[derive(Debug)]
pub struct Queue {
    controller: &'static str,
    metrics: Arc<Metrics>,
    waiting: Mutex<HashMap<String, Instant>>,
}

impl Queue {
    /// An empty one.
    pub fn new(controller: &'static str, metrics: Arc<Metrics>) -> Self {
        Self { controller, metrics, waiting: Mutex::default() }
    }

    /// A change has put the object into the queue.
    pub fn note(&self, namespace: Option<&str>, name: &str) {
        let mut waiting = self.lock();
        if let std::collections::hash_map::Entry::Vacant(entry) = waiting.entry(key(namespace, name)) {
            entry.insert(Instant::now());
            self.metrics.queue().count_add(self.controller);
        }
        self.metrics.queue().set_depth(self.controller, waiting.len());
    }

    /// The object's reconcile begins.
    pub fn take(&self, namespace: Option<&str>, name: &str) {
        let mut waiting = self.lock();
        match waiting.remove(&key(namespace, name)) {
            Some(since) => self.metrics.queue().observe_wait(self.controller, since.elapsed()),
            None => self.metrics.queue().count_add(self.controller),
        }
        self.metrics.queue().set_depth(self.controller, waiting.len());
    }

    /// The object is gone: nothing begins.
    pub fn forget(&self, namespace: Option<&str>, name: &str) {
        let mut waiting = self.lock();
        waiting.remove(&key(namespace, name));
        self.metrics.queue().set_depth(self.controller, waiting.len());
    }

    /// The object is to be looked at again later.
    pub fn put_off(&self) {
        self.metrics.queue().count_retry(self.controller);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: Option<&str>, name: &str) -> String {
    place(namespace.unwrap_or_default(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(metrics: &Metrics, line: &str) {
        let text = metrics.render();
        assert!(text.contains(line), "{line} in {text}");
    }

    #[test]
    fn changes_of_one_object_are_one_entry_until_its_reconcile_begins() {
        let metrics = Arc::new(Metrics::default());
        let queue = Queue::new("c", metrics.clone());
        queue.note(Some("a"), "x");
        queue.note(Some("a"), "x");
        queue.note(Some("b"), "x");
        shows(&metrics, "workqueue_depth{name=\"c\",controller=\"c\"} 2");
        shows(&metrics, "workqueue_adds_total{name=\"c\",controller=\"c\"} 2");
        queue.take(Some("a"), "x");
        queue.forget(Some("b"), "x");
        shows(&metrics, "workqueue_depth{name=\"c\",controller=\"c\"} 0");
        shows(&metrics, "workqueue_queue_duration_seconds_count{name=\"c\",controller=\"c\"} 1");
    }

    #[test]
    fn a_look_that_nobody_announced_counts_and_did_not_wait() {
        let metrics = Arc::new(Metrics::default());
        let queue = Queue::new("c", metrics.clone());
        queue.put_off();
        queue.take(None, "x");
        shows(&metrics, "workqueue_adds_total{name=\"c\",controller=\"c\"} 1");
        shows(&metrics, "workqueue_retries_total{name=\"c\",controller=\"c\"} 1");
        assert!(!metrics.render().contains("workqueue_queue_duration_seconds_count"));
    }
}
