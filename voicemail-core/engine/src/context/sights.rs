//! The last status of each region's store.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The last status of each region; a region that isn't named was opened and answers.
#[derive(Default)]
pub(crate) struct Sights(Mutex<BTreeMap<String, Sight>>);

/// The fault of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It wasn't opened yet: nothing may be written.
    Unopened(String),
    /// It didn't answer.
    Silent(String),
}

impl Sights {
    /// Remembers what is wrong with a region, or that nothing is.
    pub(crate) fn note(&self, region: &str, sight: Option<Sight>) {
        let mut sights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sight {
            Some(sight) => sights.insert(region.to_owned(), sight),
            None => sights.remove(region),
        };
    }

    /// The fault of a region.
    pub(crate) fn of(&self, region: &str) -> Option<Sight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(region).cloned()
    }
}
