//! Finding messages that were named, and what was forwarded of them, on and on, by what each copy knows of its originals.
//!
//! A copy may be anywhere, so that this walks over all mailboxes; it keeps only what it knows of copies and of those named.
//! A mailbox that can't be read may hold one, and is counted.

use super::GdprError;
use super::search::{Found, Search, ask_indexes, whole};
use super::target::Target;
use crate::context::Context;
use futures::{StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use voicemail_model::lineage::{Known, Lineage, follow};
use voicemail_model::{
    CallerHash, Entry, Envelope, Forwarding, Index, MailboxId, MessageId, MessageName, MessageState, Time,
};
use voicemail_store::codec::decode_envelope;
use voicemail_store::{Family, Key, StoreError, parse_index};

/// The named messages of a subject, but for those that its callers left: they are found by their envelopes.
pub(super) async fn search_named(
    context: &Context,
    target: &Target,
    cutoff: Time,
) -> Result<Search, StoreError> {
    let mut search = Search::default();
    let known = load_known(context, &target.messages, &mut search).await?;
    let Lineage { named, missing, .. } = follow(&known, &target.messages);
    (search.named, search.missing) = (named, missing);
    let named = search.named.iter().map(|name| (name.mailbox.clone(), name.id));
    let entries = ask_indexes(context, named, find_entries).await?;
    let read = |place| read_named(context, target, place);
    for message in context.all(entries, read).await?.into_iter().flatten() {
        match message {
            Ok(found) => search.take(found, cutoff),
            Err(unreadable) => search.unreadable.push(unreadable),
        }
    }
    Ok(search)
}

/// A named message, with its entry if there is one and its mailbox's generation; nothing of a mailbox that can't be read.
type Place = (MailboxId, MessageId, Option<(Option<Entry>, u32)>);

fn find_entries(
    mailbox: &MailboxId,
    index: Result<Arc<Index>, StoreError>,
    ids: Vec<MessageId>,
) -> Result<Vec<Place>, StoreError> {
    let entry = |id| index.as_ref().ok().map(|index| (index.entries.get(&id).cloned(), index.generation));
    Ok(ids.into_iter().map(|id| (mailbox.clone(), id, entry(id))).collect())
}

/// A message that can't be read.
type Unreadable = (MailboxId, MessageId, CallerHash);

/// `None` for one that is gone, or found by its caller.
async fn read_named(
    context: &Context,
    target: &Target,
    (mailbox, id, place): Place,
) -> Result<Option<Result<Found, Unreadable>>, StoreError> {
    let Some((entry, generation)) = place else {
        return Ok(Some(Err((mailbox, id, CallerHash::withheld()))));
    };
    let caller = entry.as_ref().map_or_else(CallerHash::withheld, |entry| entry.caller_hash.clone());
    let bytes = context.store().get(&Key::envelope(&caller, &mailbox, id)).await?;
    let envelope = match (bytes.map(|bytes| decode_envelope(&bytes)), entry) {
        (Some(Ok(envelope)), _) => {
            if target.admits(context, &caller, envelope.caller.as_ref()).await? {
                return Ok(None);
            }
            envelope
        }
        (Some(Err(_)), _) => return Ok(Some(Err((mailbox, id, caller)))),
        // Its envelope was lost: the message is there nevertheless.
        (None, Some(entry)) if entry.state != MessageState::Deleting => {
            Envelope::of_entry(&entry, None, 0, generation)
        }
        (None, _) => return Ok(None),
    };
    Ok(Some(Ok(Found { mailbox, id, caller, envelope })))
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
