//! Erasure: manifest, entries out of sight, audio, envelopes, entries out; superseded states;
//! search again; ledger and receipt.
//!
//! A manifest is written before the first deletion of a round, so that a crash resumes from it although
//! the envelopes that led to the messages are gone. Identifiers leave the run before the wait for old
//! revisions begins, so that nothing but the ledger holds the caller when the run ends.

use super::named::exclude_copies;
use super::round::erase_round;
use super::runs::{change, list_runs, load_run, schedule};
use super::search::{Boxes, Found, Search, Walk, ask_indexes, whole};
use super::target::Target;
use super::undo::{FIRST_PASS, keep_mark_until, known_marks, read_marks, set_marks};
use super::{Gdpr, GdprError, copies, emailed, ledger, receipt, register};
use crate::context::Context;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{
    Advance, CUTOFF_MARGIN, CaseId, Index, IndexOp, MailboxId, Manifest, Mark, MarkState, MessageName, Run,
    RunId, RunStage, Time,
};
use voicemail_store::Family;
use voicemail_store::codec::{decode, encode};
use voicemail_store::documents::Cache;
use voicemail_store::retry_until_known::{Created, create_or_read, delete};
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
    // Before the first deletion: whatever is restored later, the erasure is known. Marks are only read beside it.
    let marks = known_marks();
    let entered = ledger::enter(context, &run, scope);
    tokio::join!(entered, read_marks(context, &marks, scope.target)).0?;
    set_marks(context, &marks, scope.target, (scope.run, MarkState::Purging, None)).await?;
    let (case, missing) = (run.case.clone(), run.missing.clone());
    erase_rounds(context, scope, run).await?;
    exclude_copies(context, &missing, scope.target).await?;
    let Some((run, later)) = settle(context, scope, &case).await? else { return Ok(()) };
    if let Some(later) = later {
        return look_again(context, scope, later).await;
    }
    // Search again: messages that came while old revisions were waited for.
    if erase_rounds(context, scope, run).await? > 0 {
        // States that named these are superseded only now.
        change(context, scope.run, |run, _| (run.settled_at.take().is_some(), ())).await?;
        return look_again(context, scope, context.world().now()).await;
    }
    conclude(gdpr, scope, &marks).await
}

/// Files another look. The due item being processed is deleted on return, so the next one has a name of its own.
async fn look_again(context: &Context, scope: Scope<'_>, at: Time) -> Result<(), GdprError> {
    let stage = RunStage::History(context.world().now().0);
    Ok(schedule(context, scope.run, stage, at, scope.target, scope.cutoff).await?)
}

/// Rounds of search and erasure until a search finds nothing but what legal holds keep. Returns how many went. The run is
/// as it was read or written before the search; a round that another worker has begun since is found by its manifest.
pub(super) async fn erase_rounds(context: &Context, scope: Scope<'_>, run: Run) -> Result<u64, GdprError> {
    tokio::try_join!(erase_found(context, scope, run), erase_quarantined(context, scope.target))
        .map(|(erased, ())| erased)
}

/// Messages that a round erases at most, so that neither its manifest nor what a worker has in its memory grows with the
/// number of matches.
const A_ROUND: usize = 1_000;

/// One pass over all of a subject's messages, part by part.
struct Pass {
    walk: Walk,
    /// A part of it went: what was found before must be looked for again.
    erases: bool,
    /// How many each legal hold keeps, by reason.
    kept: BTreeMap<String, u64>,
    unreadable: usize,
}

impl Pass {
    fn new(scope: Scope<'_>) -> Self {
        let walk = Walk::new(scope.target, scope.cutoff).by(A_ROUND);
        Self { walk, erases: false, kept: BTreeMap::new(), unreadable: 0 }
    }

