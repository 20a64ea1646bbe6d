//! Erasure: manifest, entries out of sight, audio, envelopes, entries out; superseded states;
//! search again; ledger and receipt.
//!
//! A manifest is written before the first deletion of a round, so that a crash resumes from it although
//! the envelopes that led to the messages are gone. Identifiers leave the run before the wait for old
//! revisions begins, so that nothing but the ledger holds the caller when the run ends.

use super::round::{Advance, erase_round};
use super::runs::{change, list_runs, load_run, schedule};
use super::search::{Boxes, Found, Indexes, Position, exclude_copies, search_on, whole};
use super::target::Target;
use super::undo::{FIRST_PASS, keep_mark_until, set_marks};
use super::{Gdpr, GdprError, copies, emailed, ledger, receipt, register};
use crate::context::Context;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{
    CUTOFF_MARGIN, IndexOp, MailboxId, Manifest, MarkState, MessageName, Run, RunId, RunStage, Time,
};
use voicemail_store::Family;
use voicemail_store::codec::encode;
use voicemail_store::retry_until_known::{delete, ensure};
use voicemail_store::{History, Key, StoreError};

/// The scope of a purge; from the run's due item, because the run forgets its subject before its end.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) run: &'a RunId,
    pub(super) target: &'a Target,
    pub(super) cutoff: Time,
}

/// Carries a purge out as far as it goes now. It may end waiting for old revisions, with a due item filed.
pub(super) async fn erase(gdpr: &Gdpr, scope: Scope<'_>) -> Result<(), GdprError> {
    let context = &gdpr.context;
    context.guard_clock().await?;
    let begun = change(context, scope.run, |run, now| run.begin_purge(now)).await?;
    let Some((run, true)) = begun else { return Ok(()) };
    // Before the first deletion: whatever is restored later, the erasure is known.
    ledger::enter(context, &run, scope).await?;
    set_marks(context, scope.target, scope.run, MarkState::Purging, None).await?;
    erase_rounds(context, scope).await?;
    exclude_copies(context, &run.missing, scope.target).await?;
    if let Some(later) = settle(context, scope).await? {
        return look_again(context, scope, later).await;
    }
    // Search again: messages that came while old revisions were waited for.
    if erase_rounds(context, scope).await? > 0 {
        // States that named these are superseded only now.
        change(context, scope.run, |run, _| (run.settled_at.take().is_some(), ())).await?;
        return look_again(context, scope, context.world().now()).await;
    }
    conclude(gdpr, scope).await
}

/// Files another look. The due item being processed is deleted on return, so the next one has a name of its own.
async fn look_again(context: &Context, scope: Scope<'_>, at: Time) -> Result<(), GdprError> {
    let stage = RunStage::History(context.world().now().0);
    Ok(schedule(context, scope.run, stage, at, scope.target, scope.cutoff).await?)
}

/// Rounds of search and erasure until a search finds nothing but what legal holds keep. Returns how many went.
pub(super) async fn erase_rounds(context: &Context, scope: Scope<'_>) -> Result<u64, GdprError> {
    tokio::try_join!(erase_found(context, scope), erase_quarantined(context, scope.target))
        .map(|(erased, ())| erased)
}

/// Messages that a round erases at most, so that neither its manifest nor what a worker has in its memory grows with the
/// number of matches.
const A_ROUND: usize = 1_000;

/// A walk over all of a subject's messages, part by part.
#[derive(Default)]
struct Walk {
    position: Position,
    /// A part of it went: what was found before must be looked for again.
    erases: bool,
    /// How many each legal hold keeps, by reason.
    kept: BTreeMap<String, u64>,
    unreadable: usize,
}

async fn erase_found(context: &Context, scope: Scope<'_>) -> Result<u64, GdprError> {
    let (mut erased, mut walk) = (0, Walk::default());
    loop {
        let Some(run) = load_run(context, scope.run).await? else { return Ok(erased) };
        if !matches!(run.state, RunState::Purging | RunState::Purged) {
            return Ok(erased);
        }
        if run.round > run.round_done {
            erased += erase_round(context, &run).await?;
            continue;
        }
        if walk.position.ended {
            walk = Walk::default();
        }
        let part = (&mut walk.position, A_ROUND);
        let search = search_on(context, scope.target, scope.cutoff, part).await?;
        walk.unreadable += search.unreadable.len();
        let Split { going, kept, shown } = split_held(context, &run, search.found).await?;
        for (reason, count) in kept {
            *walk.kept.entry(reason).or_default() += count;
        }
        if walk.position.ended {
            note_kept(context, &run, &walk.kept).await?;
        }
        hide(context, &run, shown).await?;
        walk.erases |= !going.is_empty();
        if !going.is_empty() {
            begin_round(context, &run, &going).await?;
        } else if walk.position.ended && !walk.erases {
            // All that can be erased has been; a run that leaves something unread must not end.
            return whole(walk.unreadable).map(|()| erased);
        }
    }
}

