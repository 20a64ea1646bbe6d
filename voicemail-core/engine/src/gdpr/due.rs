//! The work of a run's due item when its time comes: chosen by the run's state, not by the item's.
//!
//! Items only say when to look. A run that died anywhere is moved on from where it stands; one that has
//! ended is looked at again after 1 h, 1 d and 8 d (late flags of an undone run are cleared, late copies
//! of a purged one erased), and its mark is dropped when its time is over.

use super::erase::{Scope, delete_manifests, erase, erase_rounds, prune};
use super::narrow::narrow;
use super::open_runs::find_open;
use super::runs::{change, load_run, schedule};
use super::subject::Subject;
use super::target::Target;
use super::{Gdpr, GdprError, export, forget, ledger, promise, register, undo};
use crate::context::{Context, Memory};
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{CUTOFF_MARGIN, Mark, MarkState, Run, RunId, RunStage, Time};
use voicemail_store::documents::Decision;
use voicemail_store::turns::Turns;
use voicemail_store::{History, Key};

const DAY: Duration = Duration::from_secs(86_400);

/// Passes after the end: when each comes.
const PASSES: [Duration; 3] = [undo::FIRST_PASS, DAY, Duration::from_secs(8 * 86_400)];

/// Runs that this process is moving on.
#[derive(Default)]
struct Moving(Turns<RunId>);

impl Memory for Moving {
    fn begin(_: &Context) -> Self {
        Self::default()
    }
}

/// Handles one due item of a run. On success the item can go. A run has several: a request that went on after its answer is
/// looked at when it ought to be done, when it was to go on, and at its deadline. One does the work; the others wait, and see then what is left.
pub(crate) async fn move_run_on(gdpr: &Gdpr, scope_of: &voicemail_model::Due) -> Result<(), GdprError> {
    let voicemail_model::Due::Run { run: id, stage, callers, messages, doubtful, cutoff } = scope_of else {
        return Ok(());
    };
    let context = &gdpr.context;
    let moving: Arc<Moving> = context.memory();
    let _turn = moving.0.take(id.clone()).await;
    let Some(run) = load_run(context, id).await? else { return Ok(()) };
    let run = narrow(context, run).await?;
    // Filed before the run was opened the item doesn't know the cutoff; the run does, once it is open.
    // The run may have learnt of more forms of its subject than it had when the item was filed.
    let mut filed =
        Target { callers: callers.clone(), doubtful: doubtful.clone(), messages: messages.clone() };
    if filed.doubtful.is_none() && run.doubtful.is_some() {
        // Filed before strangers under the same hash were told apart: the run knows better.
        filed.callers.clear();
    }
    // And it may have forgotten them since; the ledger hasn't.
    let mut target = filed.with(&Target::of(&run));
    if !fault_injection::is(Broken::NarrowDueItem) {
        target = target.with(&ledger::read_target(context, &run).await?);
    }
    let scope = Scope { run: id, target: &target, cutoff: run.cutoff.unwrap_or(*cutoff) };
    match (run.has_ended(), stage) {
        (true, RunStage::After(pass)) => after_end(gdpr, &run, scope, *pass).await,
        (true, RunStage::History(filed)) => {
            let fresh = run.ended_at.is_some_and(|ended| context.world().now().since(ended) < PASSES[0]);
            if fresh {
                ensure_first_pass(context, &run, scope).await?;
            }
            prune_until(context, scope, Time(*filed)).await
        }
        (true, _) => ensure_first_pass(context, &run, scope).await,
        (false, _) => resume(gdpr, run, scope).await,
    }
}

async fn resume(gdpr: &Gdpr, run: Run, scope: Scope<'_>) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let now = context.world().now();
    match run.state {
        RunState::AwaitingApproval if run.operation == Operation::ExportMe => {
            finish_export(gdpr, &run, now).await
        }
        // Counted, and nothing else: it waits for a person.
        RunState::Opening | RunState::AwaitingApproval if !run.handling.is_cleared() => {
            Ok(forget::look_tomorrow(context, &run).await?)
        }
        RunState::Opening | RunState::Marking | RunState::AwaitingApproval => {
            forget::open(context, &run.id).await?;
            let opened = load_run(context, &run.id).await?.unwrap_or(run);
            forget::mark(context, &opened, &Subject::default()).await?;
            // The due item being processed may be the deadline's, and it is deleted on return: so a purge that is due
            // runs now.
            if opened.purge_at.is_none_or(|at| now < at) {
                return Ok(());
            }
            let target =
                scope.target.with(&Target::of(&load_run(context, &opened.id).await?.unwrap_or(opened)));
            erase(gdpr, Scope { target: &target, ..scope }).await
        }
        RunState::Marked if run.purge_at.is_some_and(|at| now < at) => {
            forget::mark(context, &run, &Subject::default()).await.map(drop)
        }
        RunState::Marked | RunState::Purging => erase(gdpr, scope).await,
        RunState::Undoing => undo::finish(gdpr, &run).await,
        RunState::Collecting | RunState::Ready => finish_export(gdpr, &run, now).await,
        // Ended, or never stored.
        _ => Ok(()),
    }
}

async fn finish_export(gdpr: &Gdpr, run: &Run, now: Time) -> Result<(), GdprError> {
    let context = &gdpr.context;
    export::collect(gdpr, run, &Subject::default()).await?;
    if run.expires_at.is_some_and(|until| now < until) {
        return Ok(());
    }
    if let Some((run, ())) = change(context, &run.id, |run, now| (run.expire(now), ())).await? {
        register::note(context, &run).await?;
    }
    prune_later(context, run).await
}

