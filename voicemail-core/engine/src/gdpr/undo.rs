//! Undo: a marked run is taken back, only before its `purge_at`, and everything is as it was.
//!
//! Undo and purge contend on the run's document. The mark says `undone` before flags are cleared, so
//! that whoever flags late finds out; late flags are cleared again by the passes after the end.

use super::forget::{clear_flags, mark};
use super::in_time::in_time;
use super::intake::{Wanted, check_request, read_name, read_subject};
use super::runs::{change, list_runs, load_run, schedule};
use super::search::{Walk, whole};
use super::subject::Subject;
use super::target::Target;
use super::told::{Told, tell};
use super::{Gdpr, GdprError, promise, receipt, register};
use crate::context::Context;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use voicemail_api::gdpr::{GdprAnswer, GdprBody, Operation, RunState};
use voicemail_model::{
    Handling, MARK_MINIMUM, MailboxId, Mark, MarkState, RequestName, Run, RunId, RunStage, Time,
};
use voicemail_store::documents::{Cache, Decision};
use voicemail_store::{Key, StoreError};

/// When the first pass after the end comes.
pub(super) const FIRST_PASS: Duration = Duration::from_secs(3_600);

pub(super) async fn undo(gdpr: &Gdpr, body: GdprBody) -> Result<GdprAnswer, GdprError> {
    let context = &gdpr.context;
    let case = check_request(context, &body)?;
    let subject = read_subject(&body)?;
    let name = read_name(&body)?;
    let run = choose(context, &case, &body, &name, &subject).await?;
    let cutoff = run.cutoff.unwrap_or(run.created_at);
    let work = async {
        take_back(gdpr, run.clone(), &name).await?;
        Ok(tell(context, (&run, &subject), cutoff).await?.0)
    };
    let told = in_time(context, &run, Box::pin(work)).await?;
    let run = load_run(context, &run.id).await?.unwrap_or(run);
    if told.is_none() && !matches!(run.state, RunState::Undoing | RunState::Undone) {
        // Nothing remembers yet that it is to be taken back.
        let busy = "the request is still hiding messages: repeat the undo";
        return Err(StoreError::Unavailable(busy.into()).into());
    }
    let told = told.unwrap_or_else(|| Told::of(&subject));
    let wanted = Wanted {
        case,
        operation: Operation::ForgetMe,
        subject,
        window: run.window,
        name: RequestName::default(),
        handling: Handling::default(),
    };
    Ok(told.answer(context, &wanted, &run))
}

/// The run that this request undid before, the one named, or the case's latest that can be undone, or its latest of all.
async fn choose(
    context: &Context,
    case: &voicemail_model::CaseId,
    body: &GdprBody,
    name: &RequestName,
    subject: &Subject,
) -> Result<Run, GdprError> {
    let mut runs = list_runs(context, case).await?;
    let fits = |run: &Run| {
        body.run.as_ref().is_none_or(|named| run.id.as_str() == named)
            && (subject.is_empty() || subject.is_of(context, run))
    };
    if let Some(run) = runs.iter().find(|run| name.undid(run)) {
        return if fits(run) { Ok(run.clone()) } else { Err(GdprError::RequestKeyReused) };
    }
    if runs.iter().any(|run| name.is_taken(run, Operation::UndoForget)) {
        return Err(GdprError::RequestKeyReused);
    }
    runs.retain(|run| run.operation == Operation::ForgetMe && fits(run));
    // Repeated, an undo means the run that it took back, and not an older one that was carried out.
    let latest = runs.iter().rev().find(|run| can_be_undone(run)).or(runs.last());
    latest.cloned().ok_or(GdprError::NoRunToUndo)
}

fn can_be_undone(run: &Run) -> bool {
    use RunState::{Marked, Marking, Opening, Undoing};
    matches!(run.state, Opening | Marking | Marked | Undoing)
}

