//! Exporting: find everything of the consumers and hold it from retention and trash while the export lives.
//!
//! Nothing is copied: the archive is streamed from the live objects when it is fetched (see
//! [`archive`](super::archive)). A forget goes before an export: what it hides or erases isn't exported.

use super::forget::{answer, apply_to_all, look_tomorrow, prepare};
use super::in_time::in_time;
use super::intake::Wanted;
use super::runs::{change, find_or_create, load_run, schedule};
use super::search::{Boxes, Found, Indexes, by_mailbox, by_region, search, whole};
use super::target::Target;
use super::{Gdpr, GdprError, dry_run, emailed, receipt, register, spooled};
use crate::context::Context;
use voicemail_api::gdpr::{GdprAnswer, GdprBody, Operation, RunState};
use voicemail_model::{CopyKeeper, IndexOp, Residual, Run, RunStage, Time};
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
    let found = in_time(context, &run, collect(gdpr, &run)).await?.unwrap_or_default();
    let run = load_run(context, &run.id).await?.unwrap_or(run);
    answer(context, &wanted, &run, &found).await
}

/// Holds what is found; also resumed by the sweeper. An ended export collects nothing.
pub(super) async fn collect(gdpr: &Gdpr, run: &Run) -> Result<Vec<Found>, GdprError> {
    let context = &gdpr.context;
    let (Some(cutoff), Some(until)) = (run.cutoff, run.expires_at) else { return Ok(Vec::new()) };
    if run.has_ended() {
        return Ok(Vec::new());
    }
    let target = Target::of(run);
    schedule(context, &run.id, RunStage::Deadline, until, &target, cutoff).await?;
    // What waits at telephones meanwhile isn't in it.
    let (search, waiting) = futures::join!(search(context, &target, cutoff), spooled::keeper(context));
    let search = search?;
    let mut unreadable = search.unreadable.len();
    if matches!(run.state, RunState::Collecting | RunState::AwaitingApproval) {
        unreadable += hold(context, run, by_mailbox(&search.found), until).await?;
    }
    // Holds already placed stay; but an incomplete export must not be offered as the whole.
    whole(unreadable)?;
    let found = keep_visible(context, search.found).await?;
    if !run.handling.is_cleared() && await_second_person(context, run, &found).await? {
        return Ok(found);
    }
    // Whoever was sent a mail about them has a copy that the archive doesn't hold.
    let mails = emailed::keeper(context, emailed::count(context, &found).await?);
    let copies: Vec<CopyKeeper> = waiting.into_iter().chain(mails).collect();
    let (exported, regions) = (u64::try_from(found.len()).unwrap_or(u64::MAX), by_region(&found));
    let finish = |run: &mut Run, _| {
        let finished = run.finish_collecting(exported);
        if finished {
            let residual = Residual { copies: copies.clone(), ..Residual::default() };
            run.residual = (!copies.is_empty()).then_some(residual);
            run.note_matched(&regions);
        }
        (finished, ())
    };
    let finished = change(context, &run.id, finish).await?;
    if finished.is_some_and(|(run, ())| run.state == RunState::Ready && run.receipt.is_none())
        && let Some(run) = receipt::issue(gdpr, &run.id, RunState::Ready).await?
    {
        register::note(context, &run).await?;
    }
    Ok(found)
}

/// Whether it waits for a second person: what was found is held meanwhile, and nothing of it can be fetched. It is looked at
/// daily, so that one that nobody approves isn't forgotten.
async fn await_second_person(context: &Context, run: &Run, found: &[Found]) -> Result<bool, GdprError> {
    let matched = u64::try_from(found.len()).unwrap_or(u64::MAX);
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
    let search = search(context, &Target::of(run), cutoff).await?;
    hold(context, run, by_mailbox(&search.found), now).await.map(drop)?;
    Ok(())
}

/// Holds messages for a run until then, mailboxes side by side. Gives how many couldn't be read.
async fn hold(context: &Context, run: &Run, boxes: Boxes, until: Time) -> Result<usize, StoreError> {
    apply_to_all(context, boxes, |messages| IndexOp::Hold { hold: run.id.flat(), until, messages }).await
}

/// Only what its owner could still listen to: what a forget hides is no longer ours to hand out.
pub(super) async fn keep_visible(context: &Context, found: Vec<Found>) -> Result<Vec<Found>, StoreError> {
    let mut indexes = Indexes::default();
    indexes.load_all(context, found.iter().map(|message| &message.mailbox)).await?;
    let mut visible = Vec::new();
    for message in found {
        let entry = indexes.load(context, &message.mailbox).await?.visible(message.id);
        if entry.is_some_and(|entry| entry.caller_hash == message.caller) {
            visible.push(message);
        }
    }
    Ok(visible)
}
