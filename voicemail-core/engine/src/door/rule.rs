//! What an operation's rule says. Pure.

use crate::principal::Principal;
use voicemail_api::config::Role;
use voicemail_model::AuditAction;

/// An operation that a caller asks for, whichever interface brings them.
pub trait Operation: Send + Sync + 'static {
    /// Who may ask for it, and how it is recorded.
    const RULE: &'static Rule;
}

/// An operation on one mailbox or on what is in it.
pub trait OnMailbox: Operation {}

/// An operation on something of the tenant's, or of the caller's own.
pub trait OnTenant: Operation {}

/// What holds for an operation.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// The roles that may ask for it; any one of them is enough.
    pub roles: &'static [Role],
    /// The roles that may do it to every mailbox: others need a right to the mailbox.
    pub everywhere: &'static [Role],
    /// Whether the right must be one to change.
    pub changes: bool,
    /// Whether a person whose sign-in is kept must have shown a short time ago who they are: what erases, and decisions.
    pub fresh: bool,
    /// How it is recorded.
    pub record: Record,
}

/// How an operation is recorded for privacy officers. What lets somebody see or change another's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Each time, before it is answered.
    Act(AuditAction),
    /// Once in ten minutes for each caller and subject.
    View(AuditAction),
    /// Not at all, and why.
    Unrecorded(&'static str),
}

impl Rule {
    /// Whether the caller has one of the roles.
    pub fn admits(&self, caller: &Principal) -> bool {
        caller.has_any(self.roles)
    }
}
