//! The mailbox index: one document that holds every entry of a mailbox, and the envelope beside each message.
//!
//! A list of messages and the MWI counts are one read of the index; every change to a mailbox is one
//! conditional replacement of it (see [`IndexOp`](super::IndexOp)). Entries hold what a list shows; the
//! [`Envelope`] is filed by caller and is what an erasure finds.

use super::{
    AudioDigest, AudioKey, CallerHash, CallerId, Entries, MailboxId, Mend, MessageId, MessageName, PurgeItem,
    RunId, Time, UserId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use voicemail_api::config::ClassOfService;

/// The index of one mailbox, `mb/<m2>/<mailbox>/index`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Index {
    /// Messages by id, so oldest first.
    pub entries: Entries,
    /// Ids that were deleted, until no retry of them is accepted any more.
    pub gone: BTreeMap<MessageId, Time>,
    /// Attempts at a deposit for which the mailbox was full, until no retry of their ids is accepted any more: whoever
    /// goes on with one later, when there is room, would insert a message whose audio has been removed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, Time>,
    /// The mailbox was closed; it takes no deposits and its entries are being deleted.
    pub closed: bool,
    /// Raised when a closed mailbox is opened again, so that a frozen deposit to the old one is refused.
    pub generation: u32,
    /// It was closed or opened again by a release that writes generations into what refers to a mailbox: from then on a
    /// reference without one is of before, and counts no more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bound: bool,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Upper limits of a mailbox; messages in the trash don't count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Messages.
    pub messages: u32,
    /// Seconds of messages; no limit when absent.
    pub seconds: Option<u32>,
}

impl Quota {
    /// The limits of a mailbox of that class.
    pub fn of(class: &ClassOfService) -> Self {
        Self { messages: class.max_messages, seconds: class.quota_seconds }
    }
}

/// Whether there is room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Free,
    /// As many messages as may be are there.
    Full,
    /// They last as long as they may.
    FullOfSeconds,
}

/// Which mailbox of a name there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its generation.
    pub generation: u32,
    /// References without a generation don't mean it.
    pub bound: bool,
}

impl Present {
    /// As [`Index::is_meant_by`].
    pub fn is_meant_by(&self, named: Option<u32>) -> bool {
        named.map_or(!self.bound, |named| named == self.generation)
    }
}

/// The state in which its owner left a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Nobody has listened to it.
    New,
    /// Listened to.
    Read,
    /// Listened to, and kept on purpose.
    Saved,
    /// Being deleted for good; in no list.
    Deleting,
}

/// A message in the trash: out of the counts, restorable until its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trash {
    /// When it goes for good.
    pub until: Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Trash {
    /// Restorable until then.
    pub fn until(until: Time) -> Self {
        Self { until, unknown: Map::new() }
    }
}

/// The member who deals with a message of a shared mailbox, so that its caller isn't rung twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The member.
    pub by: UserId,
    /// Since when.
    pub at: Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Where a copy of a message came from, or went to: the other mailbox, who sent it, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// The other mailbox.
    pub mailbox: MailboxId,
    /// The message's id there.
    pub id: MessageId,
    /// The user who sent it.
    pub by: UserId,
    /// When.
    pub at: Time,
    /// The copies and the original that the message's own original was made from, the oldest first: so a copy knows its
    /// origin when all between is gone. Absent where it isn't known, as in copies of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Vec<MessageName>>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Forwarding {
    /// The other message.
    pub fn name(&self) -> MessageName {
        MessageName::new(&self.mailbox, self.id)
    }

    /// Every message that a copy is known to come from.
    pub fn ancestors(&self) -> impl Iterator<Item = MessageName> {
        self.through.iter().flatten().cloned().chain([self.name()])
    }
}

