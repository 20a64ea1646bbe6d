//! The errors of store calls, and the remedy for each.

use super::BodyError;
use voicemail_api::ErrorClass;
use voicemail_api::reasons::{ENCRYPTION_DEMANDED, STORAGE_LOCKED, WRITES_FORBIDDEN};

/// Why a store that answers and reads doesn't write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRefusal {
    /// The credentials may read and not write.
    Rights,
    /// Writes must be encrypted in a way that this store isn't set up for, or its key can't be used.
    Encryption,
    /// A lock or a policy of immutability, or a store that was made read-only.
    Lock,
}

impl WriteRefusal {
    /// Stable name, as readiness, metrics and conditions show it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Rights => WRITES_FORBIDDEN,
            Self::Encryption => ENCRYPTION_DEMANDED,
            Self::Lock => STORAGE_LOCKED,
        }
    }

    /// The remedy, for people.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Rights => {
                "let the credentials write and delete in the tenant's folder, and look for a policy that denies it (one that demands \
                 encryption of each write wants `encryption` in the region's storage)"
            }
            Self::Encryption => {
                "write into `encryption` of the region's storage what the store demands of each write, or make the key that it names usable"
            }
            Self::Lock => {
                "take away the lock, lease or immutability policy, or give the tenant a place without one"
            }
        }
    }
}

/// Why a store call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// `create`: there is an object of that name; possibly ours, if a reply was lost.
    #[error("there is an object of that name already")]
    Exists,
    /// `replace`: the document isn't of that revision; possibly because our own write was applied.
    #[error("the document has changed meanwhile")]
    Conflict,
    /// The call may or may not have been applied.
    #[error("the store didn't answer clearly: {0}")]
    Unclear(String),
    /// The store can't do it now; nothing was applied.
    #[error("the store isn't available: {0}")]
    Unavailable(String),
    /// The store refuses our credentials, or they can't be read; nothing was applied. New ones cure it.
    #[error("the storage credentials don't work: {0}")]
    Credentials(String),
    /// There is no room for it, by space, inodes or quota; nothing was applied. Deleting makes room.
    #[error("the storage is full: {0}")]
    Full(String),
    /// The store answers and refuses to write; nothing was applied. The obstacle must be removed there.
    #[error("the store refuses to write: {text}: {}", cause.remedy())]
    WriteRefused {
        /// Which kind of refusal.
        cause: WriteRefusal,
        /// The server's own words.
        text: String,
    },
    /// The store refuses, or holds something that can't be read.
    #[error("the store refused: {0}")]
    Refused(String),
    /// The body to be stored failed; nothing was stored.
    #[error("the body to be stored failed: {0}")]
    Body(#[from] BodyError),
    /// The stored bytes aren't those that were written: damage, or something foreign under our name.
    #[error("{what} can't be decoded at column {column}: run voicemail admin fsck")]
    Undecodable {
        /// A document or an object.
        what: &'static str,
        /// Where.
        column: usize,
    },
    /// The object is in an archive, and can't be read before somebody restores it there.
    #[error(
        "the object was moved to an archive class: restore it in the store, and change the lifecycle rule that moved it: {0}"
    )]
    Archived(String),
    /// The object is on its way back from an archive, which takes hours.
    #[error("the object was moved to an archive class and has been asked back, which takes hours: {0}")]
    Restoring(String),
    /// A document was written by a newer version: it can be read, not written.
    #[error("the document has schema {found}, newer than {known}: upgrade this core before it writes")]
    NewerSchema {
        /// Its schema.
        found: u32,
        /// The newest that we write.
        known: u32,
    },
}

impl StoreError {
    /// The action that the error asks for.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Exists | Self::Conflict => ErrorClass::Conflict,
            Self::Unclear(_)
            | Self::Restoring(_)
            | Self::Unavailable(_)
            | Self::Credentials(_)
            | Self::Full(_)
            | Self::WriteRefused { .. } => ErrorClass::Transient,
            Self::Refused(_)
            | Self::Archived(_)
            | Self::Body(_)
            | Self::NewerSchema { .. }
            | Self::Undecodable { .. } => ErrorClass::Permanent,
        }
    }

    /// Whether a write that got this may have been applied.
    pub fn may_be_applied(&self) -> bool {
        matches!(self, Self::Exists | Self::Conflict | Self::Unclear(_))
    }

    /// Whether repeating it at once is in vain: somebody must make room or change a setting first.
    pub fn is_hindrance(&self) -> bool {
        matches!(self, Self::Full(_) | Self::WriteRefused { .. })
    }

    /// Whether this is about one document or object, and says nothing of others: it is damaged, archived, or a newer
    /// version's.
    pub fn is_about_one(&self) -> bool {
        matches!(
            self,
            Self::Undecodable { .. } | Self::Archived(_) | Self::Restoring(_) | Self::NewerSchema { .. }
        )
    }

    /// Stable name for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Exists => "Exists",
            Self::Conflict => "Conflict",
            Self::Unclear(_) => "Unclear",
            Self::Unavailable(_) => "Unavailable",
            Self::Credentials(_) => "Credentials",
            Self::Full(_) => "Full",
            Self::WriteRefused { .. } => "WriteRefused",
            Self::Refused(_) => "Refused",
            Self::Archived(_) => "Archived",
            Self::Restoring(_) => "Restoring",
            Self::Body(_) => "Body",
            Self::NewerSchema { .. } => "NewerSchema",
            Self::Undecodable { .. } => "Undecodable",
        }
    }
}
