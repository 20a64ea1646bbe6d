//! A mailbox's settings belong to one generation of it: what its people set (PIN, preferences, greetings) goes with them, and
//! nothing that was on its way then comes into force when the mailbox is made again.
//!
//! A change of settings names the generation that its maker found open. Closing raises the generation of the settings,
//! so that all of that is refused; making the mailbox again takes that generation for the index.

use super::MailboxError;
use super::greeting::drop_greetings;
use crate::context::Context;
use voicemail_model::{Index, MailboxId, MailboxSettings, Time};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, StoreError};

/// The outcome of an attempt to change settings.
#[derive(Clone)]
enum Met<T> {
    Changed(T),
    /// The settings are of a former mailbox of that name.
    Former,
    /// The settings are of a later mailbox of that name.
    Later,
}

/// The settings of the mailbox of that generation.
///
/// # Errors
/// The store's.
pub(super) async fn load_settings(
    context: &Context,
    mailbox: &MailboxId,
    generation: u32,
) -> Result<MailboxSettings, StoreError> {
    Ok(load_any_settings(context, mailbox).await?.as_of(generation))
}

/// The settings that stand under a mailbox's name, whichever mailbox of that name they belong to.
///
/// # Errors
/// The store's.
pub(super) async fn load_any_settings(
    context: &Context,
    mailbox: &MailboxId,
) -> Result<MailboxSettings, StoreError> {
    let found: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
    Ok(found.unwrap_or_default())
}

/// Changes the settings of the mailbox of that generation. `change` says whether it changed anything, and its answer.
///
/// # Errors
/// `UnknownMailbox` when the mailbox was closed meanwhile, or the store's.
pub(super) async fn change_settings<T: Clone + Send>(
    context: &Context,
    mailbox: &MailboxId,
    generation: u32,
    change: impl Fn(&mut MailboxSettings, Time) -> (bool, T) + Send + Sync,
) -> Result<T, MailboxError> {
    let apply = |found: Option<MailboxSettings>, now| {
        let mut settings = found.unwrap_or_default();
        match settings.generation {
            Some(own) if own < generation => return Decision::Keep(Met::Former),
            Some(own) if own > generation => return Decision::Keep(Met::Later),
            _ => settings.generation = Some(generation),
        }
        match change(&mut settings, now) {
            (true, answer) => Decision::Write(settings, Met::Changed(answer)),
            (false, answer) => Decision::Keep(Met::Changed(answer)),
        }
    };
    loop {
        match context.documents().update(&Key::settings(mailbox), apply).await? {
            Met::Changed(answer) => return Ok(answer),
            Met::Later => return Err(MailboxError::UnknownMailbox),
            // A release that knows nothing of generations opened it again.
            Met::Former => clear_settings(context, mailbox, generation).await?,
        }
    }
}

/// Takes away what people of a mailbox before that generation set, and makes the settings that generation's. Repeating
/// it does nothing.
///
/// # Errors
/// The store's.
pub(super) async fn clear_settings(
    context: &Context,
    mailbox: &MailboxId,
    generation: u32,
) -> Result<(), StoreError> {
    let is_former = |settings: &MailboxSettings| settings.generation.is_none_or(|own| own < generation);
    let found: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
    if !found.as_ref().is_some_and(is_former) {
        return Ok(());
    }
    // Their audio is filed for deletion before nothing names it any more.
    drop_greetings(context, mailbox).await?;
    let clear = |found: Option<MailboxSettings>, _| match found.filter(is_former) {
        // A greeting that came into force just now is dropped in the next round.
        Some(settings) if !settings.greetings.is_empty() => Decision::Keep(false),
        Some(settings) => {
            let cleared = MailboxSettings { generation: Some(generation), ..settings.without_people() };
            Decision::Write(cleared, true)
        }
        None => Decision::Keep(true),
    };
    while !context.documents().update(&Key::settings(mailbox), clear).await? {
        drop_greetings(context, mailbox).await?;
    }
    Ok(())
}

/// As [`clear_settings`], where a release that knows nothing of generations opened the mailbox again.
///
/// # Errors
/// The store's.
pub(super) async fn end_former(
    context: &Context,
    mailbox: &MailboxId,
    generation: u32,
) -> Result<(), StoreError> {
    let found: Option<MailboxSettings> = context.documents().load(&Key::settings(mailbox)).await?;
    match found.and_then(|settings| settings.generation) {
        Some(own) if own < generation => clear_settings(context, mailbox, generation).await,
        _ => Ok(()),
    }
}

/// Which generation a mailbox is, or will be when it is opened. An index that was lost was that of the settings.
pub(super) fn next_generation(index: Option<&Index>, settings: Option<&MailboxSettings>) -> u32 {
    let of_settings = settings.and_then(|settings| settings.generation).unwrap_or(0);
    match index {
        Some(index) if !index.closed && index.generation > 0 => index.generation,
        Some(index) => of_settings.max(index.generation + 1),
        None => of_settings.max(1),
    }
}
