//! The last known fault of each region's store.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The last status of each region; a region that isn't named was opened and answers.
#[derive(Default)]
pub(crate) struct RegionStatuses(Mutex<BTreeMap<String, RegionStatus>>);

/// The fault of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegionStatus {
    /// It wasn't opened yet: nothing may be written.
    Unopened(String),
    /// It didn't answer.
    Silent(String),
}

impl RegionStatuses {
    /// Remembers what is wrong with a region, or that nothing is.
    pub(crate) fn note(&self, region: &str, status: Option<RegionStatus>) {
        let mut statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match status {
            Some(status) => statuses.insert(region.to_owned(), status),
            None => statuses.remove(region),
        };
    }

    /// The fault of a region.
    pub(crate) fn of(&self, region: &str) -> Option<RegionStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(region).cloned()
    }
}
