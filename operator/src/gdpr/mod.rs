//! The data-subject request controller: drives the tenant's core and mirrors its run.
//!
//! ```text
//!  next_step (pure) ─▶ dereference (reads) ─▶ core client (HTTPS) ─▶ decide (pure) ─▶ status (one write)
//! ```
//!
//! No phone number is written to an object, event, log or metric: identifiers are read from the labelled
//! Secret for one call, and the core's answers are mirrored without them.

pub mod consumers;
pub mod decisions;
pub mod deletions;
pub mod dereference;
pub mod ending;
#[cfg(test)]
#[path = "fake_cluster_tests.rs"]
mod fake_cluster;
pub mod findings;
pub mod mirror;
pub mod mirrors;
pub mod plan;
#[cfg(test)]
mod recreation_tests;
pub mod status;
#[cfg(test)]
mod tenantless_tests;
#[cfg(test)]
mod unreadable_tests;

use crate::tenant::context::Context;
use dereference::TenantRead;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use plan::{Seen, Step, Subject};
use voicemail_api::gdpr::RunView;
use voicemail_cores::core_client::{Core, CoreError};
use voicemail_resources::{GdprOperation, GdprRequest, VoicemailTenant};
use voicemail_runtime::calls::{CallError, Classified, ErrorClass, within_deadline};

/// Why a reconcile must be repeated.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct GdprError(#[from] CallError);

impl Classified for GdprError {
    fn class(&self) -> ErrorClass {
        self.0.class()
    }

    fn reason(&self) -> &'static str {
        self.0.reason()
    }
}

