//! Forgetting: check the regions, create the run, open it, mark its callers, flag their messages.
//!
//! The order is the handshake with depositors: the mark is written before the envelopes are listed, so
//! that a deposit is either found here or finds the mark itself. The flagging process looks at the mark again
//! afterwards, because an undo may have come between.

use super::in_time::in_time;
use super::intake::Wanted;
use super::narrow::narrow;
use super::runs::{change, find_or_create, list_runs, load_run, schedule};
use super::search::{Boxes, Hidden, Search, Walk, by_mailbox, whole};
use super::subject::{Subject, refresh_rules};
use super::target::Target;
use super::told::{Told, tell_whole};
use super::{Gdpr, GdprError, dry_run, promise, register};
use crate::context::Context;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::config::RegionDown;
use voicemail_api::gdpr::{GdprAnswer, GdprBody, Operation, RunState};
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{
    ByRules, CallerHash, Entry, Index, IndexOp, MailboxId, Mark, MarkState, MessageId, MessageName, Run,
    RunId, RunStage, Time,
};
use voicemail_store::documents::Decision;
use voicemail_store::{Key, Store, StoreError};

/// When a started run is looked at again: resumed, or marked once more.
pub(super) const RESUME_AFTER: Duration = Duration::from_secs(60);
pub(super) const LONGEST_WINDOW: Duration = Duration::from_secs(30 * 86_400);

pub(super) async fn forget(gdpr: &Gdpr, body: GdprBody) -> Result<GdprAnswer, GdprError> {
    let context = &gdpr.context;
    let wanted = Wanted::read(context, &body, Operation::ForgetMe)?;
    if body.dry_run {
        return dry_run::count(gdpr, &wanted).await;
    }
    let (away, runs) = prepare(context, &wanted).await?;
    if fault_injection::is(Broken::DueBeforeRun) {
        let (id, now) = (RunId::new(&wanted.case, Operation::ForgetMe, 1), context.world().now());
        let target = Target { messages: Vec::new(), ..wanted.subject.target(context)? };
        schedule(context, &id, RunStage::Resume, now.plus(RESUME_AFTER), &target, now).await?;
    }
    let run = find_or_create(gdpr, &wanted, runs).await?;
    let told = match run.has_ended() {
        true => None,
        false => in_time(context, &run, Box::pin(proceed(context, &run, &wanted.subject, &away))).await?,
    };
    let run = load_run(context, &run.id).await?.unwrap_or(run);
    Ok(told.unwrap_or_else(|| Told::of(&wanted.subject)).answer(context, &wanted, &run))
}

/// What stands before a run, side by side: the regions are checked, the clock and the rules for numbers, and the case is
/// read. Gives the regions that are away, and the case's runs.
pub(super) async fn prepare(
    context: &Context,
    wanted: &Wanted,
) -> Result<(Vec<String>, Vec<Run>), GdprError> {
    let (clock, runs) = (context.guard_clock(), list_runs(context, &wanted.case));
    let checks = tokio::join!(check_regions(context), clock, refresh_rules(context), runs);
    let (away, (), (), runs) = (checks.0?, checks.1?, checks.2?, checks.3?);
    wanted.subject.require_clear(context)?;
    Ok((away, runs))
}

/// Checks the regions: every region answers a write and a read, else the request is refused whole; or, where the
/// tenant's rule is to go on, gives the regions that don't, as long as the master does.
pub(super) async fn check_regions(context: &Context) -> Result<Vec<String>, GdprError> {
    let goes_on = context.config().gdpr.region_down == RegionDown::MarkAndRetry;
    let (master, mut away) = (context.master(), Vec::new());
    let checks = context.regions().map(|(name, store)| async move { (name, answers(context, store).await) });
    for (name, answers) in join_all(checks).await {
        if answers {
            continue;
        }
        if *name == master || !goes_on {
            return Err(GdprError::RegionDown { region: name.clone() });
        }
        away.push(name.clone());
    }
    Ok(away)
}

/// Whether a region takes a write and gives it back.
async fn answers(context: &Context, store: &Arc<dyn Store>) -> bool {
    let key = Key::probe(context.world().now(), &context.world().random_hex());
    let written = store.create(&key, "region".into()).await;
    let read = store.get(&key).await;
    let removed = store.delete(&key).await;
    written.is_ok() && removed.is_ok() && matches!(read, Ok(Some(_)))
}

