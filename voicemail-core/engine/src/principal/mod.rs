//! An authenticated principal and its roles: every interface (HTTP today) makes one of its caller before it calls the
//! services.

mod mailbox_token;
mod person;

pub use mailbox_token::{MailboxToken, MailboxTokenError, PinVersion};
pub use person::{audit_name, find_person};

use std::collections::BTreeSet;
use std::fmt;
use voicemail_api::config::Role;
use voicemail_model::{MailboxId, Time, UserId};

/// An authenticated caller.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    /// Name for audit: a service account's, or for a person a digest of issuer and subject.
    pub subject: String,
    /// Who vouches for that name: an issuer, an endpoint, or one of the words of [`voicemail_api::config::Person`]. Empty where
    /// nobody knows.
    pub authority: String,
    /// The user whose mailboxes an agent opens.
    pub user: Option<UserId>,
    /// The one mailbox that a token given for a PIN opens.
    pub mailbox: Option<OneMailbox>,
    /// The caller's roles.
    pub roles: BTreeSet<Role>,
    /// Until when the token is accepted.
    pub expires: Time,
}

/// A mailbox as it was when somebody knew its PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneMailbox {
    /// Its name.
    pub name: MailboxId,
    /// Its generation then; unknown to the release before.
    pub generation: Option<u32>,
    /// The PIN that somebody knew; unknown to the release before.
    pub pin: Option<PinVersion>,
    /// When somebody gave it. A ticket doesn't tell.
    pub since: Option<Time>,
}

impl Principal {
    /// Whether the caller has any of the roles.
    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }
}

impl fmt::Debug for Principal {
    /// A user's id may be personal: only the audit name and the roles are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal {{ subject: {:?}, roles: {:?} }}", self.subject, self.roles)
    }
}
