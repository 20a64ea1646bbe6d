//! The operations on a mailbox's index, and their outcomes.

use crate::{
    AudioKey, CallerHash, Entry, Forwarding, LegalHold, MessageId, MessageState, Quota, Room, RunId, Time,
    UserId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The entry that a deposit inserts, once the message's audio and envelope are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// The message.
    pub id: MessageId,
    /// Its entry, flagged from the start where a mark covers it.
    pub entry: Entry,
    /// The mailbox's generation that the envelope names.
    pub generation: u32,
    /// The mailbox's upper limits; none for a message that is stored already and lacks only its entry.
    pub quota: Option<Quota>,
}

/// A message that is to be deleted, with all that is needed to do it; manifests are made of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct PurgeItem {
    /// The message.
    pub id: MessageId,
    /// Its caller.
    pub caller: CallerHash,
    /// Its audio.
    pub audio: AudioKey,
    /// Region of the audio.
    pub region: String,
}

impl PurgeItem {
    /// The message that an entry is of.
    pub fn of_entry(id: MessageId, entry: &Entry) -> Self {
        let Entry { caller_hash, audio, region, .. } = entry;
        Self { id, caller: caller_hash.clone(), audio: audio.clone(), region: region.clone() }
    }
}

/// A change that an owner asks for; `None` leaves the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageChange {
    /// New, read or saved.
    pub state: Option<MessageState>,
    /// Urgent or not.
    pub urgent: Option<bool>,
    /// Somebody listened: what is new becomes read. What was read or saved meanwhile stays so, in whatever order the two
    /// arrive, so that whoever plays a message needn't know its state.
    pub heard: bool,
}

/// Everything that can be done to an index.
#[derive(Clone, Debug, PartialEq)]
pub enum IndexOp {
    /// A deposit arrives.
    Insert(Box<NewEntry>),
    /// A forget run hides messages of a caller; the run itself does it, or a deposit that finds the run's mark.
    Flag {
        /// The run.
        run: RunId,
        /// From when the messages count as erased.
        purge_at: Time,
        /// Messages and the caller each must have.
        messages: BTreeMap<MessageId, CallerHash>,
    },
    /// An undone run's flags go; clocks run on from where they stood.
    ClearFlags {
        /// The run.
        run: RunId,
    },
    /// A run's flags go from messages that turned out to be somebody else's; clocks run on from where they stood.
    Unflag {
        /// The run.
        run: RunId,
        /// The messages.
        messages: BTreeSet<MessageId>,
    },
    /// A message is filed anew: its caller gave no number, which the rules of its time didn't know.
    Refile {
        /// The message.
        id: MessageId,
        /// Only if it is this caller's …
        caller: CallerHash,
        /// … with this audio.
        audio: AudioKey,
        /// Where its audio is now.
        new_audio: AudioKey,
    },
    /// A deletion begins: the entry leaves lists and counts.
    BeginDelete {
        /// The message.
        id: MessageId,
        /// Only if it is this caller's …
        caller: CallerHash,
        /// … with this audio.
        audio: AudioKey,
        /// Retention deletes only what has expired by then and is neither flagged nor held.
        only_expired: bool,
        /// An owner deletes only what they can see.
        only_visible: bool,
    },
    /// A deletion ends: the entry goes, the id is remembered.
    FinishDelete {
        /// The message.
        id: MessageId,
        /// Only if it is this caller's …
        caller: CallerHash,
        /// … with this audio.
        audio: AudioKey,
    },
    /// A purge round begins: entries of the manifest are being deleted; ids without entry are remembered.
    BeginPurge(Vec<PurgeItem>),
    /// A purge round ends: entries of the manifest go, all ids are remembered.
    FinishPurge(Vec<PurgeItem>),
    /// State or urgency.
    Change {
        /// The message.
        id: MessageId,
        /// The change.
        change: MessageChange,
        /// The user who asks for it: marking a message as read or saved counts as listening.
        by: Option<UserId>,
        /// Only if the message is still as it was seen.
        only_if: Option<Box<Entry>>,
    },
    /// A member of a group deals with a message.
    Claim {
        /// The message.
        id: MessageId,
        /// The member.
        by: UserId,
        /// Even if another member has claimed it.
        take_over: bool,
    },
    /// The member who claimed it doesn't deal with it any more.
    Release {
        /// The message.
        id: MessageId,
        /// The member.
        by: UserId,
    },
    /// A copy of the message was put into another mailbox.
    NoteForward {
        /// The message.
        id: MessageId,
        /// The copy.
        copy: Forwarding,
    },
    /// Into the trash.
    MoveToTrash {
        /// The message.
        id: MessageId,
        /// How long it can be restored.
        keep: Duration,
    },
    /// Out of the trash.
    Restore(MessageId),
    /// Kept from retention and trash until then.
    Hold {
        /// The hold's id.
        hold: String,
        /// Until when.
        until: Time,
        /// The messages and the caller each must have.
        messages: BTreeMap<MessageId, CallerHash>,
    },
    /// Under a legal hold, visible or hidden.
    PutLegalHold {
        /// The message.
        id: MessageId,
        /// The hold; one that is there stays, with this reason.
        hold: LegalHold,
    },
    /// The legal hold goes.
    EndLegalHold(MessageId),
    /// The class keeps messages longer or shorter now: these are stamped anew, counted from their deposit.
    Restamp {
        /// From deposit to deletion.
        retention: Duration,
        /// The messages whose due items have been made.
        messages: BTreeSet<MessageId>,
    },
    /// The mailbox takes no more deposits.
    Close {
        /// Only if it is still this one.
        generation: u32,
    },
    /// A closed and empty mailbox is opened, or a new one made.
    Open {
        /// The generation from then on; later than any before.
        generation: u32,
    },
}

/// The outcome of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexOutcome {
    /// Done by this revision, or nothing was left to do.
    Done,
    /// Insertion: our id is there already, with our caller and digest.
    AlreadyThere,
    /// Insertion: our id is there with another caller or digest.
    OtherMessage,
    /// Insertion: the mailbox is closed, of another generation, or deleted before.
    Refused,
    /// Insertion: there is no room, or was none when this attempt came first.
    NoRoom(Room),
    /// No such (visible) message.
    NotFound,
    /// Another member deals with the message.
    Claimed,
    /// The message, or the mailbox, isn't any more as it was seen.
    Changed,
    /// The mailbox is closed and its entries aren't all gone yet.
    StillClosing,
    /// How many entries the operation touched.
    Touched(u32),
}

impl IndexOp {
    /// The message that its owner changes.
    pub fn owners_message(&self) -> Option<MessageId> {
        match self {
            Self::Change { id, .. }
            | Self::Claim { id, .. }
            | Self::Release { id, .. }
            | Self::NoteForward { id, .. }
            | Self::MoveToTrash { id, .. }
            | Self::Restore(id) => Some(*id),
            _ => None,
        }
    }
}
