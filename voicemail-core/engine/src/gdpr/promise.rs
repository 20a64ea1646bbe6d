//! Promises that aren't carried out yet: requests that wait, legal holds, and the end of either.
//!
//! Flow: each is entered in the ledger beside the erasures when it comes to be, so that it is kept outside the store too,
//! and a restore that loses one is found out. [`replay`](super::replay) carries them out again: holds are put or ended
//! before anything else, a request is there again with its marks and flags, and one that ended is ended again.
//!
//! Identifiers aren't kept: a request that comes back finds its subject by hash. Entering one twice does no harm.

use super::chain::Once;
use super::forget::{add_mark, look_tomorrow};
use super::holds::end_release;
use super::ledger::{self, LedgerEntry, hide};
use super::runs::{load_run, schedule};
use super::target::Target;
use super::undo::{FIRST_PASS, lift};
use super::{GdprError, register};
use crate::context::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_model::{CaseId, IndexOp, LegalHold, MessageName, Run, RunId, RunStage};
use voicemail_store::Key;
use voicemail_store::documents::Decision;

/// An erasure that comes sooner is soon in the ledger itself.
const SOON: Duration = Duration::from_secs(60);

/// Something that a restored store must know again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(super) enum Promise {
    /// A request as it stood: waiting, or ended without an erasure.
    Run {
        /// Without its identifiers.
        run: Box<Run>,
    },
    /// A legal hold was put.
    Hold {
        /// On which message.
        message: MessageName,
        /// The hold.
        hold: LegalHold,
    },
    /// A legal hold has ended.
    Release {
        /// Whose.
        message: MessageName,
        /// The hold's reason.
        reason: String,
    },
}

/// Enters a request as it stands, unless that is known.
pub(super) async fn keep_run(context: &Context, run: &Run) -> Result<(), GdprError> {
    let soon =
        run.state == RunState::Marked && run.purge_at.is_none_or(|at| at <= context.world().now().plus(SOON));
    if soon || run.operation != Operation::ForgetMe || run.promised == Some(run.state) {
        return Ok(());
    }
    let kept = Run { sealed: None, touched: BTreeMap::new(), promised: Some(run.state), ..run.clone() };
    let once = Once::Promised(&run.id, run.state);
    enter(context, &run.case, &run.id, once, Promise::Run { run: Box::new(kept) }).await
}

/// Enters the end of a request that was entered.
pub(super) async fn keep_end(context: &Context, run: &Run) -> Result<(), GdprError> {
    let without_erasure = matches!(run.state, RunState::Undone | RunState::Denied | RunState::Cancelled);
    if run.promised.is_some() && without_erasure { keep_run(context, run).await } else { Ok(()) }
}

/// Enters a legal hold.
pub(super) async fn keep_hold(
    context: &Context,
    message: &MessageName,
    hold: LegalHold,
) -> Result<(), GdprError> {
    enter_hold(context, Promise::Hold { message: message.clone(), hold }).await
}

/// Enters the end of a legal hold.
pub(super) async fn keep_release(
    context: &Context,
    message: &MessageName,
    reason: &str,
) -> Result<(), GdprError> {
    enter_hold(context, Promise::Release { message: message.clone(), reason: reason.to_owned() }).await
}

/// Holds belong to no case: their entries name one that stands for all of them.
async fn enter_hold(context: &Context, promise: Promise) -> Result<(), GdprError> {
    let case: CaseId = "legal-hold".parse().map_err(|_| GdprError::InvalidCase)?;
    let run = RunId::new(&case, Operation::ForgetMe, 0);
    enter(context, &case, &run, Once::Never, promise).await
}

