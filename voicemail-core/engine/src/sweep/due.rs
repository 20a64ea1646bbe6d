//! Due items whose time has come.
//!
//! Listed in the order of their minutes, so that reading stops at the first that lies ahead. An item
//! goes only when its work is done; a crash, or an error, leaves it for the next pass.

use super::{Sweeper, Swept};
use crate::context::Context;
use crate::gdpr::{GdprError, end_release, move_run_on};
use crate::mailbox::{
    GreetingStatus, Remover, empty_closed, expire_messages, forget_deposit_key, settle_greeting,
};
use futures::StreamExt;
use std::time::Duration;
use voicemail_model::{Due, DueItem, GreetingKey, GreetingStage, MailboxId, MessageState, Time};
use voicemail_store::Family;
use voicemail_store::codec::{decode, require_known};
use voicemail_store::retry_until_known::delete;
use voicemail_store::{ErrorClass, Key, StoreError};

/// How long a deletion that never became visible is kept: its maker may only be slow.
const DOUBT: Duration = Duration::from_secs(86_400);

/// Carries out what is due. An item's failure is its own, as long as the store answers for others.
///
/// # Errors
/// The store's, when the listing couldn't go on; what came before it was carried out.
pub(super) async fn sweep(sweeper: &Sweeper, swept: &mut Swept) -> Result<(), StoreError> {
    let context = &sweeper.context;
    let mut keys = context.store().list(Family::Due.prefix());
    let mut unlisted = Ok(());
    while let Some(key) = keys.next().await {
        let key = match key {
            Ok(key) => key,
            // A volume goes on behind a folder that can't be listed.
            Err(error) => {
                unlisted = unlisted.and(Err(error));
                continue;
            }
        };
        let now = context.world().now();
        if minute_of(&key) > now.minute().as_str() {
            swept.next = swept.next.or_else(|| Time::from_minute(minute_of(&key)));
            break;
        }
        let Some(key) = Key::listed(&key) else { continue };
        if let Err(error) = take_up(sweeper, &key, now, swept).await {
            let since = Time::from_minute(minute_of(key.as_str()));
            swept.lag = swept.lag.max(since.map_or(Duration::ZERO, |since| now.since(since)));
            swept.skip_one(context, "a due item", error).await?;
        }
    }
    unlisted
}

/// One item, unless it lies ahead.
///
/// # Errors
/// The store's, for the item itself; what its work met is counted.
async fn take_up(sweeper: &Sweeper, key: &Key, now: Time, swept: &mut Swept) -> Result<(), StoreError> {
    let context = &sweeper.context;
    let Some(bytes) = context.store().get(key).await? else { return Ok(()) };
    // An item that can't be read must not stand in the way of all that come after it.
    let known = |item: DueItem| match (&item.due, item.schema) {
        (Due::Run { .. }, DueItem::NAMED | DueItem::DOUBTFUL) => Ok(item),
        (_, schema) => require_known(schema).map(|()| item),
    };
    let item: DueItem = decode(&bytes).and_then(known)?;
    if item.at > now {
        swept.next = Some(swept.next.map_or(item.at, |next| next.min(item.at)));
        return Ok(());
    }
    match carry_out(sweeper, &item).await {
        Ok(Done::Yes) => {
            swept.lag = swept.lag.max(now.since(item.at));
            delete(context.store(), context.world(), key).await?;
            swept.due += 1;
        }
        Ok(Done::NotYet) => {}
        Err(DueError::Store(error)) => return Err(error),
        Err(DueError::Gdpr(GdprError::Store(error))) => return Err(error),
        Err(error) => {
            swept.failed += 1;
            swept.lag = swept.lag.max(now.since(item.at));
            tracing::warn!(class = ?error.class(), reason = error.reason(), %error, "a due item failed and stays");
        }
    }
    Ok(())
}

fn minute_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

enum Done {
    Yes,
    NotYet,
}

async fn carry_out(sweeper: &Sweeper, item: &DueItem) -> Result<Done, DueError> {
    let context = &sweeper.context;
    match &item.due {
        Due::Retain { mailbox } => expire_messages(context, mailbox).await?,
        Due::Close { mailbox, generation } => {
            return finish_closing(sweeper, item, mailbox, *generation).await;
        }
        Due::Released { message, reason } => {
            end_release(context, message, reason).await?;
            0
        }
        Due::Run { .. } => {
            move_run_on(&sweeper.gdpr, &item.due).await?;
            0
        }
        Due::DepositKey { digest } => {
            forget_deposit_key(context, digest).await?;
            0
        }
        Due::Greeting { audio, stage } => return look_at_greeting(context, item.at, audio, *stage).await,
        Due::Delete { .. } => return finish_deletion(sweeper, item).await,
    };
    Ok(Done::Yes)
}

/// Empties a closed mailbox. A mailbox that isn't closed may be yet: the process that filed the item may only be slow,
/// so that it is dropped after a day.
async fn finish_closing(
    sweeper: &Sweeper,
    item: &DueItem,
    mailbox: &MailboxId,
    generation: u32,
) -> Result<Done, DueError> {
    let context = &sweeper.context;
    let index = context.indexes().load(mailbox).await?;
    if index.is_some_and(|index| !index.closed && index.generation == generation) {
        let doubtful = context.world().now().since(item.at) <= DOUBT;
        return Ok(if doubtful { Done::NotYet } else { Done::Yes });
    }
    let done = empty_closed(context, mailbox, generation).await?;
    Ok(if done { Done::Yes } else { Done::NotYet })
}

/// Finishes a deletion from its due item. An entry that isn't `Deleting` means that the deletion never began: it was
/// never acknowledged, but its maker may only be slow, so the item is dropped after a day.
async fn finish_deletion(sweeper: &Sweeper, item: &DueItem) -> Result<Done, DueError> {
    let context = &sweeper.context;
    let Due::Delete { mailbox, id, audio, .. } = &item.due else { return Ok(Done::Yes) };
    let index = context.indexes().load(mailbox).await?;
    let entry = index.as_ref().and_then(|index| index.entries.get(id));
    let standing = entry.is_some_and(|entry| entry.state != MessageState::Deleting && entry.audio == *audio);
    if standing {
        let doubtful = context.world().now().since(item.at) <= DOUBT;
        return Ok(if doubtful { Done::NotYet } else { Done::Yes });
    }
    Remover::new(context).finish(item).await?;
    Ok(Done::Yes)
}

/// Audio that isn't in force is deleted. One that is although it was to be replaced, or of which nothing can be said,
/// is looked at for a day, since its maker may only be slow.
async fn look_at_greeting(
    context: &Context,
    due: Time,
    audio: &GreetingKey,
    stage: GreetingStage,
) -> Result<Done, DueError> {
    let doubtful = match settle_greeting(context, audio).await? {
        GreetingStatus::Deleted => false,
        GreetingStatus::InForce => stage == GreetingStage::Replaced,
        GreetingStatus::Unknown => true,
    };
    let young = context.world().now().since(due) <= DOUBT;
    Ok(if doubtful && young { Done::NotYet } else { Done::Yes })
}

/// Why a due item stays.
#[derive(Debug, thiserror::Error)]
enum DueError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Gdpr(#[from] GdprError),
}

impl DueError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            Self::Gdpr(error) => error.class(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Gdpr(error) => error.reason(),
        }
    }
}
