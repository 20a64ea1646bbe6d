//! A dry run: finds and counts, and changes nothing, because what it holds can't: every call that writes is refused
//! by its store handles.

use super::intake::{Wanted, check_new_case};
use super::runs::list_runs;
use super::search::{Walk, whole};
use super::subject::refresh_rules;
use super::target::Target;
use super::told::Told;
use super::{Gdpr, GdprError, emailed, spooled};
use crate::context::Context;
use voicemail_api::gdpr::{GdprAnswer, RunState};
use voicemail_model::{RequestName, Run, RunId, StartRun};
use voicemail_store::Key;

/// Carries the search of a request out.
pub(super) async fn count(gdpr: &Gdpr, wanted: &Wanted) -> Result<GdprAnswer, GdprError> {
    // The one handle that is used from here on.
    let context = &gdpr.context.read_only();
    refresh_rules(context).await?;
    // A number that may mean two people is counted for both: the count shows whether it matters.
    wanted.subject.require_somebody(context)?;
    check_new_case(context, &wanted.case, &list_runs(context, &wanted.case).await?)?;
    ask_regions(context).await?;
    let run = imagine(context, wanted)?;
    let (mut told, mut mails, mut unreadable) = (Told::of(&wanted.subject), 0_u64, 0);
    let mut walk = Walk::new(&Target::of(&run), run.created_at);
    while let Some(part) = walk.next(context).await? {
        unreadable += part.unreadable.len();
        mails = mails.saturating_add(emailed::count(context, &part.found).await?);
        told.take(context, &run, &part.found).await?;
    }
    whole(unreadable)?;
    let mut counted = run.clone();
    counted.note_matched(&told.regions);
    let matched = told.matched;
    let mut answer = told.answer(context, wanted, &run);
    answer.run.id = format!("{}/{}.dry-run", wanted.case.key(), wanted.operation.segment());
    answer.run.state = RunState::DryRun;
    let mails = emailed::keeper(context, mails);
    let copies = mails.into_iter().chain(spooled::keeper(context).await);
    answer.run.residual_copies = copies.map(|keeper| keeper.view()).collect();
    answer.run.matched = matched;
    (answer.run.received_at, answer.run.expires_at) = (None, None);
    answer.run.regions = counted.region_views(&context.master());
    Ok(answer)
}

/// The run that the request would make.
fn imagine(context: &Context, wanted: &Wanted) -> Result<Run, GdprError> {
    let Target { callers, doubtful, messages } = wanted.subject.target(context)?;
    Ok(Run::start(StartRun {
        id: RunId::new(&wanted.case, wanted.operation, 1),
        case: wanted.case.clone(),
        operation: wanted.operation,
        now: context.world().now(),
        window: wanted.window,
        callers,
        doubtful,
        messages,
        handling: wanted.handling.clone(),
        subject: String::new(),
        subject_digest: None,
        sealed: String::new(),
        name: RequestName::default(),
    }))
}

/// Whether every region answers a read: a run would need them all.
async fn ask_regions(context: &Context) -> Result<(), GdprError> {
    for (name, store) in context.regions() {
        if store.get(&Key::region()).await.is_err() {
            return Err(GdprError::RegionDown { region: name.clone() });
        }
    }
    Ok(())
}
