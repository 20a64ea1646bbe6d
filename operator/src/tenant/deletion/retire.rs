//! Lets go of the store by two Jobs, one step a reconcile: read what is there, do what comes next, say so.

use crate::tenant::build::build;
use crate::tenant::build::retire_job::{Ending, Stage};
use crate::tenant::context::Context;
use crate::tenant::deletion::decide::way_out;
use crate::tenant::deletion::progress::{JobSeen, Next, Report, Seen, describe_job, find_next};
use crate::tenant::facts::policies::bind_tenant;
use crate::tenant::steps::apply::Retirement;
use crate::tenant::steps::dereference::{ClaimFact, Facts, Look, StorageFacts, dereference};
use crate::tenant::steps::validate::{Plan, validate};
use crate::tenant::{TenantError, allow};
use jiff::Timestamp;
use kube::{Api, ResourceExt};
use voicemail_cores::pods::observe_job;
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::calls::{CallError, Classified, ErrorClass, within_deadline};

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// On its way, or held up, while the cores serve: the tenant is to be maintained as any other.
    Serving(Report),
    /// On its way, or held up, without cores.
    Stopped(Report),
    /// The store is let go.
    Done,
    /// No core has ever opened a store, so there is nothing to let go of.
    NeverStored,
}

/// Does the next step.
///
/// # Errors
/// The API server refuses or doesn't answer: repeat it then.
pub(super) async fn advance(
    tenant: &VoicemailTenant,
    ending: Ending,
    context: &Context,
) -> Result<Step, TenantError> {
    // Before all else: once the keys are deleted too, nothing can be planned any more.
    if Retirement::is_done(&context.client, tenant, ending).await? {
        return Ok(Step::Done);
    }
    let facts = Box::pin(dereference(context, tenant, Look::Further)).await?;
    let (_, bound) = bind_tenant(context, tenant).await?;
    let valid = validate(tenant, &facts, &context.settings, &context.cluster);
    let plan = match allow(valid, tenant, &bound, context).await? {
        Ok(plan) => plan,
        Err(_) if !tenant.has_known_store() && (ending == Ending::Deregister || facts.keys.is_none()) => {
            return Ok(Step::NeverStored);
        }
        Err(refusal) => {
            let words = format!("{refusal}. {}", way_out(tenant));
            return Ok(Step::Serving(Report::blocked(refusal.reason(), words)));
        }
    };
    if has_never_stored(tenant, &facts, &plan, ending) {
        return Ok(Step::NeverStored);
    }
    match Box::pin(step(tenant, ending, &plan, facts.now, context)).await {
        Err(error) if error.class() == ErrorClass::Permanent => {
            Ok(Step::Serving(Report::blocked(error.reason(), format!("{error}. {}", way_out(tenant)))))
        }
        done => done,
    }
}

/// Under Retain a tenant that never served leaves everything as it is anyway; under Delete its store may hold what an
/// earlier tenant left, unless no pod can ever have mounted it.
fn has_never_stored(tenant: &VoicemailTenant, facts: &Facts, plan: &Plan, ending: Ending) -> bool {
    let unbound = match &facts.storage {
        StorageFacts::Volume { claim: Some(ClaimFact { phase, .. }) } => phase == "Pending",
        StorageFacts::Volume { claim: None } => true,
        StorageFacts::ObjectStores { .. } => false,
    };
    !tenant.has_known_store() && (ending == Ending::Deregister || plan.keys.make || unbound)
}

async fn step(
    tenant: &VoicemailTenant,
    ending: Ending,
    plan: &Plan,
    now: Timestamp,
    context: &Context,
) -> Result<Step, TenantError> {
    let retirement = Retirement::new(context, tenant, plan, ending);
    let seen = Seen {
        check: look(&retirement, Stage::Check, context).await?,
        end: look(&retirement, Stage::End, context).await?,
        cores: retirement.count_cores().await?,
    };
    let next = find_next(&seen);
    if matches!(next, Next::Start(Stage::End) | Next::Await(Stage::End) | Next::StopCores) {
        Box::pin(retirement.prepare(build(plan)?, now)).await?;
    }
    Ok(match next {
        Next::Done => Step::Done,
        Next::Start(Stage::Check) => {
            retirement.start(Stage::Check).await?;
            Step::Serving(describe_job(tenant, Stage::Check, ending, &JobSeen::default(), now))
        }
        Next::Await(Stage::Check) => {
            let job = seen.check.unwrap_or_default();
            Step::Serving(describe_job(tenant, Stage::Check, ending, &job, now))
        }
        Next::StopCores => {
            if !retirement.stop_telephony().await? {
                let words = "calls may end, and what callers left comes to the core".to_owned();
                return Ok(Step::Stopped(Report::going("StoppingTelephony", words)));
            }
            retirement.stop_cores().await?;
            let words = format!("{} pods of the core are being stopped", seen.cores);
            Step::Stopped(Report::going("StoppingCores", words))
        }
        Next::Start(Stage::End) => {
            if !is_still_wanted(tenant, context).await? {
                return Ok(Step::Stopped(look_again()));
            }
            retirement.start(Stage::End).await?;
            Step::Stopped(describe_job(tenant, Stage::End, ending, &JobSeen::default(), now))
        }
        Next::Await(Stage::End) => {
            retirement.stop_cores().await?;
            let job = seen.end.unwrap_or_default();
            Step::Stopped(describe_job(tenant, Stage::End, ending, &job, now))
        }
        Next::StartOver => {
            retirement.withdraw().await?;
            Step::Serving(look_again())
        }
    })
}

fn look_again() -> Report {
    Report::going("LookingAgain", "something changed meanwhile: the store is looked at again")
}

/// Whether the tenant is the one that was looked at, before something is done that can't be undone: a person may have
/// changed the spec or taken the confirmation back meanwhile, or another tenant may have taken the name.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub(super) async fn is_still_wanted(tenant: &VoicemailTenant, context: &Context) -> Result<bool, CallError> {
    let api: Api<VoicemailTenant> =
        Api::namespaced(context.client.clone(), &tenant.namespace().unwrap_or_default());
    let now = within_deadline("read the tenant again", api.get_metadata_opt(&tenant.name_any())).await?;
    // A changed spec has another generation, whether it can be read or not.
    Ok(now.is_some_and(|now| {
        let same = now.uid() == tenant.uid() && now.metadata.generation == tenant.metadata.generation;
        same && now.annotations() == tenant.annotations()
    }))
}

async fn look(
    retirement: &Retirement<'_>,
    stage: Stage,
    context: &Context,
) -> Result<Option<JobSeen>, TenantError> {
    let Some(job) = retirement.read(stage).await? else { return Ok(None) };
    let (pod, exit_code) = observe_job(&context.client, &context.http, &job).await?;
    let status = job.status.clone().unwrap_or_default();
    let failed = status.conditions.iter().flatten().any(|c| c.type_ == "Failed" && c.status == "True");
    Ok(Some(JobSeen {
        current: retirement.is_current(stage, &job)?,
        succeeded: status.succeeded.unwrap_or(0) > 0,
        failed,
        created: job.metadata.creation_timestamp.map(|time| time.0),
        pod,
        exit_code,
    }))
}
