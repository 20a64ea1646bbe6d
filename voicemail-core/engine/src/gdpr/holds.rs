//! Legal holds: a property of a message, whatever case it belongs to.
//!
//! A held message stays hidden if an erasure hides it, and is left out of every round of it. When the hold ends and
//! an erasure has covered the message meanwhile, it goes at once, by its own deletion.

use super::intake::statement;
use super::runs::{change, load_run, schedule};
use super::target::Target;
use super::{Gdpr, GdprError, ledger, promise, register};
use crate::context::Context;
use crate::mailbox::{Finisher, Insertion, Remover};
use serde_json::Map;
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::gdpr::{HoldBody, HoldView, RunState};
use voicemail_model::{
    Due, Entry, Envelope, IndexOp, IndexOutcome, LegalHold, MailboxId, Mark, MarkState, MessageId,
    MessageName, MessageState, PurgeItem, Run, RunId, RunStage,
};
use voicemail_store::codec::encode;
use voicemail_store::retry_until_known::{delete, ensure};
use voicemail_store::{Key, StoreError};

pub(super) async fn put(
    gdpr: &Gdpr,
    message: &MessageName,
    body: &HoldBody,
    by: &str,
) -> Result<HoldView, GdprError> {
    let context = &gdpr.context;
    let reason = statement(context, Some(&body.reason), "reason")?.unwrap_or_default();
    let since = context.world().now();
    let hold = LegalHold { reason, by: Some(by.to_owned()), since, unknown: Map::new() };
    let op = IndexOp::PutLegalHold { id: message.id, hold: hold.clone() };
    let applied = context.indexes().try_apply(&message.mailbox, op).await?;
    match applied.map(|applied| applied.outcome) {
        Some(IndexOutcome::Done) => {
            promise::keep_hold(context, message, hold).await?;
            get(gdpr, message).await
        }
        _ => Err(GdprError::UnknownMessage),
    }
}

pub(super) async fn get(gdpr: &Gdpr, message: &MessageName) -> Result<HoldView, GdprError> {
    let hold = load(&gdpr.context, message).await?.and_then(|entry| entry.legal_hold);
    let show = |hold: LegalHold| HoldView { reason: hold.reason, by: hold.by, since: hold.since.rfc3339() };
    hold.map(show).ok_or(GdprError::UnknownMessage)
}

/// Ends a hold; without one nothing happens. The due item comes first, so that a crash in between doesn't keep what
/// an erasure should have taken.
pub(super) async fn end(gdpr: &Gdpr, message: &MessageName) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let entry = load(context, message).await?.ok_or(GdprError::UnknownMessage)?;
    let Some(hold) = entry.legal_hold else { return Ok(()) };
    let item = Due::Released { message: message.clone(), reason: hold.reason }.at(context.world().now());
    let key = Key::due(&item);
    ensure(context.store(), context.world(), &key, &encode(&item)?).await?;
    context.expect_due(item.at);
    context.indexes().try_apply(&message.mailbox, IndexOp::EndLegalHold(message.id)).await?;
    // After it has ended, so that a crash between leaves a restored store with a hold too many, not with one too few.
    promise::keep_release(context, message, &hold_reason(&item.due)).await?;
    if let Due::Released { message, reason } = &item.due {
        end_release(context, message, reason).await?;
    }
    Ok(delete(context.store(), context.world(), &key).await?)
}

fn hold_reason(due: &Due) -> String {
    if let Due::Released { reason, .. } = due { reason.clone() } else { String::new() }
}

async fn load(context: &Context, message: &MessageName) -> Result<Option<Entry>, StoreError> {
    let index = context.indexes().load(&message.mailbox).await?;
    Ok(index.and_then(|index| index.entries.get(&message.id).cloned()))
}

/// Ends the hold of a message, which is erased if an erasure covers it. Held again, or in nobody's way, it stays.
pub(crate) async fn end_release(
    context: &Context,
    message: &MessageName,
    reason: &str,
) -> Result<(), GdprError> {
    let Some(entry) = load(context, message).await? else { return Ok(()) };
    if entry.legal_hold.is_some() || entry.state == MessageState::Deleting {
        return Ok(());
    }
    let covering = find_erasures(context, message, &entry).await?;
    if covering.is_empty() {
        return Ok(());
    }
    context.guard_clock().await?;
    // Before the removal, because nothing leads here again if we die right after it; and after it, in case it took long.
    forget_states(context, &covering, &entry).await?;
    let item = PurgeItem::of_entry(message.id, &entry);
    Remover::new(context).remove(&message.mailbox, &item).await?;
    for run in &covering {
        note_gone(context, run, reason).await?;
    }
    forget_states(context, &covering, &entry).await
}

