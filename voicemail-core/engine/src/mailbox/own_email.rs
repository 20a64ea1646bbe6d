//! The e-mails to a user: what they may tell, and what the user chose, which can only be less.
//!
//! The choice stands in the user's document beside what provisioning said, and a replacement of the user keeps it. It goes with
//! the user.

use super::{Directory, MailboxError, Mailboxes};
use std::time::Duration;
use voicemail_api::config::EmailContent;
use voicemail_model::{EmailChoice, User, UserId};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

impl Directory {
    /// What e-mails about any mailbox of a user tell them at most, whatever they chose, and the longest that messages wait
    /// for others if they chose nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn usual_email(&self, user: &UserId) -> Result<(EmailContent, Duration), MailboxError> {
        let context = self.context();
        if context.config().email.is_none() {
            return Ok((EmailContent::None, Duration::ZERO));
        }
        let found = self.load_user(user).await?.unwrap_or_default();
        let found = &User { email_choice: EmailChoice::default(), ..found };
        let usual = |mailbox| async move {
            let class = Mailboxes::new(context.clone()).class_of(&mailbox).await?;
            Ok::<_, StoreError>((found.told(class.email), found.waits_for_others(&class)))
        };
        let boxes = self.mailboxes_of(user).await?;
        let each = context.all(boxes.into_iter().map(|own| own.mailbox), usual).await?;
        let most = each.iter().map(|(content, _)| *content).max().unwrap_or_default();
        let longest = each.iter().filter(|(content, _)| !content.is_none()).map(|(_, wait)| *wait).max();
        Ok((most, longest.unwrap_or_default()))
    }

    /// Replaces what a user chose for the e-mails to them by what `choose` makes of the user as they are then, unless it is
    /// nothing. Whether it did.
    ///
    /// # Errors
    /// `Unknown` for a user whom nobody provisioned, or the store's; repeating it does no harm.
    pub async fn choose_email(
        &self,
        user: &UserId,
        choose: impl Fn(&User) -> Option<EmailChoice> + Send + Sync,
    ) -> Result<bool, MailboxError> {
        self.load_user(user).await?.ok_or(MailboxError::Unknown("user"))?;
        let change = |found: Option<User>, _| match found.map(|found| (choose(&found), found)) {
            None => Decision::Keep(None),
            Some((None, _)) => Decision::Keep(Some(false)),
            Some((Some(choice), found)) if choice == found.email_choice => Decision::Keep(Some(true)),
            Some((Some(email_choice), found)) => Decision::Write(User { email_choice, ..found }, Some(true)),
        };
        let chosen = self.context().documents().update(&Key::user(user), change).await?;
        chosen.ok_or(MailboxError::Unknown("user"))
    }
}