    /// The next part; after the last it begins anew.
    async fn next(&mut self, context: &Context, scope: Scope<'_>) -> Result<Search, StoreError> {
        if self.walk.ended {
            *self = Self::new(scope);
        }
        Ok(self.walk.next(context).await?.unwrap_or_default())
    }
}

async fn erase_found(context: &Context, scope: Scope<'_>, mut run: Run) -> Result<u64, GdprError> {
    let (mut erased, mut pass, mut manifest, mut next) = (0, Pass::new(scope), None, None);
    loop {
        if !matches!(run.state, RunState::Purging | RunState::Purged) {
            return Ok(erased);
        }
        if run.round > run.round_done {
            // The next part is looked for while the run notes that all of this one is gone.
            let (gone, after, found) =
                erase_round(context, &run, manifest.take(), pass.next(context, scope)).await?;
            erased += gone;
            let Some(after) = after else { return Ok(erased) };
            match found {
                Some(found)
                    if after.round == run.round || fault_injection::is(Broken::SearchOfAnotherRound) =>
                {
                    next = Some(found);
                }
                // Another worker's round may have erased what was found, and would be counted again.
                Some(_) => pass = Pass::new(scope),
                None => {}
            }
            run = after;
            continue;
        }
        let search = match next.take() {
            Some(found) => found,
            None => pass.next(context, scope).await?,
        };
        pass.unreadable += search.unreadable.len();
        let Split { going, kept, shown } = split_held(context, &run, search.found).await?;
        for (reason, count) in kept {
            *pass.kept.entry(reason).or_default() += count;
        }
        if pass.walk.ended {
            note_kept(context, &run, &pass.kept).await?;
        }
        hide(context, &run, shown).await?;
        pass.erases |= !going.is_empty();
        if going.is_empty() && pass.walk.ended && !pass.erases {
            // All that can be erased has been; a run that leaves something unread must not end.
            return whole(pass.unreadable).map(|()| erased);
        }
        let now = match going.is_empty() {
            true => load_run(context, scope.run).await?.map(|run| (run, None)),
            false => begin_round(context, &run, &going).await?,
        };
        let Some(now) = now else { return Ok(erased) };
        (run, manifest) = now;
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
    let ask = |_: &MailboxId, index: Result<Arc<Index>, StoreError>, found: Vec<Found>| {
        // Of one that can't be read its round says so.
        let index = index.ok();
        let hold = |found: &Found| {
            let entry = index.as_ref()?.entries.get(&found.id);
            let entry = entry.filter(|entry| entry.caller_hash == found.caller)?;
            Some((entry.legal_hold.as_ref()?.reason.clone(), entry.forget.contains_key(&run.id)))
        };
        Ok(found.into_iter().map(|found| (hold(&found), found)).collect())
    };
    let found = found.into_iter().map(|found| (found.mailbox.clone(), found));
    let mut split = Split::default();
    for (hold, message) in ask_indexes(context, found, ask).await? {
        let Some((reason, hidden)) = hold else {
            split.going.push(message);
            continue;
        };
        *split.kept.entry(reason).or_default() += 1;
        if !hidden {
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

/// Writes the manifest, before the first deletion. Another worker's manifest of this round serves as well. Gives the run
/// as it is then and, if this is its round, the manifest; nothing if there is no such run.
async fn begin_round(
    context: &Context,
    run: &Run,
    found: &[Found],
) -> Result<Option<(Run, Option<Manifest>)>, GdprError> {
    let mut manifest = Manifest::default();
    for Found { mailbox, id, caller, envelope } in found {
        let item = envelope.purge_item(*id, caller.clone());
        manifest.items.entry(mailbox.clone()).or_default().push(item);
    }
    if fault_injection::is(Broken::NoManifest) {
        for (mailbox, items) in &manifest.items {
            let going = items.iter().map(|item| (mailbox.clone(), item.clone()));
            super::round::erase_objects(context, run, going, &Advance::new(context.world().monotonic()))
                .await?;
            context.indexes().try_apply(mailbox, IndexOp::BeginPurge(items.clone())).await?;
            context.indexes().try_apply(mailbox, IndexOp::FinishPurge(items.clone())).await?;
        }
        return Ok(load_run(context, &run.id).await?.map(|run| (run, None)));
    }
    let round = run.round + 1;
    let key = Key::manifest(&run.id, round);
    let (bytes, world) = (encode(&manifest)?, context.world());
    let written = create_or_read(context.store(), world, &key, &bytes, None);
    // Before the first deletion: afterwards nobody knows which mails were about these messages.
    let (written, mails) = tokio::try_join!(written, emailed::count(context, found))?;
    let advance = |run: &mut Run, _| {
        let next = run.round + 1 == round;
        run.emailed += if next { mails } else { 0 };
        run.round = run.round.max(round);
        (next, ())
    };
    let Some((run, ())) = change(context, &run.id, advance).await? else { return Ok(None) };
    let manifest = match written {
        Created::Ours => manifest,
        Created::Theirs(theirs) => decode(&theirs)?,
    };
    let ours = run.round == round;
    Ok(Some((run, ours.then_some(manifest))))
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
pub(super) async fn delete_manifests(context: &Context, run: &Run, last: bool) -> Result<(), StoreError> {
    let rounds = 1..=run.round_done.saturating_add(u32::from(last));
    remove_all(context, rounds.map(|round| Key::manifest(&run.id, round))).await
}

/// The run forgets who it was about, then superseded states of all documents go that may have named them: of
/// mailboxes that messages left long ago, too, and of writers that died before they pruned them. States that are
/// superseded after that name nobody of the subject, so that a busy mailbox holds nothing up. Gives the run, and when the
/// rest can go.
async fn settle(
    context: &Context,
    scope: Scope<'_>,
    case: &CaseId,
) -> Result<Option<(Run, Option<Time>)>, GdprError> {
    let forget = |run: &mut Run, now| {
        let held = run.remembers() | run.settled_at.is_none();
        run.forget_subject();
        run.settled_at.get_or_insert(now);
        (held, ())
    };
    let forgotten = change(context, scope.run, forget);
    let (forgotten, runs) = tokio::try_join!(forgotten, list_runs(context, case))?;
    let Some((run, ())) = forgotten else { return Ok(None) };
    end_exports(context, runs, scope).await?;
    let settled = run.settled_at.unwrap_or_default().plus(CUTOFF_MARGIN);
    let later = context.store().prune_history(History::All, settled).await?;
    Ok(Some((run, later)))
}

/// Exports of the case that are about nobody else have nothing left to hand out, and forget their subject too.
async fn end_exports(context: &Context, runs: Vec<Run>, scope: Scope<'_>) -> Result<(), GdprError> {
    for export in runs {
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
async fn conclude(gdpr: &Gdpr, scope: Scope<'_>, marks: &Cache<Mark>) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let keep_until = keep_mark_until(context);
    let purged = (scope.run, MarkState::Purged, Some(keep_until));
    let marked = set_marks(context, marks, scope.target, purged);
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
    let Some((run, ())) = change(context, scope.run, note).await? else { return Ok(()) };
    let first_pass = context.world().now().plus(FIRST_PASS);
    let after = async {
        delete_manifests(context, &run, false).await?;
        schedule(context, scope.run, RunStage::After(1), first_pass, scope.target, scope.cutoff).await?;
        Ok(())
    };
    let (number, ()) = tokio::try_join!(receipt::write(gdpr, &run, RunState::Purged), after)?;
    let end = |run: &mut Run, now| {
        let numbered = run.receipt.is_none() && number.is_some();
        run.receipt = run.receipt.or(number);
        (run.finish_purge(now) | numbered, ())
    };
    match change(context, scope.run, end).await? {
        Some((run, ())) => Ok(register::note(context, &run).await?),
        None => Ok(()),
    }
}
