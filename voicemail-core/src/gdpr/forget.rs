//! Forgetting (F0 to F5): create the run, open it, mark its callers, flag their messages.
//!
//! The order is the handshake with depositors: the mark is written before the envelopes are listed, so
//! that a deposit is either found here or finds the mark itself. Whoever flags looks at the mark again
//! afterwards, because an undo may have come between.

use super::runs::{Wanted, change, find_or_create, load_run, schedule};
use super::search::{Boxes, Found, Search, by_mailbox, find, search, whole};
use super::subject::{Subject, hashes, refresh_rules};
use super::{Gdpr, GdprError};
use crate::broken::{self, Broken};
use crate::config::parse_duration;
use crate::context::Context;
use crate::gdpr_api::{GdprAnswer, GdprBody, Operation, RunState};
use crate::model::{
    CallerHash, CaseId, Entry, Index, IndexOp, MailboxId, Mark, MarkState, Run, RunId, RunStage, Time,
};
use crate::store::documents::Decision;
use crate::store::{Key, StoreError};
use serde_json::{Map, Value};
use std::time::Duration;

/// When a started run is looked at again: resumed, or marked once more.
const RESUME_AFTER: Duration = Duration::from_secs(60);
const LONGEST_WINDOW: Duration = Duration::from_secs(30 * 86_400);

pub(super) async fn forget(gdpr: &Gdpr, body: GdprBody) -> Result<GdprAnswer, GdprError> {
    let context = &gdpr.context;
    let case = check_request(context, &body)?;
    let subject = Subject::parse(&body.consumers)?.require()?;
    let window = match &body.undo_window {
        Some(text) => parse_duration(text).map_err(|_| GdprError::InvalidWindow)?,
        None => context.config().gdpr.undo_window,
    };
    if window > LONGEST_WINDOW {
        return Err(GdprError::InvalidWindow);
    }
    check_regions(context).await?;
    context.guard_clock().await?;
    refresh_rules(context).await?;
    let wanted =
        Wanted { case, operation: Operation::ForgetMe, subject, window, request_key: body.request_key };
    if broken::is(Broken::DueBeforeRun) {
        let (id, now) = (RunId::new(&wanted.case, Operation::ForgetMe, 1), context.world().now());
        let callers = wanted.subject.callers(context);
        schedule(context, &id, RunStage::Resume, now.plus(RESUME_AFTER), &callers, now).await?;
    }
    let run = find_or_create(gdpr, &wanted).await?;
    let found = if run.has_ended() { Vec::new() } else { start(context, &run).await? };
    let run = load_run(context, &run.id).await?.unwrap_or(run);
    Ok(answer(context, &wanted, &run, &found))
}

/// Case and tenant of any request.
pub(super) fn check_request(context: &Context, body: &GdprBody) -> Result<CaseId, GdprError> {
    let case = body.caseid.parse().map_err(|_| GdprError::InvalidCase)?;
    let tenant = &context.config().tenant_id;
    match &body.ccid {
        Some(ccid) if ccid != tenant => Err(GdprError::OtherTenant),
        _ => Ok(case),
    }
}

/// F0: every region answers a write and a read, else the request is refused whole.
pub(super) async fn check_regions(context: &Context) -> Result<(), GdprError> {
    for (name, store) in context.regions() {
        let key = Key::probe(context.world().now(), &context.world().random_hex());
        let written = store.create(&key, "region".into()).await;
        let read = store.get(&key).await;
        let removed = store.delete(&key).await;
        if written.is_err() || removed.is_err() || !matches!(read, Ok(Some(_))) {
            return Err(GdprError::RegionDown { region: name.clone() });
        }
    }
    Ok(())
}

/// F2 to F5 of a run in whatever state before `marked`; of a later one only the search.
async fn start(context: &Context, run: &Run) -> Result<Vec<Found>, GdprError> {
    if run.state == RunState::Opening && broken::is(Broken::DueBeforeRun) {
        open(context, &run.id).await?;
    } else if run.state == RunState::Opening {
        let at = context.world().now().plus(RESUME_AFTER);
        schedule(context, &run.id, RunStage::Resume, at, &run.callers, run.created_at).await?;
        open(context, &run.id).await?;
    }
    match load_run(context, &run.id).await? {
        Some(run) if matches!(run.state, RunState::Marking | RunState::Marked) => mark(context, &run).await,
        Some(run) => Ok(find(context, &run.callers, run.cutoff.unwrap_or(run.created_at)).await?),
        None => Err(GdprError::UnknownCase),
    }
}

/// F2: sets the times, and files the deadline.
pub(super) async fn open(context: &Context, run: &RunId) -> Result<(), GdprError> {
    context.guard_clock().await?;
    change(context, run, |run, now| (run.open(now), ())).await?;
    Ok(())
}

