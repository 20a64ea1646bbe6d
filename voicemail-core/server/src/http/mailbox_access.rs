//! Access to mailboxes: agents open their own and their groups'; nobody else's existence is shown to them.

use super::extract::{Agents, Audience, Caller, Hearers, MwiReaders, Owners};
use super::{ApiError, App, ProblemKind};
use std::sync::Arc;
use voicemail_api::config::Role;
use voicemail_engine::core::Core;
use voicemail_engine::mailbox::{MailboxError, Rights};
use voicemail_model::MailboxId;

/// The services, if the mailbox is the agent's; another's is as unknown as one that isn't there.
pub(super) async fn open_own<A: Audience>(
    app: &App,
    caller: &Caller<A>,
    mailbox: &MailboxId,
) -> Result<Arc<Core>, ApiError> {
    let core = app.core()?;
    check(&core, caller, mailbox).await?;
    Ok(core)
}

/// The services, if the caller may see the mailbox's MWI state: telephony every one, agents their own.
pub(super) async fn open_mwi(
    app: &App,
    caller: &Caller<MwiReaders>,
    mailbox: &MailboxId,
) -> Result<Arc<Core>, ApiError> {
    let core = app.core()?;
    if !caller.0.has_any(&[Role::Telephony]) {
        check(&core, caller, mailbox).await?;
    }
    Ok(core)
}

/// The services, if the agent may change what is in the mailbox.
pub(super) async fn open_to_change(
    app: &App,
    caller: &Caller<Agents>,
    mailbox: &MailboxId,
) -> Result<Arc<Core>, ApiError> {
    let core = app.core()?;
    match check(&core, caller, mailbox).await? {
        Rights::Change => Ok(core),
        Rights::Read => Err(read_only()),
    }
}

/// The services, if the caller may set what belongs to the mailbox: administrators every one, agents their own.
pub(super) async fn open_as_owner(
    app: &App,
    caller: &Caller<Owners>,
    mailbox: &MailboxId,
) -> Result<Arc<Core>, ApiError> {
    let core = app.core()?;
    if !caller.0.has_any(&[Role::Admin]) && check(&core, caller, mailbox).await? == Rights::Read {
        return Err(read_only());
    }
    Ok(core)
}

/// The services, if the caller may hear the mailbox's greetings: telephony and administrators every one, agents
/// their own.
pub(super) async fn open_to_hear(
    app: &App,
    caller: &Caller<Hearers>,
    mailbox: &MailboxId,
) -> Result<Arc<Core>, ApiError> {
    let core = app.core()?;
    if !caller.0.has_any(&[Role::Telephony, Role::Admin]) {
        check(&core, caller, mailbox).await?;
    }
    Ok(core)
}

fn read_only() -> ApiError {
    let detail = "as a member of this group you may list and play its messages, and not change them";
    ApiError::new(ProblemKind::ReadOnly, detail)
}

async fn check<A: Audience>(
    core: &Core,
    caller: &Caller<A>,
    mailbox: &MailboxId,
) -> Result<Rights, ApiError> {
    if let Some(own) = &caller.0.mailbox {
        let still = own.name == *mailbox && core.directory.is_still(mailbox, own.generation).await?;
        return if still { Ok(Rights::Change) } else { Err(MailboxError::UnknownMailbox.into()) };
    }
    let rights = core.directory.rights(caller.user()?, mailbox).await?;
    Ok(rights.ok_or(MailboxError::UnknownMailbox)?)
}
