//! Which mailboxes are a user's, and what they may do with them.
//!
//! ```text
//! user ─▶ memberships: mailbox, generation, why, rights ─▶ the mailbox that there is now ─▶ rights, or nothing
//! ```
//!
//! What can go wrong: a mailbox that can't be read is left out of a list, and the others are shown.

use super::access::{Membership, Memberships, Rights};
use super::{Directory, MailboxError};
use crate::principal::{OneMailbox, PinVersion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use voicemail_model::{GroupId, MailboxId, MailboxSettings, Mwi, Present, UserId};
use voicemail_model::{MailboxLimits, MailboxUse, PinState};
use voicemail_store::{Key, StoreError};

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
    /// Its display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its counts.
    pub mwi: Mwi,
    /// Its limits.
    pub limits: MailboxLimits,
    /// How much of them is used.
    pub used: MailboxUse,
    /// Whether it can be opened by telephone.
    pub pin: PinState,
}

impl Membership {
    /// Whether it is about the mailbox that there is now.
    pub(crate) fn means(&self, present: &Present) -> bool {
        present.is_meant_by(self.generation)
    }
}

impl Directory {
    /// All mailboxes of a user, personal ones first, with their counts, limits and use. A user nobody provisioned has none.
    ///
    /// # Errors
    /// The store's.
    pub async fn mailboxes_of(&self, user: &UserId) -> Result<Vec<OwnMailbox>, MailboxError> {
        let memberships = self.memberships(user).await?;
        let mut seen = BTreeSet::new();
        let mut each: Vec<MailboxId> = memberships.iter().map(|one| one.mailbox.clone()).collect();
        each.retain(|mailbox| seen.insert(mailbox.clone()));
        let memberships = &memberships;
        let show = |mailbox: MailboxId| async move { self.show_readable(&mailbox, memberships).await };
        let shown = self.context().all(each, show).await?;
        Ok(shown.into_iter().flatten().collect())
    }

    /// One unreadable mailbox must not hide the MWI of the others; opening it reports the error.
    async fn show_readable(
        &self,
        mailbox: &MailboxId,
        memberships: &[Membership],
    ) -> Result<Option<OwnMailbox>, MailboxError> {
        match self.show(mailbox, memberships).await {
            Err(error) if error.is_about_one() => {
                tracing::error!(%mailbox, reason = error.reason(), %error, "a mailbox is left out of a list");
                Ok(None)
            }
            other => Ok(other?),
        }
    }

    /// A mailbox that is a user's in several ways is shown once, with the widest rights.
    async fn show(
        &self,
        mailbox: &MailboxId,
        memberships: &[Membership],
    ) -> Result<Option<OwnMailbox>, StoreError> {
        let Some((index, settings)) = self.open_with_settings(mailbox).await? else { return Ok(None) };
        let Some(present) = index.present() else { return Ok(None) };
        let ours = |membership: &&Membership| membership.mailbox == *mailbox && membership.means(&present);
        let meant = || memberships.iter().filter(ours);
        let Some(owned_as) = meant().next().map(|first| first.owned_as.clone()) else { return Ok(None) };
        let settings = settings.as_of(index.generation);
        let class = self.context().class_named(&settings.class_of_service);
        Ok(Some(OwnMailbox {
            mailbox: mailbox.clone(),
            owned_as,
            read_only: meant().all(|membership| membership.rights == Rights::Read),
            mwi: Mwi::count(&index),
            limits: MailboxLimits::of(&class),
            used: MailboxUse::of(&index, &class),
            pin: PinState::of(&settings, self.context().world().now()),
            label: settings.label,
        }))
    }

    /// A user's rights to a mailbox: none unless it is their own or that of a group of theirs.
    ///
    /// # Errors
    /// The store's.
    pub async fn rights(&self, user: &UserId, mailbox: &MailboxId) -> Result<Option<Rights>, MailboxError> {
        // A mailbox that isn't theirs is as unknown as one that isn't there: the two may be read at a time.
        let (memberships, present) = tokio::join!(self.known_memberships(user), self.present(mailbox));
        let memberships = memberships?;
        let about = || memberships.iter().filter(|membership| membership.mailbox == *mailbox);
        if about().next().is_none() {
            return Ok(None);
        }
        let Some(present) = present? else { return Ok(None) };
        let meant = about().filter(|membership| membership.means(&present));
        Ok(meant.map(|membership| membership.rights).max())
    }

    /// Whether the mailbox is there, is the one of that generation, and has that PIN still.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_still(&self, opened: &OneMailbox) -> Result<bool, MailboxError> {
        let present = self.present(&opened.name).await?;
        if !present.is_some_and(|present| present.is_meant_by(opened.generation)) {
            return Ok(false);
        }
        let Some(known) = opened.pin else { return Ok(true) };
        let context = self.context();
        let settings: Option<MailboxSettings> =
            context.documents().load(&Key::settings(&opened.name)).await?;
        let pin = settings.and_then(|settings| settings.pin);
        Ok(pin.is_some_and(|pin| PinVersion::of(context.key(), &pin.digest) == known))
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
        let groups = self.context().all(&user.groups, |name| self.load_group(name)).await?;
        for (name, group) in user.groups.iter().zip(groups) {
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
