//! When a mailbox's alternate greeting is played: its owner's schedule, part of the settings.

use super::precondition::{Precondition, tag_of};
use super::settings::{change_settings, load_settings};
use super::{Directory, MailboxError};
use voicemail_model::{MailboxId, MailboxSettings, Schedule};
use voicemail_store::Key;

impl Directory {
    /// When a mailbox's alternate greeting is played; `None`: as long as it is there.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn schedule(&self, mailbox: &MailboxId) -> Result<Option<Schedule>, MailboxError> {
        let generation = self.require_open(mailbox).await?;
        Ok(load_settings(self.context(), mailbox, generation).await?.greetings.schedule)
    }

    /// The tag of a schedule in that state.
    pub fn schedule_tag(&self, mailbox: &MailboxId, state: &Schedule) -> String {
        tag_of(self.context().key(), &Key::settings(mailbox), &("schedule", state))
    }

    /// Says when the alternate greeting is played, if that is as expected.
    ///
    /// # Errors
    /// `Changed` when it isn't as expected, `Invalid`, `UnknownMailbox`, or the store's.
    pub async fn set_schedule(
        &self,
        mailbox: &MailboxId,
        schedule: Option<Schedule>,
        expected: &Precondition,
    ) -> Result<(), MailboxError> {
        if let Some(fault) = schedule.as_ref().and_then(Schedule::fault) {
            return Err(MailboxError::Invalid(fault.into()));
        }
        let generation = self.require_open(mailbox).await?;
        let change = |settings: &mut MailboxSettings, _| {
            let tag = settings.greetings.schedule.as_ref().map(|state| self.schedule_tag(mailbox, state));
            let holds = expected.holds(tag.as_deref());
            if holds {
                settings.greetings.schedule = schedule.clone();
            }
            (holds, holds)
        };
        let changed = change_settings(self.context(), mailbox, generation, change).await?;
        changed.then_some(()).ok_or(MailboxError::Changed)
    }
}
