//! Exporting: find everything of the consumers and hold it from retention and trash while the export lives.
//!
//! Nothing is copied: the archive is streamed from the live objects when it is fetched (see
//! [`archive`](super::archive)). A forget goes before an export: what it hides or erases isn't exported.

use super::forget::{answer, check_regions, skip_one};
use super::intake::Wanted;
use super::runs::{change, find_or_create, load_run, schedule};
use super::search::{Found, by_mailbox, by_region, search, whole};
use super::subject::refresh_rules;
use super::target::Target;
use super::{Gdpr, GdprError, dry_run, receipt, register};
use crate::context::Context;
use std::collections::BTreeMap;
use voicemail_api::gdpr::{GdprAnswer, GdprBody, Operation, RunState};
use voicemail_model::{Index, IndexOp, MailboxId, Run, RunStage};
use voicemail_store::{Key, StoreError};

pub(super) async fn export(gdpr: &Gdpr, body: GdprBody) -> Result<GdprAnswer, GdprError> {
    let context = &gdpr.context;
    let wanted = Wanted::read(context, &body, Operation::ExportMe)?;
    if body.dry_run {
        return dry_run::count(gdpr, &wanted).await;
    }
    // Data that can't be read can't be exported: an export never goes on without a region.
    if let Some(region) = check_regions(context).await?.into_iter().next() {
        return Err(GdprError::RegionDown { region });
    }
    context.guard_clock().await?;
    refresh_rules(context).await?;
    wanted.subject.require_clear(context)?;
    let run = find_or_create(gdpr, &wanted).await?;
    let found = collect(gdpr, &run).await?;
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
    let search = search(context, &target, cutoff).await?;
    let mut unreadable = search.unreadable.len();
    if run.state == RunState::Collecting {
        for (mailbox, messages) in by_mailbox(&search.found) {
            let op = IndexOp::Hold { hold: run.id.flat(), until, messages };
            unreadable += skip_one(context.indexes().try_apply(&mailbox, op).await)?;
        }
    }
    // Holds already placed stay; but an incomplete export must not be offered as the whole.
    whole(unreadable)?;
    let found = keep_visible(context, search.found).await?;
    let (exported, regions) = (u64::try_from(found.len()).unwrap_or(u64::MAX), by_region(&found));
    let finish = |run: &mut Run, _| {
        let finished = run.finish_collecting(exported);
        if finished {
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

/// Ends the holds of an export that nobody will fetch any more: from now on its messages expire as ever. What a
/// collecting worker holds at the same time, and what can't be read, stays held until the export would have expired.
pub(super) async fn let_go(context: &Context, run: &Run) -> Result<(), GdprError> {
    let Some(cutoff) = run.cutoff else { return Ok(()) };
    let now = context.world().now();
    let search = search(context, &Target::of(run), cutoff).await?;
    for (mailbox, messages) in by_mailbox(&search.found) {
        let op = IndexOp::Hold { hold: run.id.flat(), until: now, messages };
        skip_one(context.indexes().try_apply(&mailbox, op).await)?;
    }
    Ok(())
}

/// Only what its owner could still listen to: what a forget hides is no longer ours to hand out.
pub(super) async fn keep_visible(context: &Context, found: Vec<Found>) -> Result<Vec<Found>, StoreError> {
    let mut indexes: BTreeMap<MailboxId, Index> = BTreeMap::new();
    let mut visible = Vec::new();
    for message in found {
        if !indexes.contains_key(&message.mailbox) {
            let index = context.documents().load(&Key::index(&message.mailbox)).await?;
            indexes.insert(message.mailbox.clone(), index.unwrap_or_default());
        }
        let entry = indexes.get(&message.mailbox).and_then(|index| index.visible(message.id));
        if entry.is_some_and(|entry| entry.caller_hash == message.caller) {
            visible.push(message);
        }
    }
    Ok(visible)
}
