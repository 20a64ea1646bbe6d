//! Who reads a mailbox's mails, and how much they are told.

use std::time::Duration;
use voicemail_api::config::EmailContent;
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

/// Looks a noted user up; a mailbox's class allows `most`.
///
/// # Errors
/// The store's.
pub(crate) async fn find(
    core: &Core,
    mailbox: &MailboxId,
    user: &UserId,
    most: EmailContent,
) -> Result<Found, MailboxError> {
    if core.directory.rights(user, mailbox).await?.is_none() {
        return Ok(Found::Gone);
    }
    let state = match core.directory.get_user(user).await {
        Err(MailboxError::Unknown(_)) => return Ok(Found::Gone),
        other => other?,
    };
    Ok(read(user, state, most))
}

fn read(user: &UserId, state: User, most: EmailContent) -> Found {
    let content = state.told(most);
    match state.email {
        None => Found::Gone,
        Some(_) if content.is_none() => Found::WantsNone,
        Some(_) if state.email_refused.is_some() => Found::Refused,
        Some(address) => {
            let language = state.language.as_deref().and_then(Language::of).unwrap_or(Language::En);
            let minutes = state.email_choice.digest_minutes.unwrap_or_default();
            let quiet = Duration::from_secs(60 * u64::from(minutes));
            Found::Reads(Reader { user: user.clone(), address, language, content, quiet })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(wish: Option<EmailContent>, most: EmailContent) -> Option<EmailContent> {
        let email = Some("ann@example.com".parse().unwrap());
        let state = User { email, email_content: wish, ..User::default() };
        match read(&"ann".parse().unwrap(), state, most) {
            Found::Reads(reader) => Some(reader.content),
            _ => None,
        }
    }

    #[test]
    fn whoever_is_told_nothing_wants_no_mails_and_keeps_their_place() {
        use EmailContent::{Audio, None as Nothing, Note};
        assert_eq!(content(Some(Note), Audio), Some(Note));
        assert_eq!(content(Some(Nothing), Audio), None);
        assert_eq!(content(Some(Audio), Nothing), None);
    }
}
