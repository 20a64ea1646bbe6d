//! Permanent deletion in six steps: due item, entry out of sight, audio, envelope, entry out, due item.
//!
//! Any crash resumes from the due item. The entry goes last, so that an envelope without an entry
//! always means an unfinished deposit, never an unfinished deletion.

use crate::context::Context;
use std::time::Duration;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{Due, DueItem, IndexOp, IndexOutcome, MailboxId, PurgeItem};
use voicemail_store::codec::encode;
use voicemail_store::retry_until_known::{delete, ensure};
use voicemail_store::{Key, StoreError};

/// When the sweeper takes an unfinished deletion up.
const RESUME_AFTER: Duration = Duration::from_secs(300);

/// Which entries a deletion may take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Only {
    /// Only messages that have expired and are neither flagged nor held.
    pub expired: bool,
    /// Only messages that their owner can see.
    pub visible: bool,
}

/// Deletes messages.
pub struct Remover<'a> {
    context: &'a Context,
}

impl<'a> Remover<'a> {
    /// Over a tenant's context.
    pub fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// Deletes whatever state the entry is in.
    pub(crate) async fn remove(&self, mailbox: &MailboxId, message: &PurgeItem) -> Result<(), StoreError> {
        self.remove_if(mailbox, message, Only::default()).await.map(|_| ())
    }

    /// Deletes if the entry is one of those allowed when the index is written. False if it wasn't.
    pub async fn remove_if(
        &self,
        mailbox: &MailboxId,
        message: &PurgeItem,
        only: Only,
    ) -> Result<bool, StoreError> {
        let item = self.due_item(mailbox, message);
        let key = Key::due(&item);
        ensure(self.context.store(), self.context.world(), &key, &encode(&item)?).await?;
        let op = IndexOp::BeginDelete {
            id: message.id,
            caller: message.caller.clone(),
            audio: message.audio.clone(),
            only_expired: only.expired,
            only_visible: only.visible,
        };
        let begun = self.context.indexes().try_apply(mailbox, op).await?;
        if begun.is_some_and(|applied| applied.outcome == IndexOutcome::NotFound) {
            delete(self.context.store(), self.context.world(), &key).await?;
            return Ok(false);
        }
        self.finish(&item).await?;
        Ok(true)
    }

    fn due_item(&self, mailbox: &MailboxId, message: &PurgeItem) -> DueItem {
        let world = self.context.world();
        let PurgeItem { id, caller, audio, region } = message.clone();
        let due = Due::Delete {
            mailbox: mailbox.clone(),
            id,
            caller,
            audio,
            region,
            attempt: if fault_injection::is(Broken::SharedDueName) {
                "shared".into()
            } else {
                world.random_hex()
            },
        };
        due.at(world.now().plus(RESUME_AFTER))
    }

    /// Audio, envelope, entry and due item of a deletion that the due item names. Items of other kinds have nothing to
    /// finish.
    pub(crate) async fn finish(&self, item: &DueItem) -> Result<(), StoreError> {
        let Due::Delete { mailbox, id, caller, audio, region, .. } = &item.due else { return Ok(()) };
        let (store, world) = (self.context.store(), self.context.world());
        let op = IndexOp::FinishDelete { id: *id, caller: caller.clone(), audio: audio.clone() };
        if fault_injection::is(Broken::EntryBeforeAudio) {
            self.context.indexes().try_apply(mailbox, op.clone()).await?;
        }
        delete(self.context.region(region)?.as_ref(), world, &Key::audio(audio)).await?;
        delete(store, world, &Key::envelope(caller, mailbox, *id)).await?;
        self.context.indexes().try_apply(mailbox, op).await?;
        delete(store, world, &Key::due(item)).await
    }
}
