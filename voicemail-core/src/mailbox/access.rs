//! Whose mailboxes are whose, remembered for a few seconds, so that a list is one request to the store.
//!
//! A change made through this replica counts at once, one made through another within [`LIFE`].

use crate::model::{MailboxId, UserId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long what was read counts.
const LIFE: Duration = Duration::from_secs(5);
/// Users remembered; all are forgotten at once when there are more.
const MOST_USERS: usize = 10_000;

/// What somebody may do with a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// List and listen.
    Read,
    /// And change, delete and claim.
    Change,
}

/// A user's mailboxes.
pub(crate) type Owned = Arc<BTreeMap<MailboxId, Rights>>;

type Known = (Owned, Duration);

/// Mailboxes by user.
#[derive(Default)]
pub(crate) struct AccessCache(Mutex<HashMap<UserId, Known>>);

impl AccessCache {
    /// What was read of a user within the last seconds.
    pub(crate) fn get(&self, user: &UserId, now: Duration) -> Option<Owned> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mailboxes, read_at) = known.get(user)?;
        (now.saturating_sub(*read_at) < LIFE).then(|| Arc::clone(mailboxes))
    }

    pub(crate) fn put(&self, user: &UserId, mailboxes: &Owned, now: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_USERS {
            known.clear();
        }
        known.insert(user.clone(), (Arc::clone(mailboxes), now));
    }

    /// After any change to users or groups.
    pub(crate) fn forget_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_counts_for_five_seconds_or_until_a_change() {
        let (cache, user) = (AccessCache::default(), "ann".parse().unwrap());
        let boxes = Arc::new(BTreeMap::from([("1001".parse().unwrap(), Rights::Read)]));
        let at = Duration::from_secs;
        cache.put(&user, &boxes, at(100));
        assert_eq!(cache.get(&user, at(104)), Some(Arc::clone(&boxes)));
        assert_eq!(cache.get(&user, at(105)), None);
        cache.put(&user, &boxes, at(105));
        cache.forget_all();
        assert_eq!(cache.get(&user, at(105)), None);
    }
}
