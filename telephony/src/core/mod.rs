//! The tenant's core as the telephone side sees it: one trait, an HTTPS implementation, and one in memory for tests.
//!
//! What can go wrong: [`CoreError`], without anything that was sent or answered.

mod https;

pub use https::HttpsCore;

use crate::class::Class;
use async_trait::async_trait;
use bytes::Bytes;
use voicemail_api::telephony::{Counts, DepositFields, GreetingView, Law, ReceptionView};
use voicemail_client::ClientError;

/// Why the core didn't do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// There is no such mailbox, message or greeting.
    #[error("the core knows no such thing")]
    Unknown,
    /// It refuses.
    #[error("the core refuses ({status})")]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// No answer, or none of this API.
    #[error("no answer of the core: {0}")]
    Away(String),
    /// The token or the authorities can't be read.
    #[error("{0}")]
    Files(String),
}

impl CoreError {
    /// Final for a deposit: what isn't understood, isn't there, or can't be accepted.
    pub const fn class(&self) -> Class {
        match self {
            Self::Unknown | Self::Refused { status: 400 | 404 | 410 | 413 | 415 | 422 } => Class::Permanent,
            Self::Refused { .. } | Self::Away(_) | Self::Files(_) => Class::Transient,
        }
    }
}

impl From<ClientError> for CoreError {
    /// The core's own words stay out: they may name what was sent.
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem { status: 404, .. } => Self::Unknown,
            ClientError::Problem { status, .. } => Self::Refused { status },
            ClientError::Unreachable(why) => Self::Away(why),
            ClientError::Unreadable(status) | ClientError::TooLong(status) => {
                Self::Away(format!("an answer of another API ({status})"))
            }
        }
    }
}

/// What the telephone side asks of a core.
#[async_trait]
pub trait Voicemail: Send + Sync {
    /// What to play and what is allowed.
    async fn reception(&self, mailbox: &str) -> Result<ReceptionView, CoreError>;

    /// A greeting's samples.
    async fn greeting(&self, mailbox: &str, greeting: &GreetingView, law: Law) -> Result<Bytes, CoreError>;

    /// Leaves a message; repeated under its id it is stored once.
    async fn deposit(
        &self,
        mailbox: &str,
        id: &str,
        fields: &DepositFields,
        wav: Vec<u8>,
    ) -> Result<Counts, CoreError>;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// A core in memory that takes everything, or fails as it is told.
    #[derive(Default)]
    pub(crate) struct MemoryCore {
        failure: Mutex<Option<CoreError>>,
        deposits: Mutex<Vec<(String, String, bool)>>,
    }

    impl MemoryCore {
        pub(crate) fn fail(&self, failure: Option<CoreError>) {
            *self.failure.lock() = failure;
        }

        /// Mailbox, id, and whether it said when it was left.
        pub(crate) fn deposits(&self) -> Vec<(String, String, bool)> {
            self.deposits.lock().clone()
        }

        fn check(&self) -> Result<(), CoreError> {
            self.failure.lock().clone().map_or(Ok(()), Err)
        }
    }

    #[async_trait]
    impl Voicemail for MemoryCore {
        async fn reception(&self, _: &str) -> Result<ReceptionView, CoreError> {
            self.check()?;
            Err(CoreError::Unknown)
        }

        async fn greeting(&self, _: &str, _: &GreetingView, _: Law) -> Result<Bytes, CoreError> {
            self.check()?;
            Err(CoreError::Unknown)
        }

        async fn deposit(
            &self,
            mailbox: &str,
            id: &str,
            fields: &DepositFields,
            wav: Vec<u8>,
        ) -> Result<Counts, CoreError> {
            self.check()?;
            assert!(wav.starts_with(b"RIFF"));
            self.deposits.lock().push((mailbox.into(), id.into(), fields.left.is_some()));
            Ok(Counts { new: 1, ..Counts::default() })
        }
    }

    #[test]
    fn only_what_the_same_deposit_meets_again_is_final() {
        for status in [400, 404, 410, 422] {
            assert_eq!(CoreError::Refused { status }.class(), Class::Permanent);
        }
        for status in [401, 403, 409, 423, 429, 500, 503, 507] {
            assert_eq!(CoreError::Refused { status }.class(), Class::Transient);
        }
        assert_eq!(CoreError::Away(String::new()).class(), Class::Transient);
    }
}
