//! Waiting times of objects that fail: doubling from one second to five minutes, each object by itself.

use super::jittered;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// How often each object has failed in a row, by UID, so that a recreated object begins anew.
#[derive(Debug, Default)]
pub struct Backoffs(Mutex<HashMap<String, u32>>);

impl Backoffs {
    /// Counts one more failure and says how long to wait.
    pub fn next(&self, key: &str) -> Duration {
        let mut failures = self.lock();
        let count = failures.entry(key.to_owned()).or_default();
        *count = count.saturating_add(1);
        jittered(delay(*count))
    }

    /// The object succeeded; says how many others still fail.
    pub fn forget(&self, key: &str) -> usize {
        let mut failures = self.lock();
        failures.remove(key);
        failures.len()
    }

    /// How many objects failed at last.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST.saturating_mul(1 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_five_minutes() {
        assert_eq!([1, 2, 3].map(delay), [1, 2, 4].map(Duration::from_secs));
        assert_eq!(delay(40), LONGEST);
    }

    #[test]
    fn success_starts_anew_and_objects_are_apart() {
        let backoffs = Backoffs::default();
        for _ in 0..8 {
            backoffs.next("a");
        }
        assert!(backoffs.next("b") < Duration::from_secs(2));
        assert_eq!(backoffs.count(), 2);
        assert_eq!(backoffs.forget("a"), 1);
        assert!(backoffs.next("a") < Duration::from_secs(2));
    }
}
