//! Mailboxes as a core lists them for administrators.

use serde::{Deserialize, Serialize};

/// A mailbox as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct MailboxView {
    /// Its name.
    pub mailbox: String,
    /// Its class of service.
    pub class_of_service: String,
    /// The mailbox's display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Messages that count against its quota.
    pub messages: u32,
    /// Its quota.
    pub max_messages: u32,
}

/// A page of mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct MailboxList {
    /// In an order of their own.
    pub mailboxes: Vec<MailboxView>,
    /// Gives the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
