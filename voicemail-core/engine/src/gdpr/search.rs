//! Finding everything of a run's subject: the envelopes of its callers, listed by hash, which answers for every
//! mailbox; and the messages that were named, with their copies, found by what each copy knows of its originals.

use super::GdprError;
use super::target::Target;
use crate::context::{Context, Memory};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_model::lineage::{Known, Lineage, follow};
use voicemail_model::{
    CallerHash, Entry, Envelope, Forwarding, Index, MailboxId, MessageId, MessageName, MessageState, RunId,
    Time,
};
use voicemail_store::Family;
use voicemail_store::codec::decode_envelope;
use voicemail_store::{Key, StoreError, parse_envelope, parse_index};

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

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// Messages received up to the cutoff.
    pub(super) found: Vec<Found>,
    /// Messages whose envelopes can't be decoded: whether they are covered isn't known.
    pub(super) unreadable: Vec<(MailboxId, MessageId, CallerHash)>,
    /// Messages that were named, and their copies, found or not.
    pub(super) named: BTreeSet<MessageName>,
    /// The messages among them that are gone, with all that is known to belong to them.
    pub(super) missing: BTreeSet<MessageName>,
}

impl Search {
    /// The messages found, or the error that some couldn't be read.
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

/// Requests whose messages this process has hidden, with each of their envelopes read.
#[derive(Default)]
pub(super) struct Hidden(Mutex<BTreeSet<RunId>>);

impl Memory for Hidden {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

impl Hidden {
    /// It was hidden whole.
    pub(super) fn note(&self, run: &RunId) {
        const MOST: usize = 1_000;
        let mut runs = self.0.lock();
        if runs.len() >= MOST {
            runs.clear();
        }
        runs.insert(run.clone());
    }
}

/// All messages of the subject received up to the cutoff.
pub(super) async fn search(context: &Context, target: &Target, cutoff: Time) -> Result<Search, StoreError> {
    search_beside(context, target, cutoff, None).await
}

/// As [`search`], of a request that is looked at again: messages that it hides are known by their mailboxes' indexes.
pub(super) async fn search_again(
    context: &Context,
    run: &RunId,
    (target, cutoff): (&Target, Time),
) -> Result<Search, StoreError> {
    let hidden = context.memory::<Hidden>().0.lock().contains(run);
    search_beside(context, target, cutoff, hidden.then_some(run)).await
}

async fn search_beside(
    context: &Context,
    target: &Target,
    cutoff: Time,
    hidden_by: Option<&RunId>,
) -> Result<Search, StoreError> {
    let mut search = Search::default();
    let callers: Vec<&CallerHash> = target.all_callers().collect();
    let listed = context.all(callers.clone(), |caller| list_envelopes(context, caller)).await?;
    for (caller, mut envelopes) in callers.into_iter().zip(listed) {
        if let Some(run) = hidden_by {
            envelopes = take_hidden(context, run, caller, (envelopes, cutoff), &mut search).await?;
        }
        look_at_all(context, target, caller, (envelopes, cutoff), &mut search).await?;
    }
    search_named(context, &target.messages, cutoff, &mut search).await?;
    Ok(search)
}

/// Where a search that goes part by part is.
#[derive(Default)]
pub(super) struct Position {
    /// Callers that are done.
    callers: usize,
    /// The last key that was looked at, of the next one's.
    after: String,
    /// Nothing comes after it.
    pub(super) ended: bool,
}

/// The next messages of [`search`], at most so many; fewer don't mean that there are no more. Messages that were named are
/// few, and searched for all at once.
pub(super) async fn search_on(
    context: &Context,
    target: &Target,
    cutoff: Time,
    (position, most): (&mut Position, usize),
) -> Result<Search, StoreError> {
    if !target.messages.is_empty() {
        position.ended = true;
        return search(context, target, cutoff).await;
    }
    let mut search = Search::default();
    let callers: Vec<&CallerHash> = target.all_callers().skip(position.callers).collect();
    let after = position.after.clone();
    let list = |(number, caller)| {
        let after = if number == 0 { after.clone() } else { String::new() };
        async move { list_some(context, caller, &after, most).await }
    };
    let listed = context.all(callers.iter().copied().enumerate(), list).await?;
    for (caller, (mut filed, mut more)) in callers.into_iter().zip(listed) {
        let room = most.saturating_sub(search.found.len());
        more |= filed.len() > room;
        filed.truncate(room);
        if let Some((_, _, last)) = filed.last() {
            last.as_str().clone_into(&mut position.after);
        }
        look_at_all(context, target, caller, (filed, cutoff), &mut search).await?;
        if more {
            return Ok(search);
        }
        (position.callers, position.after) = (position.callers + 1, String::new());
    }
    position.ended = true;
    Ok(search)
}

/// Takes the messages that a request hides already, from their entries; gives the others, whose envelopes tell.
async fn take_hidden(
    context: &Context,
    run: &RunId,
    caller: &CallerHash,
    (filed, cutoff): (Vec<Filed>, Time),
    search: &mut Search,
) -> Result<Vec<Filed>, StoreError> {
    let mut indexes = Indexes::default();
    indexes.load_all(context, filed.iter().map(|(mailbox, ..)| mailbox)).await?;
    let mut others = Vec::new();
    for (mailbox, id, key) in filed {
        let index = indexes.0.get(&mailbox);
        let entry = index.and_then(|index| Some((index.entries.get(&id)?, index.generation)));
        match entry.filter(|(entry, _)| entry.caller_hash == *caller && entry.forget.contains_key(run)) {
            Some((entry, generation)) => {
                let envelope = Envelope::of_entry(entry, None, 0, generation);
                search.take(mailbox, id, caller.clone(), envelope, cutoff);
            }
            None => others.push((mailbox, id, key)),
        }
    }
    Ok(others)
}

/// Sorts the messages that are filed under a hash into those found, those that can't be read, and others.
async fn look_at_all(
    context: &Context,
    target: &Target,
    caller: &CallerHash,
    (filed, cutoff): (Vec<Filed>, Time),
    search: &mut Search,
) -> Result<(), StoreError> {
    let look = |filed| look_at(context, target, caller, filed);
    for (mailbox, id, envelope) in context.all(filed, look).await?.into_iter().flatten() {
        match envelope {
            Some(envelope) => search.take(mailbox, id, caller.clone(), envelope, cutoff),
            None => search.unreadable.push((mailbox, id, caller.clone())),
        }
    }
    Ok(())
}

/// A message of the subject's with its envelope, which is absent if it can't be decoded; `None` if it is somebody else's
/// or gone.
async fn look_at(
    context: &Context,
    target: &Target,
    caller: &CallerHash,
    (mailbox, id, key): Filed,
) -> Result<Option<(MailboxId, MessageId, Option<Envelope>)>, StoreError> {
    let Some(bytes) = context.store().get(&key).await? else { return Ok(None) };
    Ok(match decode_envelope(&bytes) {
        Ok(envelope) if target.admits(context, caller, envelope.caller.as_ref()).await? => {
            Some((mailbox, id, Some(envelope)))
        }
        Err(_) if !is_known_stranger(context, target, caller, &mailbox, id).await? => {
            Some((mailbox, id, None))
        }
        _ => None,
    })
}

/// A message, and its envelope's key.
type Filed = (MailboxId, MessageId, Key);

/// All envelopes that are filed under a hash.
pub(super) async fn list_envelopes(context: &Context, caller: &CallerHash) -> Result<Vec<Filed>, StoreError> {
    list_some(context, caller, "", usize::MAX).await.map(|(filed, _)| filed)
}

/// At most so many of them that come after a key, and whether there are more.
async fn list_some(
    context: &Context,
    caller: &CallerHash,
    after: &str,
    most: usize,
) -> Result<(Vec<Filed>, bool), StoreError> {
    let (prefix, mut filed) = (Key::envelopes(caller), Vec::new());
    let mut keys = context.store().list_after(&prefix, after);
    while let Some(key) = keys.try_next().await? {
        let parsed = parse_envelope(&key).zip(Key::listed(&key));
        let Some(((mailbox, id), key)) = parsed else { continue };
        if filed.len() == most {
            return Ok((filed, true));
        }
        filed.push((mailbox, id, key));
    }
    Ok((filed, false))
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
    if names.is_empty() {
        return Ok(());
    }
    let Lineage { named, missing, .. } = follow(&load_known(context, names, search).await?, names);
    search.missing = missing;
    let mut indexes = Indexes::default();
    indexes.load_all(context, named.iter().map(|name| &name.mailbox)).await?;
    for MessageName { mailbox, id } in named {
        search.named.insert(MessageName::new(&mailbox, id));
        if search.knows(&mailbox, id) {
            continue;
        }
        let index = match indexes.load(context, &mailbox).await {
            Err(error) if error.is_about_one() => {
                search.unreadable.push((mailbox, id, CallerHash::withheld()));
                continue;
            }
            other => other?,
        };
        let entry = index.entries.get(&id);
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

/// Refuses to call an erasure complete while messages may be copies of a named one that is gone.
pub(super) async fn exclude_copies(
    context: &Context,
    missing: &[MessageName],
    target: &Target,
) -> Result<(), GdprError> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut search = Search::default();
    let lineage = follow(&load_known(context, missing, &mut search).await?, missing);
    whole(search.unreadable.len())?;
    let undecided = lineage.undecided.iter().filter(|name| !target.messages.contains(name)).count();
    if undecided == 0 { Ok(()) } else { Err(GdprError::CopiesUnknown { count: undecided }) }
}

/// Every message that is a copy or was copied, and those that were named: a walk over all mailboxes, because a copy
/// may be anywhere. A mailbox that can't be read may hold one.
async fn load_known(
    context: &Context,
    names: &[MessageName],
    search: &mut Search,
) -> Result<BTreeMap<MessageName, Known>, StoreError> {
    let mut known = BTreeMap::new();
    let asked: BTreeSet<&MessageName> = names.iter().collect();
    let parse = async |text: Result<String, StoreError>| {
        let parsed = text.map(|text| parse_index(&text).zip(Key::listed(&text)));
        parsed.transpose()
    };
    let read = async |found: Result<(MailboxId, Key), StoreError>| {
        let (mailbox, key) = found?;
        let index = context.documents().load::<Index>(&key).await;
        Ok::<_, StoreError>((mailbox, index))
    };
    let keys = context.store().list(Family::Mailbox.prefix()).filter_map(parse);
    let mut indexes = std::pin::pin!(keys.map(read).buffered(context.abreast()));
    while let Some((mailbox, index)) = indexes.try_next().await? {
        let index: Index = match index {
            Err(error) if error.is_about_one() => {
                let Some(name) = names.first() else { continue };
                search.unreadable.push((mailbox, name.id, CallerHash::withheld()));
                continue;
            }
            other => other?.unwrap_or_default(),
        };
        for (id, entry) in &index.entries {
            let name = MessageName::new(&mailbox, *id);
            let related = entry.forwarded_from.is_some() || !entry.forwarded_to.is_empty();
            if related || asked.contains(&name) {
                known.insert(name, describe(entry));
            }
        }
    }
    Ok(known)
}

fn describe(entry: &Entry) -> Known {
    Known {
        from: entry.forwarded_from.clone(),
        to: entry.forwarded_to.iter().map(Forwarding::name).collect(),
        received: entry.received,
        digest: entry.digest.clone(),
    }
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

    /// Reads those that aren't known yet, side by side. One that can't be read says so when it is asked for.
    pub(super) async fn load_all(
        &mut self,
        context: &Context,
        mailboxes: impl Iterator<Item = &MailboxId>,
    ) -> Result<(), StoreError> {
        let missing: BTreeSet<&MailboxId> = mailboxes.filter(|name| !self.0.contains_key(*name)).collect();
        let read = |mailbox: &MailboxId| {
            let mailbox = mailbox.clone();
            async move {
                match context.documents().load::<Index>(&Key::index(&mailbox)).await {
                    Err(error) if error.is_about_one() => Ok(None),
                    other => Ok::<_, StoreError>(Some((mailbox, other?.unwrap_or_default()))),
                }
            }
        };
        self.0.extend(context.all(missing, read).await?.into_iter().flatten());
        Ok(())
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
