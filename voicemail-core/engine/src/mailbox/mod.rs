//! Mailboxes: deposit, retrieve, mark, trash, retention, and who owns what.
//!
//! Flow of a deposit: [`Mailboxes::admit`] decides from the index whether the mailbox takes it (before
//! any audio is read), then [`Mailboxes::deposit`] streams the audio and makes the message. Every other
//! call is one read of the index or one operation on it.
//!
//! What can go wrong is a [`MailboxError`]: each says what to do, and nothing acknowledged is ever lost.

mod access;
mod alternate;
mod by_name;
mod deposit;
mod deposit_key;
mod directory;
mod error;
mod finish;
mod forward;
mod greeting;
mod indexes;
mod listing;
mod membership;
mod own_email;
mod page;
mod people;
mod pin;
mod played;
mod precondition;
mod preferences;
mod readers;
mod reception;
mod remove;
mod retained;
mod retention;
mod retrieve;
mod settings;

pub use access::Rights;
pub use by_name::{FoundMailbox, Sought};
pub use deposit::{Admitted, DepositRequest, Deposited};
pub use deposit_key::KeyUse;
pub use directory::Directory;
pub use error::MailboxError;
pub use forward::ForwardRequest;
pub use listing::Listed;
pub use membership::{OwnMailbox, OwnedAs};
pub use precondition::Precondition;
pub use reception::Reception;
pub use retrieve::{Audio, ListedState, MessageFilter, MessagePage};
pub use voicemail_model::{MailboxLimits, MailboxUse, MessageView, PinState, ShownState, shown};

pub(crate) use access::Membership;
pub use deposit::ensure_retention;
pub(crate) use deposit_key::forget_deposit_key;
pub(crate) use directory::empty_closed;
pub(crate) use finish::{Finisher, Insertion};
pub(crate) use greeting::{GreetingStatus, settle_greeting};
pub(crate) use played::as_played;
pub use remove::{Only, Remover};
pub(crate) use retention::expire_messages;

#[cfg(test)]
mod deposit_tests;
#[cfg(test)]
mod generation_tests;

use crate::context::Context;

/// The mailbox service of one tenant.
#[derive(Clone)]
pub struct Mailboxes {
    pub(crate) context: Context,
}

impl Mailboxes {
    /// Over a tenant's context.
    pub fn new(context: Context) -> Self {
        Self { context }
    }
}
