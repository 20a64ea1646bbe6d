//! Finding everything of a caller: their envelopes, listed by hash. One list answers for every mailbox.

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

/// All messages of these callers received up to the cutoff.
pub(super) async fn find(
    context: &Context,
    callers: &[CallerHash],
    cutoff: Time,
) -> Result<Vec<Found>, StoreError> {
    let mut found = Vec::new();
    for caller in callers {
        let prefix = Key::envelopes(caller);
        let keys: Vec<String> = context.store().list(&prefix).try_collect().await?;
        for key in &keys {
            let (Some((mailbox, id)), Some(key)) = (parse_envelope(key), Key::listed(key)) else { continue };
            let Some(bytes) = context.store().get(&key).await? else { continue };
            let envelope = decode_envelope(&bytes)?;
            if envelope.received <= cutoff {
                found.push(Found { mailbox, id, caller: caller.clone(), envelope });
            }
        }
    }
    Ok(found)
}

/// Messages by mailbox, each with its caller.
pub(super) fn by_mailbox(found: &[Found]) -> BTreeMap<MailboxId, BTreeMap<MessageId, CallerHash>> {
    let mut boxes: BTreeMap<MailboxId, BTreeMap<MessageId, CallerHash>> = BTreeMap::new();
    for Found { mailbox, id, caller, .. } in found {
        boxes.entry(mailbox.clone()).or_default().insert(*id, caller.clone());
    }
    boxes
}
