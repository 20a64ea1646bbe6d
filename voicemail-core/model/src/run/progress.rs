//! How far a run is: by region, and what keeps copies of what it erased.

use crate::Time;
use crate::fault_injection::{self, Broken};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use voicemail_api::gdpr::{ResidualCopy, RunState};

/// How far a run is in one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RegionProgress {
    /// Messages found whose audio is there.
    pub matched: u64,
    /// Of these, erased.
    pub erased: u64,
    /// Erased in the round under way; they count for good once it ends.
    #[serde(skip_serializing_if = "crate::is_zero")]
    pub gone: u64,
    /// Messages that wait there because it was away when it was last tried.
    pub waiting: u64,
    /// How many times it was tried in vain.
    pub attempts: u32,
    /// When the last of its messages went.
    pub erased_at: Option<Time>,
    /// Stable name of what was wrong.
    pub last_error: Option<String>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Something that keeps copies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CopyKeeper {
    /// In which region's store.
    pub region: String,
    /// As the API names it.
    pub kind: String,
    /// For how many days, if that is known.
    pub days: Option<u32>,
    /// How many copies, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<u64>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl CopyKeeper {
    /// A setting of a region's store, or the tenant's backups.
    pub fn new(region: &str, kind: &str, days: Option<u32>) -> Self {
        Self { region: region.into(), kind: kind.into(), days, copies: None, unknown: Map::new() }
    }

    /// As the API shows it.
    pub fn view(&self) -> ResidualCopy {
        ResidualCopy {
            region: self.region.clone(),
            kind: self.kind.clone(),
            days: self.days,
            copies: self.copies,
        }
    }
}

/// Copies of erased data that may still exist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Residual {
    /// Their keepers.
    pub copies: Vec<CopyKeeper>,
    /// When the last is gone; none if nobody knows.
    pub clear_after: Option<Time>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Residual {
    /// What these keepers may hold from now on, beside backups that are kept for so long: clear once the last copy is gone,
    /// and never known to be if one of them has no known end.
    pub fn of(copies: Vec<CopyKeeper>, backups: Duration, now: Time) -> Self {
        const DAY: u64 = 86_400;
        let days = |copy: &CopyKeeper| copy.days.map(|days| Duration::from_secs(u64::from(days) * DAY));
        let longest = copies.iter().try_fold(backups, |longest, copy| Some(longest.max(days(copy)?)));
        let clear_after = longest.map(|longest| now.plus(longest));
        Self { copies, clear_after, unknown: Map::new() }
    }
}

impl super::Run {
    /// Notes the messages that a search found, by region.
    pub fn note_matched(&mut self, found: &BTreeMap<String, u64>) {
        for (region, matched) in found {
            let progress = self.regions.entry(region.clone()).or_default();
            progress.matched = progress.matched.max(*matched);
        }
    }

    /// Notes the messages that a round erased, by region.
    pub fn note_erased(&mut self, erased: &BTreeMap<String, u64>, now: Time) {
        self.regions.values_mut().for_each(|progress| progress.gone = 0);
        for (region, count) in erased {
            let progress = self.regions.entry(region.clone()).or_default();
            progress.erased += count;
            progress.matched = progress.matched.max(progress.erased);
            progress.waiting = 0;
            progress.last_error = None;
            progress.erased_at = Some(now);
        }
    }

    /// Regions that a round couldn't reach: why, and how many messages wait there.
    pub fn note_blocked(&mut self, blocked: &BTreeMap<String, (u64, &'static str)>) {
        for (region, (waiting, reason)) in blocked {
            let progress = self.regions.entry(region.clone()).or_default();
            progress.waiting = *waiting;
            progress.attempts = progress.attempts.saturating_add(1);
            progress.last_error = Some((*reason).to_owned());
        }
    }

    /// Notes the messages that a round has erased until now, by region. They are those of the round and not those of one
    /// worker: whoever repeats it counts what it finds gone, too, so that the greater number is right. False if
    /// nothing is new, or the round isn't the one under way: then they count already.
    pub fn note_gone(&mut self, round: u32, gone: &BTreeMap<String, u64>) -> bool {
        let counted = self.round != round || self.round_done >= round || self.state != RunState::Purging;
        if counted && !fault_injection::is(Broken::ProgressOfAnyRound) {
            return false;
        }
        let mut grown = false;
        for (region, count) in gone {
            let progress = self.regions.entry(region.clone()).or_default();
            let known = progress.gone;
            progress.gone = match fault_injection::is(Broken::ProgressAdded) {
                true => known + count,
                false => known.max(*count),
            };
            grown |= progress.gone > known;
        }
        grown
    }

    /// Messages erased until now.
    pub fn erased_so_far(&self) -> u64 {
        self.erased + self.regions.values().map(|progress| progress.gone).sum::<u64>()
    }

    /// Regions that were away when they were last tried.
    pub fn blocked(&self) -> BTreeSet<&str> {
        let away = self.regions.iter().filter(|(_, progress)| progress.last_error.is_some());
        away.map(|(region, _)| region.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(kind: &str, days: Option<u32>) -> CopyKeeper {
        CopyKeeper::new("r", kind, days)
    }

    #[test]
    fn copies_are_gone_with_the_last_of_them_and_never_if_nobody_knows() {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        let clear =
            |copies: &[CopyKeeper], backups| Residual::of(copies.to_vec(), backups, Time(7)).clear_after;
        let copies = [copy("backups", Some(35)), copy("softDelete", Some(60))];
        assert_eq!(clear(&copies, days(35)), Some(Time(7).plus(days(60))));
        assert_eq!(clear(&[], Duration::ZERO), Some(Time(7)));
        assert_eq!(clear(&[copy("replication", None)], days(35)), None);
    }
}
