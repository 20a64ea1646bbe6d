//! Which mailboxes are watched, by whom, and what is known of them. Plain data; the hub holds it in a lock.

use super::hint::Digest;
use super::hub::Topic;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, Notify};
use voicemail_model::{GroupId, MailboxId, Mwi, Present, UserId};

/// Why a mailbox is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its turn has come.
    Timer,
    /// Somebody said that it changed, or subscribed.
    Event,
}

/// The result of a read: the mailbox of that name, and its counts; or no open mailbox.
pub(super) type Reading = Option<(Present, Mwi)>;

/// Wakes one subscriber.
#[derive(Default)]
pub struct Alarm {
    /// Rings when something differs.
    pub wake: Notify,
    stale: AtomicBool,
}

impl Alarm {
    /// The list of the user's mailboxes must be read again.
    pub(super) fn make_stale(&self) {
        self.stale.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether it rang for nobody so far; asked once.
    pub fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::SeqCst)
    }
}

/// Who follows MWI states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follower {
    /// A user, whose mailboxes are looked up.
    User(UserId),
    /// An account that names mailboxes.
    Account(String),
}

pub(super) struct Subscriber {
    pub(super) who: Follower,
    /// The user's digest, and that of every group that the user was in since they subscribed.
    digests: HashSet<Digest>,
    groups: HashSet<GroupId>,
    pub(super) alarm: Arc<Alarm>,
}

impl Subscriber {
    pub(super) fn new(who: &Follower, digest: Option<Digest>, alarm: Arc<Alarm>) -> Self {
        Self { who: who.clone(), digests: digest.into_iter().collect(), groups: HashSet::new(), alarm }
    }
}

#[derive(Default)]
struct Watched {
    digest: Option<Digest>,
    watchers: HashSet<u64>,
    reading: Option<Reading>,
    begun: u64,
    done: u64,
    turn: Arc<Mutex<()>>,
}

/// A wish to have a mailbox read, by a read that begins after the wish.
pub(super) struct Wish {
    pub(super) turn: Arc<Mutex<()>>,
    need: u64,
}

/// A read under way.
pub(super) struct Read {
    number: u64,
    turn: Arc<Mutex<()>>,
}

#[derive(Default)]
pub(super) struct Registry {
    boxes: HashMap<MailboxId, Watched>,
    names: HashMap<Digest, MailboxId>,
    subscribers: HashMap<u64, Subscriber>,
    dirty: HashMap<MailboxId, Cause>,
    last_id: u64,
}

impl Registry {
    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    pub(super) fn subscribers_of(&self, who: &Follower) -> usize {
        self.subscribers.values().filter(|subscriber| subscriber.who == *who).count()
    }

    pub(super) fn add(&mut self, subscriber: Subscriber) -> u64 {
        self.last_id += 1;
        self.subscribers.insert(self.last_id, subscriber);
        self.last_id
    }

    pub(super) fn remove(&mut self, id: u64, boxes: &BTreeSet<MailboxId>) {
        self.subscribers.remove(&id);
        boxes.iter().for_each(|mailbox| self.unwatch(id, mailbox));
    }

