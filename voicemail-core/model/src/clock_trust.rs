//! Whether a machine's clock can be trusted with steps that destroy data. Pure.
//!
//! On a local volume the store's clock is the same kernel's as ours: comparing the two says nothing, and a clock that is
//! forty days ahead would expire every message and end every undo window. So the wall clock is held against what
//! else is known: the monotonic clock since it was last trusted, and after a start the newest heartbeat in the tenant
//! document. A jump is doubted until another machine's clock agrees, or until nobody else could be asked for so long
//! that going on is the smaller harm; retention then goes on slowly for a day ([`Ration`]), so that somebody who reads
//! the log can still set the clock right.

use super::Time;
use std::time::Duration;

/// Difference that is none: the clock guard's.
const TOLERANCE: Duration = Duration::from_secs(5);
/// Clocks are slewed by less than a five-hundredth.
const SLEW: u32 = 500;
/// Longest time since the last heartbeat after which a start is nothing special: four were missed.
const LONGEST_GAP: Duration = Duration::from_secs(3_600);
/// How long a doubt lasts that nobody can answer.
pub const PATIENCE: Duration = Duration::from_secs(3_600);
/// How long retention is slowed after a doubt that nobody answered.
const RATIONED: Duration = Duration::from_secs(86_400);
/// Messages whose time is over by such a clock and that are destroyed in an hour.
const RATION: usize = 500;
const HOUR: Duration = Duration::from_secs(3_600);
/// How far another machine's clock may be from ours and still agree: a header has whole seconds, and takes its time.
const AGREEMENT: Duration = Duration::from_secs(30);

/// Evidence about the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockTrust {
    /// When it was last right, by both clocks.
    right: Option<(Time, Duration)>,
    doubt: Option<Doubt>,
}

/// A jump that nobody has confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// How far it is from what was expected.
    pub by: Duration,
    /// Since when, by the monotonic clock.
    pub since: Duration,
}

fn apart(one: Time, other: Time) -> Duration {
    one.since(other).max(other.since(one))
}

impl ClockTrust {
    /// After a start. `known` is the newest time that a core of the tenant wrote down.
    pub fn begin(known: Option<Time>, now: Time, monotonic: Duration) -> Self {
        match known {
            Some(known) if apart(now, known) > LONGEST_GAP => {
                let doubt = Doubt { by: apart(now, known), since: monotonic };
                Self { right: None, doubt: Some(doubt) }
            }
            _ => Self { right: Some((now, monotonic)), doubt: None },
        }
    }

    /// Whether a start at that time would be doubted.
    pub fn doubts_start(known: Option<Time>, now: Time) -> bool {
        Self::begin(known, now, Duration::ZERO).doubt.is_some()
    }

    /// The present doubt about the wall clock.
    pub fn judge(&mut self, now: Time, monotonic: Duration) -> Option<Doubt> {
        let Some((right, at)) = self.right else {
            if self.doubt.is_none() {
                self.confirm(now, monotonic);
            }
            return self.doubt;
        };
        let gone = monotonic.saturating_sub(at);
        let by = apart(now, right.plus(gone));
        if by <= TOLERANCE + gone / SLEW {
            self.confirm(now, monotonic);
        } else {
            let since = self.doubt.map_or(monotonic, |doubt| doubt.since);
            self.doubt = Some(Doubt { by, since });
        }
        self.doubt
    }

    /// Another machine agrees, or it is time to go on.
    pub fn confirm(&mut self, now: Time, monotonic: Duration) {
        *self = Self { right: Some((now, monotonic)), doubt: None };
    }
}

/// What retention may destroy after a doubt that nobody answered. Times are the monotonic clock's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ration {
    until: Duration,
    hour: Duration,
    left: usize,
}

impl Ration {
    /// From the end of the doubt.
    pub fn begin(now: Duration) -> Self {
        Self { until: now + RATIONED, hour: now, left: RATION }
    }

    /// Whether all may be destroyed again.
    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }

    /// How many of so many messages may be destroyed now.
    pub fn take(&mut self, wanted: usize, now: Duration) -> usize {
        if now.saturating_sub(self.hour) >= HOUR {
            (self.hour, self.left) = (now, RATION);
        }
        let granted = wanted.min(self.left);
        self.left -= granted;
        granted
    }
}

/// Whether another machine's clock says what ours does.
pub fn agrees(ours: Time, theirs: Time) -> bool {
    apart(ours, theirs) <= AGREEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const START: Time = Time(1_790_000_000_000);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_clock_that_goes_on_as_ever_is_trusted_and_may_be_slewed() {
        let mut trust = ClockTrust::begin(Some(START.minus(seconds(30))), START, seconds(0));
        for hour in 1..100 {
            let slewed = START.plus(seconds(hour * 3_600 + hour * 3));
            assert_eq!(trust.judge(slewed, seconds(hour * 3_600)), None, "hour {hour}");
        }
    }

    #[test]
    fn a_jump_either_way_is_doubted_until_somebody_agrees_or_it_is_taken_back() {
        for jumped in [START.plus(DAY * 40), START.minus(DAY)] {
            let mut trust = ClockTrust::begin(None, START, seconds(0));
            let doubt = trust.judge(jumped, seconds(10)).unwrap();
            assert!(doubt.by >= DAY - seconds(20) && doubt.since == seconds(10), "{doubt:?}");
            assert!(
                trust
                    .judge(jumped.plus(seconds(5)), seconds(15))
                    .is_some_and(|doubt| doubt.since == seconds(10))
            );
            let mut mended = trust;
            assert_eq!(mended.judge(START.plus(seconds(20)), seconds(20)), None, "it is right again");
            trust.confirm(jumped.plus(seconds(10)), seconds(20));
            assert_eq!(trust.judge(jumped.plus(seconds(20)), seconds(30)), None);
        }
    }

    #[test]
    fn a_start_long_after_or_before_the_last_heartbeat_is_doubted() {
        for now in [START.plus(DAY * 40), START.minus(DAY)] {
            let mut trust = ClockTrust::begin(Some(START), now, seconds(0));
            assert!(trust.judge(now, seconds(0)).is_some());
            trust.confirm(now, seconds(60));
            assert_eq!(trust.judge(now, seconds(60)), None);
        }
        assert_eq!(ClockTrust::begin(Some(START), START.plus(seconds(1_800)), seconds(0)).doubt, None);
        assert_eq!(ClockTrust::begin(None, START, seconds(0)).doubt, None, "a new store");
    }

    #[test]
    fn a_ration_is_for_an_hour_and_ends_after_a_day() {
        let mut ration = Ration::begin(seconds(10));
        assert_eq!((ration.take(300, seconds(20)), ration.take(300, seconds(30))), (300, RATION - 300));
        assert_eq!(ration.take(1, seconds(3_600)), 0);
        assert_eq!(ration.take(usize::MAX, seconds(3_610)), RATION);
        assert!(!ration.is_over(DAY) && ration.is_over(DAY + seconds(10)));
    }

    #[test]
    fn clocks_agree_within_half_a_minute() {
        assert!(agrees(START, START.plus(seconds(29))) && agrees(START, START.minus(seconds(29))));
        assert!(!agrees(START, START.plus(seconds(40))));
    }
}
