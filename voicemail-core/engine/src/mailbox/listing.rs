//! Lists of what is provisioned, page by page in the order of the store's keys.

use super::{Directory, MailboxError, MailboxView};
use futures::TryStreamExt;
use std::str::FromStr;
use voicemail_model::{Group, GroupId, MailboxId, User, UserId};
use voicemail_store::Family;
use voicemail_store::{Key, StoreError, parse_index};

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
        let after = after.map(|mailbox| Key::index(mailbox).as_str().to_owned());
        let mut listed = Listed { items: Vec::new(), next: None };
        let mut keys = self.context().store().list(Family::Mailbox.prefix());
        while let Some(key) = keys.try_next().await? {
            let Some(mailbox) = parse_index(&key).filter(|_| after.as_ref().is_none_or(|after| key > *after))
            else {
                continue;
            };
            let view = match self.get_mailbox(&mailbox).await {
                Ok(view) => view,
                Err(MailboxError::UnknownMailbox) => continue,
                Err(MailboxError::Store(error)) if error.is_about_one() => {
                    leave_out(&error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if listed.items.len() == limit {
                listed.next = listed.items.last().map(|last: &MailboxView| last.mailbox.to_string());
                break;
            }
            listed.items.push(view);
        }
        Ok(listed)
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
        let mut items = Vec::new();
        for segment in keys.iter().filter(|segment| UserId::is_key(segment)) {
            let Some(key) = Key::listed(&format!("{}{segment}", Family::User.prefix())) else { continue };
            let Some(user) = legible(self.context().documents().load::<User>(&key).await)? else { continue };
            match user.owner(segment) {
                Some(name) => items.push((name, self.leave_out_former(user).await?)),
                None => {
                    tracing::error!("a user's document under another's key is left out of a list: run fsck")
                }
            }
        }
        Ok(Listed { items, next })
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
        let mut items = Vec::new();
        for name in names {
            if let Some(group) = legible(self.context().documents().load(&Key::group(&name)).await)? {
                items.push((name, group));
            }
        }
        Ok(Listed { items, next })
    }

    async fn names<T: FromStr>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<T>, Option<String>), StoreError> {
        let mut names: Vec<String> = Vec::new();
        let mut keys = self.context().store().list(prefix);
        while let Some(key) = keys.try_next().await? {
            let Some(name) = key.strip_prefix(prefix) else { continue };
            if after.is_some_and(|after| name <= after) {
                continue;
            }
            if names.len() == limit {
                let next = names.last().cloned();
                return Ok((names.iter().filter_map(|name| name.parse().ok()).collect(), next));
            }
            names.push(name.to_owned());
        }
        Ok((names.iter().filter_map(|name| name.parse().ok()).collect(), None))
    }
}

/// A message that can't be read doesn't hide the others of a list; a request for it alone gets the error.
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
