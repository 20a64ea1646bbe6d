//! One client's view: the MWI states of all mailboxes of a user, or of those that an account named, and those that the
//! client was told.
//!
//! Nothing is queued. When something changed, the present MWI states are compared with those that the client
//! knows; a client that reads slowly skips what lies between. Each step carries a tag of the whole state after
//! it, so that a client that comes back, to whichever replica, is told nothing if nothing changed.

use crate::context::Context;
use crate::mailbox::{Directory, Membership, OwnedAs};
pub use crate::mwi::Refused;
use crate::mwi::{Alarm, Cause, Change, Follower, MwiByMailbox, MwiEvent, MwiGone, state, steps};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeSet;
use std::sync::Arc;
use voicemail_model::{MailboxId, Present, UserId};
use voicemail_store::StoreError;

/// Reads of one subscriber under way at once.
const READS: usize = 8;
/// Streams of an account that names mailboxes, at one replica: those of all telephones of a tenant.
const STREAMS_OF_ACCOUNT: u32 = 1_000;

/// A client's view of its MWI states.
pub struct Subscription {
    context: Context,
    who: Follower,
    id: u64,
    alarm: Arc<Alarm>,
    boxes: BTreeSet<MailboxId>,
    /// Which mailboxes of those names are the user's.
    memberships: Vec<Membership>,
    told: MwiByMailbox,
    /// The tag that the client brought, until it was answered.
    begin: Option<String>,
}

impl Subscription {
    /// Subscribes a user's client that may know the state which it names by its tag. The states are read from
    /// the store before this returns.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn open(context: &Context, user: &UserId, known: Option<String>) -> Result<Self, Refused> {
        let most = context.config().limits.streams_per_user;
        let mut new = Self::begin(context, Follower::User(user.clone()), most, known)?;
        new.follow_membership().await?;
        Ok(new)
    }

    /// Subscribes a client of an account that may see every mailbox to those that it names.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn open_named(
        context: &Context,
        account: &str,
        mailboxes: BTreeSet<MailboxId>,
        known: Option<String>,
    ) -> Result<Self, Refused> {
        let mut new = Self::begin(context, Follower::Account(account.into()), STREAMS_OF_ACCOUNT, known)?;
        new.watch_only(mailboxes).await?;
        Ok(new)
    }

    fn begin(context: &Context, who: Follower, most: u32, known: Option<String>) -> Result<Self, Refused> {
        let (id, alarm) = context.mwi().subscribe(&who, most)?;
        Ok(Self {
            context: context.clone(),
            who,
            id,
            alarm,
            boxes: BTreeSet::new(),
            memberships: Vec::new(),
            told: MwiByMailbox::new(),
            begin: Some(known.unwrap_or_default()),
        })
    }

    /// The next changes for the client, each with the tag of the state that it leads to. Waits until there is
    /// something; may be dropped while it waits.
    pub async fn next(&mut self) -> Vec<(Change, String)> {
        loop {
            // Boxed: a thousand streams that wait would each hold the room that this takes.
            if self.alarm.take_stale()
                && let Err(error) = Box::pin(self.follow_membership()).await
            {
                // The user's mailboxes stay the same until the timer asks again.
                tracing::warn!(reason = error.reason(), %error, "a subscriber's mailboxes weren't compared");
            }
            let steps = self.advance();
            if !steps.is_empty() {
                return steps;
            }
            self.alarm.wake.notified().await;
        }
    }

    /// Watches what is the user's now, and nothing else. What an account named stays the same.
    async fn follow_membership(&mut self) -> Result<(), StoreError> {
        let Follower::User(user) = &self.who else { return Ok(()) };
        let memberships = Directory::new(self.context.clone()).memberships(user).await?;
        let groups = memberships.iter().filter_map(|membership| match &membership.owned_as {
            OwnedAs::Group(group) => Some(group.clone()),
            OwnedAs::Personal => None,
        });
        self.context.mwi().note_groups(self.id, groups);
        let now = memberships.iter().map(|membership| membership.mailbox.clone()).collect();
        self.memberships = memberships;
        self.watch_only(now).await
    }

    /// Watches these, and reads what is new among them.
    async fn watch_only(&mut self, now: BTreeSet<MailboxId>) -> Result<(), StoreError> {
        let hub = self.context.mwi();
        let new: Vec<MailboxId> = now.difference(&self.boxes).cloned().collect();
        new.iter().for_each(|mailbox| hub.watch(self.id, mailbox));
        self.boxes.difference(&now).for_each(|mailbox| hub.unwatch(self.id, mailbox));
        self.boxes = now;
        let reads = new.into_iter().map(|mailbox| read(self.context.clone(), mailbox));
        stream::iter(reads).buffer_unordered(READS).try_collect::<()>().await
    }

    /// Compares, and takes what it returns for told.
    fn advance(&mut self) -> Vec<(Change, String)> {
        let now = self.present();
        if let Some(known) = self.begin.take() {
            self.told = now;
            let tag = self.tag();
            let first = if known == tag { Change::Unchanged } else { Change::State(state(&self.told)) };
            return vec![(first, tag)];
        }
        let steps = steps(&self.told, &now);
        steps.into_iter().map(|(mailbox, counts)| self.tell(mailbox, counts)).collect()
    }

    fn tell(&mut self, mailbox: MailboxId, counts: Option<voicemail_model::Mwi>) -> (Change, String) {
        let change = match counts {
            Some(counts) => {
                let event = MwiEvent::new(&mailbox, &counts);
                self.told.insert(mailbox, counts);
                Change::Mwi(event)
            }
            None => {
                self.told.remove(&mailbox);
                Change::Gone(MwiGone { mailbox })
            }
        };
        (change, self.tag())
    }

    /// The MWI states of the client's mailboxes; one of which nothing is known stays as the client knows it. One that was
    /// deleted and made again isn't theirs until they are put into it anew.
    fn present(&self) -> MwiByMailbox {
        let hub = self.context.mwi();
        let is_theirs = |mailbox: &MailboxId, present: &Present| {
            let about = |membership: &&Membership| membership.mailbox == *mailbox;
            let is_users = || self.memberships.iter().filter(about).any(|one| one.means(present));
            matches!(self.who, Follower::Account(_)) || is_users()
        };
        let counts = |mailbox: &MailboxId| match hub.reading(mailbox) {
            Some(Some((present, counts))) => is_theirs(mailbox, &present).then_some(counts),
            Some(None) => None,
            None => self.told.get(mailbox).copied(),
        };
        self.boxes.iter().filter_map(|mailbox| Some((mailbox.clone(), counts(mailbox)?))).collect()
    }

    /// Keyed, since it goes through clients and their logs: it tells nothing but whether two states are the same.
    fn tag(&self) -> String {
        let who = match &self.who {
            Follower::User(user) => user.as_str(),
            Follower::Account(account) => account,
        };
        let mut text = format!("{who}\n");
        for (mailbox, counts) in &self.told {
            let event = MwiEvent::new(mailbox, counts);
            text.push_str(&format!("{mailbox} {}\n", event.voice_message));
        }
        self.context.key().tag("mwi-state", text.as_bytes())[..24].to_owned()
    }
}

async fn read(context: Context, mailbox: MailboxId) -> Result<(), StoreError> {
    match context.mwi().refresh(&context, &mailbox, Cause::Event).await {
        // One mailbox that can't be decoded must not end the MWI of the others.
        Err(error) if error.is_about_one() => {
            tracing::error!(reason = error.reason(), %error, "a mailbox is left out of an MWI stream");
            Ok(())
        }
        other => other,
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.context.mwi().unsubscribe(self.id, &self.boxes);
    }
}
