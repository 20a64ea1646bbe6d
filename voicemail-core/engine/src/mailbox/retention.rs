//! Retention: what has expired is deleted at the end of its day, by the mailbox's due item of that day.
//!
//! When a message expires is stamped on it at its deposit, by its mailbox's class (`deposit.rs`: `admit` reads the
//! class, `store` stamps): the time is in the envelope, which never changes, and in the index's entry. `voicemail admin
//! apply-retention` stamps entries anew (`voicemail-core/server/src/admin/retention.rs`), and an erasure that is undone
//! moves the time in the entry by as long as the message was hidden.
//!
//! The item names no message. It reads the index, deletes what has expired and is neither flagged nor
//! held, and makes the item of the next day on which something may expire. So a message whose clock
//! stood still, or that was held, is looked at again every day until it goes. After a jump of the clock that nobody
//! confirmed only a ration goes, and the item stays for the rest.

use super::deposit::ensure_retention;
use super::{Remover, remove::Only};
use crate::context::Context;
use std::time::Duration;
use voicemail_model::{Index, MailboxId, PurgeItem, Time};
use voicemail_store::{Key, StoreError};

/// Deletes a mailbox's expired messages and sees to the next look. Returns whether all of them went.
pub(crate) async fn expire_messages(context: &Context, mailbox: &MailboxId) -> Result<bool, StoreError> {
    // Its item goes when this is done: what was remembered of this day, and of days that a clock took for over, is nothing.
    context.retained().forget(mailbox);
    let key = Key::index(mailbox);
    let load = || context.documents().load::<Index>(&key);
    let Some(index) = load().await? else { return Ok(true) };
    let now = context.world().now();
    let expired: Vec<_> = index.entries.iter().filter(|(_, entry)| entry.is_expired(now)).collect();
    let allowed = context.may_expire(expired.len());
    let remove = |item: PurgeItem| async move {
        let only = Only { expired: true, visible: true };
        Remover::new(context).remove_if(mailbox, &item, only).await
    };
    let items = expired.iter().take(allowed).map(|(id, entry)| PurgeItem::of_entry(**id, entry));
    context.all(items, remove).await?;
    if allowed < expired.len() {
        return Ok(false);
    }
    if let Some(index) = load().await? {
        schedule_next(context, mailbox, &index, now).await?;
    }
    Ok(true)
}

async fn schedule_next(
    context: &Context,
    mailbox: &MailboxId,
    index: &Index,
    now: Time,
) -> Result<(), StoreError> {
    const DAY: Duration = Duration::from_secs(86_400);
    let tomorrow = now.plus(DAY);
    let next = index.entries.values().map(|entry| entry.deadline().max(tomorrow)).min();
    match next {
        Some(next) => ensure_retention(context, mailbox, next).await,
        None => Ok(()),
    }
}
