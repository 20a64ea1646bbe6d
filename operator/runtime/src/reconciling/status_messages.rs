//! How often a status may be written only because a message reads otherwise: a few times at once, then one in ten
//! seconds.
//!
//! A message that reads otherwise at every look, such as a driver's error with an address or a temporary name in it,
//! would be written as fast as the API server takes it. So would the number of replicas that serve while a tenant starts:
//! right after another write it waits too. What changes a condition's status or reason, or any other field, is always
//! written at once.

use std::time::{Duration, Instant};

const AT_ONCE: u32 = 3;
const REFILL: Duration = Duration::from_secs(10);

/// The remaining writes of an object, and since when they are counted.
#[derive(Debug, Default)]
pub struct StatusMessageLimiter(Option<(u32, Instant)>);

impl StatusMessageLimiter {
    /// Whether a message alone may be written now; if so, it counts.
    pub fn may_change(&mut self, now: Instant) -> bool {
        let (left, since) = self.0.get_or_insert((AT_ONCE, now));
        if now.duration_since(*since) >= REFILL {
            (*left, *since) = ((*left + 1).min(AT_ONCE), now);
        }
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }

    /// The status was written for more than words.
    pub fn note_write(&mut self, now: Instant) {
        self.0 = Some((0, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_never_reads_the_same_is_written_a_few_times_and_then_seldom() {
        let (mut limiter, now) = (StatusMessageLimiter::default(), Instant::now());
        let written = (0..600u64).filter(|n| limiter.may_change(now + Duration::from_millis(100 * n)));
        assert_eq!(written.count(), 3 + 5, "in a minute");
        limiter.note_write(now);
        assert!(!limiter.may_change(now), "right after another write");
        assert!(limiter.may_change(now + REFILL));
    }
}
