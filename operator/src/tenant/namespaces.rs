//! StandingNamespaces that were seen not to be ending: remembered for a moment, so that a thousand tenants of one namespace
//! don't ask for it a thousand times.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it holds.
const REMEMBERED: Duration = Duration::from_secs(5);

/// When each namespace was last seen to stand.
#[derive(Debug, Default)]
pub struct StandingNamespaces(Mutex<HashMap<String, Instant>>);

impl StandingNamespaces {
    /// Whether it stood a moment ago.
    pub fn stood_lately(&self, name: &str, now: Instant) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(name).is_some_and(|at| now.duration_since(*at) < REMEMBERED)
    }

    /// It stands.
    pub fn note(&self, name: &str, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        seen.insert(name.to_owned(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_asked_for_again_after_a_moment() {
        let (namespaces, now) = (StandingNamespaces::default(), Instant::now());
        assert!(!namespaces.stood_lately("voice", now));
        namespaces.note("voice", now);
        assert!(namespaces.stood_lately("voice", now) && !namespaces.stood_lately("other", now));
        assert!(!namespaces.stood_lately("voice", now + REMEMBERED));
    }
}
