//! How many of something each of many may have at a time, such as connections of a source or calls of a caller.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// What each has now; whoever has nothing isn't remembered.
#[derive(Clone, Debug)]
pub struct Shares<K>(Arc<Mutex<HashMap<K, usize>>>);

/// One of them, given back when it is dropped.
#[derive(Debug)]
pub struct Share<K: Eq + Hash> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    of: K,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// One more, unless it has `most` already, or all together have `in_all`.
    pub fn take(&self, of: K, most: usize, in_all: usize) -> Option<Share<K>> {
        let mut taken = self.0.lock();
        let has = taken.get(&of).copied().unwrap_or_default();
        if has >= most || taken.values().sum::<usize>() >= in_all {
            return None;
        }
        taken.insert(of, has + 1);
        Some(Share { taken: Arc::clone(&self.0), of })
    }

    /// Whether nobody has anything.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}
