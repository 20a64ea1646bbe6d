//! One hub a core: learns what changed, reads what somebody watches, and wakes subscribers whose MWI state differs.
//!
//! Reads of one mailbox follow one another, and whoever asks for one is served by any that began after they
//! asked; so an MWI state never goes back to an older state, and a thousand subscribers of one mailbox cost one read.
//! A read that fails is tried again; the MWI state stays as it was.

use super::backlog::Backlog;
use super::hint::{Digest, HintKey};
use super::refused::Refused;
use super::watched::{Alarm, Cause, Follower, Reading, Registry, Subscriber};
use super::webhook::Receiver;
use super::{peers, webhook};
use crate::context::{Context, Memory};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use voicemail_model::{GroupId, MailboxId, Mwi, TenantKey, UserId};
use voicemail_store::StoreError;
use voicemail_telemetry::Metrics;

/// Event streams that one replica holds.
const MOST_SUBSCRIBERS: usize = 10_000;
/// Changes that wait to be told to the other replicas; more are left to their timers.
const MOST_HINTS: usize = 4_096;
/// Changed mailboxes that wait for whoever follows them.
const MOST_CHANGED: usize = 100_000;
/// Reads under way at once.
const MOST_READS: usize = 16;
/// Pause before a read that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often MWI states are compared with the store where that is free, and where it costs money.
const FREE: Duration = Duration::from_secs(30);
const METERED: Duration = Duration::from_secs(300);

/// The subject of a possible change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Topic {
    /// A mailbox's messages.
    Mailbox(MailboxId),
    /// Which mailboxes and groups a user has.
    User(UserId),
    /// Which mailbox a group has.
    Group(GroupId),
}

/// MWI states that somebody watches.
pub struct Hub {
    key: Option<HintKey>,
    registry: Mutex<Registry>,
    wake: Notify,
    outgoing: Backlog<Topic>,
    changed: Backlog<MailboxId>,
    /// By digest.
    receivers: Mutex<BTreeMap<String, Arc<Receiver>>>,
    metrics: OnceLock<Metrics>,
}

impl Memory for Hub {
    fn begin(context: &Context) -> Self {
        Self::new(context.key())
    }
}

impl Context {
    /// The MWI hub of this core.
    pub fn mwi(&self) -> Arc<Hub> {
        self.memory()
    }
}

impl Hub {
    /// Of the tenant with that key.
    pub(crate) fn new(key: &TenantKey) -> Self {
        Self {
            key: HintKey::derive(key),
            registry: Mutex::default(),
            wake: Notify::new(),
            outgoing: Backlog::new(MOST_HINTS),
            changed: Backlog::new(MOST_CHANGED),
            receivers: Mutex::default(),
            metrics: OnceLock::new(),
        }
    }

    /// The topics that the other replicas are to be told.
    pub(super) fn outgoing(&self) -> &Backlog<Topic> {
        &self.outgoing
    }

    /// Receivers of the webhook that are delivered to, by digest.
    pub(super) fn receivers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Receiver>>> {
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count_delivery(&self, receiver: &str, outcome: &'static str) {
        if let Some(metrics) = self.metrics.get() {
            metrics.count_delivery(receiver, outcome);
        }
    }

    pub(super) fn count_hint(&self, direction: &'static str, outcome: &'static str) {
        if let Some(metrics) = self.metrics.get() {
            metrics.count_hint(direction, outcome);
        }
    }

    fn digest(&self, topic: &Topic) -> Digest {
        self.key.as_ref().map(|key| key.digest(topic)).unwrap_or_default()
    }

    /// The metrics to count in, once a process serves.
    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.get()
    }