/// Files the look that removes the states that the mailbox had until a minute from now: they name the message.
async fn forget_states(
    context: &Context,
    covering: &BTreeSet<RunId>,
    entry: &Entry,
) -> Result<(), GdprError> {
    let then = context.world().now().plus(Duration::from_secs(60));
    for run in covering {
        schedule(context, run, RunStage::History(then.0), then, &Target::default(), entry.received).await?;
    }
    Ok(())
}

/// Runs that cover the message and have erased, or are erasing: those that hide it; those of its marks, because a
/// store may have been restored from before they hid it; and those of the ledger, which outlives both. Flags of undone
/// ones are cleared on the way.
async fn find_erasures(
    context: &Context,
    message: &MessageName,
    entry: &Entry,
) -> Result<BTreeSet<RunId>, GdprError> {
    let mut covering = ledger::find_covering(context, message, entry).await?;
    for run in entry.forget.keys() {
        match load_run(context, run).await?.map(|run| run.state) {
            Some(RunState::Purging | RunState::Purged) => drop(covering.insert(run.clone())),
            Some(RunState::Undone) => {
                let op = IndexOp::ClearFlags { run: run.clone() };
                context.indexes().try_apply(&message.mailbox, op).await?;
            }
            _ => {}
        }
    }
    let mark = load_marks(context, message, entry).await?;
    let erasing = mark
        .covering(entry.received)
        .filter(|(_, marked)| matches!(marked.state, MarkState::Purging | MarkState::Purged));
    covering.extend(erasing.map(|(run, _)| run.clone()));
    Ok(covering)
}

/// Every mark that may cover a message, its own too.
async fn load_marks(context: &Context, message: &MessageName, entry: &Entry) -> Result<Mark, StoreError> {
    let insertion = Insertion {
        mailbox: message.mailbox.clone(),
        id: message.id,
        caller: entry.caller_hash.clone(),
        envelope: Envelope::of_entry(entry, None, 0, 0),
    };
    let mut mark = Finisher::new(context).load_mark(&insertion).await?;
    let own: Option<Mark> = context.documents().load(&Key::message_mark(message)).await?;
    mark.merge(own.unwrap_or_default());
    Ok(mark)
}

async fn note_gone(context: &Context, run: &RunId, reason: &str) -> Result<(), StoreError> {
    let note = |run: &mut Run, _| {
        let Some(kept) = run.kept.get_mut(reason) else { return (false, ()) };
        *kept = kept.saturating_sub(1);
        let none_left = *kept == 0;
        if none_left {
            run.kept.remove(reason);
        }
        run.late += 1;
        run.settled_at = None;
        (true, ())
    };
    match change(context, run, note).await? {
        Some((run, ())) => register::note(context, &run).await,
        None => Ok(()),
    }
}

impl Gdpr {
    /// Puts a message under a legal hold, or changes its reason.
    ///
    /// # Errors
    /// `UnknownMessage`, `InvalidField`, or the store's.
    pub async fn hold(
        &self,
        mailbox: &MailboxId,
        id: MessageId,
        body: &HoldBody,
        by: &str,
    ) -> Result<HoldView, GdprError> {
        put(self, &MessageName::new(mailbox, id), body, by).await
    }

    /// A message's legal hold.
    ///
    /// # Errors
    /// `UnknownMessage` when there is none, or the store's.
    pub async fn legal_hold(&self, mailbox: &MailboxId, id: MessageId) -> Result<HoldView, GdprError> {
        get(self, &MessageName::new(mailbox, id)).await
    }

    /// Ends a message's legal hold. A message that an erasure covered meanwhile is erased now.
    ///
    /// # Errors
    /// `UnknownMessage`, `ClockSkew`, or the store's: then the sweeper completes it.
    pub async fn release(&self, mailbox: &MailboxId, id: MessageId) -> Result<(), GdprError> {
        end(self, &MessageName::new(mailbox, id)).await
    }
}