async fn enter(
    context: &Context,
    case: &CaseId,
    run: &RunId,
    once: Once<'_>,
    promise: Promise,
) -> Result<(), GdprError> {
    let now = context.world().now();
    let entry = LedgerEntry {
        schema: 1,
        epoch: 0,
        previous: String::new(),
        case: case.clone(),
        run: run.clone(),
        callers: Vec::new(),
        doubtful: None,
        messages: Vec::new(),
        promise: Some(promise),
        cutoff: now,
        at: now,
    };
    ledger::append(context, entry, once).await?;
    // The keeper of the ledger's copy looks again.
    context.register_writes().count();
    Ok(())
}

/// The newest word about each message's hold.
pub(super) fn latest_holds(entries: &[LedgerEntry]) -> Vec<&Promise> {
    let mut latest: BTreeMap<&MessageName, &Promise> = BTreeMap::new();
    for promise in entries.iter().filter_map(|entry| entry.promise.as_ref()) {
        if let Promise::Hold { message, .. } | Promise::Release { message, .. } = promise {
            latest.insert(message, promise);
        }
    }
    latest.into_values().collect()
}

/// Carries out again what a restored store doesn't know.
pub(super) async fn carry_out(context: &Context, promise: &Promise) -> Result<(), GdprError> {
    match promise {
        Promise::Run { run } if run.has_ended() => end_again(context, run).await,
        Promise::Run { run } => bring_back(context, run).await,
        Promise::Hold { message, hold } => {
            let op = IndexOp::PutLegalHold { id: message.id, hold: hold.clone() };
            Ok(context.indexes().try_apply(&message.mailbox, op).await.map(drop)?)
        }
        Promise::Release { message, reason } => {
            context.indexes().try_apply(&message.mailbox, IndexOp::EndLegalHold(message.id)).await?;
            end_release(context, message, reason).await
        }
    }
}

async fn bring_back(context: &Context, kept: &Run) -> Result<(), GdprError> {
    let stored = load_run(context, &kept.id).await?;
    if stored.as_ref().is_some_and(Run::has_ended) {
        return Ok(());
    }
    let put = |found: Option<Run>, _| {
        let known = found.unwrap_or_else(|| kept.clone());
        if known.has_ended() {
            return Decision::Keep(known);
        }
        let target = Target::of(kept).with(&Target::of(&known));
        let (sealed, touched) = (known.sealed, known.touched);
        let Target { callers, doubtful, messages } = target;
        let run = Run { sealed, touched, callers, doubtful, messages, ..kept.clone() };
        Decision::Write(run.clone(), run)
    };
    let run: Run = context.documents().update(&Key::run(&kept.id), put).await?;
    register::note(context, &run).await?;
    match (run.state, run.cutoff, run.purge_at) {
        (RunState::Marked, Some(cutoff), Some(purge_at)) => {
            let target = Target::of(&run);
            schedule(context, &run.id, RunStage::Deadline, purge_at, &target, cutoff).await?;
            for (key, only) in target.marks() {
                add_mark(context, &key, &run.id, (cutoff, purge_at), only.as_ref()).await?;
            }
            hide(context, &run.id, &target, cutoff, purge_at).await
        }
        (RunState::AwaitingApproval, ..) => Ok(look_tomorrow(context, &run).await?),
        _ => Ok(()),
    }
}

async fn end_again(context: &Context, kept: &Run) -> Result<(), GdprError> {
    let stored = load_run(context, &kept.id).await?.filter(|run| !run.has_ended());
    let target = stored.as_ref().map(Target::of).unwrap_or_default();
    let cutoff = kept.cutoff.unwrap_or(kept.created_at);
    if !target.is_empty() {
        let at = context.world().now().plus(FIRST_PASS);
        schedule(context, &kept.id, RunStage::After(1), at, &target, cutoff).await?;
        lift(context, &kept.id, &target, cutoff).await?;
    }
    let put = |found: Option<Run>, _| match found {
        Some(found) if found.has_ended() => Decision::Keep(()),
        _ => Decision::Write(kept.clone(), ()),
    };
    context.documents().update(&Key::run(&kept.id), put).await?;
    Ok(register::note(context, kept).await?)
}