/// Brings one request a step further. The object is read afresh: a cached status would be written twice.
///
/// # Errors
/// [`GdprError`]: the API server. Trouble with a core is a condition instead.
pub async fn reconcile(cached: &GdprRequest, context: &Context) -> Result<Action, GdprError> {
    let api: Api<GdprRequest> =
        Api::namespaced(context.client.clone(), &cached.namespace().unwrap_or_default());
    let read = within_deadline("read the request", api.get_opt(&cached.name_any())).await?;
    let Some(mut request) = read.filter(|request| request.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let mut look_again = None;
    let step = plan::next_step(&request);
    if step != Step::Rest {
        let seen = advance(&request, &step, context).await?;
        let conclusion = plan::decide(&request, &seen, Timestamp::now());
        status::write_status(context, &request, &conclusion.status).await?;
        (request.status, look_again) = (Some(conclusion.status), conclusion.look_again);
    }
    let at_end = ending::finish(context, &request, Timestamp::now()).await?;
    let soonest = look_again.into_iter().chain(at_end).min();
    Ok(soonest.map_or_else(Action::await_change, Action::requeue))
}

async fn advance(request: &GdprRequest, step: &Step, context: &Context) -> Result<Seen, CallError> {
    let tenant = match dereference::read_tenant(&context.client, request).await? {
        TenantRead::There(tenant) => tenant,
        TenantRead::Missing => return Ok(without_tenant(request)),
        TenantRead::Unreadable(words) => return Ok(Seen::Pending("TenantUnreadable".into(), words)),
    };
    let result = match context.cores.connect(&context.client, &tenant).await {
        Ok(core) => drive(request, step, &core, context).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(seen) => Ok(seen),
        Err(CoreError::Call(error)) => Err(error),
        Err(error) => {
            context.cores.forget(&tenant);
            Ok(judge(&error, &tenant))
        }
    }
}

/// There is no core to be told of anything. What hasn't hidden anything can be cancelled without one.
fn without_tenant(request: &GdprRequest) -> Seen {
    let status = request.status.clone().unwrap_or_default();
    let hides = request.spec.operation != GdprOperation::ExportMe && status.phase.has_hidden();
    if request.spec.cancellation.is_some() && !hides && !status.phase.is_terminal() {
        return Seen::Withdrawn;
    }
    let message = format!(
        "there is no VoicemailTenant {} in this namespace: create it, or write cancellation",
        request.spec.tenant_ref.name
    );
    Seen::NoTenant(message)
}

/// A refusal counts as one only for opening: a lost case is opened again by its key.
async fn drive(
    request: &GdprRequest,
    step: &Step,
    core: &Core,
    context: &Context,
) -> Result<Seen, CoreError> {
    match step {
        Step::Watch(id) => watch(request, id, core).await,
        Step::Follow(id) => match read_runs(request, core).await?.into_iter().find(|run| run.id == *id) {
            Some(run) => apply_decisions(request, run, known_subject(request), core, context).await,
            None => open(request, core, context).await,
        },
        Step::Open | Step::Rest => open(request, core, context).await,
    }
}

fn known_subject(request: &GdprRequest) -> Subject {
    if plan::names_subject(request) { Subject::AsBefore } else { Subject::NotNamed }
}

/// Shows a run that the API or the `gdpr` command opened, if it is what the object says.
async fn watch(request: &GdprRequest, id: &str, core: &Core) -> Result<Seen, CoreError> {
    let missing = |reason: &str, message: String| Ok(Seen::Missing(reason.into(), message));
    match read_runs(request, core).await?.into_iter().find(|run| run.id == id) {
        None => missing("RunNotFound", format!("the case has no run {id}")),
        Some(run) if run.operation != request.spec.operation.on_the_wire() => missing(
            "RunOfAnotherOperation",
            format!("run {id} is of another operation than this object says"),
        ),
        Some(run) => Ok(show_foreign(request, run)),
    }
}

/// Decisions about a run stand where it was asked for: only there it is known who asked, and by names of which authority.
fn show_foreign(request: &GdprRequest, run: RunView) -> Seen {
    let refused = decisions::are_waiting(request, &run).then(|| {
        let message = format!(
            "this object only shows run {}, which another object or door opened, so the core isn't told of its \
             decisions: decide where it was asked for",
            run.id
        );
        ("DecideWhereAsked".to_owned(), message)
    });
    Seen::Run(Box::new(run), Subject::NotNamed, refused)
}

/// Asks the core for the run. Where the Secret can't be read, the run that this cluster recorded for the request is
/// shown as what it is: found by its name, and nothing more.
async fn open(request: &GdprRequest, core: &Core, context: &Context) -> Result<Seen, CoreError> {
    let recorded = find_recorded(request, core, context).await?;
    if recorded.is_none() && request.spec.cancellation.is_some() {
        return Ok(Seen::Withdrawn);
    }
    let (body, secret) = match dereference::read_body(&context.client, request).await? {
        Ok(read) => read,
        Err(unusable) => {
            let (reason, message) = (unusable.reason().to_owned(), unusable.to_string());
            return Ok(match recorded {
                Some(run) => show_unproven(request, run, Subject::Unknown(reason, message)),
                None => Seen::Missing(reason, message),
            });
        }
    };
    dereference::check_unchanged(&context.client, request, "open the run").await?;
    let opened = core.open(request.spec.operation.on_the_wire(), &body).await.map(|answer| answer.run);
    let run = match opened {
        // The answer names each message. It was given, so the core has compared the subject: its run is found by the key.
        Err(CoreError::TooLong(200)) => {
            find_recorded(request, core, context).await?.ok_or(CoreError::TooLong(200))?
        }
        other => other?,
    };
    let subject = if plan::names_subject(request) { Subject::Compared(secret) } else { Subject::NotNamed };
    apply_decisions(request, run, subject, core, context).await
}

async fn read_runs(request: &GdprRequest, core: &Core) -> Result<Vec<RunView>, CoreError> {
    match core.read_case(&request.spec.case_id).await {
        Err(CoreError::Problem { status: 404, .. }) => Ok(Vec::new()),
        Err(error) if error.class() == ErrorClass::Permanent => Err(CoreError::Lookup(Box::new(error))),
        other => Ok(other?.runs),
    }
}

/// The run that this request opened before, by what this cluster's operator said then.
async fn find_recorded(
    request: &GdprRequest,
    core: &Core,
    context: &Context,
) -> Result<Option<RunView>, CoreError> {
    let key = dereference::request_key(request);
    let cluster = &context.cluster;
    let ours = |run: &RunView| {
        run.request_key.as_ref() == Some(&key)
            && run.recorded_by.as_ref() == Some(cluster)
            && run.operation == request.spec.operation.on_the_wire()
    };
    Ok(read_runs(request, core).await?.into_iter().find(ours))
}

/// Decisions in this object are about the people whom it means, so a run that may be about others isn't told of them.
fn show_unproven(request: &GdprRequest, run: RunView, subject: Subject) -> Seen {
    let refused = decisions::are_waiting(request, &run).then(|| {
        let message = "the core isn't told of the decisions until the Secret can be compared with the run";
        ("SubjectNotVerified".to_owned(), message.to_owned())
    });
    Seen::Run(Box::new(run), subject, refused)
}

/// Tells the core what people have decided meanwhile. What it refuses is shown, and the run goes on.
async fn apply_decisions(
    request: &GdprRequest,
    mut run: RunView,
    subject: Subject,
    core: &Core,
    context: &Context,
) -> Result<Seen, CoreError> {
    let mut refused = None;
    for decision in decisions::decisions_to_tell(request, &run) {
        dereference::check_unchanged(&context.client, request, "tell the core of a decision").await?;
        match core.tell(&request.spec.case_id, &decision).await {
            Ok(after) => run = after,
            Err(error) if error.class() == ErrorClass::Permanent => {
                refused = Some((error.reason(), error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Seen::Run(Box::new(run), subject, refused))
}

fn judge(error: &CoreError, tenant: &VoicemailTenant) -> Seen {
    if error.class() == ErrorClass::Permanent {
        return Seen::Refused(error.reason(), error.to_string());
    }
    if error.reason() == "RegionDown" {
        return Seen::Blocked(error.reason(), error.to_string());
    }
    use voicemail_resources::conditions::{READY, find_condition};
    let ready = tenant.status.as_ref().and_then(|status| find_condition(&status.conditions, READY));
    let tenant_says = match ready {
        Some(ready) if ready.reason != "Available" => format!("; the tenant is not ready: {}", ready.message),
        _ => String::new(),
    };
    Seen::Unreachable(error.reason(), format!("{error}{tenant_says}"))
}
