//! Exporting: find everything of the consumers and hold it from retention and trash while the export lives.
//!
//! Nothing is copied: the archive is streamed from the live objects when it is fetched (see
//! [`archive`](super::archive)). A forget goes before an export: what it hides or erases isn't exported.

use super::forget::{answer, check_regions, check_request, skip_one};
use super::runs::{Wanted, change, find_or_create, load_run, schedule};
use super::search::{Found, by_mailbox, search, whole};
use super::subject::{Subject, refresh_rules};
use super::{Gdpr, GdprError};
use crate::context::Context;
use crate::gdpr_api::{GdprAnswer, GdprBody, Operation, RunState};
use crate::model::{Index, IndexOp, MailboxId, Run, RunStage};
use crate::store::{Key, StoreError};
use std::collections::BTreeMap;

pub(super) async fn export(gdpr: &Gdpr, body: GdprBody) -> Result<GdprAnswer, GdprError> {
    let context = &gdpr.context;
    let case = check_request(context, &body)?;
    let subject = Subject::parse(&body.consumers)?.require()?;
    let window = context.config().gdpr.export_lifetime;
    check_regions(context).await?;
    context.guard_clock().await?;
    refresh_rules(context).await?;
    let wanted =
        Wanted { case, operation: Operation::ExportMe, subject, window, request_key: body.request_key };
    let run = find_or_create(gdpr, &wanted).await?;
    let found = collect(context, &run).await?;
    let run = load_run(context, &run.id).await?.unwrap_or(run);
    Ok(answer(context, &wanted, &run, &found))
}

/// Holds what is found; also resumed by the sweeper. An ended export collects nothing.
pub(super) async fn collect(context: &Context, run: &Run) -> Result<Vec<Found>, GdprError> {
    let (Some(cutoff), Some(until)) = (run.cutoff, run.expires_at) else { return Ok(Vec::new()) };
    if run.has_ended() {
        return Ok(Vec::new());
    }
    schedule(context, &run.id, RunStage::Deadline, until, &run.callers, cutoff).await?;
    let search = search(context, &run.callers, cutoff).await?;
    let mut unreadable = search.unreadable.len();
    if run.state == RunState::Collecting {
        for (mailbox, messages) in by_mailbox(&search.found) {
            let op = IndexOp::Hold { hold: run.id.flat(), until, messages };
            unreadable += skip_one(context.indexes().try_apply(&mailbox, op).await)?;
        }
    }
    // What is held is held; but an export that misses something must not be handed out as the whole.
    whole(unreadable)?;
    let found = keep_visible(context, search.found).await?;
    let exported = u64::try_from(found.len()).unwrap_or(u64::MAX);
    change(context, &run.id, |run, _| (run.finish_collecting(exported), ())).await?;
    Ok(found)
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
