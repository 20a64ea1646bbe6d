//! Who may open a mailbox: agents their own and their groups', nobody else's existence is shown to them.

use super::extract::{Agents, Audience, Caller, Lamps};
use super::{ApiError, App};
use crate::config::Role;
use crate::core::Core;
use crate::mailbox::MailboxError;
use crate::model::MailboxId;
use std::sync::Arc;

/// The services, if the mailbox is the agent's; another's is as unknown as one that isn't there.
pub(super) async fn open_own(
    app: &App,
    caller: &Caller<Agents>,
    mailbox: &MailboxId,
) -> Result<Arc<Core>, ApiError> {
    let core = app.core()?;
    check(&core, caller, mailbox).await?;
    Ok(core)
}

/// The services, if the caller may see the mailbox's lamp: telephony every one, agents their own.
pub(super) async fn open_lamp(
    app: &App,
    caller: &Caller<Lamps>,
    mailbox: &MailboxId,
) -> Result<Arc<Core>, ApiError> {
    let core = app.core()?;
    if !caller.0.has_any(&[Role::Telephony]) {
        check(&core, caller, mailbox).await?;
    }
    Ok(core)
}

async fn check<A: Audience>(core: &Core, caller: &Caller<A>, mailbox: &MailboxId) -> Result<(), ApiError> {
    match core.directory.may_open(caller.user()?, mailbox).await? {
        true => Ok(()),
        false => Err(MailboxError::UnknownMailbox.into()),
    }
}
