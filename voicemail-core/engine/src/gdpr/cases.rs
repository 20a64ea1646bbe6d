//! Decisions of people about a case: approve, deny, extend, cancel.
//!
//! Each decision is one conditional change of the run's document (see [`Run`]'s machine). An approval goes on with
//! the run at once; if that fails, the run stays approved, and a repetition or the sweeper takes it up.

use super::export::{collect, let_go};
use super::forget::{check_regions, proceed};
use super::in_time::in_time;
use super::intake::statement;
use super::runs::{change, list_runs, load_run, schedule};
use super::subject::Subject;
use super::target::Target;
use super::{Gdpr, GdprError, receipt, register};
use crate::context::Context;
use crate::principal::{Principal, find_person};
use serde_json::Map;
use std::time::Duration;
use voicemail_api::config::{OBJECTS, TenantConfig};
use voicemail_api::gdpr::{ApproveBody, CancelBody, DenyBody, ExtendBody, Operation, RunView};
use voicemail_model::{Approver, CaseId, DecisionError, Denial, Door, Extension, Run, RunStage, Time};
use voicemail_store::StoreError;

/// The run that a decision is about: the one named, or the case's newest that is open, or the newest of all.
async fn choose(context: &Context, case: &CaseId, named: Option<&str>) -> Result<Run, GdprError> {
    let mut runs = list_runs(context, case).await?;
    if runs.is_empty() {
        return Err(GdprError::UnknownCase);
    }
    runs.retain(|run| named.is_none_or(|named| run.id.as_str() == named));
    let open = runs.iter().rev().find(|run| !run.has_ended());
    open.or(runs.last()).cloned().ok_or(GdprError::NothingToDecide)
}

/// Takes a decision; gives the run as it is then.
async fn decide(
    context: &Context,
    run: &Run,
    mut step: impl FnMut(&mut Run, Time) -> Result<bool, DecisionError> + Send,
) -> Result<Run, GdprError> {
    let decided = change(context, &run.id, |run, now| match step(run, now) {
        Ok(changed) => (changed, Ok(())),
        Err(error) => (false, Err(error)),
    });
    let (run, outcome) = decided.await?.ok_or(GdprError::NothingToDecide)?;
    outcome?;
    register::note(context, &run).await?;
    Ok(run)
}

fn show(context: &Context, run: &Run) -> RunView {
    run.view(context.world().now(), &context.master())
}

/// The authority that vouches for the name of the person who asked. Runs of before the clusters were recorded say only
/// that an operator sent them.
fn asked_through(context: &Context, run: &Run) -> Door {
    let by_operator = |sender: &String| context.config().is_operator(sender);
    let object = run.recorded_by.is_some() || run.handling.requester.as_ref().is_some_and(by_operator);
    if object { Door::Object } else { Door::Token }
}

/// The person who asked, as the tenant's list of people has them.
fn who_asked<'a>(config: &'a TenantConfig, run: &Run, through: Door) -> Option<&'a str> {
    let handling = &run.handling;
    let (authority, name) = match through {
        Door::Object => (Some(OBJECTS), handling.requested_by.as_deref()),
        Door::Token => (handling.authority.as_deref(), handling.requester.as_deref()),
    };
    find_person(&config.auth.people, authority?, name?)
}

