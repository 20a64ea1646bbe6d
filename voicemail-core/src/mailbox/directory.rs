//! Provisioning: mailboxes, users and groups, and who may open what.
//!
//! A mailbox is opened by its settings and its index, and closed by a tombstone in the index, after
//! which its entries are deleted one by one, flagged ones when their run is decided. Opening it again
//! raises its generation. A user's document is the truth about boxes and groups.

use super::access::{Owned, Rights};
use super::deposit::encode;
use super::greeting::drop_greetings;
use super::precondition::{Precondition, tag_of};
use super::{MailboxError, Mailboxes, Remover};
use crate::context::Context;
use crate::model::{
    Due, Group, GroupId, Index, IndexOp, IndexOutcome, MailboxId, MailboxSettings, Mwi, PurgeItem, User,
    UserId,
};
use crate::mwi::Topic;
use crate::store::documents::Decision;
use crate::store::patience::{delete, ensure};
use crate::store::{Key, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// When the sweeper takes an unfinished closing up.
const RESUME_AFTER: Duration = Duration::from_secs(300);
const MAX_LABEL: usize = 100;

/// Provisioning of one tenant.
#[derive(Clone)]
pub struct Directory {
    context: Context,
}

/// A mailbox as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxView {
    /// Its name.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// Its class of service.
    pub class_of_service: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Messages that count against its quota.
    pub messages: u32,
    /// Its quota.
    pub max_messages: u32,
}

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

impl Directory {
    /// Over a tenant's context.
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Makes a mailbox, or changes its settings. A closed one is opened again once it is empty.
    ///
    /// # Errors
    /// `Invalid` for an unknown class, `StillClosing`, or the store's.
    pub async fn put_mailbox(
        &self,
        mailbox: &MailboxId,
        class_of_service: Option<String>,
        label: Option<String>,
    ) -> Result<MailboxView, MailboxError> {
        self.put_mailbox_if(mailbox, class_of_service, label, &Precondition::Always).await
    }

    /// As [`put_mailbox`](Self::put_mailbox), if the settings are as expected.
    ///
    /// # Errors
    /// `Changed` when they aren't, and as those of `put_mailbox`.
    pub async fn put_mailbox_if(
        &self,
        mailbox: &MailboxId,
        class_of_service: Option<String>,
        label: Option<String>,
        expected: &Precondition,
    ) -> Result<MailboxView, MailboxError> {
        let class = class_of_service.unwrap_or_else(|| crate::config::ClassOfService::STANDARD.into());
        if self.context.config().class_of_service(&class).is_none() {
            return Err(MailboxError::Invalid("classOfService: no class of that name is configured".into()));
        }
        if label.as_ref().is_some_and(|label| label.chars().count() > MAX_LABEL) {
            return Err(MailboxError::Invalid(format!("label: use at most {MAX_LABEL} characters")));
        }
        let open = self.open_index(mailbox).await?.is_some();
        let change = |settings: Option<MailboxSettings>, _| {
            let mut new = settings.unwrap_or_default();
            if !expected.holds(open.then(|| self.tag_of_settings(mailbox, &new)).as_deref()) {
                return Decision::Keep(false);
            }
            (new.class_of_service, new.label) = (class.clone(), label.clone());
            Decision::Write(new, true)
        };
        if !self.context.documents().update(&Key::settings(mailbox), change).await? {
            return Err(MailboxError::Changed);
        }
        match self.context.indexes().apply(mailbox, IndexOp::Open).await?.outcome {
            IndexOutcome::StillClosing => Err(MailboxError::StillClosing),
            _ => self.get_mailbox(mailbox).await,
        }
    }

