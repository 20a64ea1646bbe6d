//! Runs of a case in the store: listing, finding, creating, and changing one by its machine.
//!
//! The number of a run is given by creating its document: two requests at once get the same number, and
//! one of them finds the other's run. A request key finds its own run for ever, and only where operation and
//! subject are those of the run, too: a key that stands for another request is refused.

use super::intake::{Wanted, check_new_case};
use super::target::Target;
use super::{Gdpr, GdprError, register};
use crate::context::{Context, Memory};
use futures::TryStreamExt;
use std::sync::Arc;
use voicemail_api::gdpr::Operation;
use voicemail_model::{CaseId, Due, Run, RunId, RunStage, StartRun, Time};
use voicemail_store::codec::encode;
use voicemail_store::documents::{Cache, Decision};
use voicemail_store::retry_until_known::ensure;
use voicemail_store::{Key, StoreError};

/// All runs of a case, oldest first.
pub(super) async fn list_runs(context: &Context, case: &CaseId) -> Result<Vec<Run>, StoreError> {
    let prefix = Key::runs_of(&case.key());
    let keys: Vec<String> = context.store().list(&prefix).try_collect().await?;
    let read = |key: Key| async move { context.documents().load::<Run>(&key).await };
    let named = keys.iter().filter(|key| is_run(key)).filter_map(|key| Key::listed(key));
    let mut runs: Vec<Run> = context.all(named, read).await?.into_iter().flatten().collect();
    runs.sort_by_key(|run| (run.created_at, run.id.clone()));
    Ok(runs)
}