/// Somebody's legal hold on a message: it is kept until the hold goes, whatever else is decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalHold {
    /// Why, without personal data.
    pub reason: String,
    /// The person who placed the hold, as authenticated.
    pub by: Option<String>,
    /// Since when.
    pub since: Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// One message in a mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Hash that the caller is filed under.
    pub caller_hash: CallerHash,
    /// The caller as given; none when withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerId>,
    /// Display name as given by the network. Personal data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// When the message was left.
    pub received: Time,
    /// Length of the recording in milliseconds.
    pub duration_ms: u64,
    /// Size of the audio in bytes.
    pub size: u64,
    /// Region of deposit, which holds the audio.
    pub region: String,
    /// Where the audio is.
    pub audio: AudioKey,
    /// SHA-256 of the audio.
    pub digest: AudioDigest,
    /// Bytes that its recorder left wrong, as they are played.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mends: Vec<Mend>,
    /// The state in which its owner left it.
    pub state: MessageState,
    /// In the trash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<Trash>,
    /// Marked urgent by the caller or the owner.
    #[serde(default)]
    pub urgent: bool,
    /// The member who deals with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// The users who have listened to it, and when first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub heard: BTreeMap<UserId, Time>,
    /// The message that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_from: Option<Forwarding>,
    /// Its copies, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwarded_to: Vec<Forwarding>,
    /// When retention deletes it; stamped at deposit.
    pub expires: Time,
    /// Kept from retention and trash until each hold's time, by the hold's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holds: BTreeMap<String, Time>,
    /// Kept from everything that deletes, erasures too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<LegalHold>,
    /// Forget runs that hide it, with the time from which it counts as erased.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub forget: BTreeMap<RunId, Time>,
    /// Since when its clocks stand still: since the first flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Time>,
    /// How long its clocks stood still in pauses that are over, in milliseconds.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub paused_ms: u64,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Entry {
    /// Exists for its owner, in the trash or not: neither being deleted nor hidden by a forget run.
    pub fn is_visible(&self) -> bool {
        self.state != MessageState::Deleting && self.forget.is_empty()
    }

    /// In the list and the counts: visible and not in the trash.
    pub fn is_listed(&self) -> bool {
        self.is_visible() && self.trash.is_none()
    }

    /// When retention or the trash deletes it, whichever comes first.
    pub fn deadline(&self) -> Time {
        self.trash.as_ref().map_or(self.expires, |trash| trash.until.min(self.expires))
    }

    /// When retention deletes it if its class keeps messages that long from their deposit. Pauses count; what
    /// is in the trash stays restorable for as long as it was promised.
    pub fn expires_under(&self, retention: Duration) -> Time {
        let fresh = self.received.plus(retention).plus(Duration::from_millis(self.paused_ms));
        self.trash.as_ref().map_or(fresh, |trash| fresh.max(trash.until.min(self.expires)))
    }

    /// Whether retention deletes it now: past its deadline, visible and not held.
    pub fn is_expired(&self, now: Time) -> bool {
        self.is_visible() && self.deadline() <= now && !self.is_held(now)
    }

    /// Whether any hold is in force.
    pub fn is_held(&self, now: Time) -> bool {
        self.legal_hold.is_some() || self.holds.values().any(|until| *until > now)
    }

    /// Whether this is the message that a deletion was made for.
    pub fn is(&self, caller: &CallerHash, audio: &AudioKey) -> bool {
        self.caller_hash == *caller && self.audio == *audio
    }
}

impl Index {
    /// Whether a reference that names this generation means the mailbox as it is now. A reference that names none was
    /// written by a release that named none.
    pub fn is_meant_by(&self, named: Option<u32>) -> bool {
        Present { generation: self.generation, bound: self.bound }.is_meant_by(named)
    }

    /// Which mailbox of its name it is, if it is open.
    pub fn present(&self) -> Option<Present> {
        (!self.closed).then_some(Present { generation: self.generation, bound: self.bound })
    }

