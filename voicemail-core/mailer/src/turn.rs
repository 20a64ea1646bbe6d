//! One mailbox's turn: what is owed to whom is looked up, claimed, sent, and settled mail by mail.

use crate::link::link_to;
use crate::post::Post;
use crate::readers::{Found, Reader, find};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use voicemail_api::config::EmailContent;
use voicemail_email::{Caller, ComposeError, Letter, Mail, Recording, Sender, SmtpError, Templates, compose};
use voicemail_engine::core::Core;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{
    EmailRefused, Entry, Index, MailboxId, MailboxSettings, Mailing, MessageId, Outcome, User, UserId,
};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

/// A turn begins no mail after that: its last one, with all deadlines of the connection, ends before the claim does.
const LAST_BEGIN: Duration = Duration::from_secs(90);
/// Larger recordings aren't attached: base64 makes 20 MB of them, which few servers take.
const MOST_ATTACHED: u64 = 15 * 1024 * 1024;

/// Readers that are looked up at a time: a large group's are many, and each is one or two requests of the store.
const AT_ONCE: usize = 16;
/// How long a mail is tried that is deferred again and again (RFC 5321, 4.5.4.1).
const GIVE_UP: Duration = Duration::from_secs(5 * 86_400);

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is owed any more.
    Done,
    /// Another replica has it.
    NotOurs,
    /// There is more.
    OutOfTime,
    /// An address didn't take its mail now.
    Deferred,
}

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// A store's or a mailbox's.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// The mail server's; it concerns every mailbox.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// The sender isn't usable.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

impl From<StoreError> for TurnError {
    fn from(error: StoreError) -> Self {
        Self::Mailbox(error.into())
    }
}

/// What happened to a mail.
enum Sent {
    Settled,
    /// The message was heard, deleted or hidden meanwhile.
    NotOwed,
    /// The server refused the address for good.
    AddressRefused,
    /// Not now.
    Deferred,
}

