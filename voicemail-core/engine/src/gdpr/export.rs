//! Exporting: find everything of the consumers and hold it from retention and trash while the export lives.
//!
//! Nothing is copied: the archive is streamed from the live objects when it is fetched (see
//! [`archive`](super::archive)). A forget goes before an export: what it hides or erases isn't exported.

use super::forget::{apply_to_all, look_tomorrow, prepare};
use super::in_time::in_time;
use super::intake::Wanted;
use super::runs::{change, find_or_create, load_run, schedule};
use super::search::{Boxes, Found, Walk, ask_indexes, by_mailbox, whole};
use super::subject::Subject;
use super::target::Target;
use super::told::Told;
use super::{Gdpr, GdprError, dry_run, emailed, receipt, register, spooled};
use crate::context::Context;
use std::sync::Arc;
use voicemail_api::gdpr::{GdprAnswer, GdprBody, Operation, RunState};
use voicemail_model::{CopyKeeper, Index, IndexOp, MailboxId, Residual, Run, RunStage, Time};
use voicemail_store::StoreError;

pub(super) async fn export(gdpr: &Gdpr, body: GdprBody) -> Result<GdprAnswer, GdprError> {
    let context = &gdpr.context;
    let wanted = Wanted::read(context, &body, Operation::ExportMe)?;
    if body.dry_run {
        return dry_run::count(gdpr, &wanted).await;
    }
    let (away, runs) = prepare(context, &wanted).await?;
    // Data that can't be read can't be exported: an export never goes on without a region.
    if let Some(region) = away.into_iter().next() {
        return Err(GdprError::RegionDown { region });
    }
    let run = find_or_create(gdpr, &wanted, runs).await?;
    let told = in_time(context, &run, Box::pin(collect(gdpr, &run, &wanted.subject))).await?;
    let run = load_run(context, &run.id).await?.unwrap_or(run);
    Ok(told.unwrap_or_else(|| Told::of(&wanted.subject)).answer(context, &wanted, &run))
}

/// Holds what is found; also resumed by the sweeper. An ended export collects nothing. Gives what an answer about that
/// subject tells.
pub(super) async fn collect(gdpr: &Gdpr, run: &Run, subject: &Subject) -> Result<Told, GdprError> {
    let context = &gdpr.context;
    let (Some(cutoff), Some(until)) = (run.cutoff, run.expires_at) else { return Ok(Told::of(subject)) };
    if run.has_ended() {
        return Ok(Told::of(subject));
    }
    let target = Target::of(run);
    schedule(context, &run.id, RunStage::Deadline, until, &target, cutoff).await?;
    // What waits at telephones meanwhile isn't in it.
    let held = hold_all(context, (run, subject), Walk::new(&target, cutoff), until);
    let (held, waiting) = futures::join!(held, spooled::keeper(context));
    let Held { told, mails, unreadable } = held?;
    // Holds already placed stay; but an incomplete export must not be offered as the whole.
    whole(unreadable)?;
    if !run.handling.is_cleared() && await_second_person(context, run, told.matched).await? {
        return Ok(told);
    }
    // Whoever was sent a mail about them has a copy that the archive doesn't hold.
    let mails = emailed::keeper(context, mails);
    let copies: Vec<CopyKeeper> = waiting.into_iter().chain(mails).collect();
    let finish = |run: &mut Run, _| {
        let finished = run.finish_collecting(told.matched);
        if finished {
            let residual = Residual { copies: copies.clone(), ..Residual::default() };
            run.residual = (!copies.is_empty()).then_some(residual);
            run.note_matched(&told.regions);
        }
        (finished, ())
    };
    let finished = change(context, &run.id, finish).await?;
    if finished.is_some_and(|(run, ())| run.state == RunState::Ready && run.receipt.is_none())
        && let Some(run) = receipt::issue(gdpr, &run.id, RunState::Ready).await?
    {
        register::note(context, &run).await?;
    }
    Ok(told)
}

/// The messages of an export that are held.
struct Held {
    told: Told,
    /// Mails that went out about them.
    mails: u64,
    unreadable: usize,
}

/// Holds a walk's messages as long as the export still collects, part by part.
async fn hold_all(
    context: &Context,
    (run, subject): (&Run, &Subject),
    mut walk: Walk,
    until: Time,
) -> Result<Held, GdprError> {
    let mut held = Held { told: Told::of(subject), mails: 0, unreadable: 0 };
    while let Some(part) = walk.next(context).await? {
        held.unreadable += part.unreadable.len();
        if matches!(run.state, RunState::Collecting | RunState::AwaitingApproval) {
            held.unreadable += hold(context, run, by_mailbox(&part.found), until).await?;
        }
        // Such an export isn't offered.
        if held.unreadable == 0 {
            let found = keep_visible(context, part.found).await?;
            held.mails = held.mails.saturating_add(emailed::count(context, &found).await?);
            held.told.take(context, run, &found).await?;
        }
    }
    Ok(held)
}

/// Whether it waits for a second person: what was found is held meanwhile, and nothing of it can be fetched. It is looked at
/// daily, so that one that nobody approves isn't forgotten.
async fn await_second_person(context: &Context, run: &Run, matched: u64) -> Result<bool, GdprError> {
    look_tomorrow(context, run).await?;
    let asked = change(context, &run.id, |run, _| (run.await_approval(matched), ())).await?;
    let Some((run, ())) = asked.filter(|(run, ())| run.state == RunState::AwaitingApproval) else {
        return Ok(false);
    };
    register::note(context, &run).await?;
    Ok(true)
}

/// Ends the holds of an export that nobody will fetch any more: from now on its messages expire as ever. What a
/// collecting worker holds at the same time, and what can't be read, stays held until the export would have expired.
pub(super) async fn let_go(context: &Context, run: &Run) -> Result<(), GdprError> {
    let Some(cutoff) = run.cutoff else { return Ok(()) };
    let now = context.world().now();
    let mut walk = Walk::new(&Target::of(run), cutoff);
    while let Some(part) = walk.next(context).await? {
        hold(context, run, by_mailbox(&part.found), now).await?;
    }
    Ok(())
}

/// Holds messages for a run until then, mailboxes side by side. Gives how many couldn't be read.
async fn hold(context: &Context, run: &Run, boxes: Boxes, until: Time) -> Result<usize, StoreError> {
    apply_to_all(context, boxes, |messages| IndexOp::Hold { hold: run.id.flat(), until, messages }).await
}

/// Only what its owner could still listen to: what a forget hides is no longer ours to hand out.
pub(super) async fn keep_visible(context: &Context, found: Vec<Found>) -> Result<Vec<Found>, StoreError> {
    let ask = |_: &MailboxId, index: Result<Arc<Index>, StoreError>, found: Vec<Found>| {
        let index = index?;
        let entry = |found: &Found| index.visible(found.id);
        let is_visible = |found: &Found| entry(found).is_some_and(|entry| entry.caller_hash == found.caller);
        Ok(found.into_iter().filter(is_visible).collect())
    };
    ask_indexes(context, found.into_iter().map(|found| (found.mailbox.clone(), found)), ask).await
}