/// As far as it goes now: a run that takes a second person is counted and waits for them. Gives what an answer about that
/// subject tells.
pub(super) async fn proceed(
    context: &Context,
    run: &Run,
    subject: &Subject,
    away: &[String],
) -> Result<Told, GdprError> {
    if run.state == RunState::Opening && !run.handling.is_cleared() {
        let told = tell_whole(context, (run, subject), context.world().now()).await?;
        let matched = told.matched;
        // It is looked at daily, so that one that nobody approves isn't forgotten.
        look_tomorrow(context, run).await?;
        let asked = change(context, &run.id, |run, _| (run.await_approval(matched), ())).await?;
        if let Some((run, ())) = asked.filter(|(run, ())| run.state == RunState::AwaitingApproval) {
            promise::keep_run(context, &run).await?;
            register::note(context, &run).await?;
            return Ok(told);
        }
    }
    let told = start(context, run, subject).await?;
    note_away(context, &run.id, away, &told.regions).await?;
    Ok(told)
}

/// Files the next look at a run that waits for a person.
pub(super) async fn look_tomorrow(context: &Context, run: &Run) -> Result<(), StoreError> {
    const DAY: Duration = Duration::from_secs(86_400);
    let now = context.world().now();
    schedule(context, &run.id, RunStage::History(now.0), now.plus(DAY), &Target::of(run), run.created_at)
        .await
}

