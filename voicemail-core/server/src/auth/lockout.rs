//! Wrong passwords slow down who sends them: after ten for one name from one address each further one doubles the
//! wait, from a second to a quarter of an hour. Pure, apart from a lock; times are monotonic.
//!
//! An attempt is counted before its password is looked at, so that many at once get no more looks. Counts are
//! this replica's own. They are kept by name and address, so that nobody locks out somebody elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FREE: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// Attempts older than this are forgotten.
const MEMORY: Duration = Duration::from_secs(1_800);
const MOST: usize = 20_000;

/// A name, as a digest, and where the attempts come from.
pub(super) type Source = ([u8; 32], Option<IpAddr>);

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(beyond) => FIRST_WAIT.saturating_mul(1 << beyond.min(10)).min(LONGEST_WAIT),
        }
    }
}

/// Attempts that weren't right, by source.
#[derive(Default)]
pub(super) struct Lockout(Mutex<HashMap<Source, Failures>>);

impl Lockout {
    /// Counts an attempt.
    ///
    /// # Errors
    /// How long to wait before the next one is looked at.
    pub(super) fn begin(&self, source: Source, now: Duration) -> Result<(), Duration> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, failures| now.saturating_sub(failures.last) < MEMORY);
        }
        if known.len() >= MOST {
            known.clear();
        }
        let failures = known.entry(source).or_insert(Failures { count: 0, last: now });
        if now.saturating_sub(failures.last) >= MEMORY {
            failures.count = 0;
        }
        let passed = now.saturating_sub(failures.last);
        match failures.wait().checked_sub(passed).filter(|left| !left.is_zero()) {
            Some(left) => Err(left),
            None => {
                *failures = Failures { count: failures.count.saturating_add(1), last: now };
                Ok(())
            }
        }
    }

    /// The attempt was right: what came before is forgotten.
    pub(super) fn forgive(&self, source: &Source) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(100_000 + seconds)
    }

    #[test]
    fn ten_wrong_passwords_are_free_and_each_further_one_doubles_the_wait() {
        let (lockout, source) = (Lockout::default(), ([1; 32], None));
        for _ in 0..FREE {
            assert_eq!(lockout.begin(source, at(0)), Ok(()));
        }
        assert_eq!(lockout.begin(source, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(lockout.begin(source, at(1)), Ok(()));
        assert_eq!(lockout.begin(source, at(2)), Err(Duration::from_secs(1)));
        let mut now = 3;
        for _ in 0..20 {
            lockout.begin(source, at(now)).unwrap();
            now += 900;
        }
        assert_eq!(lockout.begin(source, at(now - 899)), Err(Duration::from_secs(899)));
    }

    #[test]
    fn another_address_another_name_a_right_one_and_half_an_hour_start_anew() {
        let lockout = Lockout::default();
        let (here, there) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        for _ in 0..FREE {
            lockout.begin(([1; 32], here), at(0)).unwrap();
        }
        assert!(lockout.begin(([1; 32], here), at(0)).is_err());
        assert_eq!(lockout.begin(([1; 32], there), at(0)), Ok(()));
        assert_eq!(lockout.begin(([2; 32], here), at(0)), Ok(()));
        lockout.forgive(&([1; 32], here));
        assert_eq!(lockout.begin(([1; 32], here), at(0)), Ok(()));
        for _ in 0..FREE {
            lockout.begin(([3; 32], here), at(0)).unwrap();
        }
        for _ in 0..FREE {
            assert_eq!(lockout.begin(([3; 32], here), at(1_800)), Ok(()));
        }
    }
}
