//! Kinds that this cluster doesn't know, such as PodMonitor, or doesn't let the operator read, such as PersistentVolume:
//! remembered for a while, so that not every reconcile asks for them again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a missing kind isn't asked for again.
const MISSING: Duration = Duration::from_secs(300);
/// How long a kind isn't asked for again that the operator has no right to: rights change seldom, and each refusal is a
/// line in the cluster's audit log.
const FORBIDDEN: Duration = Duration::from_secs(12 * 3600);

/// Kinds that aren't asked for, and until when.
#[derive(Debug, Default)]
pub struct MissingKinds(Mutex<HashMap<String, Instant>>);

impl MissingKinds {
    /// Whether the cluster didn't know the kind, or refused to show it, a short while ago.
    pub fn is_missing(&self, kind: &str, now: Instant) -> bool {
        let missing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        missing.get(kind).is_some_and(|until| now < *until)
    }

    /// The cluster doesn't know the kind.
    pub fn note(&self, kind: &str, now: Instant) {
        self.leave_until(kind, now + MISSING);
    }

    /// The operator may not read the kind.
    pub fn note_forbidden(&self, kind: &str, now: Instant) {
        self.leave_until(kind, now + FORBIDDEN);
    }

    fn leave_until(&self, kind: &str, until: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(kind.to_owned(), until);
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
        assert!(!kinds.is_missing("PodMonitor", now + MISSING));
        kinds.note_forbidden("PersistentVolume", now);
        assert!(kinds.is_missing("PersistentVolume", now + MISSING));
        assert!(!kinds.is_missing("PersistentVolume", now + FORBIDDEN));
    }
}