/// Notes the messages that wait in regions that didn't answer.
async fn note_away(
    context: &Context,
    run: &RunId,
    away: &[String],
    matched: &BTreeMap<String, u64>,
) -> Result<(), StoreError> {
    if away.is_empty() {
        return Ok(());
    }
    let waiting = |region: &String| (matched.get(region).copied().unwrap_or_default(), "RegionDown");
    let blocked: BTreeMap<String, (u64, &'static str)> =
        away.iter().map(|region| (region.clone(), waiting(region))).collect();
    let note = |run: &mut Run, _| {
        let fresh = matches!(run.state, RunState::Marked | RunState::Marking);
        if fresh {
            run.note_blocked(&blocked);
        }
        (fresh, ())
    };
    change(context, run, note).await.map(drop)
}

/// Opens the run, marks its callers and hides their messages, in whatever state before `marked`; in a later state only
/// searches.
async fn start(context: &Context, run: &Run, subject: &Subject) -> Result<Told, GdprError> {
    if run.state == RunState::Opening && !fault_injection::is(Broken::DueBeforeRun) {
        let at = context.world().now().plus(RESUME_AFTER);
        schedule(context, &run.id, RunStage::Resume, at, &Target::of(run), run.created_at).await?;
    }
    let run = match run.state {
        RunState::Opening => open(context, &run.id).await?,
        _ => load_run(context, &run.id).await?,
    };
    match run {
        Some(run) if matches!(run.state, RunState::Marking | RunState::Marked) => {
            mark(context, &run, subject).await
        }
        Some(run) => tell_whole(context, (&run, subject), run.cutoff.unwrap_or(run.created_at)).await,
        None => Err(GdprError::UnknownCase),
    }
}

/// Opens the run: sets its times. Gives it as it is then; `None` if it is no more.
pub(super) async fn open(context: &Context, run: &RunId) -> Result<Option<Run>, GdprError> {
    context.guard_clock().await?;
    Ok(change(context, run, |run, now| (run.open(now), ())).await?.map(|(run, ())| run))
}

/// Marks the callers, hides their messages and notes that the run is `marked`. Run once more a minute later, and
/// whenever the run is resumed. What can't be decoded keeps nothing else from being hidden, and is reported at the end:
/// the run may go on, but not end. Gives what an answer about that subject tells.
pub(super) async fn mark(context: &Context, run: &Run, subject: &Subject) -> Result<Told, GdprError> {
    let run = &widen(context, &narrow(context, run.clone()).await?).await?;
    let mut told = Told::of(subject);
    let (Some(cutoff), Some(purge_at)) = (run.cutoff, run.purge_at) else { return Ok(told) };
    let early = match fault_injection::is(Broken::MarkAfterList) {
        true => Walk::new(&Target::of(run), cutoff).next(context).await?,
        false => None,
    };
    // Until the deadline is filed the item that resumes the run stands for it.
    let target = Target::of(run);
    let filed = schedule(context, &run.id, RunStage::Deadline, purge_at, &target, cutoff);
    let (filed, marked) = tokio::join!(filed, mark_and_search(context, run, (cutoff, purge_at)));
    let ((), Marked { target, mut walk, first, mut unreadable }) = (filed?, marked?);
    let missing: Vec<_> = first.missing.iter().cloned().collect();
    let mut part = Some(early.unwrap_or(first));
    while let Some(search) = part {
        unreadable += search.unreadable.len();
        let (failed, undone) = hide(context, (run, &target), &search, (cutoff, purge_at)).await?;
        unreadable += failed;
        told.take(context, run, &search.found).await?;
        // Whoever took it back sees to what was hidden before.
        part = if undone { None } else { walk.next(context).await? };
    }
    finish_marking(context, &run.id, &told, missing).await?;
    whole(unreadable)?;
    context.memory::<Hidden>().note(&run.id);
    Ok(told)
}

/// Hides a part of the messages, then looks whether the run was taken back meanwhile, and shows them again if it was. Gives
/// how many mailboxes couldn't be read, and whether it was.
async fn hide(
    context: &Context,
    (run, target): (&Run, &Target),
    search: &Search,
    (cutoff, purge_at): (Time, Time),
) -> Result<(usize, bool), GdprError> {
    let boxes = choose_messages(context, search, cutoff).await?;
    let names: Vec<MailboxId> = boxes.keys().cloned().collect();
    let flag = |messages| IndexOp::Flag { run: run.id.clone(), purge_at, messages };
    let unreadable = apply_to_all(context, boxes, flag).await?;
    let undone =
        !fault_injection::is(Broken::NoLookAfterFlagging) && is_undone(context, &run.id, target).await?;
    if undone {
        whole(clear_flags(context, &run.id, &names).await?)?;
    }
    Ok((unreadable, undone))
}

/// Notes that the run is `marked`, and how many messages it hides.
async fn finish_marking(
    context: &Context,
    run: &RunId,
    told: &Told,
    missing: Vec<MessageName>,
) -> Result<(), GdprError> {
    let finish = |run: &mut Run, _| {
        let changed = run.finish_marking(told.matched);
        if changed {
            run.note_matched(&told.regions);
        }
        let differs = run.state == RunState::Marked && run.missing != missing;
        if differs {
            run.missing.clone_from(&missing);
        }
        (changed || differs, ())
    };
    if let Some((marked, _)) = change(context, run, finish).await?
        && marked.state == RunState::Marked
    {
        promise::keep_run(context, &marked).await?;
    }
    Ok(())
}

/// A run whose marks stand, and the walk over its messages.
struct Marked {
    target: Target,
    walk: Walk,
    /// The walk's first part.
    first: Search,
    /// Marks that can't be read.
    unreadable: usize,
}

/// Writes the marks, then lists the first messages. A copy that comes to light gets a mark of its own before it is flagged,
/// so that what is forwarded of it meanwhile is covered too.
async fn mark_and_search(
    context: &Context,
    run: &Run,
    (cutoff, purge_at): (Time, Time),
) -> Result<Marked, GdprError> {
    let mut target = Target::of(run);
    loop {
        // Without their mark a caller's deposits are refused; others' messages must not wait for it.
        let add = |(key, only): (Key, Option<ByRules>)| async move {
            skip_one(add_mark(context, &key, &run.id, (cutoff, purge_at), only.as_ref()).await)
        };
        let marking = async { Ok::<usize, StoreError>(context.all(target.marks(), add).await?.iter().sum()) };
        let mut walk = Walk::of_run(context, &run.id, &target, cutoff);
        let (unreadable, first) = match fault_injection::is(Broken::MarkBesideList) {
            true => tokio::try_join!(marking, walk.next(context))?,
            // All marks stand before the first list: whoever deposits is seen here, or sees the mark.
            false => (marking.await?, walk.next(context).await?),
        };
        let first = first.unwrap_or_default();
        let wider = Target::named(first.named.iter().cloned());
        if target.covers(&wider) {
            return Ok(Marked { target, walk, first, unreadable });
        }
        target = target.with(&wider);
        remember(context, &run.id, &target).await?;
    }
}

/// The run knows all that it is about, as long as it is open.
async fn remember(context: &Context, run: &RunId, target: &Target) -> Result<(), StoreError> {
    let add = |run: &mut Run, _| {
        let wider = Target::of(run).with(target);
        let changed = !run.has_ended() && !Target::of(run).is_empty() && !Target::of(run).covers(&wider);
        if changed {
            (run.callers, run.messages) = (wider.callers, wider.messages);
        }
        (changed, ())
    };
    change(context, run, add).await.map(drop)
}

/// The messages to flag, by mailbox. Of messages whose envelopes nobody can read the index tells when they were
/// received: they are hidden too.
async fn choose_messages(context: &Context, search: &Search, cutoff: Time) -> Result<Boxes, GdprError> {
    let mut boxes = by_mailbox(&search.found);
    for (mailbox, id, caller) in &search.unreadable {
        let index: Index = match context.documents().load(&Key::index(mailbox)).await {
            Err(error) if error.is_about_one() => continue,
            other => other?.unwrap_or_default(),
        };
        let ours = |entry: &&Entry| entry.caller_hash == *caller && entry.received <= cutoff;
        if index.entries.get(id).filter(ours).is_some() {
            boxes.entry(mailbox.clone()).or_default().insert(*id, caller.clone());
        }
    }
    Ok(boxes)
}

/// Applies an operation to each mailbox, with its messages, side by side: an operation is about one mailbox alone.
/// Gives how many couldn't be read.
pub(super) async fn apply_to_all(
    context: &Context,
    boxes: Boxes,
    op: impl Fn(BTreeMap<MessageId, CallerHash>) -> IndexOp,
) -> Result<usize, StoreError> {
    apply_each(context, boxes.into_iter().map(|(mailbox, messages)| (mailbox, op(messages)))).await
}

/// As [`apply_to_all`], where each mailbox has an operation of its own.
pub(super) async fn apply_each(
    context: &Context,
    operations: impl IntoIterator<Item = (MailboxId, IndexOp)>,
) -> Result<usize, StoreError> {
    let apply = |(mailbox, op): (MailboxId, IndexOp)| async move {
        skip_one(context.indexes().try_apply(&mailbox, op).await)
    };
    Ok(context.all(operations, apply).await?.into_iter().sum())
}

/// 1 for a document that can't be read or written here: others must not wait for it.
pub(super) fn skip_one<T>(result: Result<T, StoreError>) -> Result<usize, StoreError> {
    match result {
        Ok(_) => Ok(0),
        Err(error) if error.is_about_one() => Ok(1),
        Err(error) => Err(error),
    }
}

/// A rule set may have come since the run was made: its subject is hashed again, under all there are now.
async fn widen(context: &Context, run: &Run) -> Result<Run, GdprError> {
    refresh_rules(context).await?;
    let sealed = run.sealed.as_deref().unwrap_or_default();
    let Some(subject) = Subject::open(context, &run.id, sealed) else { return Ok(run.clone()) };
    let target = subject.target_of(context, run)?;
    if Target::of(run).covers(&target) {
        return Ok(run.clone());
    }
    let add = |run: &mut Run, _| {
        let open = !run.has_ended() && run.sealed.is_some();
        if open {
            let wider = Target::of(run).with(&target);
            (run.callers, run.doubtful) = (wider.callers, wider.doubtful);
        }
        (open, ())
    };
    let changed = change(context, &run.id, add).await?;
    Ok(changed.map_or_else(|| run.clone(), |(run, ())| run))
}

pub(super) async fn add_mark(
    context: &Context,
    key: &Key,
    run: &RunId,
    (cutoff, purge_at): (Time, Time),
    only: Option<&ByRules>,
) -> Result<(), StoreError> {
    let add = |mark: Option<Mark>, _| {
        let mut mark = mark.unwrap_or_default();
        if mark.add(run, cutoff, purge_at, only) { Decision::Write(mark, ()) } else { Decision::Keep(()) }
    };
    context.documents().update_new(key, add).await
}

/// A worker that was frozen before it flagged may find its run undone.
async fn is_undone(context: &Context, run: &RunId, target: &Target) -> Result<bool, StoreError> {
    for (key, _) in target.marks() {
        let mark: Option<Mark> = match context.documents().load(&key).await {
            Err(error) if error.is_about_one() => continue,
            other => other?,
        };
        let state = mark.and_then(|mark| mark.runs.get(run).map(|marked| marked.state));
        return Ok(state == Some(MarkState::Undone));
    }
    Ok(false)
}

/// Shows a run's messages in these mailboxes again. Gives how many couldn't be read.
pub(super) async fn clear_flags(
    context: &Context,
    run: &RunId,
    boxes: impl IntoIterator<Item = &MailboxId>,
) -> Result<usize, StoreError> {
    let clear = |mailbox: &MailboxId| (mailbox.clone(), IndexOp::ClearFlags { run: run.clone() });
    apply_each(context, boxes.into_iter().map(clear)).await
}
