//! Wire types of the API's telephone side: what a media server is told before it plays and records, and what it sends and is
//! answered.
//!
//! The core answers [`ReceptionView`] and [`GreetingView`] as they are here. The others are how a client reads the core's
//! answers: fields that a media server has no use for are left out, and unknown ones are ignored, so that a newer core
//! doesn't break an older front.

use serde::{Deserialize, Serialize};

/// The media server's instructions: greeting, choices and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReceptionView {
    /// The mailbox.
    pub mailbox: String,
    /// Whether a deposit would be admitted now: neither full nor closed.
    pub takes_messages: bool,
    /// It holds as much as its class allows.
    pub full: bool,
    /// It was closed.
    pub closed: bool,
    /// Played first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclaimer: Option<GreetingView>,
    /// Played then; when absent the media server plays one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<GreetingView>,
    /// The owner's spoken name, for what the media server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<GreetingView>,
    /// Limits of a recording.
    pub limits: RecordingLimits,
    /// Where a caller who presses the way out is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<String>,
    /// Language of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The mailbox's time zone, by its IANA name.
    pub time_zone: String,
}

/// Limits of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct RecordingLimits {
    /// Longest, in seconds.
    pub max_seconds: u32,
    /// Shorter recordings are thrown away by the media server: the caller hung up.
    pub min_seconds: u32,
    /// Codings, at 8 to 48 kHz, mono or stereo.
    pub formats: Vec<String>,
    /// Messages until the mailbox is full.
    pub messages_left: u32,
}

/// A greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct GreetingView {
    /// `standard`, `alternate`, `name`, `default` or `disclaimer`.
    pub kind: String,
    /// Path of its audio.
    pub url: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the audio, which is its entity tag too.
    pub sha256: String,
    /// How its samples are coded: `pcm16`, `alaw`, `mulaw` or another of the formats. Absent for what a former release
    /// recorded. `codec` and `rate` of its audio's address ask for another form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<String>,
    /// Samples a second and channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// Channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    /// When it was recorded, RFC 3339.
    pub recorded: String,
}

/// How G.711 compands (ITU-T G.711): the two codings that every telephone trunk carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Law {
    /// µ-law.
    Mulaw,
    /// A-law.
    Alaw,
}

impl Law {
    /// Its name as the query `codec` of audio has it.
    pub const fn codec(self) -> &'static str {
        match self {
            Self::Mulaw => "mulaw",
            Self::Alaw => "alaw",
        }
    }
}

/// What goes with a recording.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DepositFields {
    /// The caller's number or address; absent when withheld.
    pub caller: Option<String>,
    /// The caller's display name.
    pub caller_name: Option<String>,
    /// Marked urgent by the caller.
    pub urgent: bool,
    /// When it was left, RFC 3339, for one that is sent later than it was recorded.
    pub left: Option<String>,
}

/// Counts of a mailbox (RFC 3842).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Messages nobody has listened to.
    pub new: u32,
    /// Messages that were listened to or saved.
    pub old: u32,
    /// Urgent ones among the new.
    #[serde(default)]
    pub urgent_new: u32,
    /// Urgent ones among the old.
    #[serde(default)]
    pub urgent_old: u32,
}

impl Counts {
    /// Reads `new/old (urgent new/urgent old)`, as RFC 3842 writes them.
    pub fn parse(text: &str) -> Option<Self> {
        let pair = |text: &str| {
            let (new, old) = text.split_once('/')?;
            Some((new.trim().parse().ok()?, old.trim().parse().ok()?))
        };
        let (all, urgent) = text.strip_suffix(')')?.split_once('(')?;
        let ((new, old), (urgent_new, urgent_old)) = (pair(all)?, pair(urgent)?);
        Some(Self { new, old, urgent_new, urgent_old })
    }
}

/// The state of mailboxes that somebody follows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WatchedState {
    /// Those that there are.
    #[serde(rename = "Mailboxes")]
    pub mailboxes: Vec<WatchedMwi>,
}

/// A mailbox's counts, as an event has them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WatchedMwi {
    /// Which mailbox.
    #[serde(rename = "Mailbox")]
    pub mailbox: String,
    /// Its counts.
    #[serde(rename = "Voice-Message", deserialize_with = "read_counts")]
    pub counts: Counts,
}

/// A mailbox that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GoneMwi {
    /// Which.
    #[serde(rename = "Mailbox")]
    pub mailbox: String,
}

fn read_counts<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Counts, D::Error> {
    let text = String::deserialize(from)?;
    Counts::parse(&text).ok_or_else(|| serde::de::Error::custom("use new/old (urgent new/urgent old)"))
}

/// The acknowledgement of a deposit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DepositReceipt {
    /// The message's id.
    pub id: String,
    /// False when an earlier attempt had stored it.
    pub created: bool,
    /// The mailbox's counts with the message.
    pub mwi: Counts,
}

/// What opens a mailbox after its PIN was right.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxToken {
    /// For the header `Authorization: Bearer …`.
    pub token: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

/// A message in a list.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedMessage {
    /// Its id, a UUIDv7.
    pub id: String,
    /// `new`, `read`, `saved` or `trash`.
    pub state: String,
    /// Marked urgent.
    pub urgent: bool,
    /// The caller as given; absent when withheld.
    #[serde(default)]
    pub caller: Option<String>,
    /// When it was left, RFC 3339.
    pub received: String,
    /// Length in milliseconds.
    pub duration_ms: u64,
}

/// What an owner's work by telephone notes on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It was listened to: read, unless somebody saved it meanwhile.
    Heard,
    /// It is kept.
    Saved,
}

/// A page of messages.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct ListedPage {
    /// In the order asked for.
    pub messages: Vec<ListedMessage>,
    /// Gives the next page; absent on the last.
    #[serde(default)]
    pub next: Option<String>,
}
