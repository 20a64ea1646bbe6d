//! Classes of service: what a kind of mailbox may hold, and for how long.

use super::EmailContent;
use serde::{Deserialize, Serialize};

/// Limits and retention of a kind of mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClassOfService {
    /// Name that mailboxes refer to.
    pub name: String,
    /// Messages a mailbox may hold, trash not counted.
    #[serde(default = "default_max_messages")]
    pub max_messages: u32,
    /// Longest message, in seconds.
    #[serde(default = "default_max_seconds")]
    pub max_seconds: u32,
    /// Seconds below which a media server throws a recording away; told by reception, not asked of a deposit.
    #[serde(default = "default_min_seconds")]
    pub min_seconds: u32,
    /// Seconds of messages a mailbox may hold in all, trash not counted; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_seconds: Option<u32>,
    /// Days from deposit to automatic deletion; stamped on each message at deposit.
    #[serde(default = "default_retention_days")]
    pub retention_days: u32,
    /// Hours that a deleted message can be restored for.
    #[serde(default = "default_trash_hours")]
    pub trash_hours: u32,
    /// How much e-mails about its messages may tell at most.
    #[serde(default, skip_serializing_if = "EmailContent::is_none")]
    pub email: EmailContent,
    /// Minutes that messages wait for others of their mailbox, so that they come as one mail, unless a reader chose otherwise;
    /// each comes by itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_digest_minutes: Option<u32>,
}

fn default_max_messages() -> u32 {
    10
}

fn default_max_seconds() -> u32 {
    180
}

fn default_min_seconds() -> u32 {
    3
}

fn default_retention_days() -> u32 {
    30
}

fn default_trash_hours() -> u32 {
    24
}

impl ClassOfService {
    /// Most minutes that messages wait for each other before a mail: a day.
    pub const LONGEST_DIGEST: u16 = 1_440;
    /// The class of a mailbox that names none.
    pub const STANDARD: &'static str = "standard";

    /// The built-in `standard` class.
    pub fn standard() -> Self {
        Self {
            name: Self::STANDARD.into(),
            max_messages: default_max_messages(),
            max_seconds: default_max_seconds(),
            min_seconds: default_min_seconds(),
            quota_seconds: None,
            retention_days: default_retention_days(),
            trash_hours: default_trash_hours(),
            email: EmailContent::None,
            email_digest_minutes: None,
        }
    }
}