/// The messages found, divided by whether a legal hold keeps them.
#[derive(Default)]
struct Split {
    /// Messages that can go.
    going: Vec<Found>,
    /// How many each hold keeps, by reason.
    kept: BTreeMap<String, u64>,
    /// The messages among them that the mark didn't hide: their mailbox couldn't be read then.
    shown: Boxes,
}

async fn split_held(context: &Context, run: &Run, found: Vec<Found>) -> Result<Split, StoreError> {
    let (mut indexes, mut split) = (Indexes::default(), Split::default());
    indexes.load_all(context, found.iter().map(|message| &message.mailbox)).await?;
    for message in found {
        let index = match indexes.load(context, &message.mailbox).await {
            // Its round says that it can't be read.
            Err(error) if error.is_about_one() => {
                split.going.push(message);
                continue;
            }
            other => other?,
        };
        let entry = index.entries.get(&message.id).filter(|entry| entry.caller_hash == message.caller);
        let Some((entry, hold)) = entry.and_then(|entry| Some((entry, entry.legal_hold.as_ref()?))) else {
            split.going.push(message);
            continue;
        };
        *split.kept.entry(hold.reason.clone()).or_default() += 1;
        if !entry.forget.contains_key(&run.id) {
            split.shown.entry(message.mailbox).or_default().insert(message.id, message.caller);
        }
    }
    Ok(split)
}

/// Messages that a hold keeps from an erasure are hidden nevertheless.
async fn hide(context: &Context, run: &Run, shown: Boxes) -> Result<(), StoreError> {
    let purge_at = run.purge_at.unwrap_or(context.world().now());
    let flag = |(mailbox, messages)| {
        let op = IndexOp::Flag { run: run.id.clone(), purge_at, messages };
        async move { context.indexes().try_apply(&mailbox, op).await }
    };
    context.all(shown, flag).await.map(drop)
}

async fn note_kept(context: &Context, run: &Run, kept: &BTreeMap<String, u64>) -> Result<(), StoreError> {
    if run.kept == *kept {
        return Ok(());
    }
    let note = |run: &mut Run, _| {
        let changed = run.kept != *kept;
        run.kept.clone_from(kept);
        (changed, ())
    };
    change(context, &run.id, note).await.map(drop)
}

/// Writes the manifest, before the first deletion. Another worker's manifest of this round serves as well.
async fn begin_round(context: &Context, run: &Run, found: &[Found]) -> Result<(), GdprError> {
    let mut manifest = Manifest::default();
    for Found { mailbox, id, caller, envelope } in found {
        let item = envelope.purge_item(*id, caller.clone());
        manifest.items.entry(mailbox.clone()).or_default().push(item);
    }
    if fault_injection::is(Broken::NoManifest) {
        for (mailbox, items) in &manifest.items {
            let going = items.iter().map(|item| (mailbox.clone(), item.clone()));
            super::round::erase_objects(context, run, going, &Advance::new(context)).await?;
            context.indexes().try_apply(mailbox, IndexOp::BeginPurge(items.clone())).await?;
            context.indexes().try_apply(mailbox, IndexOp::FinishPurge(items.clone())).await?;
        }
        return Ok(());
    }
    let round = run.round + 1;
    let key = Key::manifest(&run.id, round);
    let (manifest, world) = (encode(&manifest)?, context.world());
    let written = ensure(context.store(), world, &key, &manifest);
    // Before the first deletion: afterwards nobody knows which mails were about these messages.
    let ((), mails) = tokio::try_join!(written, emailed::count(context, found))?;
    let advance = |run: &mut Run, _| {
        let next = run.round + 1 == round;
        run.emailed += if next { mails } else { 0 };
        run.round = run.round.max(round);
        (next, ())
    };
    change(context, &run.id, advance).await?;
    Ok(())
}

/// Erases objects that `fsck` moved away because they couldn't be decoded: their names still tell caller or message.
async fn erase_quarantined(context: &Context, target: &Target) -> Result<(), GdprError> {
    let keys: Vec<String> = context.store().list(Family::Quarantine.prefix()).try_collect().await?;
    let is_theirs = |key: &&String| {
        let parts = key.split(['/', '.']).collect::<Vec<_>>();
        let by_caller =
            target.callers.iter().any(|caller| !caller.is_withheld() && parts.contains(&caller.as_str()));
        by_caller || target.messages.iter().any(|name| names(key, name))
    };
    let keys = keys.iter().filter(is_theirs).filter_map(|key| Key::listed(key));
    Ok(remove_all(context, keys).await?)
}

