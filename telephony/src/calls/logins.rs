//! Failed logins by who calls: a stranger that guesses PINs is kept out for an hour, before they lock many mailboxes.
//!
//! In memory alone, and no number is told: callers without a number share their trunk's budget, which is larger.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3_600);
/// Failures an hour of a caller.
const CALLER: usize = 10;
/// Failures an hour of all callers of a trunk who withhold their number.
const TRUNK: usize = 50;
/// Callers that are remembered.
const REMEMBERED: usize = 10_000;

/// The failures of the last hour.
#[derive(Default)]
pub struct Logins(Mutex<HashMap<String, Vec<Instant>>>);

/// Whose failures are counted together.
pub(super) struct Source {
    key: String,
    most: usize,
}

impl Source {
    pub(super) fn of(trunk: &str, caller: Option<&str>) -> Self {
        match caller {
            Some(caller) => Self { key: format!("{trunk} {caller}"), most: CALLER },
            None => Self { key: trunk.to_owned(), most: TRUNK },
        }
    }
}

impl Logins {
    /// Whether they may try.
    pub(super) fn may_try(&self, source: &Source, now: Instant) -> bool {
        let mut known = self.0.lock();
        let Some(failures) = known.get_mut(&source.key) else { return true };
        failures.retain(|at| now.duration_since(*at) < HOUR);
        failures.len() < source.most
    }

    /// They failed.
    pub(super) fn note_failure(&self, source: &Source, now: Instant) {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.retain(|_, failures| failures.last().is_some_and(|at| now.duration_since(*at) < HOUR));
        }
        let failures = known.entry(source.key.clone()).or_default();
        if failures.len() < source.most {
            failures.push(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_keep_a_caller_out_for_an_hour_and_nobody_else() {
        let (logins, now) = (Logins::default(), Instant::now());
        let (guesser, other) = (Source::of("pbx", Some("1")), Source::of("pbx", Some("2")));
        for _ in 0..CALLER {
            assert!(logins.may_try(&guesser, now));
            logins.note_failure(&guesser, now);
        }
        assert!(!logins.may_try(&guesser, now) && logins.may_try(&other, now));
        assert!(logins.may_try(&Source::of("pbx", None), now));
        assert!(logins.may_try(&guesser, now + HOUR));
    }
}
