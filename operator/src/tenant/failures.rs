//! Which failures of reconciles are told in a tenant's status.
//!
//! What the API server has decided is told at once: a right that is lacking, a quota, an admission webhook. No answer, or
//! one about itself, is told when it comes a second time in a row: else each restart of the API server would make every
//! tenant unready for a second. A conflict is no failure.

use crate::calls::{Class, Classified};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Reasons that an API server which is being restarted gives rise to.
const PASSING: [&str; 2] = ["ApiServerUnreachable", "ApiServerError"];

/// How often each tenant has failed in a row, by UID.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    /// Whether a failure is to be told; it counts.
    pub fn is_to_tell(&self, uid: &str, error: &dyn Classified) -> bool {
        if error.class() == Class::Conflict {
            return false;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(uid.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count > 1 || !PASSING.contains(&error.reason())
    }

    /// The tenant's reconcile succeeded, or the tenant is gone.
    pub fn settle(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{CallError, refused};

    #[test]
    fn a_refusal_is_told_at_once_and_a_silent_api_server_the_second_time() {
        let failures = Failures::default();
        assert!(failures.is_to_tell("a", &refused("Forbidden", 403)));
        let silent = CallError::Deadline { what: "read" };
        assert!(!failures.is_to_tell("b", &silent));
        assert!(failures.is_to_tell("b", &silent));
        failures.settle("b");
        assert!(!failures.is_to_tell("b", &refused("InternalError", 500)));
        assert!(!failures.is_to_tell("c", &refused("Conflict", 409)));
    }
}
