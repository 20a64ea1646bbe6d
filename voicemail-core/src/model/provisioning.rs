//! What an administrator provisions: mailboxes' settings, users with their boxes, groups with theirs.
//!
//! A user's document is the one truth about whose mailboxes they are and which groups they belong to;
//! a group's document names its mailbox. So a change of membership is one conditional write.

use super::{GroupId, MailboxGreetings, MailboxId, Pin};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Settings of a mailbox, `mb/<m2>/<mailbox>/settings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MailboxSettings {
    /// Class of service by name.
    pub class_of_service: String,
    /// What people call the box; not a person's name where that can be avoided.
    pub label: Option<String>,
    /// What opens the box by telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// What callers hear.
    #[serde(skip_serializing_if = "MailboxGreetings::is_empty")]
    pub greetings: MailboxGreetings,
    /// What the box's owners prefer to the tenant's usual.
    #[serde(skip_serializing_if = "Preferences::is_empty")]
    pub preferences: Preferences,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
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
    /// Personal mailboxes, at most [`User::MAX_MAILBOXES`].
    pub mailboxes: Vec<MailboxId>,
    /// Groups the user belongs to.
    pub groups: Vec<GroupId>,
    /// Those of them whose mailbox the user may only look at and listen to.
    #[serde(rename = "readOnlyGroups", skip_serializing_if = "BTreeSet::is_empty")]
    pub read_only_groups: BTreeSet<GroupId>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl User {
    /// Personal mailboxes a user may have.
    pub const MAX_MAILBOXES: usize = 10;
    /// Groups a user may belong to.
    pub const MAX_GROUPS: usize = 100;
}

/// A group, `group/<group>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The mailbox that the members share.
    pub mailbox: MailboxId,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}
