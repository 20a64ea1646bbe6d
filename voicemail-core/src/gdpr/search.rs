//! Finding everything of a caller: their envelopes, listed by hash. One list answers for every mailbox.

use super::GdprError;
use crate::context::Context;
use crate::mailbox::decode_envelope;
use crate::model::{CallerHash, Envelope, MailboxId, MessageId, Time};
use crate::store::{Key, StoreError, parse_envelope};
use futures::TryStreamExt;
use std::collections::BTreeMap;

/// A message found by its caller.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) mailbox: MailboxId,
    pub(super) id: MessageId,
    pub(super) caller: CallerHash,
    pub(super) envelope: Envelope,
}

/// What a search brought to light.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// Messages received up to the cutoff.
    pub(super) found: Vec<Found>,
    /// Messages whose envelopes can't be decoded: whether they are covered isn't known.
    pub(super) unreadable: Vec<(MailboxId, MessageId, CallerHash)>,
}

impl Search {
    /// All that was found, or that some couldn't be read.
    pub(super) fn whole(self) -> Result<Vec<Found>, GdprError> {
        whole(self.unreadable.len()).map(|()| self.found)
    }
}

/// Refuses to call something complete that isn't.
pub(super) fn whole(unreadable: usize) -> Result<(), GdprError> {
    if unreadable == 0 { Ok(()) } else { Err(GdprError::Unreadable { count: unreadable }) }
}

/// All messages of these callers received up to the cutoff.
pub(super) async fn search(
    context: &Context,
    callers: &[CallerHash],
    cutoff: Time,
) -> Result<Search, StoreError> {
    let mut search = Search::default();
    for caller in callers {
        let prefix = Key::envelopes(caller);
        let keys: Vec<String> = context.store().list(&prefix).try_collect().await?;
        for key in &keys {
            let (Some((mailbox, id)), Some(key)) = (parse_envelope(key), Key::listed(key)) else { continue };
            let Some(bytes) = context.store().get(&key).await? else { continue };
            match decode_envelope(&bytes) {
                Ok(envelope) if envelope.received <= cutoff => {
                    search.found.push(Found { mailbox, id, caller: caller.clone(), envelope });
                }
                Ok(_) => {}
                Err(_) => search.unreadable.push((mailbox, id, caller.clone())),
            }
        }
    }
    Ok(search)
}

/// As [`search`], where nothing may be left out.
pub(super) async fn find(
    context: &Context,
    callers: &[CallerHash],
    cutoff: Time,
) -> Result<Vec<Found>, GdprError> {
    search(context, callers, cutoff).await?.whole()
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
