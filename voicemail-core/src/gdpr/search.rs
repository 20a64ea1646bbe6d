//! Finding everything of a run's subject: the envelopes of its callers, listed by hash, which answers for every
//! mailbox; and the messages that were named, with their copies, found by the history that each keeps.

use super::GdprError;
use super::target::Target;
use crate::context::Context;
use crate::mailbox::decode_envelope;
use crate::model::{CallerHash, Envelope, Index, MailboxId, MessageId, MessageName, MessageState, Time};
use crate::store::{Key, StoreError, parse_envelope};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};

/// A message found by its caller.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) mailbox: MailboxId,
    pub(super) id: MessageId,
    pub(super) caller: CallerHash,
    pub(super) envelope: Envelope,
}

impl Found {
    pub(super) fn name(&self) -> MessageName {
        MessageName::new(&self.mailbox, self.id)
    }
}

/// What a search brought to light.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// Messages received up to the cutoff.
    pub(super) found: Vec<Found>,
    /// Messages whose envelopes can't be decoded: whether they are covered isn't known.
    pub(super) unreadable: Vec<(MailboxId, MessageId, CallerHash)>,
    /// Messages that were named, and their copies, found or not.
    pub(super) named: BTreeSet<MessageName>,
}

impl Search {
    /// All that was found, or that some couldn't be read.
    pub(super) fn whole(self) -> Result<Vec<Found>, GdprError> {
        whole(self.unreadable.len()).map(|()| self.found)
    }

    fn knows(&self, mailbox: &MailboxId, id: MessageId) -> bool {
        self.found.iter().any(|found| found.id == id && found.mailbox == *mailbox)
    }

    fn take(
        &mut self,
        mailbox: MailboxId,
        id: MessageId,
        caller: CallerHash,
        envelope: Envelope,
        cutoff: Time,
    ) {
        if envelope.received <= cutoff {
            self.found.push(Found { mailbox, id, caller, envelope });
        }
    }
}

/// Refuses to call something complete that isn't.
pub(super) fn whole(unreadable: usize) -> Result<(), GdprError> {
    if unreadable == 0 { Ok(()) } else { Err(GdprError::Unreadable { count: unreadable }) }
}

/// All messages of the subject received up to the cutoff.
pub(super) async fn search(context: &Context, target: &Target, cutoff: Time) -> Result<Search, StoreError> {
    let mut search = Search::default();
    for caller in target.all_callers() {
        let prefix = Key::envelopes(caller);
        let keys: Vec<String> = context.store().list(&prefix).try_collect().await?;
        for key in &keys {
            let (Some((mailbox, id)), Some(key)) = (parse_envelope(key), Key::listed(key)) else { continue };
            let Some(bytes) = context.store().get(&key).await? else { continue };
            match decode_envelope(&bytes) {
                Ok(envelope) if target.admits(context, caller, envelope.caller.as_ref()).await? => {
                    search.take(mailbox, id, caller.clone(), envelope, cutoff);
                }
                Err(_) if !is_known_stranger(context, target, caller, &mailbox, id).await? => {
                    search.unreadable.push((mailbox, id, caller.clone()));
                }
                _ => {}
            }
        }
    }
    search_named(context, &target.messages, cutoff, &mut search).await?;
    Ok(search)
}

/// Whether the index tells of a message without a legible envelope that somebody else left it.
async fn is_known_stranger(
    context: &Context,
    target: &Target,
    caller: &CallerHash,
    mailbox: &MailboxId,
    id: MessageId,
) -> Result<bool, StoreError> {
    if target.callers.contains(caller) {
        return Ok(false);
    }
    let index: Option<Index> = match context.documents().load(&Key::index(mailbox)).await {
        Err(error) if error.is_about_one() => return Ok(false),
        other => other?,
    };
    let entry = index.and_then(|index| index.entries.get(&id).cloned());
    match entry.filter(|entry| entry.caller_hash == *caller) {
        Some(entry) => Ok(!target.admits(context, caller, entry.caller.as_ref()).await?),
        None => Ok(false),
    }
}

/// Messages by name, and what was forwarded of them, on and on.
async fn search_named(
    context: &Context,
    names: &[MessageName],
    cutoff: Time,
    search: &mut Search,
) -> Result<(), StoreError> {
    let mut indexes = Indexes::default();
    let mut queue = names.to_vec();
    while let Some(name) = queue.pop() {
        if !search.named.insert(name.clone()) {
            continue;
        }
        let MessageName { mailbox, id } = name;
        let index = match indexes.load(context, &mailbox).await {
            Err(error) if error.is_about_one() => {
                search.unreadable.push((mailbox, id, CallerHash::withheld()));
                continue;
            }
            other => other?,
        };
        let entry = index.entries.get(&id);
        let copies = entry.iter().flat_map(|entry| &entry.forwarded_to);
        queue.extend(copies.map(|copy| MessageName::new(&copy.mailbox, copy.id)));
        if search.knows(&mailbox, id) {
            continue;
        }
        let caller = entry.map_or_else(CallerHash::withheld, |entry| entry.caller_hash.clone());
        let bytes = context.store().get(&Key::envelope(&caller, &mailbox, id)).await?;
        match (bytes.map(|bytes| decode_envelope(&bytes)), entry) {
            (Some(Ok(envelope)), _) => search.take(mailbox, id, caller, envelope, cutoff),
            (Some(Err(_)), _) => search.unreadable.push((mailbox, id, caller)),
            // Its envelope was lost: the message is there nevertheless.
            (None, Some(entry)) if entry.state != MessageState::Deleting => {
                let envelope = Envelope::of_entry(entry, None, 0, index.generation);
                search.take(mailbox, id, caller, envelope, cutoff);
            }
            (None, _) => {}
        }
    }
    Ok(())
}

/// Mailboxes' indexes, each read once.
#[derive(Default)]
pub(super) struct Indexes(BTreeMap<MailboxId, Index>);

impl Indexes {
    pub(super) async fn load(
        &mut self,
        context: &Context,
        mailbox: &MailboxId,
    ) -> Result<&Index, StoreError> {
        if !self.0.contains_key(mailbox) {
            let index = context.documents().load(&Key::index(mailbox)).await?;
            self.0.insert(mailbox.clone(), index.unwrap_or_default());
        }
        Ok(self.0.entry(mailbox.clone()).or_default())
    }
}

/// As [`search`], where nothing may be left out.
pub(super) async fn find(context: &Context, target: &Target, cutoff: Time) -> Result<Vec<Found>, GdprError> {
    search(context, target, cutoff).await?.whole()
}

/// Messages by mailbox, each with its caller.
pub(super) type Boxes = BTreeMap<MailboxId, BTreeMap<MessageId, CallerHash>>;

/// Sorts messages by mailbox.
pub(super) fn by_mailbox(found: &[Found]) -> Boxes {
    let mut boxes = Boxes::new();
    for Found { mailbox, id, caller, .. } in found {
        boxes.entry(mailbox.clone()).or_default().insert(*id, caller.clone());
    }
    boxes
}

/// Counts messages by the region of their audio.
pub(super) fn by_region(found: &[Found]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for Found { envelope, .. } in found {
        *counts.entry(envelope.region.clone()).or_default() += 1;
    }
    counts
}