/// `…/<operation>.<number>`, and not a manifest or receipt beside it.
pub(crate) fn is_run(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or(key);
    let number = name.split_once('.').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Runs that this process has read or written lately. A change begins from them, and the conditional write says whether one
/// is still the one in the store: their names are never used again.
struct KnownRuns(Cache<Run>);

/// Identifiers and mailboxes of runs kept decoded.
const MOST_KNOWN: usize = 10_000;

impl Memory for KnownRuns {
    fn begin(_: &Context) -> Self {
        let weigh = |run: &Run| 1 + run.callers.len() + run.messages.len() + run.touched.len();
        Self(Cache::new(MOST_KNOWN, weigh))
    }
}

pub(super) async fn load_run(context: &Context, run: &RunId) -> Result<Option<Run>, StoreError> {
    let known: Arc<KnownRuns> = context.memory();
    let found = context.documents().load_known(&known.0, &Key::run(run)).await?;
    Ok(found.map(|(run, _)| Arc::unwrap_or_clone(run)))
}

/// The request's own run from before, the case's open run, or a new one. `all` are the case's runs as just listed: a
/// new one is decided by creating it.
pub(super) async fn find_or_create(
    gdpr: &Gdpr,
    wanted: &Wanted,
    mut all: Vec<Run>,
) -> Result<Run, GdprError> {
    let context = &gdpr.context;
    let digest = wanted.subject.digest(context)?;
    check_new_case(context, &wanted.case, &all)?;
    loop {
        if let Some(run) = find_by_name(context, &all, wanted)? {
            return Ok(run);
        }
        let mine: Vec<&Run> = all.iter().filter(|run| run.operation == wanted.operation).collect();
        if let Some(open) = mine.iter().find(|run| !run.has_ended() && is_open(run)) {
            let same = wanted.subject.is_of(context, open);
            return if same { Ok((*open).clone()) } else { Err(GdprError::OpenWithOtherConsumers) };
        }
        let number = u32::try_from(mine.len()).unwrap_or(u32::MAX).saturating_add(1);
        if let Some(run) = create(context, wanted, &digest, number).await? {
            return Ok(run);
        }
        all = list_runs(context, &wanted.case).await?;
    }
}

/// The run that a request of this name opened, if it was this very request.
fn find_by_name(context: &Context, all: &[Run], wanted: &Wanted) -> Result<Option<Run>, GdprError> {
    let opened = || all.iter().filter(|run| wanted.name.opened(run));
    let same = |run: &&Run| run.operation == wanted.operation && wanted.subject.is_of(context, run);
    match opened().find(same) {
        Some(run) => Ok(Some(run.clone())),
        None if opened().next().is_some() => Err(GdprError::RequestKeyReused),
        None if all.iter().any(|run| wanted.name.is_taken(run, wanted.operation)) => {
            Err(GdprError::RequestKeyReused)
        }
        None => Ok(None),
    }
}

/// The public digest of a run's subject, which is of that run alone.
fn shown_digest(context: &Context, id: &RunId, digest: &str) -> String {
    context.key().tag("subject of a run", format!("{id}\n{digest}").as_bytes())[..32].to_owned()
}

/// An export that is ready doesn't stand in the way of a newer one.
fn is_open(run: &Run) -> bool {
    run.operation == Operation::ForgetMe || run.state == voicemail_api::gdpr::RunState::Collecting
}

/// `None`: another request took the number.
async fn create(
    context: &Context,
    wanted: &Wanted,
    digest: &str,
    number: u32,
) -> Result<Option<Run>, GdprError> {
    let id = RunId::new(&wanted.case, wanted.operation, number);
    let sealed = wanted.subject.seal(context, &id);
    let Target { callers, doubtful, messages } = wanted.subject.target(context)?;
    let failed = || StoreError::Refused("identifiers can't be sealed".into());
    let run = Run::start(StartRun {
        case: wanted.case.clone(),
        operation: wanted.operation,
        now: context.world().now(),
        window: wanted.window,
        callers,
        doubtful,
        messages,
        handling: wanted.handling.clone(),
        subject: digest.to_owned(),
        subject_digest: Some(shown_digest(context, &id, digest)),
        sealed: sealed.ok_or_else(failed)?,
        name: wanted.name.clone(),
        id: id.clone(),
    });
    let insert = |found: Option<Run>, _| match found {
        Some(_) => Decision::Keep(false),
        None => Decision::Write(run.clone(), true),
    };
    let created = context.documents().update_new(&Key::run(&id), insert).await?;
    if !created {
        return Ok(None);
    }
    register::note(context, &run).await?;
    Ok(Some(run))
}

/// Changes a run by its machine; the answer is the machine's. `None` when there is no such run.
pub(super) async fn change<T: Clone + Send>(
    context: &Context,
    id: &RunId,
    mut step: impl FnMut(&mut Run, Time) -> (bool, T) + Send,
) -> Result<Option<(Run, T)>, StoreError> {
    let change = |found: Option<Run>, now| {
        let Some(mut run) = found else { return Decision::Keep(None) };
        let (changed, answer) = step(&mut run, now);
        if changed {
            Decision::Write(run.clone(), Some((run, answer)))
        } else {
            Decision::Keep(Some((run, answer)))
        }
    };
    let known: Arc<KnownRuns> = context.memory();
    context.documents().update_known(&known.0, &Key::run(id), change).await
}

/// Files a due item for a run. It carries all that is needed, because the run forgets its callers at its end.
pub(super) async fn schedule(
    context: &Context,
    run: &RunId,
    stage: RunStage,
    at: Time,
    target: &Target,
    cutoff: Time,
) -> Result<(), StoreError> {
    let Target { callers, doubtful, messages } = target.clone();
    let item = Due::Run { run: run.clone(), stage, callers, messages, doubtful, cutoff }.at(at);
    ensure(context.store(), context.world(), &Key::due(&item), &encode(&item)?).await?;
    context.expect_due(at);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_run;

    #[test]
    fn manifests_and_receipts_are_no_runs() {
        assert!(is_run("gdpr/123456789/forgetme.1") && is_run("gdpr/x.2f/exportme.12"));
        for key in [
            "gdpr/1/forgetme.1.receipt",
            "gdpr/1/forgetme.1.manifest.2",
            "gdpr/1/forgetme",
            "gdpr/1/forgetme.",
        ] {
            assert!(!is_run(key), "{key}");
        }
    }
}