/// Removes objects of the master region, side by side.
async fn remove_all(context: &Context, keys: impl Iterator<Item = Key>) -> Result<(), StoreError> {
    let remove = |key: Key| async move { delete(context.store(), context.world(), &key).await };
    context.all(keys, remove).await.map(drop)
}

/// Keys name a message by its mailbox and its id, side by side; another mailbox may hold the same id.
fn names(key: &str, message: &MessageName) -> bool {
    let (mailbox, id) = (message.mailbox.key(), message.id);
    let ways = [("/", "/"), ("/", "."), (".", "/"), (".", ".")];
    ways.iter().any(|(before, between)| key.contains(&format!("{before}{mailbox}{between}{id}")))
}

/// Manifests name messages and callers: those of rounds that are done go with the end. A frozen worker
/// may leave one of a round that never began: it goes with the last pass, when nobody can resume it.
pub(super) async fn delete_manifests(context: &Context, run: &RunId, last: bool) -> Result<(), StoreError> {
    let rounds = load_run(context, run).await?.map_or(0, |run| run.round_done);
    let rounds = 1..=rounds.saturating_add(u32::from(last));
    remove_all(context, rounds.map(|round| Key::manifest(run, round))).await
}

/// The run forgets who it was about, then superseded states of all documents go that may have named them: of
/// mailboxes that messages left long ago, too, and of writers that died before they pruned them. States that are
/// superseded after that name nobody of the subject, so that a busy mailbox holds nothing up.
async fn settle(context: &Context, scope: Scope<'_>) -> Result<Option<Time>, GdprError> {
    let forget = |run: &mut Run, now| {
        let held = run.remembers() | run.settled_at.is_none();
        run.forget_subject();
        run.settled_at.get_or_insert(now);
        (held, ())
    };
    let Some((run, ())) = change(context, scope.run, forget).await? else { return Ok(None) };
    end_exports(context, &run, scope).await?;
    let settled = run.settled_at.unwrap_or_default().plus(CUTOFF_MARGIN);
    Ok(context.store().prune_history(History::All, settled).await?)
}

/// Exports of the case that are about nobody else have nothing left to hand out, and forget their subject too.
async fn end_exports(context: &Context, run: &Run, scope: Scope<'_>) -> Result<(), GdprError> {
    for export in list_runs(context, &run.case).await? {
        let ours = scope.target.covers(&Target::of(&export));
        if export.operation == Operation::ExportMe && ours {
            change(context, &export.id, |export, now| (export.cut_short(now), ())).await?;
        }
    }
    Ok(())
}

/// Superseded states of these runs and of the mailboxes touched. `Some`: when the rest can go.
pub(super) async fn prune(
    context: &Context,
    runs: &[RunId],
    boxes: &[MailboxId],
) -> Result<Option<Time>, GdprError> {
    let keys = boxes.iter().map(Key::index).chain(runs.iter().map(Key::run));
    let now = context.world().now();
    let prune = |key: Key| async move { context.store().prune_history(History::Of(&key), now).await };
    Ok(context.all(keys, prune).await?.into_iter().flatten().max())
}

/// Concludes the erasure: ledger, receipt, end.
async fn conclude(gdpr: &Gdpr, scope: Scope<'_>) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let keep_until = keep_mark_until(context);
    let marked = set_marks(context, scope.target, scope.run, MarkState::Purged, Some(keep_until));
    let (marked, residual) = tokio::join!(marked, copies::find_residual(context));
    marked?;
    let note = |run: &mut Run, now| {
        let fresh = run.state == RunState::Purging && run.residual.is_none();
        if fresh {
            let mut residual = residual.clone();
            residual.copies.extend(emailed::keeper(context, run.emailed));
            (run.residual, run.erased_at) = (Some(residual), Some(now));
        }
        (fresh, ())
    };
    change(context, scope.run, note).await?;
    receipt::issue(gdpr, scope.run, RunState::Purged).await?;
    let first_pass = context.world().now().plus(FIRST_PASS);
    tokio::try_join!(
        delete_manifests(context, scope.run, false),
        schedule(context, scope.run, RunStage::After(1), first_pass, scope.target, scope.cutoff),
    )?;
    let ended = change(context, scope.run, |run, now| (run.finish_purge(now), ())).await?;
    match ended {
        Some((run, ())) => Ok(register::note(context, &run).await?),
        None => Ok(()),
    }
}
