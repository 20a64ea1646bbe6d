//! The data-subject request controller: drives the tenant's core and mirrors its run.
//!
//! ```text
//!  next_step (pure) ─▶ dereference (reads) ─▶ core client (HTTPS) ─▶ decide (pure) ─▶ status (one write)
//! ```
//!
//! No phone number is written to an object, event, log or metric: identifiers are read from the labelled
//! Secret for one call, and the core's answers are mirrored without them.

pub mod consumers;
pub mod core_client;
pub mod decisions;
pub mod deletions;
pub mod dereference;
pub mod ending;
pub mod findings;
pub mod mirror;
pub mod mirrors;
pub mod plan;
pub mod status;

use crate::api::{GdprRequest, VoicemailTenant};
use crate::calls::{CallError, Class, Classified, within_deadline};
use crate::runtime::Context;
use core_client::{Core, CoreError};
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use plan::{Seen, Step};
use voicemail_core::gdpr_api::RunView;

/// Why a reconcile must be repeated.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct GdprError(#[from] CallError);

impl Classified for GdprError {
    fn class(&self) -> Class {
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
    let Some(tenant) = dereference::read_tenant(&context.client, request).await? else {
        let message = format!("there is no VoicemailTenant {} in this namespace", request.spec.tenant);
        return Ok(Seen::Pending("TenantNotFound".into(), message));
    };
    let result = match context.cores.connect(&context.client, &context.settings, &tenant).await {
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

/// A refusal counts as one only for opening: a lost case is opened again by its key.
async fn drive(
    request: &GdprRequest,
    step: &Step,
    core: &Core,
    context: &Context,
) -> Result<Seen, CoreError> {
    if let Some(run) = find_run(request, step, core).await? {
        return obey(request, run, core).await;
    }
    if let Step::Watch(id) = step {
        return Ok(Seen::Missing("RunNotFound".into(), format!("the case has no run {id}")));
    }
    if request.spec.cancel.is_some() {
        return Ok(Seen::Withdrawn);
    }
    match dereference::read_body(&context.client, request).await? {
        Err(unusable) => Ok(Seen::Missing(unusable.reason().into(), unusable.to_string())),
        Ok(body) => {
            let run = core.open(request.spec.operation.on_the_wire(), &body).await?.run;
            obey(request, run, core).await
        }
    }
}

/// The run that the step names, or that the request opened before it lost its status.
async fn find_run(request: &GdprRequest, step: &Step, core: &Core) -> Result<Option<RunView>, CoreError> {
    let case = match core.read_case(&request.spec.case_id).await {
        Err(CoreError::Problem { status: 404, .. }) => return Ok(None),
        other => other?,
    };
    let key = dereference::request_key(request);
    let ours = |run: &RunView| match step {
        Step::Follow(id) | Step::Watch(id) => run.id == *id,
        Step::Open | Step::Rest => run.request_key.as_ref() == Some(&key),
    };
    Ok(case.runs.into_iter().find(ours))
}

/// Tells the core what people have decided meanwhile. What it refuses is shown, and the run goes on.
async fn obey(request: &GdprRequest, mut run: RunView, core: &Core) -> Result<Seen, CoreError> {
    let mut refused = None;
    let ended = request.status.as_ref().is_some_and(|status| status.phase.is_terminal());
    for order in decisions::open_orders(request, &run).into_iter().filter(|_| !ended) {
        match core.tell(&request.spec.case_id, &order).await {
            Ok(after) => run = after,
            Err(error) if error.class() == Class::Permanent => {
                refused = Some((error.reason(), error.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Seen::Run(Box::new(run), refused))
}

fn judge(error: &CoreError, tenant: &VoicemailTenant) -> Seen {
    if error.class() == Class::Permanent {
        return Seen::Refused(error.reason(), error.to_string());
    }
    if error.reason() == "RegionDown" {
        return Seen::Blocked(error.reason(), error.to_string());
    }
    use crate::api::conditions::{READY, find_condition};
    let ready = tenant.status.as_ref().and_then(|status| find_condition(&status.conditions, READY));
    let tenant_says = match ready {
        Some(ready) if ready.reason != "Available" => format!("; the tenant is not ready: {}", ready.message),
        _ => String::new(),
    };
    Seen::Unreachable(error.reason(), format!("{error}{tenant_says}"))
}
