//! Writes a request's status, only on difference, and an event when its phase changes.

use crate::tenant::context::Context;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use voicemail_resources::MANAGER;
use voicemail_resources::conditions::{READY, find_condition};
use voicemail_resources::gdpr_request::{GdprRequest, GdprRequestStatus, Phase};
use voicemail_runtime::calls::{CallError, within_deadline};

/// Writes the status if it differs.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn write_status(
    context: &Context,
    request: &GdprRequest,
    status: &GdprRequestStatus,
) -> Result<(), CallError> {
    if request.status.as_ref() == Some(status) {
        return Ok(());
    }
    let api: Api<GdprRequest> =
        Api::namespaced(context.client.clone(), &request.namespace().unwrap_or_default());
    let body = body_of(request, status);
    let (name, parameters, patch) =
        (request.name_any(), PatchParams::apply(MANAGER).force(), Patch::Apply(&body));
    let call = api.patch_status(&name, &parameters, &patch);
    match within_deadline("write the request's status", call).await {
        // Deleted meanwhile: there is nobody left to tell.
        Err(error) if error.is_not_found() => return Ok(()),
        result => result?,
    };
    announce(context, request, status).await;
    Ok(())
}

/// The status of this very object: one that was made again under its name refuses it as a conflict.
pub(super) fn body_of(request: &GdprRequest, status: &GdprRequestStatus) -> serde_json::Value {
    json!({
        "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
        "metadata": { "uid": request.uid() }, "status": status,
    })
}

async fn announce(context: &Context, request: &GdprRequest, status: &GdprRequestStatus) {
    let before = request.status.as_ref().map(|status| status.phase).unwrap_or_default();
    if before == status.phase {
        return;
    }
    let trouble = [Phase::Failed, Phase::Blocked, Phase::PartiallyFailed].contains(&status.phase);
    let (failed, phase) = (trouble, format!("{:?}", status.phase));
    tracing::info!(
        namespace = request.namespace(),
        name = request.name_any(),
        phase,
        "a request changed its phase"
    );
    let message = find_condition(&status.conditions, READY).map(|condition| condition.message.clone());
    let event = Event {
        type_: if failed { EventType::Warning } else { EventType::Normal },
        reason: phase,
        note: message,
        action: format!("{:?}", request.spec.operation),
        secondary: None,
    };
    context.publish(event, &request.object_ref(&())).await;
}
