//! Who reads a mailbox's mails, and how much they are told.

use std::time::Duration;
use voicemail_api::config::{ClassOfService, EmailContent};
use voicemail_email::Language;
use voicemail_engine::core::Core;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{EmailAddress, MailboxId, User, UserId};

/// A user whose mails go somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) user: UserId,
    pub(crate) address: EmailAddress,
    pub(crate) language: Language,
    /// More than nothing.
    pub(crate) content: EmailContent,
    /// How long messages wait for others, so that they come as one mail.
    pub(crate) quiet: Duration,
}

/// What became of a user who was noted at a mailbox.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// Mails go to them.
    Reads(Reader),
    /// They want none.
    WantsNone,
    /// The server refused their address: they may get what they are owed at another one.
    Refused,
    /// The mailbox isn't theirs any more, or they have no address.
    Gone,
}

/// Looks a noted user up; the mailbox is of that class.
///
/// # Errors
/// The store's.
pub(crate) async fn find(
    core: &Core,
    mailbox: &MailboxId,
    user: &UserId,
    class: &ClassOfService,
) -> Result<Found, MailboxError> {
    if class.email.is_none() {
        return Ok(Found::WantsNone);
    }
    if core.directory.rights(user, mailbox).await?.is_none() {
        return Ok(Found::Gone);
    }
    let state = match core.directory.get_user(user).await {
        Err(MailboxError::Unknown(_)) => return Ok(Found::Gone),
        other => other?,
    };
    Ok(read(user, state, class))
}

fn read(user: &UserId, state: User, class: &ClassOfService) -> Found {
    let (content, quiet) = (state.told(class.email), state.waits_for_others(class));
    match state.email {
        None => Found::Gone,
        Some(_) if content.is_none() => Found::WantsNone,
        Some(_) if state.email_refused.is_some() => Found::Refused,
        Some(address) => {
            let language = state.language.as_deref().and_then(Language::of).unwrap_or(Language::En);
            Found::Reads(Reader { user: user.clone(), address, language, content, quiet })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voicemail_model::EmailChoice;

    fn content(wish: Option<EmailContent>, most: EmailContent) -> Option<EmailContent> {
        let email = Some("ann@example.com".parse().unwrap());
        let state = User { email, email_content: wish, ..User::default() };
        let class = ClassOfService { email: most, ..ClassOfService::standard() };
        match read(&"ann".parse().unwrap(), state, &class) {
            Found::Reads(reader) => Some(reader.content),
            _ => None,
        }
    }

    /// How long messages wait where the class and the user say so, in minutes.
    fn wait(class: Option<u32>, user: Option<u16>) -> u64 {
        let email_choice = EmailChoice { digest_minutes: user, ..EmailChoice::default() };
        let email_digest_minutes = class;
        let class = ClassOfService { email_digest_minutes, ..ClassOfService::standard() };
        User { email_choice, ..User::default() }.waits_for_others(&class).as_secs() / 60
    }

    #[test]
    fn messages_wait_as_the_class_says_unless_the_user_chose_another_time_or_none() {
        assert_eq!([wait(None, None), wait(Some(30), None)], [0, 30]);
        assert_eq!([wait(Some(30), Some(240)), wait(Some(30), Some(0)), wait(None, Some(5))], [240, 0, 5]);
    }

    #[test]
    fn whoever_is_told_nothing_wants_no_mails_and_keeps_their_place() {
        use EmailContent::{Audio, None as Nothing, Note};
        assert_eq!(content(Some(Note), Audio), Some(Note));
        assert_eq!(content(Some(Nothing), Audio), None);
        assert_eq!(content(Some(Audio), Nothing), None);
    }
}
