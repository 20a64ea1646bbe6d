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
pub mod dereference;
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
    let Some(request) = read.filter(|request| request.metadata.deletion_timestamp.is_none()) else {
        return Ok(Action::await_change());
    };
    let step = plan::next_step(&request);
    if step == Step::Rest {
        return Ok(Action::await_change());
    }
    let seen = advance(&request, &step, context).await?;
    let decision = plan::decide(&request, &seen, Timestamp::now());
    status::write_status(context, &request, &decision.status).await?;
    Ok(decision.look_again.map_or_else(Action::await_change, Action::requeue))
}

async fn advance(request: &GdprRequest, step: &Step, context: &Context) -> Result<Seen, CallError> {
    let Some(tenant) = dereference::read_tenant(&context.client, request).await? else {
        let message = format!("there is no VoicemailTenant {} in this namespace", request.spec.tenant);
        return Ok(Seen::Missing("TenantNotFound".into(), message));
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
    if let Step::Follow(id) = step {
        match core.read_case(&request.spec.case_id).await {
            Ok(case) => {
                if let Some(run) = case.runs.into_iter().find(|run| run.id == *id) {
                    return Ok(Seen::Run(Box::new(run)));
                }
            }
            Err(CoreError::Problem { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    match dereference::read_body(&context.client, request).await? {
        Err(unusable) => Ok(Seen::Missing(unusable.reason().into(), unusable.to_string())),
        Ok(body) => {
            Ok(Seen::Run(Box::new(core.open(request.spec.operation.on_the_wire(), &body).await?.run)))
        }
    }
}

fn judge(error: &CoreError, tenant: &VoicemailTenant) -> Seen {
    if error.class() == Class::Permanent {
        return Seen::Refused(error.reason(), error.to_string());
    }
    use crate::api::conditions::{READY, find_condition};
    let ready = tenant.status.as_ref().and_then(|status| find_condition(&status.conditions, READY));
    let tenant_says = match ready {
        Some(ready) if ready.reason != "Available" => format!("; the tenant is not ready: {}", ready.message),
        _ => String::new(),
    };
    Seen::Unreachable(error.reason(), format!("{error}{tenant_says}"))
}
