//! A mailbox's preferences: opt-out, language, time zone.

use super::precondition::{Precondition, tag_of};
use super::settings::{change_settings, load_settings};
use super::{Directory, MailboxError};
use voicemail_api::config::check_reception;
use voicemail_api::config::{ConfigError, ReceptionConfig};
use voicemail_model::{MailboxId, MailboxSettings, Preferences};
use voicemail_store::Key;

impl Directory {
    /// A mailbox's own preferences, where they differ from the tenant's defaults.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn preferences(&self, mailbox: &MailboxId) -> Result<Preferences, MailboxError> {
        let generation = self.require_open(mailbox).await?;
        Ok(load_settings(self.context(), mailbox, generation).await?.preferences)
    }

    /// The tag of a mailbox's preferences in that state.
    pub fn preferences_tag(&self, mailbox: &MailboxId, state: &Preferences) -> String {
        tag_of(self.context().key(), &Key::settings(mailbox), &("preferences", state))
    }

    /// Replaces a mailbox's preferences, if they are as expected; what is absent is as usual for the tenant. Answers what they
    /// are now.
    ///
    /// # Errors
    /// `Changed` when they aren't as expected, `Invalid`, `UnknownMailbox`, or the store's.
    pub async fn set_preferences(
        &self,
        mailbox: &MailboxId,
        new: Preferences,
        expected: &Precondition,
    ) -> Result<Preferences, MailboxError> {
        check(&new)?;
        let generation = self.require_open(mailbox).await?;
        let change = |settings: &mut MailboxSettings, _| {
            if !expected.holds(Some(&self.preferences_tag(mailbox, &settings.preferences))) {
                return (false, None);
            }
            let unknown = std::mem::take(&mut settings.preferences.unknown);
            settings.preferences = Preferences { unknown, ..new.clone() };
            (true, Some(settings.preferences.clone()))
        };
        change_settings(self.context(), mailbox, generation, change).await?.ok_or(MailboxError::Changed)
    }
}

fn check(new: &Preferences) -> Result<(), MailboxError> {
    let Preferences { opt_out, language, time_zone, .. } = new.clone();
    check_reception(&ReceptionConfig { opt_out, language, time_zone }).map_err(|error| match error {
        ConfigError::Rule { field, rule } => {
            MailboxError::Invalid(format!("{}: {rule}", field.trim_start_matches("reception.")))
        }
        other => MailboxError::Invalid(other.to_string()),
    })
}