/// What a turn works with.
pub(crate) struct Desk<'a> {
    pub(crate) core: &'a Core,
    pub(crate) sender: &'a Sender,
    pub(crate) templates: &'a Templates,
    pub(crate) holder: &'a str,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) count: &'a (dyn Fn(&'static str) + Send + Sync),
}

/// A mailbox as a turn found it.
struct Place {
    mailbox: MailboxId,
    label: String,
    zone: TimeZone,
    thread: String,
    most: EmailContent,
    generation: u32,
}

impl Desk<'_> {
    /// Sends what is owed about a mailbox.
    ///
    /// # Errors
    /// The store's, or the mail server's. What was sent is settled.
    pub(crate) async fn take_turn(&self, post: &mut Post, mailbox: &MailboxId) -> Result<Ended, TurnError> {
        let Some((mailing, index)) = self.look(mailbox).await? else { return Ok(Ended::Done) };
        let place = self.describe(mailbox, index.generation).await?;
        let readers = self.find_readers(&place, &mailing).await?;
        let Some(mailing) = self.claim(mailbox, &mailing, &readers, &index).await? else {
            return Ok(Ended::NotOurs);
        };
        if !mailing.is_held_by(self.holder) {
            return Ok(Ended::Done);
        }
        let ended = self.send_all(post, &place, &readers, &mailing, &index).await;
        self.release(mailbox).await?;
        ended
    }

    /// What is remembered and what is there; nothing if nobody could be owed anything.
    async fn look(&self, mailbox: &MailboxId) -> Result<Option<(Mailing, Index)>, StoreError> {
        let documents = self.core.context.documents();
        let found: Option<Mailing> = documents.load(&Key::mailing(mailbox)).await?;
        let Some(mailing) = found.filter(|mailing| mailing.users().next().is_some()) else { return Ok(None) };
        let index: Option<Index> = documents.load(&Key::index(mailbox)).await?;
        Ok(index.filter(|index| !index.closed).map(|index| (mailing, index)))
    }

    async fn describe(&self, mailbox: &MailboxId, generation: u32) -> Result<Place, StoreError> {
        let context = &self.core.context;
        let settings: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
        let settings = settings.unwrap_or_default().as_of(generation);
        let zone = settings.preferences.time_zone.or_else(|| context.config().reception.time_zone.clone());
        let most =
            context.known_class(&settings.class_of_service).map(|class| class.email).unwrap_or_default();
        let thread = context.key().tag("email-thread", format!("{mailbox} {generation}").as_bytes());
        Ok(Place {
            mailbox: mailbox.clone(),
            label: settings.label.filter(|label| !label.is_empty()).unwrap_or_else(|| mailbox.to_string()),
            zone: zone.and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC),
            thread: thread.chars().take(32).collect(),
            most,
            generation,
        })
    }

    async fn find_readers(
        &self,
        place: &Place,
        mailing: &Mailing,
    ) -> Result<Vec<(UserId, String, Found)>, MailboxError> {
        let look = |(user, mark): (&UserId, &str)| {
            let (user, mark) = (user.clone(), mark.to_owned());
            async move {
                let state = match place.most {
                    EmailContent::None => Found::WantsNone,
                    most => find(self.core, &place.mailbox, &user, most).await?,
                };
                Ok((user, mark, state))
            }
        };
        stream::iter(mailing.users().map(look)).buffered(AT_ONCE).try_collect().await
    }

    /// Notes what was found of the readers, and takes the turn if anything is owed. `None` while another replica has it.
    async fn claim(
        &self,
        mailbox: &MailboxId,
        seen: &Mailing,
        readers: &[(UserId, String, Found)],
        index: &Index,
    ) -> Result<Option<Mailing>, StoreError> {
        let now = self.core.context.world().now();
        let plan = |mailing: &mut Mailing| {
            let mut news = false;
            for (user, mark, found) in readers {
                news |= match found {
                    Found::Gone => mailing.forget_user(user, mark),
                    Found::WantsNone => mailing.want(user, false, now),
                    Found::Reads(_) => mailing.want(user, true, now),
                    Found::Refused => false,
                };
            }
            let reads = |(user, _, found): &&(UserId, String, Found)| {
                matches!(found, Found::Reads(_)) && !mailing.owed(user, index).is_empty()
            };
            (news, readers.iter().any(|reader| reads(&reader)))
        };
        // Most looks find nothing to note and nothing owed, and write nothing.
        let mut tried = seen.clone();
        if plan(&mut tried) == (false, false) {
            return Ok(Some(tried));
        }
        let claim = |found: Option<Mailing>, now| {
            let mut mailing = found.unwrap_or_default();
            let (news, owed) = plan(&mut mailing);
            let ours = owed && mailing.claim(self.holder, now);
            match (news || ours, owed && !ours) {
                (_, true) => Decision::Keep(None),
                (true, false) => Decision::Write(mailing.clone(), Some(mailing)),
                (false, false) => Decision::Keep(Some(mailing)),
            }
        };
        self.core.context.documents().update(&Key::mailing(mailbox), claim).await
    }

    async fn release(&self, mailbox: &MailboxId) -> Result<(), StoreError> {
        let documents = self.core.context.documents();
        let index: Option<Index> = documents.load(&Key::index(mailbox)).await?;
        let release = |found: Option<Mailing>, _| {
            let mut mailing = found.unwrap_or_default();
            if !mailing.release(self.holder) {
                return Decision::Keep(());
            }
            if let Some(index) = &index {
                mailing.prune(index);
            }
            Decision::Write(mailing, ())
        };
        documents.update(&Key::mailing(mailbox), release).await
    }

    async fn send_all(
        &self,
        post: &mut Post,
        place: &Place,
        readers: &[(UserId, String, Found)],
        mailing: &Mailing,
        index: &Index,
    ) -> Result<Ended, TurnError> {
        let world = self.core.context.world();
        let begun = world.monotonic();
        let mut ended = Ended::Done;
        let reading = readers.iter().filter_map(|(_, _, found)| match found {
            Found::Reads(reader) => Some(reader),
            _ => None,
        });
        for reader in reading {
            for id in mailing.owed(&reader.user, index) {
                if world.monotonic().saturating_sub(begun) >= LAST_BEGIN || self.stop.is_cancelled() {
                    return Ok(Ended::OutOfTime);
                }
                match self.send_one(post, place, reader, id, mailing).await? {
                    Sent::Settled | Sent::NotOwed => {}
                    Sent::AddressRefused => break,
                    // What follows waits too: a reader's mails about a mailbox stay in order.
                    Sent::Deferred => {
                        ended = Ended::Deferred;
                        break;
                    }
                }
            }
        }
        Ok(ended)
    }

    async fn send_one(
        &self,
        post: &mut Post,
        place: &Place,
        reader: &Reader,
        id: MessageId,
        mailing: &Mailing,
    ) -> Result<Sent, TurnError> {
        // As late as can be: it may have been heard, deleted or hidden by an erasure a moment ago.
        let index: Option<Index> = self.core.context.documents().load(&Key::index(&place.mailbox)).await?;
        let present = index.filter(|index| index.generation == place.generation);
        let owed = present.filter(|index| mailing.owed(&reader.user, index).contains(&id));
        let Some(entry) = owed.and_then(|index| index.entries.get(&id).cloned()) else {
            return Ok(Sent::NotOwed);
        };
        let recording = match reader.content {
            EmailContent::Audio => self.recording(&entry).await?,
            _ => Some(Recording::None),
        };
        let Some(recording) = recording else { return Ok(Sent::NotOwed) };
        let was_attached = matches!(recording, Recording::Attached(_));
        let mut sent = post.send(&self.write(place, reader, id, &entry, recording)?).await;
        if was_attached && matches!(sent, Err(SmtpError::TooLarge(_))) {
            (self.count)("tooLarge");
            sent = post.send(&self.write(place, reader, id, &entry, Recording::TooLarge)?).await;
        }
        self.note(place, reader, id, sent).await
    }

    /// Settles a mail by what the server said.
    async fn note(
        &self,
        place: &Place,
        reader: &Reader,
        id: MessageId,
        sent: Result<(), SmtpError>,
    ) -> Result<Sent, TurnError> {
        let refused = match sent {
            Ok(()) => {
                (self.count)("sent");
                None
            }
            Err(SmtpError::Recipient(code)) => {
                (self.count)("addressRefused");
                self.refuse_address(reader, code).await?;
                return Ok(Sent::AddressRefused);
            }
            Err(SmtpError::Content(code) | SmtpError::TooLarge(code)) => {
                (self.count)("mailRefused");
                tracing::warn!(mailbox = %place.mailbox, code, "a mail was refused for good and isn't sent again");
                Some(code)
            }
            Err(error) if !error.is_about_server() => match error {
                SmtpError::Deferred(_, code) if self.is_too_old(id) => {
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
        let settle = |found: Option<Mailing>, _| {
            let mut mailing = found.unwrap_or_default();
            mailing.settle(id, &reader.user, outcome.clone());
            Decision::Write(mailing, ())
        };
        self.core.context.documents().update(&Key::mailing(&place.mailbox), settle).await?;
        Ok(Sent::Settled)
    }

    fn is_too_old(&self, id: MessageId) -> bool {
        self.core.context.world().now().since(id.time()) > GIVE_UP
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

    /// The recording's bytes, or that it is too large; `None` if it was erased a moment ago.
    async fn recording(&self, entry: &Entry) -> Result<Option<Recording>, TurnError> {
        if entry.size > MOST_ATTACHED {
            return Ok(Some(Recording::TooLarge));
        }
        match self.core.mailboxes.audio_of(entry, None).await {
            Err(MailboxError::UnknownMessage) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(audio) => {
                let read = audio.bytes.try_fold(Vec::new(), |mut all, chunk| async move {
                    all.extend_from_slice(&chunk);
                    Ok(all)
                });
                Ok(Some(Recording::Attached(read.await?)))
            }
        }
    }

    fn write(
        &self,
        place: &Place,
        reader: &Reader,
        id: MessageId,
        entry: &Entry,
        recording: Recording,
    ) -> Result<Mail, ComposeError> {
        let context = &self.core.context;
        let name = format!("{} {} {id} {}", place.mailbox, place.generation, reader.user);
        let tag: String = context.key().tag("email-id", name.as_bytes()).chars().take(32).collect();
        let caller = Caller {
            number: entry.caller.as_ref().map(|caller| caller.reveal()),
            name: entry.caller_name.as_deref(),
        };
        let link = link_to(&context.config(), reader.content, &place.mailbox, id);
        let letter = Letter {
            to: &reader.address,
            language: reader.language,
            mailbox: &place.label,
            received: entry.received,
            zone: &place.zone,
            duration_ms: entry.duration_ms,
            urgent: entry.urgent,
            caller: (reader.content >= EmailContent::Caller).then_some(caller),
            link: link.as_deref(),
            recording,
            id: &tag,
            thread: &place.thread,
            now: context.world().now(),
        };
        compose(self.sender, self.templates, &letter)
    }
}
