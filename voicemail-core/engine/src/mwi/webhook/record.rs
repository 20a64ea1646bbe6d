//! The stored record of deliveries: whose turn it is, the mailboxes that wait since a stop, and the states delivered
//! last.
//!
//! A turn is a claim with an end, so that one replica at a time sends and mailboxes stay in order. What was
//! delivered is spread over sixteen documents.

use super::receiver::digest;
use crate::context::Context;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use voicemail_model::{MailboxId, Mwi, Time};
use voicemail_store::documents::Decision;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{Family, Key, StoreError};

/// How long a claim counts if its holder doesn't give it back.
pub(super) const CLAIM: Duration = Duration::from_secs(60);
/// Mailboxes that a replica leaves behind; at the next start all are compared anyhow.
const MOST_LEFT: usize = 10_000;
/// How long a receiver's memory outlives its last turn.
const UNUSED: Duration = Duration::from_secs(30 * 86_400);

/// The replica whose turn it is, `mwi/<receiver>/courier`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Courier {
    holder: String,
    until: Time,
    /// Mailboxes that a replica left undelivered when it stopped, with a mark of its own each.
    left: BTreeMap<MailboxId, String>,
    /// Fields of newer versions.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Courier {
    /// Takes the turn if it is nobody's, ours, or has run out.
    fn claim(&mut self, holder: &str, now: Time) -> bool {
        let free = self.holder.is_empty() || self.holder == holder || self.until < now;
        if free {
            (self.holder, self.until) = (holder.to_owned(), now.plus(CLAIM));
        }
        free
    }

    /// Gives the turn back; what was left and is delivered now goes.
    fn release(&mut self, holder: &str, done: &BTreeMap<MailboxId, String>) -> bool {
        let before = self.left.len();
        self.left.retain(|mailbox, mark| done.get(mailbox) != Some(mark));
        let ours = self.holder == holder;
        if ours {
            self.holder.clear();
        }
        ours || self.left.len() < before
    }

    fn leave(&mut self, mailboxes: &[MailboxId], mark: &str) {
        let room = MOST_LEFT.saturating_sub(self.left.len());
        self.left.extend(mailboxes.iter().take(room).map(|mailbox| (mailbox.clone(), mark.to_owned())));
    }
}

/// A receiver's knowledge of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// Nothing, or that it is gone.
    Nothing,
    /// Something was sent, and nobody knows whether it came.
    Unsure,
    /// These counts.
    Counts(Mwi),
}

impl Last {
    /// The knowledge of a receiver that was told these counts, or that the mailbox is gone.
    pub(super) fn of(counts: Option<Mwi>) -> Self {
        counts.map_or(Self::Nothing, Self::Counts)
    }
}

/// The states delivered last, by mailbox, `mwi/<receiver>/delivered/<1>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Delivered {
    /// `None` while nobody knows whether what was sent came.
    mailboxes: BTreeMap<MailboxId, Option<Mwi>>,
    /// Fields of newer versions.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// A turn, with what others left.
pub(super) struct Turn {
    pub(super) left: BTreeMap<MailboxId, String>,
}

/// Takes the turn; `None` while another replica has it.
pub(super) async fn claim(
    context: &Context,
    receiver: &str,
    holder: &str,
) -> Result<Option<Turn>, StoreError> {
    let claim = |courier: Option<Courier>, now| {
        let mut courier = courier.unwrap_or_default();
        match courier.claim(holder, now) {
            true => Decision::Write(courier.clone(), Some(courier.left)),
            false => Decision::Keep(None),
        }
    };
    let left = context.documents().update(&Key::courier(receiver), claim).await?;
    Ok(left.map(|left| Turn { left }))
}

/// Gives the turn back.
pub(super) async fn release(
    context: &Context,
    receiver: &str,
    holder: &str,
    done: &BTreeMap<MailboxId, String>,
) -> Result<(), StoreError> {
    let release = |courier: Option<Courier>, _| {
        let mut courier = courier.unwrap_or_default();
        if courier.release(holder, done) { Decision::Write(courier, ()) } else { Decision::Keep(()) }
    };
    context.documents().update(&Key::courier(receiver), release).await
}

/// Leaves mailboxes to whoever has the next turn, and the turn too if it is that holder's.
pub(super) async fn leave(
    context: &Context,
    receiver: &str,
    holder: &str,
    mailboxes: &[MailboxId],
) -> Result<(), StoreError> {
    let mark = context.world().random_hex();
    let leave = |courier: Option<Courier>, _| {
        let mut courier = courier.unwrap_or_default();
        courier.leave(mailboxes, &mark);
        courier.release(holder, &BTreeMap::new());
        Decision::Write(courier, ())
    };
    context.documents().update(&Key::courier(receiver), leave).await
}

/// Whether a replica that stopped left anything.
pub(super) async fn has_left(context: &Context, receiver: &str) -> Result<bool, StoreError> {
    let courier: Option<Courier> = context.documents().load(&Key::courier(receiver)).await?;
    Ok(courier.is_some_and(|courier| !courier.left.is_empty()))
}

