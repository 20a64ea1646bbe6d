//! Lists of what is provisioned, page by page in the order of the store's keys.

use super::{Directory, MailboxError};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future};
use std::future::Future;
use std::str::FromStr;
use voicemail_api::mailboxes::MailboxView;
use voicemail_model::{Group, GroupId, MailboxId, User, UserId};
use voicemail_store::{Family, Key, StoreError, parse_index};

/// Some of a list, and the name after which it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items.
    pub items: Vec<T>,
    /// The last name of the page, if there are more.
    pub next: Option<String>,
}

impl Directory {
    /// Open mailboxes.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_mailboxes(
        &self,
        after: Option<&MailboxId>,
        limit: usize,
    ) -> Result<Listed<MailboxView>, MailboxError> {
        let after = after.map(|mailbox| Key::index(mailbox).as_str().to_owned()).unwrap_or_default();
        let keys = self.context().store().list_after(Family::Mailbox.prefix(), &after);
        let names = keys.try_filter_map(|key| future::ready(Ok(parse_index(&key))));
        self.first_open(names.boxed(), limit, |mailbox| async move { self.get_mailbox(&mailbox).await }).await
    }

    /// The first of these mailboxes that are open and can be read, as `read` shows each; they are read side by side.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn first_open<T, F>(
        &self,
        mut names: BoxStream<'_, Result<MailboxId, StoreError>>,
        limit: usize,
        read: impl Fn(MailboxId) -> F + Send + Sync,
    ) -> Result<Listed<T>, MailboxError>
    where
        T: Send,
        F: Future<Output = Result<T, MailboxError>> + Send,
    {
        let mut found: Vec<(MailboxId, T)> = Vec::new();
        loop {
            let wanted = limit + 1 - found.len();
            let some: Vec<MailboxId> = names.by_ref().take(wanted).try_collect().await?;
            let was_last = some.len() < wanted;
            let shown = self.context().all(some, |mailbox| {
                let reading = read(mailbox.clone());
                async move { Ok::<_, MailboxError>(open_one(reading.await)?.map(|shown| (mailbox, shown))) }
            });
            found.extend(shown.await?.into_iter().flatten());
            if was_last || found.len() > limit {
                break;
            }
        }
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|(last, _)| last.to_string());
        Ok(Listed { items: found.into_iter().map(|(_, shown)| shown).collect(), next })
    }

    /// Users, after the one of that key.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_users(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listed<(UserId, User)>, MailboxError> {
        let (keys, next) = self.names::<String>(Family::User.prefix(), after, limit).await?;
        let of_users = keys.into_iter().filter(|segment| UserId::is_key(segment));
        let found = self.context().all(of_users, |segment| self.listed_user(segment)).await?;
        Ok(Listed { items: found.into_iter().flatten().collect(), next })
    }

    async fn listed_user(&self, segment: String) -> Result<Option<(UserId, User)>, StoreError> {
        let Some(key) = Key::listed(&format!("{}{segment}", Family::User.prefix())) else { return Ok(None) };
        let Some(user) = legible(self.context().documents().load::<User>(&key).await)? else {
            return Ok(None);
        };
        let Some(name) = user.owner(&segment) else {
            tracing::error!("a user's document under another's key is left out of a list: run fsck");
            return Ok(None);
        };
        Ok(Some((name, self.leave_out_former(user).await?)))
    }

    /// Groups.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_groups(
        &self,
        after: Option<&GroupId>,
        limit: usize,
    ) -> Result<Listed<(GroupId, Group)>, MailboxError> {
        let (names, next) =
            self.names::<GroupId>(Family::Group.prefix(), after.map(GroupId::as_str), limit).await?;
        let found = self.context().all(names, |name| async move {
            let group = legible(self.context().documents().load(&Key::group(&name)).await)?;
            Ok::<_, StoreError>(group.map(|group| (name, group)))
        });
        Ok(Listed { items: found.await?.into_iter().flatten().collect(), next })
    }

    async fn names<T: FromStr>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<T>, Option<String>), StoreError> {
        let mut names: Vec<String> = Vec::new();
        let after = after.map(|after| format!("{prefix}{after}")).unwrap_or_default();
        let mut keys = self.context().store().list_after(prefix, &after);
        while let Some(key) = keys.try_next().await? {
            let Some(name) = key.strip_prefix(prefix) else { continue };
            if names.len() == limit {
                let next = names.last().cloned();
                return Ok((names.iter().filter_map(|name| name.parse().ok()).collect(), next));
            }
            names.push(name.to_owned());
        }
        Ok((names.iter().filter_map(|name| name.parse().ok()).collect(), None))
    }
}

/// A mailbox that is closed by now, or can't be read, doesn't hide the others of a list.
fn open_one<T>(found: Result<T, MailboxError>) -> Result<Option<T>, MailboxError> {
    match found {
        Err(MailboxError::UnknownMailbox) => Ok(None),
        Err(MailboxError::Store(error)) => Ok(legible(Err(error))?),
        found => found.map(Some),
    }
}

/// A document that can't be read doesn't hide the others of a list; a request for it alone gets the error.
fn legible<T>(found: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Err(error) if error.is_about_one() => {
            leave_out(&error);
            Ok(None)
        }
        other => other,
    }
}

fn leave_out(error: &StoreError) {
    tracing::error!(reason = error.reason(), %error, "something is left out of a list");
}
