//! Which mailboxes are a user's, and what they may do with them.
//!
//! ```text
//! user ─▶ memberships: mailbox, generation, why, rights ─▶ the mailbox that there is now ─▶ rights, or nothing
//! ```
//!
//! What can go wrong: a mailbox that can't be read is left out of a list, and the others are shown.

use super::access::{Membership, Memberships, Rights};
use super::{Directory, MailboxError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use voicemail_model::{GroupId, Index, MailboxId, Mwi, Present, UserId};
use voicemail_store::StoreError;

/// How a user comes by a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum OwnedAs {
    /// Their own.
    Personal,
    /// By membership in this group.
    Group(GroupId),
}

/// One of a user's mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnMailbox {
    /// Its name.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// Why it is theirs.
    pub owned_as: OwnedAs,
    /// Whether they may only look and listen.
    pub read_only: bool,
    /// Its counts.
    pub mwi: Mwi,
}

impl Membership {
    /// Whether it is about the mailbox that there is now.
    pub(crate) fn means(&self, present: &Present) -> bool {
        present.is_meant_by(self.generation)
    }
}

impl Directory {
    /// All mailboxes of a user, personal ones first, with their counts. A user nobody provisioned has none.
    ///
    /// # Errors
    /// The store's.
    pub async fn mailboxes_of(&self, user: &UserId) -> Result<Vec<OwnMailbox>, MailboxError> {
        let (memberships, mut own) = (self.memberships(user).await?, Vec::<OwnMailbox>::new());
        for membership in &memberships {
            if own.iter().any(|known| known.mailbox == membership.mailbox) {
                continue;
            }
            match self.open_index(&membership.mailbox).await {
                Ok(index) => {
                    own.extend(index.and_then(|index| show(&membership.mailbox, &memberships, &index)))
                }
                // One unreadable mailbox must not hide the MWI of the others; opening it reports the error.
                Err(error) if error.is_about_one() => {
                    let mailbox = &membership.mailbox;
                    tracing::error!(%mailbox, reason = error.reason(), %error, "a mailbox is left out of a list");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(own)
    }

    /// A user's rights to a mailbox: none unless it is their own or that of a group of theirs.
    ///
    /// # Errors
    /// The store's.
    pub async fn rights(&self, user: &UserId, mailbox: &MailboxId) -> Result<Option<Rights>, MailboxError> {
        let memberships = self.known_memberships(user).await?;
        let about = || memberships.iter().filter(|membership| membership.mailbox == *mailbox);
        if about().next().is_none() {
            return Ok(None);
        }
        let Some(present) = self.present(mailbox).await? else { return Ok(None) };
        let meant = about().filter(|membership| membership.means(&present));
        Ok(meant.map(|membership| membership.rights).max())
    }

    /// Whether the mailbox is there, and is the one of that generation.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_still(&self, mailbox: &MailboxId, generation: Option<u32>) -> Result<bool, MailboxError> {
        Ok(self.present(mailbox).await?.is_some_and(|present| present.is_meant_by(generation)))
    }

    async fn known_memberships(&self, user: &UserId) -> Result<Memberships, StoreError> {
        let context = self.context();
        let (access, changes) = (context.access(), context.access().changes());
        if let Some(known) = access.get(user, context.world().monotonic()) {
            return Ok(known);
        }
        let read: Memberships = Arc::new(self.memberships(user).await?);
        access.put(user, &read, context.world().monotonic(), changes);
        Ok(read)
    }

    /// Which mailbox of that name there is: of late where a request costs money, else now.
    async fn present(&self, mailbox: &MailboxId) -> Result<Option<Present>, StoreError> {
        let context = self.context();
        let (access, changes) = (context.access(), context.access().changes());
        let known = access.get_box(mailbox, context.world().monotonic());
        if let Some(known) = known.filter(|_| context.store().is_metered()) {
            return Ok(known);
        }
        let present = self.open_index(mailbox).await?.and_then(|index| index.present());
        access.put_box(mailbox, present, context.world().monotonic(), changes);
        Ok(present)
    }

    /// Every way in which a mailbox is a user's, personal ones first; some may be about a mailbox of before.
    pub(crate) async fn memberships(&self, user: &UserId) -> Result<Vec<Membership>, StoreError> {
        let user = self.load_user(user).await?.unwrap_or_default();
        let personal = |mailbox: &MailboxId| Membership {
            mailbox: mailbox.clone(),
            generation: user.generations.get(mailbox).copied(),
            owned_as: OwnedAs::Personal,
            rights: Rights::Change,
        };
        let mut memberships: Vec<_> = user.mailboxes.iter().map(personal).collect();
        for name in &user.groups {
            let group = self.load_group(name).await?;
            let Some(group) = group.filter(|group| user.is_in(name, group)) else { continue };
            let read_only = user.read_only_groups.contains(name);
            memberships.push(Membership {
                mailbox: group.mailbox,
                generation: group.generation,
                owned_as: OwnedAs::Group(name.clone()),
                rights: if read_only { Rights::Read } else { Rights::Change },
            });
        }
        Ok(memberships)
    }
}

/// A mailbox that is a user's in several ways is shown once, with the widest rights.
fn show(mailbox: &MailboxId, memberships: &[Membership], index: &Index) -> Option<OwnMailbox> {
    let present = index.present()?;
    let ours = |membership: &&Membership| membership.mailbox == *mailbox && membership.means(&present);
    let meant = || memberships.iter().filter(ours);
    let (mailbox, owned_as) = (mailbox.clone(), meant().next()?.owned_as.clone());
    let read_only = meant().all(|membership| membership.rights == Rights::Read);
    Some(OwnMailbox { mailbox, owned_as, read_only, mwi: Mwi::count(index) })
}
