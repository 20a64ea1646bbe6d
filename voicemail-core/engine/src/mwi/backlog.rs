//! A bounded set of things that somebody is to be told, each thing once.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A set that waits to be worked off; adding never waits.
pub(super) struct Backlog<T> {
    most: usize,
    /// `None` while nobody works it off.
    waiting: Mutex<Option<BTreeSet<T>>>,
    wake: Notify,
}

impl<T: Ord + Clone> Backlog<T> {
    /// Takes nothing before it is opened, and never more than that.
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default(), wake: Notify::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<BTreeSet<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes things from now on.
    pub(super) fn open(&self) {
        self.waiting().get_or_insert_default();
    }

    /// Adds a thing; false if there is no room for it.
    pub(super) fn add(&self, thing: &T) -> bool {
        let mut waiting = self.waiting();
        let Some(waiting) = waiting.as_mut() else { return true };
        if waiting.len() >= self.most && !waiting.contains(thing) {
            return false;
        }
        waiting.insert(thing.clone());
        self.wake.notify_one();
        true
    }

    /// Takes up to that many things out.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut waiting = self.waiting();
        let Some(waiting) = waiting.as_mut() else { return Vec::new() };
        let taken: Vec<T> = waiting.iter().take(most).cloned().collect();
        taken.iter().for_each(|thing| {
            waiting.remove(thing);
        });
        taken
    }

    /// Returns once there is something.
    pub(super) async fn wait(&self) {
        while self.waiting().as_ref().is_none_or(BTreeSet::is_empty) {
            self.wake.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_waits_once_and_no_more_than_fit() {
        let backlog = Backlog::new(2);
        assert!(backlog.add(&1) && backlog.take(9).is_empty(), "nobody works it off yet");
        backlog.open();
        assert!(backlog.add(&1) && backlog.add(&2) && backlog.add(&1));
        assert!(!backlog.add(&3));
        assert_eq!((backlog.take(1), backlog.take(9), backlog.take(9)), (vec![1], vec![2], vec![]));
    }
}