    /// Entries that count against the mailbox's quota.
    pub fn listed(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_listed()).count()
    }

    /// Length of the messages that count against the mailbox's quota, in milliseconds.
    pub fn listed_ms(&self) -> u64 {
        let listed = self.entries.values().filter(|entry| entry.is_listed());
        listed.fold(0, |sum: u64, entry| sum.saturating_add(entry.duration_ms))
    }

    /// Whether the mailbox takes another message, by count and by length. A message's length isn't known before it was
    /// spoken: the last may run over.
    pub fn room(&self, quota: &Quota) -> Room {
        if self.listed() >= quota.messages as usize {
            return Room::Full;
        }
        match quota.seconds {
            Some(limit) if self.listed_ms() >= u64::from(limit) * 1_000 => Room::FullOfSeconds,
            _ => Room::Free,
        }
    }

    /// A visible entry, in the trash or not.
    pub fn visible(&self, id: MessageId) -> Option<&Entry> {
        self.entries.get(&id).filter(|entry| entry.is_visible())
    }
}

/// Metadata of a deposited message, filed by caller: `ca/<h2>/<H>/<mailbox>/<msgid>`. Written once. It is the message's
/// metadata and the index by caller in one, and from it an entry can be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of this shape.
    pub schema: u32,
    /// The caller as given; none when withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<CallerId>,
    /// The caller as hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised: Option<CallerId>,
    /// Rule set that normalised it.
    pub rules: u32,
    /// Display name as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// When the message was left.
    pub received: Time,
    /// Length of the recording in milliseconds.
    pub duration_ms: u64,
    /// Size of the audio in bytes.
    pub size: u64,
    /// Region that holds the audio.
    pub region: String,
    /// Where the audio is.
    pub audio: AudioKey,
    /// SHA-256 of the audio.
    pub digest: AudioDigest,
    /// Bytes that its recorder left wrong, as they are played.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mends: Vec<Mend>,
    /// Urgent by the caller.
    pub urgent: bool,
    /// The message that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_from: Option<Forwarding>,
    /// When retention deletes the message.
    pub expires: Time,
    /// The mailbox's generation at deposit.
    pub generation: u32,
}

impl Envelope {
    /// Version written now.
    pub const SCHEMA: u32 = 1;

    /// An envelope made again from its message, for one that was damaged or lost.
    pub fn of_entry(entry: &Entry, normalised: Option<CallerId>, rules: u32, generation: u32) -> Self {
        Self {
            schema: Self::SCHEMA,
            caller: entry.caller.clone(),
            normalised,
            rules,
            caller_name: entry.caller_name.clone(),
            received: entry.received,
            duration_ms: entry.duration_ms,
            size: entry.size,
            region: entry.region.clone(),
            audio: entry.audio.clone(),
            digest: entry.digest.clone(),
            mends: entry.mends.clone(),
            urgent: entry.urgent,
            forwarded_from: entry.forwarded_from.clone(),
            expires: entry.expires,
            generation,
        }
    }

    /// The message that this envelope is of, as a deletion names it.
    pub fn purge_item(&self, id: MessageId, caller: CallerHash) -> PurgeItem {
        PurgeItem { id, caller, audio: self.audio.clone(), region: self.region.clone() }
    }

    /// The entry that this envelope makes, hidden from the start by the runs given.
    pub fn entry(&self, caller_hash: CallerHash, forget: BTreeMap<RunId, Time>, now: Time) -> Entry {
        Entry {
            caller_hash,
            caller: self.caller.clone(),
            caller_name: self.caller_name.clone(),
            received: self.received,
            duration_ms: self.duration_ms,
            size: self.size,
            region: self.region.clone(),
            audio: self.audio.clone(),
            digest: self.digest.clone(),
            mends: self.mends.clone(),
            state: MessageState::New,
            trash: None,
            urgent: self.urgent,
            claim: None,
            heard: BTreeMap::new(),
            forwarded_from: self.forwarded_from.clone(),
            forwarded_to: Vec::new(),
            expires: self.expires,
            holds: BTreeMap::new(),
            legal_hold: None,
            paused_at: (!forget.is_empty()).then_some(now),
            paused_ms: 0,
            forget,
            unknown: Map::new(),
        }
    }
}
