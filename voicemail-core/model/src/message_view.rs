//! An agent's view of a message. Pure.

use super::{Entry, Forwarding, MailboxId, MessageId, MessageState, Time, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// State as agents see it: the trash is a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShownState {
    /// Nobody has listened to it.
    New,
    /// Listened to.
    Read,
    /// Kept on purpose.
    Saved,
    /// In the trash until `trashedUntil`.
    Trashed,
}

/// One step of a message's way through mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwardingView {
    /// The other mailbox.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// The message's id there.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// The user who sent it.
    #[schema(value_type = String)]
    pub by: UserId,
    /// When, RFC 3339.
    pub at: String,
}

impl ForwardingView {
    fn new(forwarding: &Forwarding) -> Self {
        let Forwarding { mailbox, id, by, at, .. } = forwarding;
        Self { mailbox: mailbox.clone(), id: *id, by: by.clone(), at: at.rfc3339() }
    }
}

/// A message in a list. Holds personal data: never logged.
#[derive(Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    /// Id, a UUIDv7.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// Its mailbox.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
    /// State.
    pub state: ShownState,
    /// Urgent or not.
    pub urgent: bool,
    /// The caller as given; absent when withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The caller's display name as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// When it was deposited, RFC 3339.
    pub received: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Size of the audio in bytes.
    pub size: u64,
    /// SHA-256 of the audio, hex.
    pub sha256: String,
    /// The member of the group who deals with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub claimed_by: Option<UserId>,
    /// Since when, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<String>,
    /// The users who have marked it read or saved, and when first, RFC 3339.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub heard_by: BTreeMap<UserId, String>,
    /// The message that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_from: Option<ForwardingView>,
    /// Its copies in other mailboxes, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwarded_to: Vec<ForwardingView>,
    /// When retention deletes it, RFC 3339; later if it is held.
    pub expires: String,
    /// When the trash is emptied of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trashed_until: Option<String>,
}

impl MessageView {
    /// The view of a visible entry.
    pub fn new(mailbox: &MailboxId, id: MessageId, entry: &Entry) -> Self {
        Self {
            id,
            mailbox: mailbox.clone(),
            state: shown(entry),
            urgent: entry.urgent,
            caller: entry.caller.as_ref().map(|caller| caller.reveal().to_owned()),
            caller_name: entry.caller_name.clone(),
            received: entry.received.rfc3339(),
            duration_ms: entry.duration_ms,
            size: entry.size,
            sha256: entry.digest.0.clone(),
            claimed_by: entry.claim.as_ref().map(|claim| claim.by.clone()),
            claimed_at: entry.claim.as_ref().map(|claim| claim.at.rfc3339()),
            heard_by: entry.heard.iter().map(|(user, at)| (user.clone(), at.rfc3339())).collect(),
            forwarded_from: entry.forwarded_from.as_ref().map(ForwardingView::new),
            forwarded_to: entry.forwarded_to.iter().map(ForwardingView::new).collect(),
            expires: entry.expires.rfc3339(),
            trashed_until: entry.trash.as_ref().map(|trash| Time::rfc3339(trash.until)),
        }
    }
}

/// A message's state as its owner sees it.
pub fn shown(entry: &Entry) -> ShownState {
    if entry.trash.is_some() {
        return ShownState::Trashed;
    }
    match entry.state {
        MessageState::New | MessageState::Deleting => ShownState::New,
        MessageState::Read => ShownState::Read,
        MessageState::Saved => ShownState::Saved,
    }
}
