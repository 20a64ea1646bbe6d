//! Agents' operations on messages: list, listen, mark, trash and restore.
//!
//! A list is one read of the index, newest or oldest first; a cursor names the last message shown, so that
//! messages arriving meanwhile neither repeat nor hide others.

use super::deposit::ensure_retention;
use super::page::{parse_cursor, write_cursor};
use super::played::as_played;
use super::precondition::{Precondition, tag_of};
use super::remove::Only;
use super::{MailboxError, Mailboxes, MessageView, Remover, ShownState};
use bytes::Bytes;
use futures::stream::BoxStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use voicemail_model::{
    AudioDigest, Entry, Index, IndexOp, IndexOutcome, MailboxId, MessageChange, MessageId, Mwi, Position,
    PurgeItem, UserId, shown,
};
use voicemail_store::{Key, Revision, StoreError};

/// States that a list can be narrowed to.
pub type ListedState = ShownState;

/// Which messages to list.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Only these; all but the trash when there are none.
    pub states: Vec<ListedState>,
    /// The oldest first, not the newest.
    pub oldest_first: bool,
    /// At most this many.
    pub limit: usize,
    /// Go on after the page that gave this.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct MessagePage {
    /// In the order asked for.
    pub messages: Vec<MessageView>,
    /// Gives the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Audio on its way out.
pub struct Audio {
    /// Size of the whole recording.
    pub size: u64,
    /// SHA-256 of the whole recording.
    pub digest: AudioDigest,
    /// The range asked for.
    pub bytes: BoxStream<'static, Result<Bytes, StoreError>>,
}

impl Mailboxes {
    /// The index of an open mailbox.
    async fn index(&self, mailbox: &MailboxId) -> Result<(Arc<Index>, Revision), MailboxError> {
        let found = self.context.indexes().load_revision(mailbox).await?;
        found.filter(|(index, _)| !index.closed).ok_or(MailboxError::UnknownMailbox)
    }

