//! One mailbox's turn: what is owed to whom is looked up, claimed, sent, and settled mail by mail.

use crate::desk::{Desk, Place, Sent, TurnError};
use crate::post::Carrier;
use crate::readers::{Found, Reader, find};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use std::time::Duration;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{Index, MailboxId, MailboxSettings, Mailing, NextMail, UserId, next_mail};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

/// A turn begins no mail after that: its last one, with all deadlines of the connection, ends before the claim does.
const LAST_BEGIN: Duration = Duration::from_secs(90);
/// Readers that are looked up at a time: a large group's are many, and each is one or two requests of the store.
const AT_ONCE: usize = 16;

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
    /// What is owed waits for further messages, for that time.
    Waits(Duration),
}

impl Ended {
    /// Looked at again no later than that.
    fn at_most(self, left: Duration) -> Self {
        match self {
            Self::Waits(other) => Self::Waits(other.min(left)),
            other => other,
        }
    }
}

/// A user who was noted at a mailbox, by which write, and what became of them.
type Noted = (UserId, String, Found);

fn reading(readers: &[Noted]) -> impl Iterator<Item = &Reader> {
    readers.iter().filter_map(|(_, _, found)| match found {
        Found::Reads(reader) => Some(reader),
        Found::WantsNone | Found::Refused | Found::Gone => None,
    })
}

impl Desk<'_> {
    /// Sends what is owed about a mailbox.
    ///
    /// # Errors
    /// The store's, or the mail server's. What was sent is settled.
    pub(crate) async fn take_turn(
        &self,
        post: &mut dyn Carrier,
        mailbox: &MailboxId,
    ) -> Result<Ended, TurnError> {
        let Some((mailing, index)) = self.look(mailbox).await? else { return Ok(Ended::Done) };
        let place = self.describe(mailbox, index.generation).await?;
        let readers = self.find_readers(&place, &mailing).await?;
        let Some(mailing) = self.claim(mailbox, &mailing, &readers, &index).await? else {
            return Ok(Ended::NotOurs);
        };
        if !mailing.is_held_by(self.holder) {
            let waits = reading(&readers).filter_map(|reader| match self.next(reader, &mailing, &index) {
                NextMail::In(left) => Some(left),
                // It has become due since it was planned.
                NextMail::Now(_) => Some(Duration::ZERO),
                NextMail::Nothing => None,
            });
            return Ok(waits.min().map_or(Ended::Done, Ended::Waits));
        }
        let ended = self.send_all(post, &place, &readers, &mailing, &index).await;
        // Otherwise the next turn takes what this one began for what may have been sent.
        if !matches!(ended, Err(TurnError::Unsettled(_))) {
            self.release(mailbox).await?;
        }
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
        let class = context.class_named(&settings.class_of_service);
        let thread = context.key().tag("email-thread", format!("{mailbox} {generation}").as_bytes());
        Ok(Place {
            mailbox: mailbox.clone(),
            label: settings.label.filter(|label| !label.is_empty()).unwrap_or_else(|| mailbox.to_string()),
            zone: zone.and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC),
            thread: thread.chars().take(32).collect(),
            class,
            generation,
        })
    }

    async fn find_readers(&self, place: &Place, mailing: &Mailing) -> Result<Vec<Noted>, MailboxError> {
        let look = |(user, mark): (&UserId, &str)| {
            let (user, mark) = (user.clone(), mark.to_owned());
            async move {
                let state = find(self.core, &place.mailbox, &user, &place.class).await?;
                Ok((user, mark, state))
            }
        };
        stream::iter(mailing.users().map(look)).buffered(AT_ONCE).try_collect().await
    }

    /// Notes what was found of the readers, and takes the turn if a mail is due. `None` while another replica has it.
    async fn claim(
        &self,
        mailbox: &MailboxId,
        seen: &Mailing,
        readers: &[Noted],
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
            let is_due = |reader: &Reader| matches!(self.next(reader, mailing, index), NextMail::Now(_));
            (news, reading(readers).any(is_due))
        };
        // Most looks find nothing to note and nothing due, and write nothing.
        let mut tried = seen.clone();
        if plan(&mut tried) == (false, false) {
            return Ok(Some(tried));
        }
        let claim = |found: Option<Mailing>, now| {
            let mut mailing = found.unwrap_or_default();
            let (news, due) = plan(&mut mailing);
            let ours = due && mailing.claim(self.holder, now);
            if ours && !fault_injection::is(Broken::MailNotNoted) {
                self.begin(&mut mailing, readers, index);
            }
            match (news || ours, due && !ours) {
                (_, true) => Decision::Keep(None),
                (true, false) => Decision::Write(mailing.clone(), Some(mailing)),
                (false, false) => Decision::Keep(Some(mailing)),
            }
        };
        self.core.context.documents().update(&Key::mailing(mailbox), claim).await
    }

    /// Notes all mails that the turn may send, before it sends any: if it dies, what it sent is known as what may have been sent.
    fn begin(&self, mailing: &mut Mailing, readers: &[Noted], index: &Index) {
        for reader in reading(readers) {
            if matches!(self.next(reader, mailing, index), NextMail::Now(_)) {
                let owed = mailing.owed(&reader.user, index);
                owed.into_iter().for_each(|id| mailing.begin(id, &reader.user, reader.content));
            }
        }
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
        post: &mut dyn Carrier,
        place: &Place,
        readers: &[Noted],
        mailing: &Mailing,
        index: &Index,
    ) -> Result<Ended, TurnError> {
        let begun = self.core.context.world().monotonic();
        let mut ended = Ended::Done;
        for reader in reading(readers) {
            ended = match self.send_to(post, place, reader, mailing, index, begun).await? {
                Ended::OutOfTime => return Ok(Ended::OutOfTime),
                Ended::Deferred => Ended::Deferred,
                Ended::Waits(left) if ended == Ended::Done => Ended::Waits(left),
                Ended::Waits(left) => ended.at_most(left),
                Ended::Done | Ended::NotOurs => ended,
            };
        }
        Ok(ended)
    }

    /// Sends a reader what is due, in the order of the messages.
    async fn send_to(
        &self,
        post: &mut dyn Carrier,
        place: &Place,
        reader: &Reader,
        mailing: &Mailing,
        index: &Index,
        begun: Duration,
    ) -> Result<Ended, TurnError> {
        let world = self.core.context.world();
        let (mut owed, mut quiet) = (mailing.owed(&reader.user, index), reader.quiet);
        loop {
            let ids = match next_mail(&owed, index, quiet, world.now()) {
                NextMail::Now(ids) => ids,
                NextMail::In(left) => return Ok(Ended::Waits(left)),
                NextMail::Nothing => return Ok(Ended::Done),
            };
            if world.monotonic().saturating_sub(begun) >= LAST_BEGIN || self.stop.is_cancelled() {
                return Ok(Ended::OutOfTime);
            }
            match self.send(post, place, reader, &ids, mailing).await? {
                Sent::Settled | Sent::NotOwed => owed.retain(|id| !ids.contains(id)),
                Sent::TakeApart => quiet = Duration::ZERO,
                Sent::AddressRefused => return Ok(Ended::Done),
                // What follows waits too: a reader's mails about a mailbox stay in order.
                Sent::Deferred => return Ok(Ended::Deferred),
            }
        }
    }

    fn next(&self, reader: &Reader, mailing: &Mailing, index: &Index) -> NextMail {
        let now = self.core.context.world().now();
        next_mail(&mailing.owed(&reader.user, index), index, reader.quiet, now)
    }
}