impl Delivered {
    fn note(&mut self, mailbox: &MailboxId, last: Last) {
        match last {
            Last::Nothing => self.mailboxes.remove(mailbox),
            Last::Unsure => self.mailboxes.insert(mailbox.clone(), None),
            Last::Counts(counts) => self.mailboxes.insert(mailbox.clone(), Some(counts)),
        };
    }

    fn last(&self, mailbox: &MailboxId) -> Last {
        match self.mailboxes.get(mailbox) {
            None => Last::Nothing,
            Some(None) => Last::Unsure,
            Some(Some(counts)) => Last::Counts(*counts),
        }
    }
}

/// The delivered states, as far as they were looked up in this turn. Only who has the turn writes it.
pub(super) struct Ledger<'a> {
    receiver: &'a str,
    known: BTreeMap<Key, Delivered>,
}

impl<'a> Ledger<'a> {
    /// Of the receiver of that digest.
    pub(super) fn of(receiver: &'a str) -> Self {
        Self { receiver, known: BTreeMap::new() }
    }

    /// The receiver's knowledge of a mailbox.
    pub(super) async fn last(&mut self, context: &Context, mailbox: &MailboxId) -> Result<Last, StoreError> {
        let key = Key::delivered(self.receiver, mailbox);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.last(mailbox));
        }
        let found: Delivered = context.documents().load(&key).await?.unwrap_or_default();
        let last = found.last(mailbox);
        self.known.insert(key, found);
        Ok(last)
    }

    /// Remembers what the receiver knows.
    pub(super) async fn note(
        &mut self,
        context: &Context,
        news: Vec<(MailboxId, Last)>,
    ) -> Result<(), StoreError> {
        let keys: BTreeSet<Key> =
            news.iter().map(|(mailbox, _)| Key::delivered(self.receiver, mailbox)).collect();
        for key in keys {
            let ours: Vec<_> =
                news.iter().filter(|(mailbox, _)| Key::delivered(self.receiver, mailbox) == key).collect();
            let note = |delivered: Option<Delivered>, _| {
                let mut delivered = delivered.unwrap_or_default();
                ours.iter().for_each(|(mailbox, last)| delivered.note(mailbox, *last));
                Decision::Write(delivered.clone(), delivered)
            };
            let now = context.documents().update(&key, note).await?;
            self.known.insert(key, now);
        }
        Ok(())
    }
}

/// Removes what is remembered of receivers that aren't configured here and that nobody has delivered to for a month, and of the one receiver of former
/// releases. One that comes back later is told of every mailbox again.
///
/// # Errors
/// The store's.
pub(crate) async fn forget_unused(context: &Context) -> Result<(), StoreError> {
    let listed: Vec<String> = context.store().list(Family::Delivery.prefix()).try_collect().await?;
    let configured =
        context.config().mwi.webhooks.iter().map(|config| digest(context, config)).collect::<Vec<_>>();
    let mut unused: BTreeMap<&str, bool> =
        configured.iter().map(|receiver| (receiver.as_str(), false)).collect();
    for key in &listed {
        let Some(receiver) = Key::receiver_of(key).filter(|receiver| !unused.contains_key(receiver)) else {
            continue;
        };
        let courier: Option<Courier> = context.documents().load(&Key::courier(receiver)).await?;
        let last = courier.map(|courier| courier.until).unwrap_or_default();
        unused.insert(receiver, context.world().now().since(last) > UNUSED);
    }
    for key in &listed {
        let stale = Key::receiver_of(key).is_none_or(|receiver| unused.get(receiver) == Some(&true));
        if let Some(key) = Key::listed(key).filter(|_| stale) {
            delete(context.store(), context.world(), &key).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_replica_at_a_time_has_the_turn_until_it_gives_it_back_or_time_runs_out() {
        let (mut courier, now) = (Courier::default(), Time(1_790_000_000_000));
        assert!(courier.claim("a", now) && courier.claim("a", now) && !courier.claim("b", now));
        assert!(!courier.release("b", &BTreeMap::new()));
        assert!(courier.release("a", &BTreeMap::new()) && courier.claim("b", now));
        assert!(!courier.claim("a", now.plus(CLAIM)));
        assert!(courier.claim("a", now.plus(CLAIM).plus(Duration::from_millis(1))));
    }

    #[test]
    fn what_was_left_again_meanwhile_stays() {
        let (mut courier, mailbox) = (Courier::default(), "1001".parse::<MailboxId>().unwrap());
        courier.leave(std::slice::from_ref(&mailbox), "first");
        let taken = courier.left.clone();
        courier.leave(std::slice::from_ref(&mailbox), "second");
        courier.release("a", &taken);
        assert_eq!(courier.left[&mailbox], "second");
        assert!(courier.release("a", &courier.left.clone()) && courier.left.is_empty());
    }
}
