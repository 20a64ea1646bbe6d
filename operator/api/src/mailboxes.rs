//! Limits and retention of mailboxes, and what they prefer by default.
//!
//! A CRD has defaults of its own: those here repeat the core's (`ClassOfService` in `voicemail-core/api/src/config/mod.rs`).
//! Change both.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use super::rules::{form, invalid};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits and retention of a kind of mailbox.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = invalid(
        "!has(self.quotaSeconds) || self.quotaSeconds >= self.maxSeconds",
        "quotaSeconds: write at least maxSeconds, or the longest message never fits"
    ).field_path(".quotaSeconds"),
    validation = invalid(
        "self.minSeconds <= self.maxSeconds",
        "minSeconds: write at most maxSeconds, or no message is ever kept"
    ).field_path(".minSeconds")
)]
pub struct ClassOfService {
    /// Name that mailboxes refer to, such as standard.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Messages a mailbox may hold, trash not counted.
    #[serde(default = "default_max_messages")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_messages: i32,
    /// Longest message, in seconds.
    #[serde(default = "default_max_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub max_seconds: i32,
    /// Seconds below which a media server throws a recording away.
    #[serde(default = "default_min_seconds")]
    #[schemars(range(min = 0, max = 60))]
    pub min_seconds: i32,
    /// Seconds of messages a mailbox may hold in all, trash not counted; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub quota_seconds: Option<i32>,
    /// Days from deposit to automatic deletion.
    #[serde(default = "default_retention_days")]
    #[schemars(range(min = 1, max = 3650))]
    pub retention_days: i32,
    /// Hours that a deleted message can be restored for.
    #[serde(default = "default_trash_hours")]
    #[schemars(range(min = 0, max = 720))]
    pub trash_hours: i32,
    /// How much e-mails tell at most: None, Note (mailbox and length), Caller (and number and name), Link (and a link to the Inbox; needs spec.web), Audio (and the recording).
    #[serde(default, skip_serializing_if = "EmailContent::is_none")]
    pub email: EmailContent,
    /// Minutes that messages wait for others of their mailbox, so that they come as one mail, unless a reader chose otherwise; each comes by itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1440))]
    pub email_digest_minutes: Option<i32>,
}

/// Whether agents find mailboxes that aren't theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Directory {
    /// They forward to mailboxes whose names they know.
    #[default]
    Closed,
    /// They find number and label of every mailbox of the tenant by the beginning of its name.
    Open,
}

impl Directory {
    /// Whether they find none.
    pub fn is_closed(&self) -> bool {
        *self == Self::Closed
    }
}

/// How much an e-mail about a new message tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the field says what they mean")]
pub enum EmailContent {
    #[default]
    None,
    Note,
    Caller,
    Link,
    Audio,
}

impl EmailContent {
    /// Whether nothing is sent.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

fn default_max_messages() -> i32 {
    10
}

fn default_max_seconds() -> i32 {
    180
}

fn default_min_seconds() -> i32 {
    3
}

fn default_retention_days() -> i32 {
    30
}

fn default_trash_hours() -> i32 {
    24
}

/// For mailboxes that prefer nothing else.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reception {
    /// Where a caller who doesn't want to leave a message may be connected to: a number or an address of the
    /// telephony's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = form("[!-~]+", "optOut: write a number or an address without spaces, such as +442079460100"))]
    pub opt_out: Option<String>,
    /// Language of prompts, such as en-GB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 35))]
    #[x_kube(validation = form("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", "language: write a language's tag, such as en-GB"))]
    pub language: Option<String>,
    /// Time zone by its IANA name, such as Europe/London.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = form("[A-Z][A-Za-z0-9_+/-]*", "timeZone: write a time zone's IANA name, such as Europe/London"),
        validation = invalid(
            "self != 'Local' && timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
            "timeZone: this one is unknown: write an IANA name, such as Europe/London"
        )
    )]
    pub time_zone: String,
}

/// The time zone of a mailbox that names none.
pub const UTC: &str = "UTC";

fn default_time_zone() -> String {
    UTC.into()
}