    /// A mailbox's settings and use.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn get_mailbox(&self, mailbox: &MailboxId) -> Result<MailboxView, MailboxError> {
        let index = self.open_index(mailbox).await?.ok_or(MailboxError::UnknownMailbox)?;
        let settings: MailboxSettings =
            self.context.documents().load(&Key::settings(mailbox)).await?.unwrap_or_default();
        let class = Mailboxes::new(self.context.clone()).class_of(mailbox).await?;
        Ok(MailboxView {
            mailbox: mailbox.clone(),
            class_of_service: settings.class_of_service,
            label: settings.label,
            messages: u32::try_from(index.listed()).unwrap_or(u32::MAX),
            max_messages: class.max_messages,
        })
    }

    /// The tag of a mailbox's settings as they are now.
    ///
    /// # Errors
    /// The store's.
    pub async fn mailbox_tag(&self, mailbox: &MailboxId) -> Result<String, MailboxError> {
        let settings = self.context.documents().load(&Key::settings(mailbox)).await?;
        Ok(self.tag_of_settings(mailbox, &settings.unwrap_or_default()))
    }

    fn tag_of_settings(&self, mailbox: &MailboxId, settings: &MailboxSettings) -> String {
        let shown = (&settings.class_of_service, &settings.label);
        tag_of(self.context.key(), &Key::settings(mailbox), &shown)
    }

    /// The tag of a user in that state.
    pub fn user_tag(&self, user: &UserId, state: &User) -> String {
        tag_of(self.context.key(), &Key::user(user), state)
    }

    /// The tag of a group in that state.
    pub fn group_tag(&self, group: &GroupId, state: &Group) -> String {
        tag_of(self.context.key(), &Key::group(group), state)
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// # Errors
    /// `UnknownMailbox`, also for a closed one; or the store's.
    pub(super) async fn require_open(&self, mailbox: &MailboxId) -> Result<(), MailboxError> {
        self.open_index(mailbox).await?.map(drop).ok_or(MailboxError::UnknownMailbox)
    }

    async fn open_index(&self, mailbox: &MailboxId) -> Result<Option<Arc<Index>>, StoreError> {
        let index = self.context.indexes().load(mailbox).await?;
        Ok(index.filter(|index| !index.closed))
    }

    /// Closes a mailbox for good and deletes its messages; those of an open forget run when it is decided.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's; what is left is taken up by the sweeper.
    pub async fn delete_mailbox(&self, mailbox: &MailboxId) -> Result<(), MailboxError> {
        let index = self.open_index(mailbox).await?.ok_or(MailboxError::UnknownMailbox)?;
        let item = Due::Close { mailbox: mailbox.clone(), generation: index.generation }.at(self
            .context
            .world()
            .now()
            .plus(RESUME_AFTER));
        ensure(self.context.store(), self.context.world(), &Key::due(&item), &encode(&item)?).await?;
        // One that is opened again must not be opened by an old PIN.
        self.remove_pin(mailbox).await?;
        self.context.indexes().apply(mailbox, IndexOp::Close).await?;
        if empty_closed(&self.context, mailbox, index.generation).await? {
            delete(self.context.store(), self.context.world(), &Key::due(&item)).await?;
        }
        Ok(())
    }

    /// Makes or replaces a user.
    ///
    /// # Errors
    /// `Invalid` when a mailbox or group doesn't exist or there are too many; or the store's.
    pub async fn put_user(&self, user: &UserId, new: User) -> Result<User, MailboxError> {
        self.put_user_if(user, new, &Precondition::Always).await
    }

    /// As [`put_user`](Self::put_user), if the user is as expected.
    ///
    /// # Errors
    /// `Changed` when they aren't, and as those of `put_user`.
    pub async fn put_user_if(
        &self,
        user: &UserId,
        new: User,
        expected: &Precondition,
    ) -> Result<User, MailboxError> {
        self.check_user(&new).await?;
        let change = |old: Option<User>, _| {
            if !expected.holds(old.as_ref().map(|old| self.user_tag(user, old)).as_deref()) {
                return Decision::Keep(None);
            }
            let unknown = old.map(|old| old.unknown).unwrap_or_default();
            let new = User { unknown, ..new.clone() };
            Decision::Write(new.clone(), Some(new))
        };
        let changed = self.context.documents().update(&Key::user(user), change).await;
        self.context.access().forget_all();
        self.context.lamps().note(&Topic::User(user.clone()));
        changed?.ok_or(MailboxError::Changed)
    }

    async fn check_user(&self, user: &User) -> Result<(), MailboxError> {
        let invalid = |text: String| Err(MailboxError::Invalid(text));
        let boxes: BTreeSet<&MailboxId> = user.mailboxes.iter().collect();
        let groups: BTreeSet<&GroupId> = user.groups.iter().collect();
        if boxes.len() != user.mailboxes.len() || groups.len() != user.groups.len() {
            return invalid("mailboxes, groups: name each only once".into());
        }
        if boxes.len() > User::MAX_MAILBOXES || groups.len() > User::MAX_GROUPS {
            let (most_boxes, most_groups) = (User::MAX_MAILBOXES, User::MAX_GROUPS);
            return invalid(format!("a user has at most {most_boxes} mailboxes and {most_groups} groups"));
        }
        for mailbox in boxes {
            if self.open_index(mailbox).await?.is_none() {
                return invalid(format!("mailboxes: there is no mailbox {mailbox}; make it first"));
            }
        }
        if !user.read_only_groups.iter().all(|group| groups.contains(group)) {
            return invalid("readOnlyGroups: name only groups that are in groups too".into());
        }
        for group in groups {
            if self.load_group(group).await?.is_none() {
                return invalid(format!("groups: there is no group {group}; make it first"));
            }
        }
        Ok(())
    }

    async fn load_group(&self, group: &GroupId) -> Result<Option<Group>, StoreError> {
        self.context.documents().load(&Key::group(group)).await
    }

    /// A user's boxes and groups.
    ///
    /// # Errors
    /// `Unknown`, or the store's.
    pub async fn get_user(&self, user: &UserId) -> Result<User, MailboxError> {
        let found = self.context.documents().load(&Key::user(user)).await?;
        found.ok_or(MailboxError::Unknown("user"))
    }

    /// Removes a user; their mailboxes stay.
    ///
    /// # Errors
    /// `Unknown`, or the store's.
    pub async fn delete_user(&self, user: &UserId) -> Result<(), MailboxError> {
        self.get_user(user).await?;
        let deleted = delete(self.context.store(), self.context.world(), &Key::user(user)).await;
        self.context.access().forget_all();
        self.context.lamps().note(&Topic::User(user.clone()));
        Ok(deleted?)
    }

    /// Makes or replaces a group.
    ///
    /// # Errors
    /// `Invalid` when its mailbox doesn't exist; or the store's.
    pub async fn put_group(&self, group: &GroupId, new: Group) -> Result<Group, MailboxError> {
        self.put_group_if(group, new, &Precondition::Always).await
    }

    /// As [`put_group`](Self::put_group), if the group is as expected.
    ///
    /// # Errors
    /// `Changed` when it isn't, and as those of `put_group`.
    pub async fn put_group_if(
        &self,
        group: &GroupId,
        new: Group,
        expected: &Precondition,
    ) -> Result<Group, MailboxError> {
        if self.open_index(&new.mailbox).await?.is_none() {
            let text = format!("mailbox: there is no mailbox {}; make it first", new.mailbox);
            return Err(MailboxError::Invalid(text));
        }
        let change = |old: Option<Group>, _| {
            if !expected.holds(old.as_ref().map(|old| self.group_tag(group, old)).as_deref()) {
                return Decision::Keep(None);
            }
            let unknown = old.map(|old| old.unknown).unwrap_or_default();
            let new = Group { unknown, ..new.clone() };
            Decision::Write(new.clone(), Some(new))
        };
        let changed = self.context.documents().update(&Key::group(group), change).await;
        self.context.access().forget_all();
        self.context.lamps().note(&Topic::Group(group.clone()));
        changed?.ok_or(MailboxError::Changed)
    }

    /// A group's mailbox.
    ///
    /// # Errors
    /// `Unknown`, or the store's.
    pub async fn get_group(&self, group: &GroupId) -> Result<Group, MailboxError> {
        self.load_group(group).await?.ok_or(MailboxError::Unknown("group"))
    }

    /// Removes a group; its mailbox stays.
    ///
    /// # Errors
    /// `Unknown`, or the store's.
    pub async fn delete_group(&self, group: &GroupId) -> Result<(), MailboxError> {
        self.get_group(group).await?;
        let deleted = delete(self.context.store(), self.context.world(), &Key::group(group)).await;
        self.context.access().forget_all();
        self.context.lamps().note(&Topic::Group(group.clone()));
        Ok(deleted?)
    }

    /// All mailboxes of a user, personal ones first, with their counts. A user nobody provisioned has none.
    ///
    /// # Errors
    /// The store's.
    pub async fn mailboxes_of(&self, user: &UserId) -> Result<Vec<OwnMailbox>, MailboxError> {
        let mut own = Vec::new();
        for (mailbox, owned_as, rights) in self.owned(user).await? {
            match self.open_index(&mailbox).await {
                Ok(Some(index)) => {
                    let (read_only, mwi) = (rights == Rights::Read, Mwi::count(&index));
                    own.push(OwnMailbox { mailbox, owned_as, read_only, mwi });
                }
                Ok(None) => {}
                // The others' lamps must not go out; whoever opens this one is told.
                Err(error) if error.is_about_one() => {
                    tracing::error!(%mailbox, reason = error.reason(), %error, "a mailbox is left out of a list");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(own)
    }

    /// What a user may do with a mailbox: nothing unless it is their own or that of a group of theirs.
    ///
    /// # Errors
    /// The store's.
    pub async fn rights(&self, user: &UserId, mailbox: &MailboxId) -> Result<Option<Rights>, MailboxError> {
        let known = self.context.access().get(user, self.context.world().monotonic());
        let owned = match known {
            Some(owned) => owned,
            None => {
                let own = self.owned(user).await?.into_iter().map(|(own, _, rights)| (own, rights));
                let owned: Owned = Arc::new(own.collect());
                self.context.access().put(user, &owned, self.context.world().monotonic());
                owned
            }
        };
        Ok(owned.get(mailbox).copied())
    }

    /// A mailbox that is a user's in several ways is named once, with the widest rights.
    pub(crate) async fn owned(&self, user: &UserId) -> Result<Vec<(MailboxId, OwnedAs, Rights)>, StoreError> {
        let found: Option<User> = self.context.documents().load(&Key::user(user)).await?;
        let user = found.unwrap_or_default();
        let personal = |mailbox| (mailbox, OwnedAs::Personal, Rights::Change);
        let mut owned: Vec<_> = user.mailboxes.into_iter().map(personal).collect();
        for group in user.groups {
            let Some(found) = self.load_group(&group).await? else { continue };
            let read_only = user.read_only_groups.contains(&group);
            let rights = if read_only { Rights::Read } else { Rights::Change };
            match owned.iter_mut().find(|(mailbox, ..)| *mailbox == found.mailbox) {
                Some((_, _, known)) => *known = rights.max(*known),
                None => owned.push((found.mailbox, OwnedAs::Group(group), rights)),
            }
        }
        Ok(owned)
    }
}

/// Deletes the entries of a closed mailbox, flagged ones left out. True when none is left, or the mailbox
/// has been opened again.
pub(crate) async fn empty_closed(
    context: &Context,
    mailbox: &MailboxId,
    generation: u32,
) -> Result<bool, StoreError> {
    let key = Key::index(mailbox);
    let load = || context.documents().load::<Index>(&key);
    let is_ours = |index: &Index| index.closed && index.generation == generation;
    let Some(index) = load().await?.filter(|index| is_ours(index)) else { return Ok(true) };
    drop_greetings(context, mailbox).await?;
    for (id, entry) in index.entries.iter().filter(|(_, entry)| entry.forget.is_empty()) {
        let remover = Remover::new(context);
        remover.remove(mailbox, &PurgeItem::of_entry(*id, entry)).await?;
    }
    Ok(load().await?.is_none_or(|index| !is_ours(&index) || index.entries.is_empty()))
}
