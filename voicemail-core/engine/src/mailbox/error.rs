//! The errors of mailbox calls; the HTTP layer maps each to a problem document.

use voicemail_model::{Quota, Room, Time};
use voicemail_store::{BodyError, ErrorClass, StoreError};

/// Why a mailbox call failed. Messages never hold a number or a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// No such mailbox, or not the caller's.
    #[error("there is no such mailbox")]
    UnknownMailbox,
    /// No such message, or it isn't visible.
    #[error("there is no such message in this mailbox")]
    UnknownMessage,
    /// No such user or group.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The mailbox holds as many messages as its class of service allows.
    #[error("the mailbox is full: it holds {limit} messages")]
    Full {
        /// The class's limit.
        limit: u32,
    },
    /// The mailbox's messages last as long in all as its class of service allows.
    #[error("the mailbox is full: its messages last {limit} s or more in all")]
    FullOfSeconds {
        /// The class's limit, in seconds.
        limit: u32,
    },
    /// The id's time isn't within six days back and five minutes ahead.
    #[error(
        "the Idempotency-Key's time is outside the last 6 days and the next 5 minutes: make a new UUIDv7"
    )]
    IdOutOfTime,
    /// The id belongs to another message.
    #[error("the Idempotency-Key was used for another message: make a new UUIDv7")]
    IdReused,
    /// Another member of the group deals with the message.
    #[error("another member has claimed the message: see claimedBy, and takeOver")]
    Claimed,
    /// There is no greeting of that kind.
    #[error("there is no such greeting: record it first")]
    NoGreeting,
    /// Nobody has set a PIN.
    #[error("the mailbox has no PIN, so it can't be opened by telephone")]
    NoPin,
    /// The PIN is another.
    #[error("the PIN is wrong")]
    WrongPin,
    /// The PIN was given too long ago, or a token was brought that wasn't given for one.
    #[error("only a token given for a PIN in the last two hours is renewed: ask for the PIN again")]
    PinNeeded,
    /// Too many wrong PINs.
    #[error("too many wrong PINs: try again later, or have an administrator unlock it")]
    PinLocked {
        /// Until then.
        until: Time,
    },
    /// The message was deleted, erased, or the mailbox closed meanwhile.
    #[error("the message or its mailbox has been deleted")]
    Gone,
    /// The audio can't be stored.
    #[error("{0}")]
    Audio(BodyError),
    /// The upload took longer than an attempt may.
    #[error("the upload took longer than 15 minutes")]
    TooSlow,
    /// The mailbox is closed and still being emptied.
    #[error("the mailbox is still being emptied: try again when its erasure has ended")]
    StillClosing,
    /// It isn't, or isn't any more, what the request expects.
    #[error("it isn't what the request's condition expects: read it again, and decide anew")]
    Changed,
    /// Something provisioned breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// Our clock and the store's differ by more than 5 s.
    #[error("this replica's clock differs from the store's by more than 5 s")]
    ClockSkew,
    /// The store failed; retrying is safe.
    #[error(transparent)]
    Store(StoreError),
}

impl MailboxError {
    /// That there is no room of that kind.
    pub(super) fn of_room(room: Room, quota: &Quota) -> Self {
        match (room, quota.seconds) {
            (Room::FullOfSeconds, Some(limit)) => Self::FullOfSeconds { limit },
            _ => Self::Full { limit: quota.messages },
        }
    }

    /// The action that the error asks for.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            Self::ClockSkew | Self::StillClosing => ErrorClass::Transient,
            _ => ErrorClass::Permanent,
        }
    }
}

impl From<StoreError> for MailboxError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Body(body) => Self::Audio(body),
            other => Self::Store(other),
        }
    }
}
