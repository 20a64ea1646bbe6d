//! Erasure (P1 to P7): manifest, entries out of sight, audio, envelopes, entries out; superseded states;
//! search again; ledger and receipt.
//!
//! A manifest is written before the first deletion of a round, so that a crash resumes from it although
//! the envelopes that led to the messages are gone. Identifiers leave the run before the wait for old
//! revisions begins, so that nothing but the ledger holds the caller when the run ends.

use super::receipt::write_receipt;
use super::runs::{change, list_runs, load_run, schedule};
use super::search::{Found, search, whole};
use super::undo::{FIRST_PASS, keep_mark_until, set_mark};
use super::{Gdpr, GdprError};
use crate::broken::{self, Broken};
use crate::context::Context;
use crate::gdpr_api::{Operation, RunState};
use crate::mailbox::{decode, encode};
use crate::model::{
    CallerHash, IndexOp, IndexOutcome, MailboxId, Manifest, MarkState, PurgeItem, Run, RunId, RunStage,
    TenantDocument, Time,
};
use crate::store::documents::Decision;
use crate::store::patience::{delete, ensure};
use crate::store::{Key, StoreError};
use futures::TryStreamExt;

/// What a purge is about; from the run's due item, because the run forgets its callers before its end.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) run: &'a RunId,
    pub(super) callers: &'a [CallerHash],
    pub(super) cutoff: Time,
}

/// Carries a purge out as far as it goes now. It may end waiting for old revisions, with a due item filed.
pub(super) async fn erase(gdpr: &Gdpr, scope: Scope<'_>) -> Result<(), GdprError> {
    let context = &gdpr.context;
    context.guard_clock().await?;
    let begun = change(context, scope.run, |run, now| run.begin_purge(now)).await?;
    if !begun.is_some_and(|(_, may)| may) {
        return Ok(());
    }
    for caller in scope.callers {
        set_mark(context, caller, scope.run, MarkState::Purging, None).await?;
    }
    erase_rounds(context, scope).await?;
    if let Some(later) = settle(context, scope).await? {
        return look_again(context, scope, later).await;
    }
    // P6: anything that came while old revisions were waited for.
    if erase_rounds(context, scope).await? > 0 {
        return look_again(context, scope, context.world().now()).await;
    }
    conclude(gdpr, scope).await
}

/// The item in hand goes when this returns, so the next one has a name of its own.
async fn look_again(context: &Context, scope: Scope<'_>, at: Time) -> Result<(), GdprError> {
    let stage = RunStage::History(context.world().now().0);
    Ok(schedule(context, scope.run, stage, at, scope.callers, scope.cutoff).await?)
}

/// Rounds of search and erasure until a search finds nothing. Returns how many messages went.
pub(super) async fn erase_rounds(context: &Context, scope: Scope<'_>) -> Result<u64, GdprError> {
    let mut erased = 0;
    erase_quarantined(context, scope.callers).await?;
    loop {
        let Some(run) = load_run(context, scope.run).await? else { return Ok(erased) };
        if !matches!(run.state, RunState::Purging | RunState::Purged) {
            return Ok(erased);
        }
        if run.round > run.round_done {
            erased += erase_round(context, &run).await?;
            continue;
        }
        let search = search(context, scope.callers, scope.cutoff).await?;
        if search.found.is_empty() {
            // All that can be erased has been; a run that leaves something unread must not end.
            return whole(search.unreadable.len()).map(|()| erased);
        }
        begin_round(context, &run, &search.found).await?;
    }
}

/// P1: the manifest, before the first deletion. Another worker's manifest of this round serves as well.
async fn begin_round(context: &Context, run: &Run, found: &[Found]) -> Result<(), GdprError> {
    let mut manifest = Manifest::default();
    for Found { mailbox, id, caller, envelope } in found {
        let item = envelope.purge_item(*id, caller.clone());
        manifest.items.entry(mailbox.clone()).or_default().push(item);
    }
    if broken::is(Broken::NoManifest) {
        for (mailbox, items) in &manifest.items {
            erase_objects(context, mailbox, items).await?;
            context.indexes().try_apply(mailbox, IndexOp::FinishPurge(items.clone())).await?;
        }
        return Ok(());
    }
    let round = run.round + 1;
    let key = Key::manifest(&run.id, round);
    ensure(context.store(), context.world(), &key, &encode(&manifest)?).await?;
    let advance = |run: &mut Run, _| {
        let next = run.round + 1 == round;
        run.round = run.round.max(round);
        (next, ())
    };
    change(context, &run.id, advance).await?;
    Ok(())
}

/// P2 to P4 from the manifest.
async fn erase_round(context: &Context, run: &Run) -> Result<u64, GdprError> {
    let missing = || StoreError::Refused(format!("the manifest of round {} is missing", run.round));
    let bytes = context.store().get(&Key::manifest(&run.id, run.round)).await?;
    let manifest: Manifest = match bytes {
        Some(bytes) => decode(&bytes)?,
        // Another worker has ended this round, and perhaps the run.
        None => match load_run(context, &run.id).await? {
            Some(now) if now.round_done < run.round => return Err(missing().into()),
            _ => return Ok(0),
        },
    };
    let (mut erased, mut unreadable) = (0, 0);
    for (mailbox, items) in &manifest.items {
        match erase_in_mailbox(context, mailbox, items).await {
            Ok(touched) => erased += touched,
            Err(error) if error.is_about_one() => unreadable += 1,
            Err(error) => return Err(error.into()),
        }
    }
    // The manifest stays for the mailboxes that couldn't be read.
    whole(unreadable)?;
    finish_round(context, run, &manifest).await?;
    Ok(erased)
}

