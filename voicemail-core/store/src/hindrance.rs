//! Reasons why a store that answers takes no messages: no room, or a refusal to write.
//!
//! Flow: a back end remembers what its last writes and measurements told; readiness, metrics and the tenant's
//! conditions show it. A hindrance never keeps anybody from listening: what is stored can be read.

use super::{StoreError, WriteRefusal};
use voicemail_api::reasons::{STORAGE_FULL, STORAGE_LOW};

/// The obstacle to writing, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Nothing yet: room runs out soon.
    Low(String),
    /// Deposits are refused until there is room again; small writes still pass as far as the reserve goes.
    Full(String),
    /// Nothing can be written.
    Refused(WriteRefusal, String),
}

impl Hindrance {
    /// Stable name.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Low(_) => STORAGE_LOW,
            Self::Full(_) => STORAGE_FULL,
            Self::Refused(cause, _) => cause.reason(),
        }
    }

    /// The state and its remedy, for people; the same words as long as nothing changes.
    pub fn message(&self) -> String {
        match self {
            Self::Low(text) => format!("space runs out: {text}"),
            Self::Full(text) => format!("no new messages are taken: {text}"),
            Self::Refused(cause, text) => {
                format!(
                    "no new messages are taken, since the store refuses to write: {text}: {}",
                    cause.remedy()
                )
            }
        }
    }

    /// How much it hinders: the more, the worse.
    pub fn weight(&self) -> u8 {
        match self {
            Self::Low(_) => 0,
            Self::Full(_) => 1,
            Self::Refused(..) => 2,
        }
    }

    /// The obstacle that a failed write announces for the writes to come; `None` if it announces none.
    pub fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Full(text) => Some(Self::Full(text.clone())),
            StoreError::WriteRefused { cause, text } => Some(Self::Refused(*cause, text.clone())),
            _ => None,
        }
    }
}