    /// Sets the metrics to count in from now on.
    pub fn count_in(&self, metrics: &Metrics) {
        // A second call would bring the same counters.
        let _ = self.metrics.set(metrics.clone());
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was written here, or may have been.
    pub(crate) fn note(&self, topic: &Topic) {
        self.look_at(topic);
        if !self.outgoing.add(topic) {
            self.count_hint("out", "dropped");
        }
        if let Topic::Mailbox(mailbox) = topic {
            self.note_for_receivers(mailbox);
            self.changed.add(mailbox);
        }
    }

    /// From now on mailboxes that change here are kept for [`next_changed`](Self::next_changed), each once.
    pub fn follow_changes(&self) {
        self.changed.open();
    }

    /// Takes the next mailbox that changed here, or waits for one.
    pub async fn next_changed(&self) -> MailboxId {
        loop {
            self.changed.wait().await;
            if let Some(mailbox) = self.changed.take(1).pop() {
                return mailbox;
            }
        }
    }

    fn note_for_receivers(&self, mailbox: &MailboxId) {
        for receiver in self.receivers().values() {
            if !receiver.deliveries().add(mailbox) {
                self.count_delivery(receiver.name(), "dropped");
            }
        }
    }

    /// Something was written elsewhere.
    pub(super) fn heed(&self, digests: &[Digest]) {
        let mut registry = self.registry();
        let marked = digests.iter().filter(|digest| registry.heed(digest)).count();
        if marked > 0 {
            self.wake.notify_one();
        }
    }

    /// Has a mailbox read again if it is watched, or the memberships that the change concerns.
    fn look_at(&self, topic: &Topic) {
        let mut registry = self.registry();
        match topic {
            Topic::Mailbox(mailbox) if registry.mark(mailbox, Cause::Event) => self.wake.notify_one(),
            Topic::Mailbox(_) => {}
            Topic::User(_) | Topic::Group(_) => {
                registry.alarms(Some(topic)).iter().for_each(|alarm| alarm.make_stale());
            }
        }
    }

    /// Adds a subscriber, of which one user or account may have so many.
    ///
    /// # Errors
    /// `TooMany` or `TooManyOfUser` when there are as many as can be.
    pub fn subscribe(&self, who: &Follower, most: u32) -> Result<(u64, Arc<Alarm>), Refused> {
        let alarm = Arc::new(Alarm::default());
        let digest = match who {
            Follower::User(user) => Some(self.digest(&Topic::User(user.clone()))),
            Follower::Account(_) => None,
        };
        let new = Subscriber::new(who, digest, Arc::clone(&alarm));
        let mut registry = self.registry();
        if registry.subscribers() >= MOST_SUBSCRIBERS {
            return Err(Refused::TooMany);
        }
        if registry.subscribers_of(who) >= usize::try_from(most).unwrap_or(usize::MAX) {
            return Err(Refused::TooManyOfUser(most));
        }
        let id = registry.add(new);
        self.show_subscribers(&registry);
        Ok((id, alarm))
    }

    pub fn unsubscribe(&self, id: u64, boxes: &BTreeSet<MailboxId>) {
        let mut registry = self.registry();
        registry.remove(id, boxes);
        self.show_subscribers(&registry);
    }

    fn show_subscribers(&self, registry: &Registry) {
        if let Some(metrics) = self.metrics.get() {
            metrics.show_subscribers(registry.subscribers());
        }
    }

    pub fn note_groups(&self, id: u64, groups: impl Iterator<Item = GroupId>) {
        for group in groups {
            let digest = self.digest(&Topic::Group(group.clone()));
            self.registry().note_group(id, group, digest);
        }
    }

    pub fn watch(&self, id: u64, mailbox: &MailboxId) {
        let digest = self.digest(&Topic::Mailbox(mailbox.clone()));
        self.registry().watch(id, mailbox, digest);
    }

    pub fn unwatch(&self, id: u64, mailbox: &MailboxId) {
        self.registry().unwatch(id, mailbox);
    }

    /// The known MWI state of a mailbox; `None` when it wasn't read yet.
    pub fn reading(&self, mailbox: &MailboxId) -> Option<Reading> {
        self.registry().reading(mailbox)
    }

    /// Reads a watched mailbox, or waits for a read that began after this was called.
    ///
    /// # Errors
    /// The store's; the MWI state stays as it was.
    pub async fn refresh(
        &self,
        context: &Context,
        mailbox: &MailboxId,
        cause: Cause,
    ) -> Result<(), StoreError> {
        let Some(wish) = self.registry().wish(mailbox) else { return Ok(()) };
        let _turn = wish.turn.lock().await;
        let Some(read) = self.registry().begin(mailbox, &wish) else { return Ok(()) };
        let index = context.indexes().load(mailbox).await?;
        let found = index.and_then(|index| Some((index.present()?, Mwi::count(&index))));
        let (drifted, alarms) = self.registry().publish(mailbox, &read, found, cause);
        if let Some(metrics) = self.metrics.get().filter(|_| drifted) {
            metrics.count_drift();
        }
        alarms.iter().for_each(|alarm| alarm.wake.notify_one());
        Ok(())
    }

    /// Keeps MWI states right and tells and hears the other replicas, until the future is dropped.
    pub async fn run(&self, context: &Context) {
        tokio::join!(self.read_changes(context), peers::run(self, context), webhook::run(self, context));
    }

    /// Reads what changed, and all that is watched from time to time.
    async fn read_changes(&self, context: &Context) {
        let mut reads = FuturesUnordered::new();
        let mut timer = Box::pin(context.world().sleep(period(context)));
        loop {
            while reads.len() < MOST_READS
                && let Some((mailbox, cause)) = self.next_dirty()
            {
                reads.push(self.refresh_or_retry(context, mailbox, cause));
            }
            tokio::select! {
                Some(()) = reads.next(), if !reads.is_empty() => {}
                () = self.wake.notified() => {}
                () = &mut timer => {
                    self.mark_all();
                    timer = Box::pin(context.world().sleep(period(context)));
                }
            }
        }
    }

    /// Leaves what isn't delivered yet to others. The last thing that a core does.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn leave_deliveries(&self, context: &Context) -> Result<(), StoreError> {
        webhook::flush(self, context).await
    }

    fn next_dirty(&self) -> Option<(MailboxId, Cause)> {
        self.registry().take_dirty()
    }

    /// Marks all watched MWI states and all memberships as to be read again.
    fn mark_all(&self) {
        let mut registry = self.registry();
        registry.mark_all();
        registry.alarms(None).iter().for_each(|alarm| alarm.make_stale());
    }

    async fn refresh_or_retry(&self, context: &Context, mailbox: MailboxId, cause: Cause) {
        let Err(error) = self.refresh(context, &mailbox, cause).await else { return };
        tracing::warn!(reason = error.reason(), %error, "an MWI state couldn't be compared with the store");
        // A document that can't be decoded is read again when its turn comes; an immediate retry gains nothing.
        if !error.is_about_one() {
            context.world().sleep(AGAIN).await;
            self.registry().mark(&mailbox, cause);
        }
    }
}

fn period(context: &Context) -> Duration {
    let usual = if context.store().is_metered() { METERED } else { FREE };
    context.config().mwi.reconcile_every.unwrap_or(usual)
}
