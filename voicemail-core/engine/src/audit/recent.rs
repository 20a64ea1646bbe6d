//! Acts that were recorded within the last minutes, so that the pieces of one aren't recorded each. Pure, apart from a
//! lock; what is forgotten is recorded again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use voicemail_model::{AuditAction, AuditSubject};

const MOST: usize = 10_000;

type Act = (String, AuditAction, AuditSubject);

/// Acts and when they were recorded.
#[derive(Default)]
pub(crate) struct Recent(Mutex<HashMap<Act, Duration>>);

impl Recent {
    /// Whether the act was recorded within that time.
    pub(super) fn holds(&self, act: &Act, now: Duration, within: Duration) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(act).is_some_and(|at| now.saturating_sub(*at) < within)
    }

    pub(super) fn note(&self, act: Act, now: Duration, within: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, at| now.saturating_sub(*at) < within);
        }
        if known.len() < MOST {
            known.insert(act, now);
        }
    }
}
