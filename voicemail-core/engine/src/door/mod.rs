//! The door: every interface lets its callers in here, and does what they ask for through what it gets.
//!
//! Flow: an interface authenticates a caller ([`Principal`]) and names the operation by its type ([`operations`]). The door checks
//! the role and, for an operation on a mailbox, the right to it, and gives an [`Entry`]. The entry's `act` does the work and
//! records it as the operation's rule says, before there is an answer.
//!
//! What can go wrong: the store is away, so that a right can't be checked or an act can't be recorded; then there is no answer.
//! The repetition of an act that was done and not recorded is recorded.

pub mod operations;
mod rule;

pub use rule::{OnMailbox, OnTenant, Operation, Record, Rule};

use crate::core::Core;
use crate::mailbox::{MailboxError, Rights};
use crate::principal::Principal;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use voicemail_api::config::Role;
use voicemail_model::{AuditSubject, MailboxId, MessageId, UserId};
use voicemail_store::StoreError;

/// Why a caller isn't let in.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DoorError {
    /// The caller has none of the roles.
    #[error("this takes the role {}", list(.0))]
    Role(&'static [Role]),
    /// The caller isn't a user.
    #[error("the token names no user whose mailboxes could be opened")]
    NoUser,
    /// The caller may look at the mailbox and not change it.
    #[error("as a member of this group you may list and play its messages, and not change them")]
    ReadOnly,
    /// The mailbox isn't there or isn't the caller's, which looks the same; or the store doesn't answer.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

fn list(roles: &[Role]) -> String {
    let names: Vec<String> = roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    names.join(" or ")
}

/// A caller who was let in for one operation.
pub struct Entry<O> {
    core: Arc<Core>,
    caller: Principal,
    operation: PhantomData<O>,
}

impl Core {
    /// Lets a caller in for an operation on the tenant, or on what is the caller's own.
    ///
    /// # Errors
    /// `Role`.
    pub fn enter<O: OnTenant>(self: Arc<Self>, caller: &Principal) -> Result<Entry<O>, DoorError> {
        check_role(O::RULE, caller)?;
        Ok(Entry::new(self, caller))
    }

    /// Lets a caller in for an operation on a mailbox.
    ///
    /// # Errors
    /// [`DoorError`]. Another's mailbox is as unknown as one that isn't there.
    pub async fn enter_mailbox<O: OnMailbox>(
        self: Arc<Self>,
        caller: &Principal,
        mailbox: &MailboxId,
    ) -> Result<Entry<O>, DoorError> {
        check_role(O::RULE, caller)?;
        check_right(O::RULE, &self, caller, mailbox).await?;
        Ok(Entry::new(self, caller))
    }

    /// Lets a caller in for an operation on a message, which is looked up at the same time as the right to its mailbox:
    /// nothing is said before both are known.
    ///
    /// # Errors
    /// As those of [`enter_mailbox`](Self::enter_mailbox), and that there is no such message.
    pub async fn enter_message<O: OnMailbox>(
        self: Arc<Self>,
        caller: &Principal,
        mailbox: &MailboxId,
        id: MessageId,
    ) -> Result<(Entry<O>, voicemail_model::Entry), DoorError> {
        check_role(O::RULE, caller)?;
        let (right, found) =
            futures::join!(check_right(O::RULE, &self, caller, mailbox), self.mailboxes.entry(mailbox, id));
        right?;
        let found = found?;
        Ok((Entry::new(self, caller), found))
    }
}

async fn check_right(
    rule: &Rule,
    core: &Core,
    caller: &Principal,
    mailbox: &MailboxId,
) -> Result<(), DoorError> {
    if caller.has_any(rule.everywhere) {
        return Ok(());
    }
    match find_rights(core, caller, mailbox).await? {
        Rights::Read if rule.changes => Err(DoorError::ReadOnly),
        _ => Ok(()),
    }
}

fn check_role(rule: &'static Rule, caller: &Principal) -> Result<(), DoorError> {
    rule.admits(caller).then_some(()).ok_or(DoorError::Role(rule.roles))
}

async fn find_rights(core: &Core, caller: &Principal, mailbox: &MailboxId) -> Result<Rights, DoorError> {
    if let Some(own) = &caller.mailbox {
        let still = own.name == *mailbox && core.directory.is_still(own).await?;
        return if still { Ok(Rights::Change) } else { Err(MailboxError::UnknownMailbox.into()) };
    }
    let user = caller.user.as_ref().ok_or(DoorError::NoUser)?;
    Ok(core.directory.rights(user, mailbox).await?.ok_or(MailboxError::UnknownMailbox)?)
}

impl<O: Operation> Entry<O> {
    fn new(core: Arc<Core>, caller: &Principal) -> Self {
        Self { core, caller: caller.clone(), operation: PhantomData }
    }

    /// The services.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Who was let in, or for whom the operator writes.
    pub fn caller(&self) -> &Principal {
        &self.caller
    }

    /// The user who was let in.
    ///
    /// # Errors
    /// `NoUser`.
    pub fn user(&self) -> Result<&UserId, DoorError> {
        self.caller.user.as_ref().ok_or(DoorError::NoUser)
    }

    /// Records what this caller does as another's act: that of the person for whom the operator writes.
    #[must_use]
    pub fn on_behalf_of(mut self, person: Principal) -> Self {
        self.caller = person;
        self
    }

    /// Does it, and records it before there is an answer. What is only looked at is recorded at the same time.
    ///
    /// # Errors
    /// Its own, and the store's when it can't be recorded.
    pub async fn act<T, E: From<StoreError>>(
        &self,
        subject: AuditSubject,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if let Record::View(_) = O::RULE.record {
            let (done, recorded) = futures::join!(act, self.record(subject));
            let done = done?;
            recorded?;
            return Ok(done);
        }
        let done = act.await?;
        self.record(subject).await?;
        Ok(done)
    }

    /// As [`act`](Self::act), where only what was done tells what it was done to.
    ///
    /// # Errors
    /// As those of `act`.
    pub async fn act_on<T, E: From<StoreError>>(
        &self,
        act: impl Future<Output = Result<T, E>>,
        subject: impl FnOnce(&T) -> AuditSubject,
    ) -> Result<T, E> {
        let done = act.await?;
        self.record(subject(&done)).await?;
        Ok(done)
    }

    async fn record(&self, subject: AuditSubject) -> Result<(), StoreError> {
        let (audit, caller) = (self.core.context.audit(), &self.caller);
        match O::RULE.record {
            Record::Act(action) => audit.record(caller, action, subject).await,
            // The operator looks again and again, to show in its cluster what happens; the API server records who looks there.
            Record::View(_) if self.core.context.config().is_operator(&caller.subject) => Ok(()),
            Record::View(action) => audit.record_once(caller, action, subject).await,
            Record::Unrecorded(_) => Ok(()),
        }
    }
}
