//! Records of listening while the store can be read and not written, kept until it can.
//!
//! Bounded: what doesn't fit isn't kept, and then isn't answered. The kept records are lost if the process is killed
//! before the store takes writes again.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use voicemail_store::Key;

/// Acts kept: some megabytes.
const MOST: usize = 10_000;

/// Events by their keys, oldest first.
#[derive(Default)]
pub(crate) struct Pending(Mutex<VecDeque<(Key, Bytes)>>);

impl Pending {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Key, Bytes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an event; false if there are too many.
    pub(super) fn keep(&self, key: Key, bytes: Bytes) -> bool {
        let mut kept = self.lock();
        let fits = kept.len() < MOST;
        if fits {
            kept.push_back((key, bytes));
        }
        fits
    }

    pub(super) fn first(&self) -> Option<(Key, Bytes)> {
        self.lock().front().cloned()
    }

    /// An event is written.
    pub(super) fn forget(&self, key: &Key) {
        self.lock().retain(|(kept, _)| kept != key);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voicemail_model::Time;

    #[test]
    fn what_is_kept_is_bounded_and_goes_oldest_first() {
        let (pending, key) = (Pending::default(), |n: usize| Key::audit(Time(0), &n.to_string()));
        assert!((0..MOST).all(|n| pending.keep(key(n), Bytes::new())));
        assert!(!pending.keep(key(MOST), Bytes::new()));
        assert_eq!(pending.first().unwrap().0, key(0));
        pending.forget(&key(0));
        assert_eq!((pending.first().unwrap().0, pending.count()), (key(1), MOST - 1));
    }
}
