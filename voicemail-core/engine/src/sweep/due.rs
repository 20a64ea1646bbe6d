//! Due items whose time has come.
//!
//! Each is taken up beside the others (see [`lanes`](super::lanes)). An item goes only when its work is done; a crash, or an error, leaves it for the next pass.

use super::Swept;
use crate::context::Context;
use crate::gdpr::{Gdpr, GdprError, end_release, move_run_on};
use crate::mailbox::{
    GreetingStatus, Remover, empty_closed, expire_messages, forget_deposit_key, settle_greeting,
};
use std::time::Duration;
use voicemail_model::{Due, DueItem, GreetingKey, GreetingStage, MailboxId, MessageState, Time};
use voicemail_store::codec::{decode, require_known};
use voicemail_store::retry_until_known::delete;
use voicemail_store::{ErrorClass, Key, StoreError};

/// How long a deletion that never became visible is kept: its maker may only be slow.
const DOUBT: Duration = Duration::from_secs(86_400);

/// One item, unless it lies ahead.
///
/// # Errors
/// The store's, for the item itself; what its work met is counted.
pub(super) async fn take_up(
    context: &Context,
    gdpr: &Gdpr,
    key: &Key,
    now: Time,
    swept: &mut Swept,
) -> Result<(), StoreError> {
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
    match carry_out(context, gdpr, &item).await {
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

pub(super) fn minute_of(key: &str) -> &str {
    key.split('/').nth(1).unwrap_or_default()
}

enum Done {
    Yes,
    NotYet,
}

async fn carry_out(context: &Context, gdpr: &Gdpr, item: &DueItem) -> Result<Done, DueError> {
    match &item.due {
        Due::Retain { mailbox } => {
            let done = expire_messages(context, mailbox).await?;
            return Ok(if done { Done::Yes } else { Done::NotYet });
        }
        Due::Close { mailbox, generation } => {
            return finish_closing(context, item, mailbox, *generation).await;
        }
        Due::Released { message, reason } => end_release(context, message, reason).await?,
        Due::Run { .. } => move_run_on(gdpr, &item.due).await?,
        Due::DepositKey { digest } => forget_deposit_key(context, digest).await?,
        Due::Greeting { audio, stage } => return look_at_greeting(context, item.at, audio, *stage).await,
        Due::Delete { .. } => return finish_deletion(context, item).await,
    };
    Ok(Done::Yes)
}

/// Empties a closed mailbox. A mailbox that isn't closed may be yet: the process that filed the item may only be slow,
/// so that it is dropped after a day.
async fn finish_closing(
    context: &Context,
    item: &DueItem,
    mailbox: &MailboxId,
    generation: u32,
) -> Result<Done, DueError> {
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
async fn finish_deletion(context: &Context, item: &DueItem) -> Result<Done, DueError> {
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
