//! How many calls a trunk may have: at once, of one caller, and how many may begin within a second.
//!
//! Callers are known by a hash with a key of the process: their numbers don't lie about in memory.

use crate::config::{Config, Trunk};
use crate::transport::{Bucket, Rate, Share, Shares};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of all trunks.
pub(super) struct Places {
    trunks: HashMap<String, OfTrunk>,
    callers: RandomState,
    begun: Instant,
}

struct OfTrunk {
    calls: Arc<Semaphore>,
    began: Option<(Rate, Mutex<Bucket>)>,
    callers: Shares<u64>,
}

/// A call's place, given back when it is dropped.
pub(super) struct Place {
    _call: OwnedSemaphorePermit,
    _caller: Option<Share<u64>>,
}

impl Places {
    pub(super) fn new(config: &Config) -> Self {
        let of = |trunk: &Trunk| {
            let began = trunk.limits.calls_per_second.map(|calls| {
                let rate = Rate { each_second: f64::from(calls), at_once: f64::from(calls) };
                (rate, Mutex::new(Bucket::full(rate, Duration::ZERO)))
            });
            let calls = Arc::new(Semaphore::new(trunk.limits.calls));
            (trunk.name.clone(), OfTrunk { calls, began, callers: Shares::default() })
        };
        Self {
            trunks: config.trunks.iter().map(of).collect(),
            callers: RandomState::new(),
            begun: Instant::now(),
        }
    }

    /// A place for one more call; none when the trunk, or this caller, has as many as may be.
    pub(super) fn take(&self, trunk: &Trunk, caller: Option<&str>) -> Option<Place> {
        let places = self.trunks.get(&trunk.name)?;
        let call = Arc::clone(&places.calls).try_acquire_owned().ok()?;
        let caller = match (trunk.limits.calls_per_caller, caller) {
            (Some(most), Some(caller)) => {
                Some(places.callers.take(self.callers.hash_one(caller), most, usize::MAX)?)
            }
            _ => None,
        };
        // Last: a call that isn't taken for another reason doesn't count as one that began.
        let soon = places
            .began
            .as_ref()
            .is_some_and(|(rate, bucket)| !bucket.lock().take(*rate, self.begun.elapsed()));
        (!soon).then_some(Place { _call: call, _caller: caller })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(limits: &str) -> Config {
        Config::parse(&format!(
            "{{listen: {{sip: '127.0.0.1:5060', metrics: '127.0.0.1:9090'}}, advertised: 127.0.0.1, \
             core: {{url: 'https://core/api/v1', tokenFile: /t}}, spool: {{folder: /s, keyFile: /k}}, \
             trunks: [{{name: pbx, addresses: [127.0.0.0/8], limits: {limits}}}]}}"
        ))
        .unwrap()
    }

    #[test]
    fn a_caller_has_a_share_and_gives_it_back() {
        let config = config("{calls: 4, callsPerCaller: 2}");
        let (places, trunk) = (Places::new(&config), &config.trunks[0]);
        let mut own: Vec<Place> = (0..9).filter_map(|_| places.take(trunk, Some("+44"))).collect();
        assert_eq!(own.len(), 2);
        let other = places.take(trunk, Some("+45"));
        assert!(other.is_some());
        own.pop();
        assert!(places.take(trunk, Some("+44")).is_some());
        // Who withholds their number is many people.
        let withheld: Vec<Place> = (0..9).filter_map(|_| places.take(trunk, None)).collect();
        assert_eq!(withheld.len(), 2);
        drop((own, other, withheld));
        assert!(places.trunks["pbx"].callers.is_empty());
    }

    #[test]
    fn no_more_calls_begin_within_a_second_than_may() {
        let config = config("{calls: 100, callsPerSecond: 3}");
        let (places, trunk) = (Places::new(&config), &config.trunks[0]);
        assert_eq!((0..50).filter_map(|_| places.take(trunk, None)).count(), 3);
    }
}
