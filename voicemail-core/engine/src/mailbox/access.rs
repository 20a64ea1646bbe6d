//! Memberships of users in mailboxes, remembered for a few seconds, so that a list is one request to the store.
//!
//! A change made through this replica counts at once, one made through another within [`LIFE`].

use super::membership::OwnedAs;
use crate::context::{Context, Memory};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use voicemail_model::{MailboxId, Present, UserId};

/// How long what was read counts.
const LIFE: Duration = Duration::from_secs(5);
/// Users and mailboxes remembered; all are forgotten at once when there are more.
const MOST: usize = 10_000;

/// A user's rights to a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// List and listen.
    Read,
    /// And change, delete and claim.
    Change,
}

/// One way in which a mailbox is a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The mailbox's name.
    pub(crate) mailbox: MailboxId,
    /// Which mailbox of that name is meant; `None` where a release before wrote it.
    pub(crate) generation: Option<u32>,
    /// Why it is theirs.
    pub(crate) owned_as: OwnedAs,
    /// The user's rights.
    pub(crate) rights: Rights,
}

/// A user's ways, personal ones first.
pub(crate) type Memberships = Arc<Vec<Membership>>;

/// Remembered memberships and mailboxes, each with the time of its reading.
#[derive(Default)]
struct Known {
    users: HashMap<UserId, (Memberships, Duration)>,
    boxes: HashMap<MailboxId, (Option<Present>, Duration)>,
    /// How often all was forgotten.
    changes: u64,
}

/// Mailboxes by user, and which mailboxes there are.
#[derive(Default)]
pub(crate) struct AccessCache(Mutex<Known>);

impl Memory for AccessCache {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Context {
    /// Memberships as lately read.
    pub(super) fn access(&self) -> Arc<AccessCache> {
        self.memory()
    }
}

impl AccessCache {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of changes before a read that begins now; the read's result is kept only if none was added.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The memberships of a user that were read within the last seconds.
    pub(crate) fn get(&self, user: &UserId, now: Duration) -> Option<Memberships> {
        fresh(&self.lock().users, user, now)
    }

    /// Remembers what was read, unless something changed since the read began.
    pub(crate) fn put(&self, user: &UserId, read: &Memberships, now: Duration, changes: u64) {
        let mut known = self.lock();
        if known.changes == changes {
            remember(&mut known.users, user, Arc::clone(read), now);
        }
    }

    /// Which mailbox of that name there was within the last seconds.
    pub(crate) fn get_box(&self, mailbox: &MailboxId, now: Duration) -> Option<Option<Present>> {
        fresh(&self.lock().boxes, mailbox, now)
    }

    /// As [`put`](Self::put).
    pub(crate) fn put_box(&self, mailbox: &MailboxId, read: Option<Present>, now: Duration, changes: u64) {
        let mut known = self.lock();
        if known.changes == changes {
            remember(&mut known.boxes, mailbox, read, now);
        }
    }

    /// After any change to users, groups, or which mailboxes there are.
    pub(crate) fn forget_all(&self) {
        let mut known = self.lock();
        known.users.clear();
        known.boxes.clear();
        known.changes += 1;
    }
}

fn fresh<K: Hash + Eq, V: Clone>(of: &HashMap<K, (V, Duration)>, key: &K, now: Duration) -> Option<V> {
    let (value, read_at) = of.get(key)?;
    (now.saturating_sub(*read_at) < LIFE).then(|| value.clone())
}

fn remember<K: Hash + Eq + Clone, V>(of: &mut HashMap<K, (V, Duration)>, key: &K, value: V, now: Duration) {
    if of.len() >= MOST {
        of.clear();
    }
    of.insert(key.clone(), (value, now));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read() -> Memberships {
        let mailbox = "1001".parse().unwrap();
        let owned_as = OwnedAs::Personal;
        Arc::new(vec![Membership { mailbox, generation: Some(1), owned_as, rights: Rights::Read }])
    }

    #[test]
    fn what_was_read_counts_for_five_seconds_or_until_a_change() {
        let (cache, user, boxes) = (AccessCache::default(), "ann".parse().unwrap(), read());
        let at = Duration::from_secs;
        cache.put(&user, &boxes, at(100), cache.changes());
        assert_eq!(cache.get(&user, at(104)), Some(Arc::clone(&boxes)));
        assert_eq!(cache.get(&user, at(105)), None);
        cache.put(&user, &boxes, at(105), cache.changes());
        cache.forget_all();
        assert_eq!(cache.get(&user, at(105)), None);
    }

    #[test]
    fn what_was_read_while_something_changed_is_not_remembered() {
        let (cache, user, mailbox) =
            (AccessCache::default(), "ann".parse().unwrap(), "1001".parse().unwrap());
        let (before, now) = (cache.changes(), Duration::from_secs(1));
        cache.forget_all();
        cache.put(&user, &read(), now, before);
        cache.put_box(&mailbox, Some(Present { generation: 1, bound: false }), now, before);
        assert_eq!((cache.get(&user, now), cache.get_box(&mailbox, now)), (None, None));
    }
}
