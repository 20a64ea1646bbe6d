//! Provisioning of users and groups.
//!
//! A user's document is the truth about boxes and groups. It says which generation of a mailbox and which group of a name it
//! means, and a group says which generation of its mailbox: when one is deleted and made again, its people of before aren't
//! its people until they are provisioned anew. A membership that doesn't count any more is shown nowhere, so that
//! whoever changes a user by what they were shown brings nobody back.

use super::precondition::{Precondition, tag_of};
use super::{Directory, MailboxError};
use crate::mwi::Topic;
use serde_json::Map;
use std::collections::BTreeSet;
use voicemail_api::config::is_language_tag;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{EmailRefused, Group, GroupId, MailboxId, User, UserId};
use voicemail_store::documents::Decision;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{Key, StoreError};

/// How often others may be faster.
const ATTEMPTS: u32 = 8;

/// A mail server's refusal is of one address: another one begins anew.
fn still_refused(old: Option<&User>, new: &User) -> Option<EmailRefused> {
    old.filter(|old| old.email == new.email).and_then(|old| old.email_refused.clone())
}

impl Directory {
    /// The tag of a user in that state.
    pub fn user_tag(&self, user: &UserId, state: &User) -> String {
        tag_of(self.context().key(), &Key::user(user), state)
    }

    /// The tag of a group in that state.
    pub fn group_tag(&self, group: &GroupId, state: &Group) -> String {
        tag_of(self.context().key(), &Key::group(group), state)
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
        let new = self.bind(new).await?;
        for attempt in 0..ATTEMPTS {
            let stored = self.load_user(user).await?;
            let shown = match stored.clone() {
                Some(stored) => Some(self.leave_out_former(stored).await?),
                None => None,
            };
            if !expected.holds(shown.map(|shown| self.user_tag(user, &shown)).as_deref()) {
                return Err(MailboxError::Changed);
            }
            let had = stored.as_ref().is_some_and(|stored| stored.email.is_some());
            self.note_reader(user, &new, !had).await?;
            let change = |old: Option<User>, _| {
                if old != stored {
                    return Decision::Keep(None);
                }
                let email_refused = still_refused(old.as_ref(), &new);
                let (unknown, email_choice) =
                    old.map(|old| (old.unknown, old.email_choice)).unwrap_or_default();
                let name = User::named(user).name;
                let new = User { name, unknown, email_refused, email_choice, ..new.clone() };
                Decision::Write(new.clone(), Some(new))
            };
            let changed = self.context().documents().update(&Key::user(user), change).await;
            self.note_change(&Topic::User(user.clone()));
            if let Some(changed) = changed? {
                // A group may have got another mailbox meanwhile.
                self.note_reader(user, &changed, false).await?;
                return Ok(changed);
            }
            self.context().world().back_off(attempt).await;
        }
        Err(StoreError::Unavailable("others are changing the same user".into()).into())
    }

    /// After a change, whatever its outcome: memberships are read anew, and MWI follows.
    fn note_change(&self, topic: &Topic) {
        self.context().access().forget_all();
        self.context().mwi().note(topic);
    }

    /// Checks a user, and says which mailboxes and groups are meant: those that there are now.
    async fn bind(&self, mut user: User) -> Result<User, MailboxError> {
        let invalid = |text: String| Err(MailboxError::Invalid(text));
        let boxes: BTreeSet<MailboxId> = user.mailboxes.iter().cloned().collect();
        let groups: BTreeSet<GroupId> = user.groups.iter().cloned().collect();
        if boxes.len() != user.mailboxes.len() || groups.len() != user.groups.len() {
            return invalid("mailboxes, groups: name each only once".into());
        }
        if boxes.len() > User::MAX_MAILBOXES || groups.len() > User::MAX_GROUPS {
            let (most_boxes, most_groups) = (User::MAX_MAILBOXES, User::MAX_GROUPS);
            return invalid(format!("a user has at most {most_boxes} mailboxes and {most_groups} groups"));
        }
        if !user.language.as_deref().is_none_or(is_language_tag) {
            return invalid("language: write a tag such as de or de-AT".into());
        }
        (user.generations, user.group_ids) = Default::default();
        for mailbox in boxes {
            match self.open_index(&mailbox).await? {
                Some(index) => user.generations.insert(mailbox, index.generation),
                None => return invalid(format!("mailboxes: there is no mailbox {mailbox}; make it first")),
            };
        }
        if !user.read_only_groups.iter().all(|group| groups.contains(group)) {
            return invalid("readOnlyGroups: name only groups that are in groups too".into());
        }
        for group in groups {
            match self.load_group(&group).await? {
                Some(Group { id: Some(id), .. }) => drop(user.group_ids.insert(group, id)),
                // One of the release before; it gets an id when it is made again.
                Some(_) => {}
                None => return invalid(format!("groups: there is no group {group}; make it first")),
            }
        }
        Ok(user)
    }

