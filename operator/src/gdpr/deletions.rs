//! Says what becomes of a request whose object is deleted: an erasure that has begun goes on.
//!
//! Without a finalizer, since nothing is to be done but to say so: a deletion while no operator runs goes unsaid.

use crate::tenant::context::Context;
use futures::{StreamExt, pin_mut};
use kube::core::DeserializeGuard;
use kube::runtime::events::{Event, EventType};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use voicemail_resources::GdprRequest;
use voicemail_resources::gdpr_request::{GdprOperation, Phase};
use voicemail_runtime::reconciling::streams::{Guarded, scoped};

/// Publishes an event about each, until `stop`.
pub async fn announce(context: Arc<Context>, namespace: Option<String>, stop: CancellationToken) {
    let api = scoped::<Guarded<GdprRequest>>(&context.client, namespace.as_deref());
    let events =
        watcher(api, watcher::Config::default()).default_backoff().take_until(stop.cancelled_owned());
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            // Of one that can't be read nothing can be said.
            Ok(watcher::Event::Delete(DeserializeGuard(Ok(request)))) => tell(&context, &request).await,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a watch starts over"),
        }
    }
}

async fn tell(context: &Context, request: &GdprRequest) {
    let Some(words) = what_goes_on(request) else { return };
    tracing::info!(namespace = request.namespace(), name = request.name_any(), "an open request was deleted");
    let event = Event {
        type_: EventType::Warning,
        reason: "RunGoesOn".into(),
        note: Some(words),
        action: format!("{:?}", request.spec.operation),
        secondary: None,
    };
    context.publish(event, &request.object_ref(&())).await;
}

/// Pure: what to say about the deletion of an open request.
fn what_goes_on(request: &GdprRequest) -> Option<String> {
    let status = request.status.as_ref()?;
    let open = !status.phase.is_terminal() && status.phase != Phase::Undoing;
    if request.spec.operation != GdprOperation::ForgetMe || !open {
        return None;
    }
    let run = status.run.as_ref()?;
    Some(format!(
        "the object is gone, and its erasure goes on as run {run}: only UndoForgetMe takes it back, within its window; \
         the same object made again shows it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(operation: &str, status: &str) -> Option<String> {
        let text = format!(
            "{{apiVersion: voicemail.dev/v1beta1, kind: GdprRequest, metadata: {{name: r, namespace: n}}, \
              spec: {{tenantRef: {{name: acme}}, operation: {operation}, caseID: '1'}}, status: {{{status}}}}}"
        );
        what_goes_on(&serde_yaml::from_str(&text).unwrap())
    }

    #[test]
    fn an_erasure_that_has_begun_goes_on_and_nothing_else_is_said() {
        let said_of_marked = said("ForgetMe", "phase: Marked, run: 1/forgetme.1").unwrap();
        assert!(said_of_marked.contains("1/forgetme.1"), "{said_of_marked}");
        assert_eq!(said("ForgetMe", "phase: Completed, run: 1/forgetme.1"), None);
        assert_eq!(said("ForgetMe", "phase: Pending"), None);
        assert_eq!(said("ExportMe", "phase: Searching, run: 1/exportme.1"), None);
    }
}
