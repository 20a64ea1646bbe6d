//! The tenant's core as the telephone side sees it: one trait, an HTTPS implementation, and one in memory for tests.
//!
//! What can go wrong: [`CoreError`], without anything that was sent or answered.

mod https;

pub use https::HttpsCore;
pub use voicemail_client::MwiStep;

use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;
use voicemail_api::ErrorClass;
use voicemail_api::telephony::{
    Counts, DepositFields, GreetingView, Law, ListedMessage, Mark, ReceptionView,
};
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
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Unknown | Self::Refused { status: 400 | 404 | 410 | 413 | 415 | 422 } => {
                ErrorClass::Permanent
            }
            Self::Refused { .. } | Self::Away(_) | Self::Files(_) => ErrorClass::Transient,
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

/// Mailboxes that one stream of counts is for.
pub const MOST_WATCHED: usize = 500;

/// Counts of mailboxes as they change: first the state of all, then each change.
#[async_trait]
pub trait Watch: Send {
    /// The next step; an error when there are no more: the core has ended it, or is away.
    async fn next(&mut self) -> Result<MwiStep, CoreError>;
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

    /// Opens a mailbox by its PIN: the token that works with it.
    async fn open(&self, mailbox: &str, pin: &str) -> Result<String, CoreError>;

    /// Another token in place of the one that a mailbox is open by, which lasts ten minutes.
    async fn renew(&self, open: &Open) -> Result<String, CoreError>;

    /// A mailbox's counts.
    async fn counts(&self, mailbox: &str) -> Result<Counts, CoreError>;

    /// Follows the counts of up to [`MOST_WATCHED`] mailboxes.
    async fn watch(&self, mailboxes: &[String]) -> Result<Box<dyn Watch>, CoreError>;

    /// Tells how many recordings wait at this process, and since when the oldest does, RFC 3339.
    async fn report(&self, front: &str, spooled: u64, oldest: Option<&str>) -> Result<(), CoreError>;

    /// Messages, oldest first: new ones, or heard and saved ones.
    async fn list(&self, open: &Open, new: bool) -> Result<Vec<ListedMessage>, CoreError>;

    /// A range of a message's file in that coding; empty behind its end.
    async fn audio(&self, open: &Open, id: &str, law: Law, range: Range<u64>) -> Result<Bytes, CoreError>;

    /// Notes that a message was heard or is kept.
    async fn mark(&self, open: &Open, id: &str, mark: Mark) -> Result<(), CoreError>;

    /// Moves a message to the trash.
    async fn trash(&self, open: &Open, id: &str) -> Result<(), CoreError>;

    /// Replaces the greeting.
    async fn set_greeting(&self, open: &Open, wav: Vec<u8>) -> Result<(), CoreError>;

    /// Replaces the PIN.
    async fn set_pin(&self, open: &Open, pin: &str) -> Result<(), CoreError>;
}

/// A mailbox that its owner opened.
#[derive(Clone)]
pub struct Open {
    /// Which.
    pub mailbox: String,
    /// What opens it.
    pub token: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use parking_lot::Mutex;
    use tokio::sync::mpsc::UnboundedReceiver;

    /// A core in memory that takes everything, or fails as it is told.
    #[derive(Default)]
    pub(crate) struct MemoryCore {
        failure: Mutex<Option<CoreError>>,
        deposits: Mutex<Vec<(String, String, bool)>>,
        streams: Mutex<Vec<UnboundedReceiver<MwiStep>>>,
        watched: Mutex<Vec<Vec<String>>>,
        reports: Mutex<Vec<(String, u64)>>,
    }

    /// A stream whose steps a test writes.
    struct Pushed(UnboundedReceiver<MwiStep>);

    #[async_trait]
    impl Watch for Pushed {
        async fn next(&mut self) -> Result<MwiStep, CoreError> {
            self.0.recv().await.ok_or_else(|| CoreError::Away("over".into()))
        }
    }

    impl MemoryCore {
        pub(crate) fn fail(&self, failure: Option<CoreError>) {
            *self.failure.lock() = failure;
        }

        /// Streams that it gives, one after the other; then it has no such operation.
        pub(crate) fn push(&self, streams: Vec<UnboundedReceiver<MwiStep>>) {
            *self.streams.lock() = streams.into_iter().rev().collect();
        }

        /// What it was told to wait at which process.
        pub(crate) fn reports(&self) -> Vec<(String, u64)> {
            self.reports.lock().clone()
        }

        /// What each stream was asked for.
        pub(crate) fn watched(&self) -> Vec<Vec<String>> {
            self.watched.lock().clone()
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

        async fn open(&self, _: &str, _: &str) -> Result<String, CoreError> {
            Err(CoreError::Unknown)
        }

        async fn renew(&self, open: &Open) -> Result<String, CoreError> {
            self.check()?;
            Ok(format!("{}+", open.token))
        }

        async fn counts(&self, _: &str) -> Result<Counts, CoreError> {
            self.check()?;
            Ok(Counts { new: u32::try_from(self.deposits.lock().len()).unwrap(), ..Counts::default() })
        }

        async fn watch(&self, mailboxes: &[String]) -> Result<Box<dyn Watch>, CoreError> {
            self.check()?;
            self.watched.lock().push(mailboxes.to_vec());
            let stream = self.streams.lock().pop().ok_or(CoreError::Unknown)?;
            Ok(Box::new(Pushed(stream)))
        }

        async fn report(&self, front: &str, spooled: u64, _: Option<&str>) -> Result<(), CoreError> {
            self.check()?;
            self.reports.lock().push((front.into(), spooled));
            Ok(())
        }

        async fn list(&self, _: &Open, _: bool) -> Result<Vec<ListedMessage>, CoreError> {
            Err(CoreError::Unknown)
        }

        async fn audio(&self, _: &Open, _: &str, _: Law, _: Range<u64>) -> Result<Bytes, CoreError> {
            Err(CoreError::Unknown)
        }

        async fn mark(&self, _: &Open, _: &str, _: Mark) -> Result<(), CoreError> {
            Err(CoreError::Unknown)
        }

        async fn trash(&self, _: &Open, _: &str) -> Result<(), CoreError> {
            Err(CoreError::Unknown)
        }

        async fn set_greeting(&self, _: &Open, _: Vec<u8>) -> Result<(), CoreError> {
            Err(CoreError::Unknown)
        }

        async fn set_pin(&self, _: &Open, _: &str) -> Result<(), CoreError> {
            Err(CoreError::Unknown)
        }
    }

    #[test]
    fn only_what_the_same_deposit_meets_again_is_final() {
        for status in [400, 404, 410, 422] {
            assert_eq!(CoreError::Refused { status }.class(), ErrorClass::Permanent);
        }
        for status in [401, 403, 409, 423, 429, 500, 503, 507] {
            assert_eq!(CoreError::Refused { status }.class(), ErrorClass::Transient);
        }
        assert_eq!(CoreError::Away(String::new()).class(), ErrorClass::Transient);
    }
}