/// P2 to P4 of one mailbox.
async fn erase_in_mailbox(
    context: &Context,
    mailbox: &MailboxId,
    items: &[PurgeItem],
) -> Result<u64, StoreError> {
    context.indexes().try_apply(mailbox, IndexOp::BeginPurge(items.to_vec())).await?;
    erase_objects(context, mailbox, items).await?;
    let applied = context.indexes().try_apply(mailbox, IndexOp::FinishPurge(items.to_vec())).await?;
    Ok(match applied.map(|applied| applied.outcome) {
        Some(IndexOutcome::Touched(touched)) => u64::from(touched),
        _ => 0,
    })
}

/// What `fsck` moved away because it couldn't be decoded: its name still tells its caller.
async fn erase_quarantined(context: &Context, callers: &[CallerHash]) -> Result<(), StoreError> {
    let keys: Vec<String> = context.store().list("quarantine/").try_collect().await?;
    let is_theirs = |key: &&String| {
        let parts = key.split(['/', '.']).collect::<Vec<_>>();
        callers.iter().any(|caller| !caller.is_withheld() && parts.contains(&caller.as_str()))
    };
    for key in keys.iter().filter(is_theirs).filter_map(|key| Key::listed(key)) {
        delete(context.store(), context.world(), &key).await?;
    }
    Ok(())
}

async fn erase_objects(
    context: &Context,
    mailbox: &MailboxId,
    items: &[PurgeItem],
) -> Result<(), StoreError> {
    let world = context.world();
    for item in items {
        delete(context.region(&item.region)?.as_ref(), world, &Key::audio(&item.audio)).await?;
    }
    for item in items {
        delete(context.store(), world, &Key::envelope(&item.caller, mailbox, item.id)).await?;
    }
    Ok(())
}

async fn finish_round(context: &Context, run: &Run, manifest: &Manifest) -> Result<(), StoreError> {
    let round = run.round;
    let messages: u64 = manifest.items.values().map(|items| items.len() as u64).sum();
    let finish = |run: &mut Run, _| {
        if run.round_done >= round {
            return (false, ());
        }
        run.round_done = round;
        run.touched.extend(manifest.items.keys().map(|mailbox| (mailbox.clone(), round)));
        match run.state {
            RunState::Purged => run.late += messages,
            _ => run.erased += messages,
        }
        (true, ())
    };
    change(context, &run.id, finish).await?;
    Ok(())
}

/// Manifests name messages and callers: those of rounds that are done go with the end. A frozen worker
/// may leave one of a round that never began: it goes with the last pass, when nobody can resume it.
pub(super) async fn delete_manifests(context: &Context, run: &RunId, last: bool) -> Result<(), StoreError> {
    let rounds = load_run(context, run).await?.map_or(0, |run| run.round_done);
    for round in 1..=rounds.saturating_add(u32::from(last)) {
        delete(context.store(), context.world(), &Key::manifest(run, round)).await?;
    }
    Ok(())
}

/// P5: the run forgets who it was about, then superseded states of all documents that named them go.
async fn settle(context: &Context, scope: Scope<'_>) -> Result<Option<Time>, GdprError> {
    let forget = |run: &mut Run, _| {
        let held = run.sealed.take().is_some() | !run.callers.is_empty();
        run.callers.clear();
        (held, ())
    };
    let Some((run, ())) = change(context, scope.run, forget).await? else { return Ok(None) };
    let mut runs = end_exports(context, &run, scope).await?;
    runs.push(run.id);
    let boxes: Vec<MailboxId> = run.touched.into_keys().collect();
    prune(context, &runs, &boxes).await
}

/// Exports of the case that are about nobody else have nothing left to hand out, and forget their subject too.
async fn end_exports(context: &Context, run: &Run, scope: Scope<'_>) -> Result<Vec<RunId>, GdprError> {
    let mut ended = Vec::new();
    for export in list_runs(context, &run.case).await? {
        let ours = export.callers.iter().all(|caller| scope.callers.contains(caller));
        if export.operation == Operation::ExportMe && ours {
            change(context, &export.id, |export, now| (export.cut_short(now), ())).await?;
            ended.push(export.id);
        }
    }
    Ok(ended)
}

/// Superseded states of these runs and of the mailboxes touched. `Some`: when the rest can go.
pub(super) async fn prune(
    context: &Context,
    runs: &[RunId],
    boxes: &[MailboxId],
) -> Result<Option<Time>, GdprError> {
    let keys = boxes.iter().map(Key::index).chain(runs.iter().map(Key::run));
    let mut later = None;
    for key in keys {
        later = later.max(context.store().prune_history(&key).await?);
    }
    Ok(later)
}

/// P7: ledger, receipt, end.
async fn conclude(gdpr: &Gdpr, scope: Scope<'_>) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let keep_until = keep_mark_until(context);
    for caller in scope.callers {
        set_mark(context, caller, scope.run, MarkState::Purged, Some(keep_until)).await?;
    }
    raise_epoch(context).await?;
    let Some(run) = load_run(context, scope.run).await? else { return Ok(()) };
    write_receipt(gdpr, &run).await?;
    delete_manifests(context, scope.run, false).await?;
    let first_pass = context.world().now().plus(FIRST_PASS);
    schedule(context, scope.run, RunStage::After(1), first_pass, scope.callers, scope.cutoff).await?;
    change(context, scope.run, |run, now| (run.finish_purge(now), ())).await?;
    Ok(())
}

async fn raise_epoch(context: &Context) -> Result<(), StoreError> {
    let raise = |found: Option<TenantDocument>, _| match found {
        Some(mut tenant) => {
            tenant.erasure_epoch += 1;
            Decision::Write(tenant, ())
        }
        None => Decision::Keep(()),
    };
    context.documents().update(&Key::tenant(), raise).await
}
