//! How far a round of an erasure is, while its messages go side by side: counted in memory, and said in the run once in a while.
//! Pure, apart from locks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Regions that don't answer: how many messages wait there, and why.
type Blocked = BTreeMap<String, (u64, &'static str)>;

/// How often a round says how far it is, at most.
const SAY_EVERY: Duration = Duration::from_secs(3);

/// How far a round is, shared by all that it does at a time.
pub struct Advance {
    /// Regions that were found away.
    blocked: Mutex<Blocked>,
    /// Messages that are gone, by region, and when that was said last.
    gone: Mutex<(BTreeMap<String, u64>, Duration)>,
}

impl Advance {
    /// Nothing yet, of a round that begins now.
    pub fn new(now: Duration) -> Self {
        Self { blocked: Mutex::default(), gone: Mutex::new((BTreeMap::new(), now)) }
    }

    /// Regions that were found away: how many messages wait there, and why.
    pub fn into_blocked(self) -> Blocked {
        self.blocked.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the region is away; then one message more waits for it.
    pub fn counts_one_more(&self, region: &str) -> bool {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((waiting, _)) = blocked.get_mut(region) else { return false };
        *waiting += 1;
        true
    }

    /// The region was found away, and a message waits for it.
    pub fn note(&self, region: &str, reason: &'static str) {
        let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.entry(region.to_owned()).or_insert((0, reason)).0 += 1;
    }

    /// Counts a message that is gone. Once in a while: all that are, to be said.
    pub fn count(&self, region: &str, now: Duration) -> Option<BTreeMap<String, u64>> {
        let mut guard = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let (gone, said) = &mut *guard;
        *gone.entry(region.to_owned()).or_default() += 1;
        if now.saturating_sub(*said) < SAY_EVERY {
            return None;
        }
        *said = now;
        Some(gone.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_gone_are_said_every_few_seconds_and_regions_away_counted() {
        let advance = Advance::new(Duration::from_secs(10));
        assert_eq!(advance.count("r", Duration::from_secs(11)), None);
        let said = advance.count("s", Duration::from_secs(13));
        assert_eq!(said, Some(BTreeMap::from([("r".to_owned(), 1), ("s".to_owned(), 1)])));
        assert_eq!(advance.count("r", Duration::from_secs(14)), None, "it was said a second ago");
        assert!(!advance.counts_one_more("s"), "nobody has found it away");
        advance.note("s", "Unavailable");
        assert!(advance.counts_one_more("s"));
        assert_eq!(advance.into_blocked(), BTreeMap::from([("s".to_owned(), (2, "Unavailable"))]));
    }
}
