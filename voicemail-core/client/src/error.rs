//! Why a core did not do what it was asked for.

use voicemail_api::causes::root_cause;
use voicemail_api::gdpr::Problem;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, none in time, or it broke off; the words are those of the innermost cause.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that isn't of this API; the HTTP status.
    #[error("the address answered {0} without a word: is it the tenant's API?")]
    Unreadable(u16),
    /// An answer without an end in sight; the HTTP status.
    #[error("the core answered {0} with more than an answer of this API holds")]
    TooLong(u16),
    /// The core says what is wrong (RFC 9457).
    #[error("{}: {}", problem.title, problem.detail)]
    Problem {
        /// HTTP status.
        status: u16,
        /// Its words. They may name what was sent: whoever logs them takes numbers out first.
        problem: Box<Problem>,
    },
}

impl ClientError {
    /// Whether the same request may succeed later: no answer, or one that is about the token, time or rate.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Problem { status, .. } => matches!(status, 401 | 403 | 408 | 425 | 429 | 500..=599),
            Self::Unreachable(_) | Self::Unreadable(_) | Self::TooLong(_) => true,
        }
    }
}

impl From<reqwest::Error> for ClientError {
    /// Without the address: it is the caller's to know, and may hold what was asked for.
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(root_cause(&error.without_url()))
    }
}