async fn take_back(gdpr: &Gdpr, run: Run, name: &RequestName) -> Result<(), GdprError> {
    use RunState::{AwaitingApproval, Cancelled, Denied};
    let context = &gdpr.context;
    if matches!(run.state, AwaitingApproval | Cancelled | Denied) {
        return Err(GdprError::NoRunToUndo);
    }
    context.guard_clock().await?;
    if matches!(run.state, RunState::Opening | RunState::Marking) {
        // The process that made it may have died before it filed anything, and so may we.
        let at = context.world().now().plus(super::forget::RESUME_AFTER);
        schedule(context, &run.id, RunStage::Resume, at, &Target::of(&run), run.created_at).await?;
        super::forget::open(context, &run.id).await?;
        if let Some(opened) = load_run(context, &run.id).await? {
            match mark(context, &opened, &Subject::default()).await {
                // It is marked nevertheless, and taking it back needs no envelope.
                Ok(_) | Err(GdprError::Unreadable { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let begun = change(context, &run.id, |run, now| {
        let begun = run.begin_undo(name, now);
        (begun == Some(true), begun)
    });
    match begun.await? {
        Some((run, Some(_))) if run.state == RunState::Undoing => finish(gdpr, &run).await,
        Some((_, Some(_))) => Ok(()),
        Some((_, None)) => Err(GdprError::TooLateToUndo),
        None => Err(GdprError::NoRunToUndo),
    }
}

/// undoing → undone; also resumed by the sweeper.
pub(super) async fn finish(gdpr: &Gdpr, run: &Run) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let (cutoff, target) = (run.cutoff.unwrap_or(run.created_at), Target::of(run));
    let first_pass = context.world().now().plus(FIRST_PASS);
    schedule(context, &run.id, RunStage::After(1), first_pass, &target, cutoff).await?;
    lift(context, &run.id, &target, cutoff).await?;
    receipt::issue(gdpr, &run.id, RunState::Undone).await?;
    let ended = change(context, &run.id, |run, now| (run.finish_undo(now), ())).await?;
    match ended {
        Some((run, ())) => {
            promise::keep_end(context, &run).await?;
            Ok(register::note(context, &run).await?)
        }
        None => Ok(()),
    }
}

/// The mark says undone, then flags go. Repeated by the passes after the end.
pub(super) async fn lift(
    context: &Context,
    run: &RunId,
    target: &Target,
    cutoff: Time,
) -> Result<(), GdprError> {
    let keep_until = keep_mark_until(context);
    set_marks(context, &known_marks(), target, (run, MarkState::Undone, Some(keep_until))).await?;
    let mut walk = Walk::new(target, cutoff);
    let mut unreadable = 0;
    while let Some(part) = walk.next(context).await? {
        let found = part.found.iter().map(|found| &found.mailbox);
        let others = part.unreadable.iter().map(|(mailbox, ..)| mailbox);
        let named = part.named.iter().map(|name| &name.mailbox);
        let all: BTreeSet<&MailboxId> = found.chain(others).chain(named).collect();
        unreadable += clear_flags(context, run, all).await?;
    }
    whole(unreadable)
}

/// How long a mark outlives its run: at least nine days, and as long as backups do.
pub(super) fn keep_mark_until(context: &Context) -> Time {
    let life = context.config().gdpr.backup_retention.max(MARK_MINIMUM);
    context.world().now().plus(life)
}

/// Marks in the hands of one operation. None of them goes meanwhile: a mark stays as long as it holds a run that hasn't ended.
pub(super) fn known_marks() -> Cache<Mark> {
    Cache::new(10_000, |_| 1)
}

/// Reads the marks of a subject, so that the next change of each needs no read before it. One that can't be read says so then.
pub(super) async fn read_marks(context: &Context, known: &Cache<Mark>, target: &Target) {
    let read = |(key, _): (Key, _)| async move {
        let read = context.documents().freshen(known, &key).await;
        Ok::<bool, Infallible>(read.is_ok())
    };
    let read: Result<Vec<bool>, Infallible> = context.all(target.marks(), read).await;
    drop(read);
}

/// Sets the state of a run in all marks of its subject, side by side.
pub(super) async fn set_marks(
    context: &Context,
    known: &Cache<Mark>,
    target: &Target,
    (run, state, keep_until): (&RunId, MarkState, Option<Time>),
) -> Result<(), StoreError> {
    let set = |(key, _): (Key, _)| async move {
        let set = setting(run, state, keep_until);
        context.documents().update_known(known, &key, set).await
    };
    context.all(target.marks(), set).await.map(drop)
}

pub(super) async fn set_mark(
    context: &Context,
    key: &Key,
    run: &RunId,
    state: MarkState,
    keep_until: Option<Time>,
) -> Result<(), StoreError> {
    context.documents().update(key, setting(run, state, keep_until)).await
}

fn setting(
    run: &RunId,
    state: MarkState,
    keep_until: Option<Time>,
) -> impl FnMut(Option<Mark>, Time) -> Decision<Mark, ()> + Send {
    move |mark, _| {
        let Some(mut mark) = mark else { return Decision::Keep(()) };
        if mark.set(run, state, keep_until) { Decision::Write(mark, ()) } else { Decision::Keep(()) }
    }
}