    pub(super) fn note_group(&mut self, id: u64, group: GroupId, digest: Digest) {
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.groups.insert(group);
            subscriber.digests.insert(digest);
        }
    }

    pub(super) fn watch(&mut self, id: u64, mailbox: &MailboxId, digest: Digest) {
        let watched = self.boxes.entry(mailbox.clone()).or_default();
        watched.watchers.insert(id);
        watched.digest = Some(digest);
        self.names.insert(digest, mailbox.clone());
    }

    pub(super) fn unwatch(&mut self, id: u64, mailbox: &MailboxId) {
        let Some(watched) = self.boxes.get_mut(mailbox) else { return };
        watched.watchers.remove(&id);
        if watched.watchers.is_empty() {
            watched.digest.map(|digest| self.names.remove(&digest));
            self.boxes.remove(mailbox);
            self.dirty.remove(mailbox);
        }
    }

    pub(super) fn reading(&self, mailbox: &MailboxId) -> Option<Reading> {
        self.boxes.get(mailbox)?.reading
    }

    /// Marks a mailbox to be read, if it is watched.
    pub(super) fn mark(&mut self, mailbox: &MailboxId, cause: Cause) -> bool {
        let watched = self.boxes.contains_key(mailbox);
        if watched {
            let known = self.dirty.entry(mailbox.clone()).or_insert(cause);
            *known = cause.max(*known);
        }
        watched
    }

    pub(super) fn mark_all(&mut self) {
        for mailbox in self.boxes.keys() {
            self.dirty.entry(mailbox.clone()).or_insert(Cause::Timer);
        }
    }

    /// Marks what a hint is about: a mailbox that is watched, or memberships.
    pub(super) fn heed(&mut self, digest: &Digest) -> bool {
        if let Some(mailbox) = self.names.get(digest).cloned() {
            return self.mark(&mailbox, Cause::Event);
        }
        let told = self.subscribers.values().filter(|subscriber| subscriber.digests.contains(digest));
        told.for_each(|subscriber| subscriber.alarm.make_stale());
        false
    }

    /// Takes one mailbox that is to be read.
    pub(super) fn take_dirty(&mut self) -> Option<(MailboxId, Cause)> {
        let mailbox = self.dirty.keys().next()?.clone();
        self.dirty.remove_entry(&mailbox)
    }

    /// The subscribers whose list of mailboxes may have changed.
    pub(super) fn alarms(&self, topic: Option<&Topic>) -> Vec<Arc<Alarm>> {
        let concerns = |subscriber: &&Subscriber| match topic {
            Some(Topic::User(user)) => matches!(&subscriber.who, Follower::User(of) if of == user),
            Some(Topic::Group(group)) => subscriber.groups.contains(group),
            Some(Topic::Mailbox(_)) => false,
            None => true,
        };
        self.subscribers.values().filter(concerns).map(|subscriber| Arc::clone(&subscriber.alarm)).collect()
    }

    pub(super) fn wish(&self, mailbox: &MailboxId) -> Option<Wish> {
        let watched = self.boxes.get(mailbox)?;
        Some(Wish { turn: Arc::clone(&watched.turn), need: watched.begun + 1 })
    }

    /// Begins the read; `None` when one that began after the wish is done, or nobody watches any more.
    pub(super) fn begin(&mut self, mailbox: &MailboxId, wish: &Wish) -> Option<Read> {
        let watched = self.boxes.get_mut(mailbox).filter(|watched| Arc::ptr_eq(&watched.turn, &wish.turn))?;
        if watched.done >= wish.need {
            return None;
        }
        watched.begun += 1;
        Some(Read { number: watched.begun, turn: Arc::clone(&wish.turn) })
    }

    /// Takes over what a read found. Returns whether it is news that no event had announced, and whom to wake.
    pub(super) fn publish(
        &mut self,
        mailbox: &MailboxId,
        read: &Read,
        found: Reading,
        cause: Cause,
    ) -> (bool, Vec<Arc<Alarm>>) {
        let announced = cause == Cause::Event || self.dirty.get(mailbox) == Some(&Cause::Event);
        let ours = |watched: &&mut Watched| Arc::ptr_eq(&watched.turn, &read.turn);
        let Some(watched) = self.boxes.get_mut(mailbox).filter(ours) else { return (false, Vec::new()) };
        watched.done = read.number;
        let known = watched.reading.replace(found);
        if known == Some(found) {
            return (false, Vec::new());
        }
        let alarm = |id: &u64| self.subscribers.get(id).map(|subscriber| Arc::clone(&subscriber.alarm));
        (known.is_some() && !announced, watched.watchers.iter().filter_map(alarm).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(new: u32) -> Reading {
        Some((Present { generation: 1, bound: false }, Mwi { new, ..Mwi::default() }))
    }

    fn watched() -> (Registry, MailboxId) {
        let (mut registry, mailbox) = (Registry::default(), "1001".parse().unwrap());
        registry.watch(1, &mailbox, [0; 17]);
        (registry, mailbox)
    }

    #[test]
    fn a_read_serves_all_who_asked_before_it_began_and_nobody_after() {
        let (mut registry, mailbox) = watched();
        let wishes = [registry.wish(&mailbox).unwrap(), registry.wish(&mailbox).unwrap()];
        let read = registry.begin(&mailbox, &wishes[0]).unwrap();
        let late = registry.wish(&mailbox).unwrap();
        registry.publish(&mailbox, &read, waiting(1), Cause::Event);
        assert!(registry.begin(&mailbox, &wishes[1]).is_none());
        assert!(registry.begin(&mailbox, &late).is_some());
    }

    #[test]
    fn a_read_from_before_a_mailbox_was_let_go_says_nothing_of_it() {
        let (mut registry, mailbox) = watched();
        let wish = registry.wish(&mailbox).unwrap();
        let read = registry.begin(&mailbox, &wish).unwrap();
        registry.unwatch(1, &mailbox);
        assert!(registry.begin(&mailbox, &wish).is_none());
        registry.watch(2, &mailbox, [0; 17]);
        registry.publish(&mailbox, &read, waiting(1), Cause::Event);
        assert_eq!(registry.reading(&mailbox), None);
    }

    #[test]
    fn only_news_that_nobody_announced_is_drift() {
        let (mut registry, mailbox) = watched();
        let find = |registry: &mut Registry, found, cause| {
            let wish = registry.wish(&mailbox).unwrap();
            let read = registry.begin(&mailbox, &wish).unwrap();
            registry.publish(&mailbox, &read, found, cause).0
        };
        assert!(!find(&mut registry, waiting(1), Cause::Timer), "the first look finds nothing unannounced");
        assert!(!find(&mut registry, waiting(1), Cause::Timer));
        assert!(!find(&mut registry, waiting(2), Cause::Event));
        assert!(find(&mut registry, waiting(3), Cause::Timer));
        registry.mark(&"1001".parse().unwrap(), Cause::Event);
        assert!(!find(&mut registry, None, Cause::Timer), "the event was on its way");
    }

    #[test]
    fn what_nobody_watches_is_neither_marked_nor_kept() {
        let (mut registry, mailbox) = watched();
        assert!(!registry.mark(&"1002".parse().unwrap(), Cause::Event));
        registry.mark(&mailbox, Cause::Event);
        registry.unwatch(1, &mailbox);
        assert!(registry.take_dirty().is_none() && registry.boxes.is_empty() && registry.names.is_empty());
    }
}
