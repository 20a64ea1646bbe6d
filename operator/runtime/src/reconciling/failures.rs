//! Which failures of reconciles are told in an object's status.
//!
//! A decision of the API server is reported at once: a right that is lacking, a quota, an admission webhook. No answer,
//! or an error of the API server itself, is reported when it comes a second time in a row: else each restart of the API
//! server would make every object unready for a second. A conflict is no failure.

use crate::calls::{Classified, ErrorClass};

/// Reasons that an API server which is being restarted gives rise to.
const PASSING: [&str; 2] = ["ApiServerUnreachable", "ApiServerError"];

/// How often an object has failed in a row.
#[derive(Debug, Default)]
pub struct FailureCount(u32);

impl FailureCount {
    /// Whether a failure is to be told; it counts.
    pub fn is_to_tell(&mut self, error: &dyn Classified) -> bool {
        if error.class() == ErrorClass::Conflict {
            return false;
        }
        self.0 = self.0.saturating_add(1);
        self.0 > 1 || !PASSING.contains(&error.reason())
    }

    /// The object's reconcile succeeded.
    pub fn settle(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::CallError;

    fn refused(reason: &str, code: u16) -> CallError {
        let status = kube::core::Status::failure("no", reason).with_code(code).boxed();
        CallError::Refused { what: "write", source: Box::new(kube::Error::Api(status)) }
    }

    #[test]
    fn a_refusal_is_told_at_once_and_a_silent_api_server_the_second_time() {
        assert!(FailureCount::default().is_to_tell(&refused("Forbidden", 403)));
        let (mut failures, silent) = (FailureCount::default(), CallError::Deadline { what: "read" });
        assert!(!failures.is_to_tell(&silent));
        assert!(failures.is_to_tell(&silent));
        failures.settle();
        assert!(!failures.is_to_tell(&refused("InternalError", 500)));
        assert!(!FailureCount::default().is_to_tell(&refused("Conflict", 409)));
    }
}
