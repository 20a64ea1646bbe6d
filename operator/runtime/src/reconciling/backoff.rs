//! Waiting times of objects that fail: doubling from one second to five minutes, each object by itself.

use super::jittered;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);

/// How often each object has failed in a row, by its place; with its UID, so that a recreated object begins anew.
#[derive(Debug, Default)]
pub struct Backoffs(Mutex<HashMap<String, (String, u32)>>);

impl Backoffs {
    /// Counts one more failure of the object in that place and says how long to wait.
    pub fn next(&self, place: &str, uid: &str) -> Duration {
        let mut failures = self.lock();
        let entry = failures.entry(place.to_owned()).or_default();
        if entry.0 != uid {
            *entry = (uid.to_owned(), 0);
        }
        entry.1 = entry.1.saturating_add(1);
        jittered(delay(entry.1))
    }

    /// The object succeeded, or there is none any more; says how many others still fail.
    pub fn forget(&self, place: &str) -> usize {
        let mut failures = self.lock();
        failures.remove(place);
        failures.len()
    }

    /// How many objects failed at last.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (String, u32)>> {
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
            backoffs.next("n/a", "1");
        }
        assert!(backoffs.next("n/b", "2") < Duration::from_secs(2));
        assert_eq!(backoffs.count(), 2);
        assert_eq!(backoffs.forget("n/a"), 1);
        assert!(backoffs.next("n/a", "1") < Duration::from_secs(2));
    }

    #[test]
    fn an_object_that_took_a_name_is_not_blamed_for_the_one_before_it_and_counts_once() {
        let backoffs = Backoffs::default();
        for _ in 0..8 {
            backoffs.next("n/a", "1");
        }
        assert!(backoffs.next("n/a", "2") < Duration::from_secs(2));
        assert_eq!(backoffs.count(), 1, "the gauge would fire for an object that is gone");
        assert_eq!(backoffs.forget("n/a"), 0);
    }
}
