//! What a turn works with, and how its mails may end.

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use voicemail_api::config::ClassOfService;
use voicemail_email::{ComposeError, Sender, SmtpError, Templates};
use voicemail_engine::core::Core;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::MailboxId;
use voicemail_store::StoreError;

/// Why a turn failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TurnError {
    /// A store's or a mailbox's.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// A mail's outcome couldn't be noted.
    #[error("the outcome of a mail couldn't be noted: {0}")]
    Unsettled(StoreError),
    /// The mail server's; it concerns every mailbox.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// The sender isn't usable.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

impl From<StoreError> for TurnError {
    fn from(error: StoreError) -> Self {
        Self::Mailbox(error.into())
    }
}

/// What happened to a mail.
pub(crate) enum Sent {
    Settled,
    /// The message was heard, deleted or hidden meanwhile.
    NotOwed,
    /// The server refused the address for good.
    AddressRefused,
    /// Not now.
    Deferred,
    /// The server refused this mail about several messages: each may come by itself.
    TakeApart,
}

/// What a turn works with.
pub(crate) struct Desk<'a> {
    pub(crate) core: &'a Core,
    pub(crate) sender: &'a Sender,
    pub(crate) templates: &'a Templates,
    pub(crate) holder: &'a str,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) count: &'a (dyn Fn(&'static str) + Send + Sync),
}

/// A mailbox as a turn found it.
pub(crate) struct Place {
    pub(crate) mailbox: MailboxId,
    pub(crate) label: String,
    pub(crate) zone: TimeZone,
    pub(crate) thread: String,
    pub(crate) class: ClassOfService,
    pub(crate) generation: u32,
}
