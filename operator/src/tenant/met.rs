//! Which tenant was last seen in each place, so that what is remembered by its UID can be dropped when it goes, however
//! it goes: with its finalizer, without it, with its namespace, or while another one takes its name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// UIDs by namespace and name.
#[derive(Debug, Default)]
pub struct Met(Mutex<HashMap<(String, String), String>>);

impl Met {
    /// The tenant of that UID is in this place. Says which other one was there before.
    pub fn meet(&self, namespace: &str, name: &str, uid: &str) -> Option<String> {
        let former = self.lock().insert((namespace.to_owned(), name.to_owned()), uid.to_owned());
        former.filter(|former| former != uid)
    }

    /// There is no tenant in this place any more. Says which one there was.
    pub fn part(&self, namespace: &str, name: &str) -> Option<String> {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_in_a_place_is_known_when_another_one_comes_and_when_nobody_is_left() {
        let met = Met::default();
        assert_eq!(met.meet("voice", "acme", "1"), None);
        assert_eq!(met.meet("voice", "acme", "1"), None);
        assert_eq!(met.meet("voice", "acme", "2"), Some("1".into()));
        assert_eq!(met.part("other", "acme"), None);
        assert_eq!(met.part("voice", "acme"), Some("2".into()));
        assert_eq!(met.part("voice", "acme"), None);
    }
}