pub(super) async fn approve(
    gdpr: &Gdpr,
    case: &CaseId,
    body: &ApproveBody,
    by: &Principal,
) -> Result<RunView, GdprError> {
    let context = &gdpr.context;
    let run = choose(context, case, body.run.as_deref()).await?;
    let away = check_regions(context).await?;
    context.guard_clock().await?;
    // An operator passes on what others decide, and is nobody itself.
    let config = context.config();
    let passed_on = body.on_behalf_of.is_some() || config.is_operator(&by.subject);
    let door = if passed_on { Door::Object } else { Door::Token };
    let authority = if passed_on { OBJECTS } else { &by.authority };
    let asked = asked_through(context, &run);
    let asked_by = who_asked(&config, &run, asked).map(str::to_owned);
    let approver = Approver {
        name: &by.subject,
        door,
        authority,
        person: find_person(&config.auth.people, authority, &by.subject),
        asked_through: asked,
        asked_by: asked_by.as_deref(),
    };
    let run = decide(context, &run, |run, now| run.approve(approver, now)).await?;
    let nobody = Subject::default();
    match run.operation {
        Operation::ExportMe => drop(in_time(context, &run, Box::pin(collect(gdpr, &run, &nobody))).await?),
        _ => drop(in_time(context, &run, Box::pin(proceed(context, &run, &nobody, &away))).await?),
    }
    let run = load_run(context, &run.id).await?.unwrap_or(run);
    register::note(context, &run).await?;
    Ok(show(context, &run))
}

pub(super) async fn deny(
    gdpr: &Gdpr,
    case: &CaseId,
    body: &DenyBody,
    by: &str,
) -> Result<RunView, GdprError> {
    let text = statement(&gdpr.context, body.text.as_deref(), "text")?;
    if body.ground == voicemail_api::gdpr::DenialGround::Other && text.is_none() {
        return Err(GdprError::InvalidField("text", "say the other ground in words".into()));
    }
    let run = choose(&gdpr.context, case, body.run.as_deref()).await?;
    end(gdpr, &run, Some(body.ground), text, by).await
}

pub(super) async fn cancel(
    gdpr: &Gdpr,
    case: &CaseId,
    body: &CancelBody,
    by: &str,
) -> Result<RunView, GdprError> {
    let text = statement(&gdpr.context, body.reason.as_deref(), "reason")?;
    let run = choose(&gdpr.context, case, body.run.as_deref()).await?;
    end(gdpr, &run, None, text, by).await
}

/// Ends a run before anything was hidden, with a receipt. The subject's data in its former states is pruned afterwards.
async fn end(
    gdpr: &Gdpr,
    run: &Run,
    ground: Option<voicemail_api::gdpr::DenialGround>,
    text: Option<String>,
    by: &str,
) -> Result<RunView, GdprError> {
    let context = &gdpr.context;
    let denial =
        |now| Denial { ground, text: text.clone(), by: Some(by.to_owned()), at: now, unknown: Map::new() };
    let before = run;
    let run = decide(context, run, |run, now| run.deny(denial(now))).await?;
    if run.operation == Operation::ExportMe {
        // The run that has ended doesn't say any more whom it was about.
        let_go(context, before).await?;
    }
    let at = context.world().now().plus(Duration::from_secs(60));
    schedule(context, &run.id, RunStage::After(1), at, &Target::default(), run.created_at).await?;
    let run = receipt::issue(gdpr, &run.id, run.state).await?.unwrap_or(run);
    super::promise::keep_end(context, &run).await?;
    register::note(context, &run).await?;
    Ok(show(context, &run))
}

pub(super) async fn extend(
    gdpr: &Gdpr,
    case: &CaseId,
    body: &ExtendBody,
    by: &str,
) -> Result<RunView, GdprError> {
    let context = &gdpr.context;
    if !(1..=2).contains(&body.months) {
        return Err(GdprError::InvalidField("months", "write 1 or 2".into()));
    }
    let reason = statement(context, Some(&body.reason), "reason")?.unwrap_or_default();
    let run = choose(context, case, body.run.as_deref()).await?;
    let extension = |at| Extension {
        months: body.months,
        reason: reason.clone(),
        by: Some(by.to_owned()),
        at,
        unknown: Map::new(),
    };
    let run = decide(context, &run, |run, now| run.extend(extension(now))).await?;
    Ok(show(context, &run))
}

/// Approved runs whose worker died before it filed a due item: looked for once a day.
pub(crate) async fn take_up(context: &Context, run: &Run) -> Result<(), StoreError> {
    let now = context.world().now();
    schedule(context, &run.id, RunStage::History(now.0), now, &Target::of(run), run.created_at).await
}
