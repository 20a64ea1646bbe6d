//! The errors of GDPR calls. Messages never hold an identifier.

use crate::context::GuardError;
use voicemail_store::{ErrorClass, StoreError};

/// Why a request was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GdprError {
    /// The case id can't be used.
    #[error("caseid: use 1 to 100 bytes of text without control characters")]
    InvalidCase,
    /// No phone identifier in the request.
    #[error("consumers: name at least one phone identifier, or messages")]
    NoConsumers,
    /// Consumers in an unknown shape; the text says where.
    #[error("consumers: {0}")]
    InvalidConsumers(String),
    /// An identifier that networks send for nobody.
    #[error(
        "consumers: phone number {position} of the request is what networks send for a caller without a number, so the \
         messages of many people are under it: find the person's messages and name each one in messages"
    )]
    CallerWithheld {
        /// Its position among the phones of the request, from 1.
        position: u32,
    },
    /// An identifier that may mean two people.
    #[error(
        "consumers: phone number {position} of the request is a valid number both in your country and, with a plus, in \
         another: write it with a plus and its country code"
    )]
    AmbiguousNumber {
        /// Its position among the phones of the request, from 1.
        position: u32,
    },
    /// Messages that can't be read.
    #[error("messages: {0}")]
    InvalidMessages(&'static str),
    /// Another field breaks a rule.
    #[error("{0}: {1}")]
    InvalidField(&'static str, String),
    /// The erasure would come too late.
    #[error(
        "undoWindow: the erasure would fall past the deadline, one month from receivedAt: write a shorter one, \
         0s erases at once"
    )]
    WindowPastDue,
    /// A decision that can't be taken.
    #[error(transparent)]
    Decision(#[from] voicemail_model::DecisionError),
    /// No run of the case is open.
    #[error("the case has no run that this could be decided about")]
    NothingToDecide,
    /// A message that can't be put under a hold.
    #[error("there is no such message, or it is being deleted")]
    UnknownMessage,
    /// The ledger doesn't fit this store.
    #[error("the ledger doesn't fit this store: {0}")]
    LedgerMismatch(&'static str),
    /// The `ccid` isn't this tenant's.
    #[error("ccid: it isn't this tenant's contact-centre id")]
    OtherTenant,
    /// The case has an open run for other consumers.
    #[error("the case has an open run for other consumers: use another caseid, or wait for its end")]
    OpenWithOtherConsumers,
    /// Another request has that key.
    #[error(
        "requestKey: another request of this case has that key, with another operation or other data subjects: give \
         this request a name of its own"
    )]
    RequestKeyReused,
    /// No run of that case.
    #[error("there is no such case or receipt")]
    UnknownCase,
    /// Nothing that an undo could take back.
    #[error("the case has no forget run that could be undone")]
    NoRunToUndo,
    /// The window is over.
    #[error("the undo window is over: the messages count as erased")]
    TooLateToUndo,
    /// The window isn't a duration of up to 30 days.
    #[error("undoWindow: write 0s to 30d")]
    InvalidWindow,
    /// No export of the case can be fetched (any more).
    #[error("the case has no export that can be fetched: request a new one")]
    NotExportable,
    /// A region doesn't answer; nothing has changed.
    #[error("region {region} doesn't answer: all regions must be up")]
    RegionDown {
        /// Which.
        region: String,
    },
    /// Our clock and the store's differ by more than 5 s.
    #[error("this replica's clock differs from the store's by more than 5 s: deadlines can't be kept")]
    ClockSkew,
    /// A newer version files callers by rules that this one can't carry out: a search would miss some.
    #[error("numbers are filed by rules of a newer version: repeat the request when all cores are upgraded")]
    NewerRules,
    /// Something of the subject can't be decoded: all else was done, and the run stays open.
    #[error(
        "{count} stored objects can't be read or are of a newer version, so the run stays open: run voicemail admin fsck"
    )]
    Unreadable {
        /// How many envelopes and mailboxes.
        count: usize,
    },
    /// A named message is gone, and messages that were forwarded before copies kept their origin may come from it.
    #[error(
        "{count} forwarded messages may be copies of a named one that is gone, so the run stays open: the release that \
         made them didn't keep where they came from. It ends when they are named in another request, deleted, or expired"
    )]
    CopiesUnknown {
        /// How many messages.
        count: usize,
    },
    /// The store failed; repeating the request resumes its run.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GdprError {
    /// Stable name of what keeps a run open, for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Unreadable { .. } => "Unreadable",
            Self::CopiesUnknown { .. } => "CopiesUnknown",
            Self::NewerRules => "NewerRules",
            Self::RegionDown { .. } => "RegionDown",
            Self::ClockSkew => "ClockSkew",
            _ => "Refused",
        }
    }

    /// The action that the error asks for.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(error) => error.class(),
            Self::RegionDown { .. } | Self::ClockSkew | Self::NewerRules => ErrorClass::Transient,
            Self::OpenWithOtherConsumers | Self::RequestKeyReused => ErrorClass::Conflict,
            _ => ErrorClass::Permanent,
        }
    }
}

impl From<GuardError> for GdprError {
    fn from(error: GuardError) -> Self {
        match error {
            GuardError::Skew { .. } | GuardError::Unconfirmed { .. } => Self::ClockSkew,
            GuardError::Store(error) => Self::Store(error),
        }
    }
}
