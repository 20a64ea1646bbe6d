//! Which users may be owed e-mails about a mailbox: noted beside the mailbox, since its users are found by no other way.
//!
//! A note is a hint. It is written before a user's document and looked at again after it, so that whoever has an address and a
//! mailbox is noted; whether they still have both, whoever sends asks the user's document.

use super::{Directory, MailboxError};
use voicemail_model::{MailboxId, Mailing, User, UserId};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

impl Directory {
    /// Notes a user with an address at each of their mailboxes. `anew`: they had no address before.
    ///
    /// # Errors
    /// The store's; repeating it does no harm.
    pub(super) async fn note_reader(
        &self,
        user: &UserId,
        state: &User,
        anew: bool,
    ) -> Result<(), MailboxError> {
        if state.email.is_none() {
            return Ok(());
        }
        let groups = self.context().all(&state.groups, |name| self.load_group(name)).await?;
        let shared = groups.into_iter().flatten().map(|group| group.mailbox);
        let readers = std::slice::from_ref(user);
        let note = |mailbox: MailboxId| async move { self.note_readers_of(&mailbox, readers, anew).await };
        let noted: Result<Vec<()>, StoreError> =
            self.context().all(state.mailboxes.iter().cloned().chain(shared), note).await;
        Ok(noted.map(drop)?)
    }

    /// Notes the readers of a group's former mailbox at the one that it has now.
    ///
    /// # Errors
    /// The store's; repeating it does no harm.
    pub(super) async fn move_readers(
        &self,
        former: Option<&MailboxId>,
        now: &MailboxId,
    ) -> Result<(), StoreError> {
        let Some(former) = former.filter(|former| *former != now) else { return Ok(()) };
        let noted: Option<Mailing> = self.context().documents().load(&Key::mailing(former)).await?;
        let readers: Vec<UserId> =
            noted.iter().flat_map(|noted| noted.users()).map(|(user, _)| user.clone()).collect();
        if readers.is_empty() { Ok(()) } else { self.note_readers_of(now, &readers, false).await }
    }

    async fn note_readers_of(
        &self,
        mailbox: &MailboxId,
        users: &[UserId],
        anew: bool,
    ) -> Result<(), StoreError> {
        let mark = self.context().world().random_hex();
        let note = |mailing: Option<Mailing>, now| {
            let mut mailing = mailing.unwrap_or_default();
            users.iter().for_each(|user| mailing.note_user(user, &mark, now, anew));
            Decision::Write(mailing, ())
        };
        self.context().documents().update(&Key::mailing(mailbox), note).await
    }
}
