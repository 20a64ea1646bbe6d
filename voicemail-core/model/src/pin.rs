//! A mailbox's PIN: which ones may be set, and how failed attempts lock it. The digest itself is made elsewhere.
//!
//! An attempt is counted by a conditional write **before** the PIN is looked at, so that of many guesses at once only
//! as many as are allowed are looked at. The fourth failure locks for ten minutes, the next four for twenty, and so
//! on up to a day; a right PIN, or an administrator, ends that.

use super::{MailboxId, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// Attempts that are looked at before the PIN is locked.
const MOST_FAILURES: u32 = 4;
const FIRST_LOCK: Duration = Duration::from_secs(600);
const LONGEST_LOCK: Duration = Duration::from_secs(86_400);

/// The stored form of a PIN: a salted, keyed digest and how it was made, in hex.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PinDigest {
    /// Random, for this PIN alone.
    pub salt: String,
    /// Argon2id over the PIN, keyed by the tenant.
    pub digest: String,
    /// Memory that it took, in KiB.
    pub memory: u32,
    /// Passes over that memory.
    pub passes: u32,
}

/// A PIN and its failures, in a mailbox's settings.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The digest that an entered PIN is compared with.
    pub digest: PinDigest,
    /// Attempts since the last right one or lock.
    #[serde(default)]
    pub failures: u32,
    /// Nothing is looked at until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Time>,
    /// Locks since the last right attempt.
    #[serde(default)]
    pub locks: u32,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl std::fmt::Debug for Pin {
    /// A digest of a few digits gives them away to whoever has time.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pin {{ failures: {}, locks: {} }}", self.failures, self.locks)
    }
}

/// Whether an attempt may be looked at.
#[derive(Clone, PartialEq, Eq)]
pub enum PinAttempt {
    /// It was counted: compare with this.
    Counted(PinDigest),
    /// Too many failures.
    Locked {
        /// Until then.
        until: Time,
    },
}

impl Pin {
    /// A PIN that nobody has tried yet.
    pub fn new(digest: PinDigest) -> Self {
        Self { digest, failures: 0, locked_until: None, locks: 0, unknown: Map::new() }
    }

    /// Counts an attempt as failed until it is known to be right.
    pub fn count_attempt(&mut self, now: Time) -> PinAttempt {
        if let Some(until) = self.locked_until.filter(|until| *until > now) {
            return PinAttempt::Locked { until };
        }
        self.failures += 1;
        self.locked_until = None;
        if self.failures >= MOST_FAILURES {
            self.locked_until = Some(now.plus(self.next_lock()));
            (self.failures, self.locks) = (0, self.locks.saturating_add(1));
        }
        PinAttempt::Counted(self.digest.clone())
    }

    fn next_lock(&self) -> Duration {
        FIRST_LOCK.saturating_mul(1 << self.locks.min(16)).min(LONGEST_LOCK)
    }

    /// After a right attempt, or by an administrator.
    pub fn forgive(&mut self) {
        (self.failures, self.locked_until, self.locks) = (0, None, 0);
    }
}

/// Why a PIN can't be set; the words say what can.
pub fn check_new_pin(pin: &str, mailbox: &MailboxId) -> Result<(), &'static str> {
    let digits = pin.as_bytes();
    if !(6..=10).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err("pin: use 6 to 10 digits");
    }
    if pin.contains(mailbox.as_str()) || mailbox.as_str().contains(pin) {
        return Err("pin: don't use the mailbox's own number");
    }
    let step = |pair: &[u8]| (i16::from(pair[1]) - i16::from(pair[0])).rem_euclid(10);
    if digits.windows(2).all(|pair| step(pair) == step(digits)) {
        return Err("pin: don't use a sequence such as 123456 or one digit alone");
    }
    let repeats = |period: usize| digits.iter().zip(&digits[period..]).all(|(left, right)| left == right);
    if repeats(2) || repeats(3) {
        return Err("pin: don't repeat the same few digits");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin::new(PinDigest { salt: "00".into(), digest: "11".into(), memory: 8, passes: 1 })
    }

    #[test]
    fn pins_that_others_would_guess_are_refused() {
        let mailbox: MailboxId = "1001".parse().unwrap();
        for bad in [
            "",
            "12345",
            "12345678901",
            "12a456",
            "123456",
            "987654",
            "890123",
            "210987",
            "111111",
            "135791",
            "121212",
            "123123",
            "100177",
            "951001",
        ] {
            assert!(check_new_pin(bad, &mailbox).is_err(), "{bad}");
        }
        for good in ["739154", "204806", "9163528840"] {
            assert_eq!(check_new_pin(good, &mailbox), Ok(()), "{good}");
        }
    }

    #[test]
    fn the_fourth_failure_locks_and_each_lock_is_longer_up_to_a_day() {
        let (mut pin, mut now) = (pin(), Time(1_000));
        for minutes in [10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440] {
            for _ in 0..4 {
                assert!(matches!(pin.count_attempt(now), PinAttempt::Counted(_)));
            }
            let PinAttempt::Locked { until } = pin.count_attempt(now) else { panic!("not locked") };
            assert_eq!(until.since(now), Duration::from_secs(minutes * 60));
            now = until;
        }
    }

    #[test]
    fn a_right_attempt_ends_counting() {
        let mut pin = pin();
        for _ in 0..4 {
            pin.count_attempt(Time(0));
        }
        pin.forgive();
        assert!(matches!(pin.count_attempt(Time(0)), PinAttempt::Counted(_)));
        assert_eq!((pin.failures, pin.locks), (1, 0));
    }
}
