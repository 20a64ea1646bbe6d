//! The audit log: an immutable object for each act, without a number, a name or any content of a message. Pure.
//!
//! Filed as `audit/<yyyymmddHH>/<ms in hex>-<random>`, so that a listing is in the order of time.

use super::{MailboxId, MessageId, Time, UserId};
use serde::{Deserialize, Serialize};

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Version of this shape.
    pub schema: u32,
    /// When.
    pub at: Time,
    /// Who: a service account's name, a digest of issuer and subject, or whom the operator decided for; `telephone`
    /// for the holder of a PIN.
    pub actor: String,
    /// The user whose mailboxes they opened, if they act as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The act.
    pub action: AuditAction,
    /// To what.
    #[serde(default)]
    pub subject: AuditSubject,
}

impl AuditEvent {
    /// The newest version of the shape.
    pub const SCHEMA: u32 = 1;
}

/// The kind of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuditAction {
    /// A message's audio was fetched.
    Listen,
    /// Messages were searched.
    Search,
    /// A case's data was collected.
    Export,
    /// A case's archive was fetched.
    DownloadExport,
    /// An erasure was asked for.
    Forget,
    /// An erasure was taken back.
    UndoForget,
    /// A run that waited for a second person was approved.
    Approve,
    /// A request was denied.
    Deny,
    /// A deadline was extended.
    Extend,
    /// A request was cancelled.
    Cancel,
    /// A message was put under a legal hold, or the hold's reason was changed.
    PutHold,
    /// A message's legal hold was ended.
    EndHold,
    /// A mailbox was deleted with its messages.
    DeleteMailbox,
    /// A PIN was set.
    SetPin,
    /// A PIN was removed.
    RemovePin,
    /// A PIN's lock was ended.
    UnlockPin,
    /// This record was read.
    ReadAudit,
}

/// The object of an act. Never a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditSubject {
    /// A mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mailbox: Option<MailboxId>,
    /// A message of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub message: Option<MessageId>,
    /// The run of a case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The criterion of a search: `caller` or `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How many messages it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<u32>,
}

impl AuditSubject {
    /// A mailbox.
    pub fn mailbox(mailbox: &MailboxId) -> Self {
        Self { mailbox: Some(mailbox.clone()), ..Self::default() }
    }

    /// A message.
    pub fn message(mailbox: &MailboxId, id: MessageId) -> Self {
        Self { message: Some(id), ..Self::mailbox(mailbox) }
    }

    /// A case's run.
    pub fn run(run: &str) -> Self {
        Self { run: Some(run.to_owned()), ..Self::default() }
    }
}
