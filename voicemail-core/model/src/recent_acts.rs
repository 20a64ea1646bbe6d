//! Acts that were recorded within the last minutes, so that the pieces of one aren't recorded each. Pure, apart from a
//! lock; what is forgotten is recorded again.

use crate::{AuditAction, AuditSubject};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const MOST: usize = 10_000;

/// Who did it, what, and to what.
type Act = (String, AuditAction, AuditSubject);

/// Acts and when they were recorded.
#[derive(Default)]
pub struct RecentActs(Mutex<HashMap<Act, Duration>>);

impl RecentActs {
    /// Whether the act was recorded within that time.
    pub fn holds(&self, act: &Act, now: Duration, within: Duration) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(act).is_some_and(|at| now.saturating_sub(*at) < within)
    }

    /// It was recorded now.
    pub fn note(&self, act: Act, now: Duration, within: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, at| now.saturating_sub(*at) < within);
        }
        if known.len() < MOST {
            known.insert(act, now);
        }
    }
}