/// F3 to F5. Run once more a minute later, and whenever the run is resumed. What can't be decoded keeps
/// nothing else from being hidden, and is reported at the end: the run may go on, but not end.
pub(super) async fn mark(context: &Context, run: &Run) -> Result<Vec<Found>, GdprError> {
    let run = &widen(context, run).await?;
    let (Some(cutoff), Some(purge_at)) = (run.cutoff, run.purge_at) else { return Ok(Vec::new()) };
    schedule(context, &run.id, RunStage::Deadline, purge_at, &run.callers, cutoff).await?;
    let early = match broken::is(Broken::MarkAfterList) {
        true => Some(search(context, &run.callers, cutoff).await?),
        false => None,
    };
    let mut unreadable = 0;
    for caller in &run.callers {
        // Without their mark a caller's deposits are refused; others' messages must not wait for it.
        unreadable += skip_one(add_mark(context, caller, &run.id, cutoff, purge_at).await)?;
    }
    let search = match early {
        Some(search) => search,
        None => search(context, &run.callers, cutoff).await?,
    };
    let boxes = choose_messages(context, &search, cutoff).await?;
    unreadable += search.unreadable.len();
    for (mailbox, messages) in &boxes {
        let op = IndexOp::Flag { run: run.id.clone(), purge_at, messages: messages.clone() };
        unreadable += skip_one(context.indexes().try_apply(mailbox, op).await)?;
    }
    if !broken::is(Broken::NoLookAfterFlagging) && is_undone(context, run).await? {
        clear_flags(context, &run.id, boxes.keys()).await?;
    }
    let matched = u64::try_from(search.found.len()).unwrap_or(u64::MAX);
    change(context, &run.id, |run, _| (run.finish_marking(matched), ())).await?;
    whole(unreadable).map(|()| search.found)
}

/// What to flag, by mailbox. Of messages whose envelopes nobody can read the index tells when they were
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
    let callers = subject.callers(context);
    if callers.iter().all(|caller| run.callers.contains(caller)) {
        return Ok(run.clone());
    }
    let add = |run: &mut Run, _| {
        let open = !run.has_ended() && run.sealed.is_some();
        let before = run.callers.len();
        let new = callers.iter().filter(|caller| open && !run.callers.contains(caller));
        let new: Vec<CallerHash> = new.cloned().collect();
        run.callers.extend(new);
        (run.callers.len() > before, ())
    };
    let changed = change(context, &run.id, add).await?;
    Ok(changed.map_or_else(|| run.clone(), |(run, ())| run))
}

async fn add_mark(
    context: &Context,
    caller: &CallerHash,
    run: &RunId,
    cutoff: Time,
    purge_at: Time,
) -> Result<(), StoreError> {
    let add = |mark: Option<Mark>, _| {
        let mut mark = mark.unwrap_or_default();
        if mark.add(run, cutoff, purge_at) { Decision::Write(mark, ()) } else { Decision::Keep(()) }
    };
    context.documents().update(&Key::mark(caller), add).await
}

/// A worker that was frozen before it flagged may find its run undone.
async fn is_undone(context: &Context, run: &Run) -> Result<bool, StoreError> {
    for caller in &run.callers {
        let mark: Option<Mark> = match context.documents().load(&Key::mark(caller)).await {
            Err(error) if error.is_about_one() => continue,
            other => other?,
        };
        let state = mark.and_then(|mark| mark.runs.get(&run.id).map(|marked| marked.state));
        return Ok(state == Some(MarkState::Undone));
    }
    Ok(false)
}

pub(super) async fn clear_flags(
    context: &Context,
    run: &RunId,
    boxes: impl IntoIterator<Item = &MailboxId>,
) -> Result<(), GdprError> {
    let mut unreadable = 0;
    for mailbox in boxes {
        let op = IndexOp::ClearFlags { run: run.clone() };
        unreadable += skip_one(context.indexes().try_apply(mailbox, op).await)?;
    }
    whole(unreadable)
}

/// The answer: each phone as given, with the ids of its messages.
pub(super) fn answer(context: &Context, wanted: &Wanted, run: &Run, found: &[Found]) -> GdprAnswer {
    let ids = |phone: &String| {
        let callers = hashes(context, phone);
        let of_phone = found.iter().filter(|found| callers.contains(&found.caller));
        Value::Array(of_phone.map(|found| Value::String(found.id.to_string())).collect())
    };
    let consumers: Map<String, Value> =
        wanted.subject.phones.iter().map(|phone| (phone.clone(), ids(phone))).collect();
    GdprAnswer {
        caseid: wanted.case.as_str().to_owned(),
        consumers,
        not_applicable: wanted.subject.not_applicable,
        run: run.view(),
    }
}