    /// A user without mailboxes and groups that were deleted since, made again or not.
    pub(super) async fn leave_out_former(&self, mut user: User) -> Result<User, StoreError> {
        let mut former = BTreeSet::new();
        for mailbox in &user.mailboxes {
            let meant = user.generations.get(mailbox).copied();
            match self.open_index(mailbox).await {
                Ok(Some(index))
                    if index.is_meant_by(meant) || fault_injection::is(Broken::FormerPeopleStay) => {}
                Ok(_) => drop(former.insert(mailbox.clone())),
                // A mailbox that can't be read may still be theirs.
                Err(error) if error.is_about_one() => {}
                Err(error) => return Err(error),
            }
        }
        let mut groups = BTreeSet::new();
        for name in &user.groups {
            let group = self.load_group(name).await?;
            let stays =
                |group: Group| user.is_in(name, &group) || fault_injection::is(Broken::FormerPeopleStay);
            if group.is_some_and(stays) {
                groups.insert(name.clone());
            }
        }
        user.mailboxes.retain(|mailbox| !former.contains(mailbox));
        user.generations.retain(|mailbox, _| !former.contains(mailbox));
        user.groups.retain(|name| groups.contains(name));
        user.read_only_groups.retain(|name| groups.contains(name));
        user.group_ids.retain(|name, _| groups.contains(name));
        Ok(user)
    }

    pub(super) async fn load_group(&self, group: &GroupId) -> Result<Option<Group>, StoreError> {
        self.context().documents().load(&Key::group(group)).await
    }

    /// A user's boxes and groups.
    ///
    /// # Errors
    /// `Unknown`, or the store's.
    pub async fn get_user(&self, user: &UserId) -> Result<User, MailboxError> {
        let found = self.load_user(user).await?;
        Ok(self.leave_out_former(found.ok_or(MailboxError::Unknown("user"))?).await?)
    }

    /// A user's document, which must name them where its key doesn't.
    pub(super) async fn load_user(&self, user: &UserId) -> Result<Option<User>, StoreError> {
        let found: Option<User> = self.context().documents().load(&Key::user(user)).await?;
        match found {
            Some(found) if !found.is_of(user) => Err(StoreError::Refused(
                "a user's document is under another's key: run voicemail admin fsck".into(),
            )),
            found => Ok(found),
        }
    }

    /// Removes a user; their mailboxes stay.
    ///
    /// # Errors
    /// `Unknown`, or the store's.
    pub async fn delete_user(&self, user: &UserId) -> Result<(), MailboxError> {
        self.get_user(user).await?;
        let deleted = delete(self.context().store(), self.context().world(), &Key::user(user)).await;
        self.note_change(&Topic::User(user.clone()));
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
        let Some(index) = self.open_index(&new.mailbox).await? else {
            let text = format!("mailbox: there is no mailbox {}; make it first", new.mailbox);
            return Err(MailboxError::Invalid(text));
        };
        let (generation, fresh) = (Some(index.generation), self.context().world().random_hex());
        let change = |old: Option<Group>, _| {
            if !expected.holds(old.as_ref().map(|old| self.group_tag(group, old)).as_deref()) {
                return Decision::Keep(None);
            }
            // A group that is there stays the one that its members mean.
            let (id, unknown) = old.map_or((Some(fresh.clone()), Map::new()), |old| (old.id, old.unknown));
            let new = Group { id, generation, unknown, ..new.clone() };
            Decision::Write(new.clone(), Some(new))
        };
        let former = self.load_group(group).await?.map(|former| former.mailbox);
        // Before, for a death in between, and after, for whoever was noted at the former one meanwhile.
        self.move_readers(former.as_ref(), &new.mailbox).await?;
        let changed = self.context().documents().update(&Key::group(group), change).await;
        self.note_change(&Topic::Group(group.clone()));
        let changed = changed?.ok_or(MailboxError::Changed)?;
        self.move_readers(former.as_ref(), &changed.mailbox).await?;
        Ok(changed)
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
        let deleted = delete(self.context().store(), self.context().world(), &Key::group(group)).await;
        self.note_change(&Topic::Group(group.clone()));
        Ok(deleted?)
    }
}
