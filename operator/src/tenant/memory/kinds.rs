//! Kinds that only some clusters know, such as PodMonitor: remembered for a while when they are missing, so that
//! not every reconcile asks for them again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a missing kind isn't asked for again.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Kinds that were found missing, and when.
#[derive(Debug, Default)]
pub struct MissingKinds(Mutex<HashMap<String, Instant>>);

impl MissingKinds {
    /// Whether the cluster didn't know the kind a short while ago.
    pub fn is_missing(&self, kind: &str, now: Instant) -> bool {
        let missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.get(kind).is_some_and(|since| now.duration_since(*since) < REMEMBERED)
    }

    /// The cluster doesn't know the kind.
    pub fn note(&self, kind: &str, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(kind.to_owned(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_kind_is_asked_for_again_after_a_while() {
        let (kinds, now) = (MissingKinds::default(), Instant::now());
        assert!(!kinds.is_missing("PodMonitor", now));
        kinds.note("PodMonitor", now);
        assert!(kinds.is_missing("PodMonitor", now) && !kinds.is_missing("Other", now));
        assert!(!kinds.is_missing("PodMonitor", now + REMEMBERED));
    }
}
