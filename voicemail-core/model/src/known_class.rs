//! Limits of a class of service as they were last configured, kept in the tenant document: mailboxes may still name a class
//! that was taken out of the configuration, and nothing of theirs is deleted or refused for that.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use voicemail_api::config::{ClassOfService, EmailContent};

/// A class's limits. The name is the key that they are kept under.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownClass {
    /// Messages a mailbox may hold.
    pub max_messages: u32,
    /// Longest message, in seconds.
    pub max_seconds: u32,
    /// Seconds below which a media server throws a recording away.
    pub min_seconds: u32,
    /// Seconds of messages a mailbox may hold in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_seconds: Option<u32>,
    /// Days from deposit to deletion.
    pub retention_days: u32,
    /// Hours that a deleted message can be restored for.
    pub trash_hours: u32,
    /// How much e-mails may tell.
    #[serde(default, skip_serializing_if = "EmailContent::is_none")]
    pub email: EmailContent,
    /// Minutes that messages wait for each other before a mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_digest_minutes: Option<u32>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl KnownClass {
    /// The limits of a class.
    pub fn of(class: &ClassOfService) -> Self {
        Self {
            max_messages: class.max_messages,
            max_seconds: class.max_seconds,
            min_seconds: class.min_seconds,
            quota_seconds: class.quota_seconds,
            retention_days: class.retention_days,
            trash_hours: class.trash_hours,
            email: class.email,
            email_digest_minutes: class.email_digest_minutes,
            unknown: Map::new(),
        }
    }

    /// The class of that name with these limits.
    pub fn named(&self, name: &str) -> ClassOfService {
        ClassOfService {
            name: name.into(),
            max_messages: self.max_messages,
            max_seconds: self.max_seconds,
            min_seconds: self.min_seconds,
            quota_seconds: self.quota_seconds,
            retention_days: self.retention_days,
            trash_hours: self.trash_hours,
            email: self.email,
            email_digest_minutes: self.email_digest_minutes,
        }
    }
}
