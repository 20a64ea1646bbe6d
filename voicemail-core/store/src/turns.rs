//! Turns by key: who is about to do something with one thing waits for whoever began before, in this process.
//!
//! For what counts an attempt before it is known to be right: of many at once each would count against the others. And for work
//! that two would do twice.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;

type Gate = Arc<tokio::sync::Mutex<()>>;

/// The things that somebody has or waits for.
#[derive(Debug)]
pub struct Turns<K: Clone + Eq + Hash>(Mutex<HashMap<K, Gate>>);

impl<K: Clone + Eq + Hash> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Turns<K> {
    fn known(&self) -> MutexGuard<'_, HashMap<K, Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn, which ends when it is dropped. Who stops waiting leaves nothing behind.
    pub async fn take(&self, key: K) -> Turn<'_, K> {
        let gate = Gate::clone(self.known().entry(key.clone()).or_default());
        let mut turn = Turn { of: self, key, gate: Some(gate), held: None };
        if let Some(gate) = turn.gate.clone() {
            turn.held = Some(gate.lock_owned().await);
        }
        turn
    }
}

/// A turn, or the wait for it.
#[derive(Debug)]
pub struct Turn<'a, K: Clone + Eq + Hash> {
    of: &'a Turns<K>,
    key: K,
    gate: Option<Gate>,
    held: Option<OwnedMutexGuard<()>>,
}

impl<K: Clone + Eq + Hash> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        (self.held, self.gate) = (None, None);
        let mut known = self.of.known();
        if known.get(&self.key).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            known.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn one_waits_for_another_of_the_same_key_alone_and_nothing_is_left() {
        let turns = Turns::default();
        let first = turns.take(1).await;
        drop(turns.take(2).await);
        let second = turns.take(1);
        let mut second = std::pin::pin!(second);
        assert!(second.as_mut().now_or_never().is_none(), "it waits");
        let mut third = Box::pin(turns.take(1));
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        let second = second.await;
        // Whoever stops waiting holds nobody up.
        drop(third);
        drop(second);
        assert!(turns.known().is_empty());
        drop(turns.take(1).await);
        assert!(turns.known().is_empty());
    }
}
