//! The time that a store's answers usually take: what is known of its last answers, by kind of call and size.
//!
//! Flow: each answer's time is counted in a bucket, a quarter wider than the one before. Two generations of counts are
//! kept, so that what was long ago is forgotten; memory is the same however many calls there were.
//!
//! What can go wrong: a store that answers slower than it used to for good. Its answers fill the counts, and what is usual
//! follows after a tenth of them.

use std::time::Duration;

/// Answers of a generation.
const GENERATION: u32 = 256;
/// Nothing is usual before so many answers.
const LEAST: u32 = 50;
/// The last bucket ends above 30 s, where every call has ended.
const BUCKETS: usize = 48;
const FIRST: Duration = Duration::from_millis(1);
const WIDER: f64 = 1.25;
/// Nine of ten answers come within the usual time.
const TENTHS: u32 = 9;

type Counts = [u32; BUCKETS];

/// Times of the last answers to one kind of call.
pub(super) struct Usual {
    now: Counts,
    before: Counts,
}

impl Default for Usual {
    fn default() -> Self {
        Self { now: [0; BUCKETS], before: [0; BUCKETS] }
    }
}

impl Usual {
    /// Counts an answer that took so long.
    pub(super) fn note(&mut self, took: Duration) {
        if self.now.iter().sum::<u32>() >= GENERATION {
            self.before = std::mem::replace(&mut self.now, [0; BUCKETS]);
        }
        let bucket = (0..BUCKETS).find(|bucket| took <= end_of(*bucket)).unwrap_or(BUCKETS - 1);
        self.now[bucket] += 1;
    }

    /// The time within which nine of ten answers came, to a quarter; none before there were enough.
    pub(super) fn percentile(&self) -> Option<Duration> {
        let both = || self.now.iter().zip(&self.before).map(|(now, before)| now + before);
        let all: u32 = both().sum();
        if all < LEAST {
            return None;
        }
        let mut counted = 0;
        let reached = both().position(|count| {
            counted += count;
            counted * 10 >= all * TENTHS
        });
        reached.map(end_of)
    }
}

fn end_of(bucket: usize) -> Duration {
    FIRST.mul_f64(WIDER.powi(i32::try_from(bucket).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(times: impl IntoIterator<Item = u64>) -> Usual {
        let mut usual = Usual::default();
        times.into_iter().for_each(|millis| usual.note(Duration::from_millis(millis)));
        usual
    }

    #[test]
    fn nothing_is_usual_before_there_were_enough_answers() {
        assert_eq!(of(vec![30; 49]).percentile(), None);
        assert!(of(vec![30; 50]).percentile().is_some());
    }

    #[test]
    fn one_slow_answer_moves_nothing() {
        let usual = of(vec![30; 300]).percentile();
        assert_eq!(of([vec![30; 300], vec![5_000]].concat()).percentile(), usual);
        assert_eq!(of([vec![5_000], vec![30; 49]].concat()).percentile(), usual);
    }

    #[test]
    fn a_store_that_becomes_slow_for_good_is_learnt_within_a_generation() {
        let usual = of([vec![30; 600], vec![3_000; 60]].concat()).percentile().unwrap();
        assert!(usual >= Duration::from_secs(3), "{usual:?}");
        let again = of([vec![3_000; 600], vec![30; 512]].concat()).percentile().unwrap();
        assert!(again < Duration::from_millis(40), "{again:?}");
    }

    proptest! {
        #[test]
        fn it_is_the_ninth_tenth_of_the_answers_to_a_quarter(times in prop::collection::vec(1_u64..20_000, 50..256)) {
            let usual = of(times.clone()).percentile().unwrap();
            let mut sorted = times;
            sorted.sort_unstable();
            let exact = Duration::from_millis(sorted[(sorted.len() * 9).div_ceil(10) - 1]);
            prop_assert!(usual >= exact && usual <= exact.mul_f64(WIDER + 0.001), "{:?} for {:?}", usual, exact);
        }
    }
}