/// Removes states of documents that were superseded up to then, and files another look while some have to stay.
async fn prune_until(context: &Context, scope: Scope<'_>, then: Time) -> Result<(), GdprError> {
    let superseded = then.plus(CUTOFF_MARGIN);
    let Some(later) = context.store().prune_history(History::All, superseded).await? else { return Ok(()) };
    // The due item being processed is deleted on return: the next one may fall into the same minute, so its name must
    // differ.
    let stage = RunStage::History(then.0.saturating_add(1));
    Ok(schedule(context, scope.run, stage, later, scope.target, scope.cutoff).await?)
}

/// The identifiers of an ended export stand in superseded states for a while.
async fn prune_later(context: &Context, run: &Run) -> Result<(), GdprError> {
    let at = context.world().now().plus(Duration::from_secs(60));
    Ok(schedule(context, &run.id, RunStage::After(1), at, &Target::default(), run.created_at).await?)
}

/// A run that died between its end and its first pass.
async fn ensure_first_pass(context: &Context, run: &Run, scope: Scope<'_>) -> Result<(), GdprError> {
    // It may have died before it wrote its end into the register.
    register::note(context, run).await?;
    let was_marked = run.marked_at.is_some();
    if run.operation != Operation::ForgetMe || !was_marked {
        return prune_later(context, run).await;
    }
    let at = run.ended_at.unwrap_or(run.created_at).plus(PASSES[0]);
    Ok(schedule(context, scope.run, RunStage::After(1), at, scope.target, scope.cutoff).await?)
}

async fn after_end(gdpr: &Gdpr, run: &Run, scope: Scope<'_>, pass: u32) -> Result<(), GdprError> {
    let context = &gdpr.context;
    if fault_injection::is(Broken::NoPassesAfterEnd) {
        return Ok(());
    }
    // It may have died before it said outside the store how it ended.
    promise::keep_end(context, run).await?;
    match run.state {
        RunState::Undone => undo::lift(context, scope.run, scope.target, scope.cutoff).await?,
        RunState::Purged => {
            if erase_rounds(context, scope, run.clone()).await? > 0 {
                prune_until(context, scope, context.world().now()).await?;
            }
            if let Some(run) = load_run(context, scope.run).await? {
                delete_manifests(context, &run, pass as usize >= PASSES.len()).await?;
            }
        }
        _ => {}
    }
    let boxes: Vec<_> = run.touched.keys().cloned().collect();
    prune(context, std::slice::from_ref(scope.run), &boxes).await?;
    if let Some(run) = load_run(context, &run.id).await? {
        register::note(context, &run).await?;
    }
    if run.operation != Operation::ForgetMe || run.marked_at.is_none() {
        return Ok(());
    }
    if pass as usize > PASSES.len() {
        return drop_marks(context, scope).await;
    }
    schedule_next(context, run, scope, pass).await
}

/// The next pass; after the last, the day on which the mark's time is over.
async fn schedule_next(context: &Context, run: &Run, scope: Scope<'_>, pass: u32) -> Result<(), GdprError> {
    let ended = run.ended_at.unwrap_or(run.created_at);
    let at = match PASSES.get(pass as usize) {
        Some(after) => ended.plus(*after),
        None => undo::keep_mark_until(context).plus(DAY),
    };
    Ok(schedule(context, scope.run, RunStage::After(pass + 1), at, scope.target, scope.cutoff).await?)
}

/// Drops ledger entries whose time is over, and the mark when none is left.
async fn drop_marks(context: &Context, scope: Scope<'_>) -> Result<(), GdprError> {
    for (key, _) in scope.target.marks() {
        let expire = |mark: Option<Mark>, now| match mark {
            Some(mut mark) => {
                let changed = mark.expire(now);
                let empty = mark.runs.is_empty();
                if changed { Decision::Write(mark, empty) } else { Decision::Keep(empty) }
            }
            // The process that removed it may have died before it looked for the runs that miss it.
            None => Decision::Keep(true),
        };
        if context.documents().update(&key, expire).await? {
            voicemail_store::retry_until_known::delete(context.store(), context.world(), &key).await?;
            if !fault_injection::is(Broken::LostMarkForgotten) {
                mark_again(context, &key).await?;
            }
        }
    }
    Ok(())
}

/// No store removes a document only if it is unchanged: a forget that wrote its mark just before has lost it. What came
/// in meanwhile is hidden too.
async fn mark_again(context: &Context, key: &Key) -> Result<(), GdprError> {
    for run in find_open(context).await? {
        let target = Target::of(&run).with(&ledger::read_target(context, &run).await?);
        let Some((_, only)) = target.marks().find(|(theirs, _)| theirs == key) else { continue };
        let (Some(cutoff), Some(purge_at)) = (run.cutoff, run.purge_at) else { continue };
        match run.state {
            RunState::Marking | RunState::Marked => {
                forget::mark(context, &run, &Subject::default()).await?;
            }
            RunState::Purging => {
                forget::add_mark(context, key, &run.id, (cutoff, purge_at), only.as_ref()).await?;
                undo::set_mark(context, key, &run.id, MarkState::Purging, None).await?;
            }
            _ => {}
        }
    }
    Ok(())
}
