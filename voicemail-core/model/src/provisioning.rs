//! Documents that an administrator provisions: mailboxes' settings, users with their boxes, groups with theirs.
//!
//! A user's document is the one truth about whose mailboxes they are and which groups they belong to;
//! a group's document names its mailbox. So a change of membership is one conditional write.
//!
//! A mailbox that is deleted and made again is another one of the same name, and so is a group. Whatever refers to one
//! says which it means: a mailbox by its generation, a group by the id that it got when it was made. Documents of a release
//! that said neither mean what is there until it is deleted.

use super::{EmailAddress, GroupId, MailboxGreetings, MailboxId, Pin, Time, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use voicemail_api::config::{ClassOfService, EmailContent};

/// Settings of a mailbox, `mb/<m2>/<mailbox>/settings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MailboxSettings {
    /// Class of service by name.
    pub class_of_service: String,
    /// The box's display name; not a person's name where that can be avoided.
    pub label: Option<String>,
    /// The PIN that opens the box by telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The greetings that callers hear.
    #[serde(skip_serializing_if = "MailboxGreetings::is_empty")]
    pub greetings: MailboxGreetings,
    /// The owners' preferences, where they differ from the tenant's defaults.
    #[serde(skip_serializing_if = "Preferences::is_empty")]
    pub preferences: Preferences,
    /// The generation of the mailbox that this is of; any when absent, as in documents of before it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl MailboxSettings {
    /// Whether this is of the mailbox of that generation.
    pub fn is_of(&self, generation: u32) -> bool {
        self.generation.is_none_or(|own| own == generation)
    }

    /// The settings that belong to the people of that generation: all, or nothing but the class.
    #[must_use]
    pub fn as_of(self, generation: u32) -> Self {
        if self.is_of(generation) { self } else { self.without_people() }
    }

    /// Without what a mailbox's people set, all of which goes when it is closed; greetings' audio is somebody else's work.
    #[must_use]
    pub fn without_people(self) -> Self {
        let greetings = MailboxGreetings::default();
        Self { pin: None, greetings, preferences: Preferences::default(), label: None, ..self }
    }
}

/// How a mailbox receives callers, where that differs from the tenant's usual.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preferences {
    /// Where a caller who doesn't want to leave a message may be connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<String>,
    /// Language of prompts, such as `en-GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Time zone by its IANA name, such as `Europe/London`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Preferences {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A user, `user/<user>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The user's name where the document's key doesn't tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<UserId>,
    /// Personal mailboxes, at most [`User::MAX_MAILBOXES`].
    pub mailboxes: Vec<MailboxId>,
    /// Groups the user belongs to.
    pub groups: Vec<GroupId>,
    /// The groups, out of these, whose mailbox the user may only look at and listen to.
    #[serde(rename = "readOnlyGroups", skip_serializing_if = "BTreeSet::is_empty")]
    pub read_only_groups: BTreeSet<GroupId>,
    /// Generations of the mailboxes that are meant.
    #[serde(rename = "generations", skip_serializing_if = "BTreeMap::is_empty")]
    pub generations: BTreeMap<MailboxId, u32>,
    /// Ids of the groups that are meant.
    #[serde(rename = "groupIds", skip_serializing_if = "BTreeMap::is_empty")]
    pub group_ids: BTreeMap<GroupId, String>,
    /// Where e-mails about new messages go. Personal data of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Language of e-mails, such as `de` or `de-AT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How much e-mails tell this user at most, where that is less than the mailbox's class allows.
    #[serde(rename = "emailContent", skip_serializing_if = "Option::is_none")]
    pub email_content: Option<EmailContent>,
    /// What the user has chosen for themselves; provisioning leaves it as it is.
    #[serde(rename = "emailChoice", skip_serializing_if = "EmailChoice::is_empty")]
    pub email_choice: EmailChoice,
    /// The mail server has refused the address for good; nothing is sent to it until it is changed.
    #[serde(rename = "emailRefused", skip_serializing_if = "Option::is_none")]
    pub email_refused: Option<EmailRefused>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl User {
    /// Personal mailboxes a user may have.
    pub const MAX_MAILBOXES: usize = 10;
    /// Groups a user may belong to.
    pub const MAX_GROUPS: usize = 100;

    /// The document of a user of that name, who has nothing yet.
    pub fn named(user: &UserId) -> Self {
        Self { name: (!user.is_plain()).then(|| user.clone()), ..Self::default() }
    }

    /// Whether the document is of the user of that name.
    pub fn is_of(&self, user: &UserId) -> bool {
        self.name == Self::named(user).name
    }

    /// Whose document it is that stands under a key with this last segment; `None` if the two disagree.
    pub fn owner(&self, segment: &str) -> Option<UserId> {
        let name = self.name.clone().or_else(|| segment.parse().ok())?;
        (name.key() == segment && self.is_of(&name)).then_some(name)
    }

    /// How much e-mails tell this user about a mailbox whose class allows `most`: provisioning may say less, and so may the
    /// user; neither can say more.
    pub fn told(&self, most: EmailContent) -> EmailContent {
        let wishes = [self.email_content, self.email_choice.content];
        wishes.into_iter().flatten().fold(most, EmailContent::min)
    }

    /// How long messages of a mailbox of that class wait for others before a mail to this user.
    pub fn waits_for_others(&self, class: &ClassOfService) -> Duration {
        let chosen = self.email_choice.digest_minutes.map(u32::from);
        let minutes = chosen.or(class.email_digest_minutes).unwrap_or_default();
        Duration::from_secs(60 * u64::from(minutes))
    }

    /// Whether they belong to the group as it is now.
    pub fn is_in(&self, name: &GroupId, group: &Group) -> bool {
        self.groups.contains(name) && self.group_ids.get(name) == group.id.as_ref()
    }
}

/// What a user has chosen for the e-mails to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailChoice {
    /// How much they tell at most; as provisioning and the mailbox's class say when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<EmailContent>,
    /// Minutes that messages wait for others, so that they come as one mail; 0 for each by itself, and as the mailbox's class
    /// says when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_minutes: Option<u16>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl EmailChoice {
    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An address that a mail server refused for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailRefused {
    /// When.
    pub at: Time,
    /// The server's reply code, such as 550 (RFC 5321, 4.2).
    pub code: u16,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A group, `group/<group>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The mailbox that the members share.
    pub mailbox: MailboxId,
    /// Its generation when it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Random, from when the group was made; absent in groups that a release before made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Group {
    /// A group that shares that mailbox.
    pub fn sharing(mailbox: MailboxId) -> Self {
        Self { mailbox, generation: None, id: None, unknown: Map::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provisioning_and_the_user_may_each_say_less_than_the_class_and_neither_more() {
        use EmailContent::{Audio, Caller, Link, None as Nothing, Note};
        let told = |provisioned, content, most| {
            let email_choice = EmailChoice { content, ..EmailChoice::default() };
            User { email_content: provisioned, email_choice, ..User::default() }.told(most)
        };
        assert_eq!(told(None, None, Audio), Audio);
        assert_eq!(told(Some(Note), None, Audio), Note);
        assert_eq!(told(Some(Note), Some(Audio), Audio), Note);
        assert_eq!(told(Some(Audio), Some(Link), Audio), Link);
        assert_eq!(told(Some(Audio), Some(Audio), Caller), Caller);
        assert_eq!(told(None, Some(Nothing), Audio), Nothing);
        assert_eq!(told(None, Some(Audio), Nothing), Nothing);
    }
}
