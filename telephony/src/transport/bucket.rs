//! Rates: a bucket that fills with time, and one for each source of datagrams. Pure: the caller tells the time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// What may be taken now, and when that was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    left: f64,
    looked: Duration,
}

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// A second.
    pub each_second: f64,
    /// At once.
    pub at_once: f64,
}

impl Bucket {
    /// A full one.
    pub const fn full(rate: Rate, now: Duration) -> Self {
        Self { left: rate.at_once, looked: now }
    }

    /// Takes one out, if there is one.
    pub fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let passed = now.saturating_sub(self.looked).as_secs_f64();
        self.left = passed.mul_add(rate.each_second, self.left).min(rate.at_once);
        self.looked = self.looked.max(now);
        let some = self.left >= 1.0;
        if some {
            self.left -= 1.0;
        }
        some
    }

    fn is_full(&self, rate: Rate, now: Duration) -> bool {
        let passed = now.saturating_sub(self.looked).as_secs_f64();
        passed.mul_add(rate.each_second, self.left) >= rate.at_once
    }
}

/// Sources that are remembered. Only trunks' are asked about, but a trunk may be a wide network.
const MOST: usize = 4_096;

/// A bucket for each source.
#[derive(Debug)]
pub(super) struct Sources {
    rate: Rate,
    known: HashMap<IpAddr, Bucket>,
}

impl Sources {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, known: HashMap::new() }
    }

    /// Whether a source may send one more. Those that can't be remembered share what is left to them: nothing.
    pub(super) fn take(&mut self, source: IpAddr, now: Duration) -> bool {
        let rate = self.rate;
        if self.known.len() >= MOST && !self.known.contains_key(&source) {
            self.known.retain(|_, bucket| !bucket.is_full(rate, now));
            if self.known.len() >= MOST {
                return false;
            }
        }
        self.known.entry(source).or_insert_with(|| Bucket::full(rate, now)).take(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { each_second: 10.0, at_once: 20.0 };

    fn source(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn a_burst_passes_then_the_rate_and_others_are_not_concerned() {
        let mut sources = Sources::new(RATE);
        let passed = |sources: &mut Sources, now: u64| {
            (0..100).filter(|_| sources.take(source(1), Duration::from_secs(now))).count()
        };
        assert_eq!(
            (passed(&mut sources, 0), passed(&mut sources, 1), passed(&mut sources, 60)),
            (20, 10, 20)
        );
        assert!(sources.take(source(2), Duration::from_secs(60)));
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let mut sources = Sources::new(RATE);
        let most = u32::try_from(MOST).unwrap();
        assert!((0..most).all(|number| sources.take(source(number), Duration::ZERO)));
        assert!(!sources.take(source(most), Duration::ZERO));
        assert!(sources.take(source(most), Duration::from_secs(1)));
        assert_eq!(sources.known.len(), 1);
    }

    #[test]
    fn a_clock_that_stands_still_gives_nothing() {
        let mut bucket = Bucket::full(RATE, Duration::from_secs(5));
        assert_eq!((0..50).filter(|_| bucket.take(RATE, Duration::from_secs(5))).count(), 20);
        // One that goes back and comes again neither.
        assert!(!bucket.take(RATE, Duration::from_secs(1)) && !bucket.take(RATE, Duration::from_secs(5)));
    }
}
