//! How often something happened within the last minute, as a gauge that is right whenever it is read.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
/// A bucket a second, so that memory doesn't grow with calls.
const BUCKET: Duration = Duration::from_secs(1);

/// Happenings of the last minute.
#[derive(Debug, Default)]
pub(super) struct LastMinute(Mutex<VecDeque<(Instant, u32)>>);

impl LastMinute {
    pub(super) fn count(&self, now: Instant) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match buckets.back_mut() {
            Some((begun, count)) if now.saturating_duration_since(*begun) < BUCKET => *count += 1,
            _ => buckets.push_back((now, 1)),
        }
        drop_old(&mut buckets, now);
    }

    /// How often a second, on average.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop_old(&mut buckets, now);
        let count: u32 = buckets.iter().map(|(_, count)| count).sum();
        f64::from(count) / WINDOW.as_secs_f64()
    }
}

fn drop_old(buckets: &mut VecDeque<(Instant, u32)>, now: Instant) {
    while buckets.front().is_some_and(|(begun, _)| now.saturating_duration_since(*begun) >= WINDOW) {
        buckets.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_a_minute_ago_counts_no_more() {
        let (rate, start) = (LastMinute::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for seconds in [0, 0, 30, 59] {
            rate.count(at(seconds));
        }
        assert_eq!(rate.per_second(at(59)), 4.0 / 60.0);
        assert_eq!(rate.per_second(at(60)), 2.0 / 60.0);
        assert_eq!(rate.per_second(at(200)), 0.0);
        assert!(rate.0.lock().unwrap().is_empty());
    }
}