    /// A message that its owner sees.
    ///
    /// # Errors
    /// `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn entry(&self, mailbox: &MailboxId, id: MessageId) -> Result<Entry, MailboxError> {
        let (index, _) = self.index(mailbox).await?;
        index.visible(id).cloned().ok_or(MailboxError::UnknownMessage)
    }

    /// Lists messages.
    ///
    /// # Errors
    /// `UnknownMailbox`, `Invalid` for a cursor that isn't ours, or the store's.
    pub async fn list(
        &self,
        mailbox: &MailboxId,
        filter: MessageFilter,
    ) -> Result<MessagePage, MailboxError> {
        Ok(self.list_tagged(mailbox, filter).await?.0)
    }

    /// Lists messages, with a tag that is the same as long as the mailbox is.
    ///
    /// # Errors
    /// As those of [`list`](Self::list).
    pub async fn list_tagged(
        &self,
        mailbox: &MailboxId,
        filter: MessageFilter,
    ) -> Result<(MessagePage, String), MailboxError> {
        let after = filter.cursor.as_deref().map(parse_cursor).transpose()?;
        let (index, revision) = self.index(mailbox).await?;
        let wanted = |entry: &Entry| {
            let state = shown(entry);
            let any = filter.states.is_empty() && state != ShownState::Trashed;
            entry.is_visible() && (any || filter.states.contains(&state))
        };
        let ordered: Box<dyn Iterator<Item = (Position, &Entry)>> = match filter.oldest_first {
            true => Box::new(index.entries.oldest_first(after)),
            false => Box::new(index.entries.newest_first(after)),
        };
        let mut found = ordered.filter(|(_, entry)| wanted(entry));
        let shown: Vec<(Position, &Entry)> = found.by_ref().take(filter.limit).collect();
        let last = shown.last().map(|(position, _)| *position);
        let next = last.filter(|_| found.next().is_some()).map(write_cursor);
        let view = |(position, entry): &(Position, &Entry)| MessageView::new(mailbox, position.1, entry);
        let page = MessagePage { messages: shown.iter().map(view).collect(), next };
        Ok((page, self.tag(mailbox, &revision)))
    }

    /// One message.
    ///
    /// # Errors
    /// `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn message(&self, mailbox: &MailboxId, id: MessageId) -> Result<MessageView, MailboxError> {
        Ok(MessageView::new(mailbox, id, &self.entry(mailbox, id).await?))
    }

    /// A message's audio, or a range of it.
    ///
    /// # Errors
    /// `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn audio(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
        range: Option<Range<u64>>,
    ) -> Result<Audio, MailboxError> {
        self.audio_of(&self.entry(mailbox, id).await?, range).await
    }

    /// As [`audio`](Self::audio), of a message that was looked up a moment ago. One that has been erased since has no
    /// audio.
    ///
    /// # Errors
    /// `UnknownMessage`, or the store's.
    pub async fn audio_of(&self, entry: &Entry, range: Option<Range<u64>>) -> Result<Audio, MailboxError> {
        let store = self.context.region(&entry.region)?;
        let start = range.as_ref().map_or(0, |range| range.start);
        let found = store.read(&Key::audio(&entry.audio), range).await?;
        // Erased between the look at the index and the read.
        let body = found.ok_or(MailboxError::UnknownMessage)?;
        let bytes = as_played(body.bytes, start, entry.mends.clone());
        Ok(Audio { size: body.size, digest: entry.digest.clone(), bytes })
    }

    /// Changes state or urgency. A user who marks a message as read or saved counts as having listened to it.
    ///
    /// # Errors
    /// `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn change(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
        change: MessageChange,
        by: Option<&UserId>,
    ) -> Result<MessageView, MailboxError> {
        self.change_if(mailbox, id, change, by, &Precondition::Always).await
    }

    /// As [`change`](Self::change), if the message is as expected when it is written.
    ///
    /// # Errors
    /// `Changed` when it isn't, and as those of `change`.
    pub async fn change_if(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
        change: MessageChange,
        by: Option<&UserId>,
        expected: &Precondition,
    ) -> Result<MessageView, MailboxError> {
        let only_if = match expected {
            Precondition::Always | Precondition::Exists => None,
            _ => {
                let entry = self.entry(mailbox, id).await?;
                let tag = self.message_tag(&MessageView::new(mailbox, id, &entry));
                if !expected.holds(Some(&tag)) {
                    return Err(MailboxError::Changed);
                }
                Some(Box::new(entry))
            }
        };
        self.apply_to_message(mailbox, id, IndexOp::Change { id, change, by: by.cloned(), only_if }).await
    }

    /// A tag that is the same as long as the message is shown as it is here.
    pub fn message_tag(&self, view: &MessageView) -> String {
        tag_of(self.context.key(), &Key::index(&view.mailbox), view)
    }

    /// Notes for all members of a group that this one deals with the message.
    ///
    /// # Errors
    /// `Claimed` when another member does, unless it is taken over; `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn claim(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
        by: &UserId,
        take_over: bool,
    ) -> Result<MessageView, MailboxError> {
        self.apply_to_message(mailbox, id, IndexOp::Claim { id, by: by.clone(), take_over }).await
    }

    /// Takes the member's own note away again.
    ///
    /// # Errors
    /// `Claimed` when it is another member's; `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn release(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
        by: &UserId,
    ) -> Result<MessageView, MailboxError> {
        self.apply_to_message(mailbox, id, IndexOp::Release { id, by: by.clone() }).await
    }

    /// Moves a message to the trash, from which it goes for good after the class's hours.
    ///
    /// # Errors
    /// `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn trash(&self, mailbox: &MailboxId, id: MessageId) -> Result<MessageView, MailboxError> {
        let entry = self.entry(mailbox, id).await?;
        let hours = self.class_of(mailbox).await?.trash_hours;
        let keep = Duration::from_secs(u64::from(hours) * 3_600);
        let now = self.context.world().now();
        // A held message goes to the trash, out of sight, and stays there until the hold ends.
        if keep.is_zero() && !entry.is_held(now) {
            let only = Only { expired: false, visible: true };
            let remover = Remover::new(&self.context);
            if remover.remove_if(mailbox, &PurgeItem::of_entry(id, &entry), only).await? {
                let trash = Some(voicemail_model::Trash::until(now));
                return Ok(MessageView::new(mailbox, id, &Entry { trash, ..entry }));
            }
        }
        // The due item first: a trashed message must never be without one. The clock may reach the next
        // day before the index is written.
        for margin in [Duration::ZERO, Duration::from_secs(60)] {
            ensure_retention(&self.context, mailbox, now.plus(keep).plus(margin)).await?;
        }
        self.apply_to_message(mailbox, id, IndexOp::MoveToTrash { id, keep }).await
    }

    /// Takes a message out of the trash.
    ///
    /// # Errors
    /// `UnknownMailbox`, `UnknownMessage`, or the store's.
    pub async fn restore(&self, mailbox: &MailboxId, id: MessageId) -> Result<MessageView, MailboxError> {
        self.apply_to_message(mailbox, id, IndexOp::Restore(id)).await
    }

    async fn apply_to_message(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
        op: IndexOp,
    ) -> Result<MessageView, MailboxError> {
        let applied = self.context.indexes().apply(mailbox, op).await?;
        if applied.outcome == IndexOutcome::Claimed {
            return Err(MailboxError::Claimed);
        }
        if applied.outcome == IndexOutcome::Changed {
            return Err(MailboxError::Changed);
        }
        let entry = applied.entry.filter(|_| applied.outcome != IndexOutcome::NotFound);
        entry.map(|entry| MessageView::new(mailbox, id, &entry)).ok_or(MailboxError::UnknownMessage)
    }

    /// The counts of the mailbox's MWI state.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn mwi(&self, mailbox: &MailboxId) -> Result<Mwi, MailboxError> {
        Ok(self.mwi_tagged(mailbox).await?.0)
    }

    /// The counts, with a tag that is the same as long as the mailbox is.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn mwi_tagged(&self, mailbox: &MailboxId) -> Result<(Mwi, String), MailboxError> {
        let (index, revision) = self.index(mailbox).await?;
        Ok((Mwi::count(&index), self.tag(mailbox, &revision)))
    }

    /// Keyed, because a store's own tag may be a digest of what it is of.
    fn tag(&self, mailbox: &MailboxId, revision: &Revision) -> String {
        let text = format!("{mailbox} {}", revision.0);
        self.context.key().tag("entity-tag", text.as_bytes())[..24].to_owned()
    }
}
