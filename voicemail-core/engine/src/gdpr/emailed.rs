//! Copies of messages that went out as mails: no erasure reaches them, so those must be told who got them (Art. 19 GDPR).
//! Only mails that told of the caller count.

use super::search::Found;
use crate::context::Context;
use std::collections::BTreeMap;
use voicemail_api::gdpr::ResidualCopy;
use voicemail_model::{CopyKeeper, MailboxId, Mailed, Mailing, MessageId};
use voicemail_store::{Key, StoreError};

/// How many mails about these messages went out.
///
/// # Errors
/// The store's. Where what was sent about a mailbox can't be decoded, each of its messages counts as sent once.
pub(super) async fn count(context: &Context, found: &[Found]) -> Result<u64, StoreError> {
    let mut messages: BTreeMap<&MailboxId, Vec<MessageId>> = BTreeMap::new();
    for one in found {
        messages.entry(&one.mailbox).or_default().push(one.id);
    }
    let count = |(mailbox, ids): (&MailboxId, Vec<MessageId>)| {
        let key = Key::mailing(mailbox);
        async move {
            let mailing: Mailing = match context.documents().load(&key).await {
                Err(error) if error.is_about_one() => return Ok(ids.len()),
                found => found?.unwrap_or_default(),
            };
            Ok::<_, StoreError>(ids.iter().filter_map(|id| mailing.mailed(*id)).map(Mailed::copies).sum())
        }
    };
    let counts: Vec<usize> = context.all(messages, count).await?;
    Ok(counts.into_iter().fold(0, |sum: u64, count| sum.saturating_add(count as u64)))
}

/// As a keeper of copies, for a count that isn't zero.
pub(super) fn keeper(context: &Context, copies: u64) -> Option<CopyKeeper> {
    let keeper =
        CopyKeeper { copies: Some(copies), ..CopyKeeper::new(&context.master(), ResidualCopy::MAILS, None) };
    (copies > 0).then_some(keeper)
}
