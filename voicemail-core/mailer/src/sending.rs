//! One mail: whether it is owed still, handed over, and settled by what the server said.
//!
//! A mail about several messages that the server refuses for its content is taken apart: each comes by itself then, so that one
//! message keeps no other back.

use crate::desk::{Desk, Place, Sent, TurnError};
use crate::post::{Carrier, Unsent};
use crate::readers::Reader;
use crate::writing::Piece;
use std::time::Duration;
use voicemail_email::SmtpError;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{EmailRefused, Entry, Index, Mailing, MessageId, Outcome, User};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

/// How long a mail is tried that is deferred again and again (RFC 5321, 4.5.4.1).
const GIVE_UP: Duration = Duration::from_secs(5 * 86_400);

impl Desk<'_> {
    /// Sends one mail about those messages that are owed still.
    ///
    /// # Errors
    /// The store's, or one that concerns every mail.
    pub(crate) async fn send(
        &self,
        post: &mut dyn Carrier,
        place: &Place,
        reader: &Reader,
        ids: &[MessageId],
        mailing: &Mailing,
    ) -> Result<Sent, TurnError> {
        let owed = self.still_owed(place, reader, ids, mailing).await?;
        let letter = self.tell(reader, owed).await?;
        let ids: Vec<MessageId> = letter.iter().map(|one| one.id).collect();
        if ids.is_empty() {
            return Ok(Sent::NotOwed);
        }
        let mut sent = post.carry(&self.write(place, reader, &letter)?).await;
        let too_large = |unsent: &Unsent| matches!(unsent.why, SmtpError::TooLarge(_));
        if sent.as_ref().is_err_and(too_large) && letter.iter().any(Piece::is_attached) {
            (self.count)("tooLarge");
            let smaller: Vec<Piece> = letter.into_iter().map(Piece::without_recording).collect();
            sent = post.carry(&self.write(place, reader, &smaller)?).await;
        }
        self.note(place, reader, &ids, sent).await
    }

    /// As late as can be: a message may have been heard, deleted or hidden by an erasure a moment ago.
    async fn still_owed(
        &self,
        place: &Place,
        reader: &Reader,
        ids: &[MessageId],
        mailing: &Mailing,
    ) -> Result<Vec<(MessageId, Entry)>, StoreError> {
        let index: Option<Index> = self.core.context.documents().load(&Key::index(&place.mailbox)).await?;
        let Some(index) = index.filter(|index| index.generation == place.generation) else {
            return Ok(Vec::new());
        };
        let owed = mailing.owed(&reader.user, &index);
        let unseen = fault_injection::is(Broken::MailWithoutLook);
        let there = ids.iter().filter(|id| unseen || owed.contains(id));
        Ok(there.filter_map(|id| Some((*id, index.entries.get(id)?.clone()))).collect())
    }

    /// Settles a mail by what the server said.
    async fn note(
        &self,
        place: &Place,
        reader: &Reader,
        ids: &[MessageId],
        sent: Result<(), Unsent>,
    ) -> Result<Sent, TurnError> {
        if sent.as_ref().is_err_and(|unsent| unsent.perhaps) && !fault_injection::is(Broken::MailNotDoubted) {
            // Nobody will know whether the server has this mail. It is sent again if it is owed still.
            self.write_down(place, ids, |mailing, id| mailing.doubt(id, &reader.user)).await?;
        }
        let refused = match sent.map_err(|unsent| unsent.why) {
            Ok(()) => {
                (self.count)("sent");
                None
            }
            Err(SmtpError::Recipient(code)) => {
                (self.count)("addressRefused");
                self.refuse_address(reader, code).await?;
                return Ok(Sent::AddressRefused);
            }
            Err(SmtpError::Content(_) | SmtpError::TooLarge(_)) if ids.len() > 1 => {
                return Ok(Sent::TakeApart);
            }
            Err(SmtpError::Content(code) | SmtpError::TooLarge(code)) => {
                (self.count)("mailRefused");
                tracing::warn!(mailbox = %place.mailbox, code, "a mail was refused for good and isn't sent again");
                Some(code)
            }
            Err(error) if !error.is_about_server() => match error {
                SmtpError::Deferred(_, code) if self.are_too_old(ids) => {
                    (self.count)("mailRefused");
                    Some(code)
                }
                _ => {
                    (self.count)("deferred");
                    return Ok(Sent::Deferred);
                }
            },
            Err(error) => return Err(error.into()),
        };
        let outcome = Outcome { at: self.core.context.world().now(), content: reader.content, refused };
        let settle = |mailing: &mut Mailing, id| mailing.settle(id, &reader.user, outcome.clone());
        self.write_down(place, ids, settle).await?;
        Ok(Sent::Settled)
    }

    /// Writes down what became of each of these messages' mails.
    async fn write_down(
        &self,
        place: &Place,
        ids: &[MessageId],
        change: impl Fn(&mut Mailing, MessageId) + Send + Sync,
    ) -> Result<(), TurnError> {
        let change = |found: Option<Mailing>, _| {
            let mut mailing = found.unwrap_or_default();
            ids.iter().for_each(|id| change(&mut mailing, *id));
            Decision::Write(mailing, ())
        };
        let written = self.core.context.documents().update(&Key::mailing(&place.mailbox), change).await;
        written.map_err(TurnError::Unsettled)
    }

    /// A mail goes on being tried while one of its messages is young enough.
    fn are_too_old(&self, ids: &[MessageId]) -> bool {
        let now = self.core.context.world().now();
        ids.iter().all(|id| now.since(id.time()) > GIVE_UP)
    }

    /// Notes at the user that their address is refused, unless it was changed meanwhile.
    async fn refuse_address(&self, reader: &Reader, code: u16) -> Result<(), StoreError> {
        let refuse = |found: Option<User>, now| match found {
            Some(user) if user.email.as_ref() == Some(&reader.address) => {
                let refused = EmailRefused { at: now, code, unknown: Default::default() };
                Decision::Write(User { email_refused: Some(refused), ..user }, ())
            }
            _ => Decision::Keep(()),
        };
        self.core.context.documents().update(&Key::user(&reader.user), refuse).await
    }
}
