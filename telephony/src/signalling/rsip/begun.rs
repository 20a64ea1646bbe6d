//! A value for each transaction, kept as long as the stack knows the transaction. Pure.
//!
//! The stack tells nobody when it forgets one. With each that is put in, two of those that were looked at longest ago are looked at again:
//! so what is kept stays within a factor of what the stack knows, and no look takes long.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Looks for each that is put in.
const LOOKS: usize = 2;

/// Values by their keys, and the order in which they were looked at.
#[derive(Debug)]
pub(super) struct Begun<K, V> {
    kept: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Begun<K, V> {
    fn default() -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Begun<K, V> {
    /// What was put in under that key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.kept.get(key)
    }

    /// Puts one in; of others, those that aren't known any more may be dropped.
    pub(super) fn insert(&mut self, key: K, value: V, is_known: impl Fn(&K) -> bool) {
        for _ in 0..LOOKS {
            let Some(oldest) = self.order.pop_front() else { break };
            if is_known(&oldest) {
                self.order.push_back(oldest);
            } else {
                self.kept.remove(&oldest);
            }
        }
        if self.kept.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_kept_and_not_much_more() {
        let mut begun = Begun::default();
        for number in 0..10_000_usize {
            // The last hundred are known, and one that never ends.
            let is_known = |key: &usize| *key == 7 || *key + 100 > number;
            begun.insert(number, number * 2, is_known);
            assert!(begun.kept.len() < 250, "{number}: {}", begun.kept.len());
            assert_eq!(begun.kept.len(), begun.order.len());
            assert!((number.saturating_sub(99)..=number).all(|key| begun.get(&key) == Some(&(key * 2))));
        }
        assert_eq!(begun.get(&7), Some(&14));
        begun.insert(7, 15, |_| true);
        assert_eq!((begun.get(&7), begun.kept.len()), (Some(&15), begun.order.len()));
    }
}
