//! Decoded documents of one kind, kept with their revisions: the store is still asked every time, and answers
//! "unchanged" without sending them.
//!
//! Only for documents whose names are never used again after a deletion, since a revision may come again then.

use super::nonces::Header;
use crate::{Key, Revision};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One document as it was read or written.
pub(super) struct Known<D> {
    pub(super) revision: Revision,
    pub(super) header: Header,
    pub(super) body: Arc<D>,
    /// When it was surely the one in the store, by the monotonic clock.
    pub(super) read_at: Duration,
}

impl<D> Clone for Known<D> {
    fn clone(&self) -> Self {
        Self {
            revision: self.revision.clone(),
            header: self.header.clone(),
            body: Arc::clone(&self.body),
            read_at: self.read_at,
        }
    }
}

/// Documents of one kind, up to a total weight; all are dropped when it is passed.
pub struct Cache<D> {
    weigh: fn(&D) -> usize,
    most: usize,
    known: Mutex<(usize, HashMap<Key, Known<D>>)>,
}

impl<D> Cache<D> {
    /// Holds documents whose weights sum up to `most`.
    pub fn new(most: usize, weigh: fn(&D) -> usize) -> Self {
        Self { weigh, most, known: Mutex::new((0, HashMap::new())) }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Known<D>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).1.get(key).cloned()
    }

    pub(super) fn put(&self, key: &Key, new: Known<D>) {
        let weight = (self.weigh)(&new.body);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 + weight > self.most {
            *known = (0, HashMap::new());
        }
        if weight > self.most {
            return;
        }
        known.0 += weight;
        if let Some(old) = known.1.insert(key.clone(), new) {
            known.0 -= (self.weigh)(&old.body);
        }
    }

    pub(super) fn forget(&self, key: &Key) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = known.1.remove(key) {
            known.0 -= (self.weigh)(&old.body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(cache: &Cache<String>, name: &str, text: &str) {
        let header = Header::first();
        let revision = Revision("1".into());
        let body = Arc::new(text.into());
        cache.put(&Key::listed(name).unwrap(), Known { revision, header, body, read_at: Duration::ZERO });
    }

    #[test]
    fn no_more_than_the_weight_allowed_is_held() {
        let cache = Cache::new(10, String::len);
        let has = |name: &str| cache.get(&Key::listed(name).unwrap()).is_some();
        known(&cache, "a", "12345");
        known(&cache, "a", "1234");
        known(&cache, "b", "123456");
        assert!(has("a") && has("b"));
        known(&cache, "c", "1");
        assert!(!has("a") && !has("b") && has("c"));
        known(&cache, "d", "12345678901");
        assert!(!has("d"));
    }
}
