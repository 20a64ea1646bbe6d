//! Reads what a request points at: the tenant, and the Secret with the data subjects, at the moment of use.

use super::consumers::{Unusable, read_consumers};
use super::decisions::person;
use k8s_openapi::api::core::v1::Secret;
use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt};
use voicemail_api::gdpr::{GdprBody, MessageRef, Verification};
use voicemail_resources::gdpr_request::MessageName;
use voicemail_resources::waiting;
use voicemail_resources::{GdprRequest, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};
use voicemail_runtime::redact::redact;

/// The tenant that a request names.
#[derive(Clone, Debug)]
pub enum TenantRead {
    /// As it is.
    There(Box<VoicemailTenant>),
    /// There is none.
    Missing,
    /// This version can't read it: why.
    Unreadable(String),
}

/// The tenant that the request names.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn read_tenant(client: &Client, request: &GdprRequest) -> Result<TenantRead, CallError> {
    let (namespace, name) = (request.namespace().unwrap_or_default(), &request.spec.tenant_ref.name);
    let api: Api<DeserializeGuard<VoicemailTenant>> = Api::namespaced(client.clone(), &namespace);
    Ok(match within_deadline("read the tenant", api.get_opt(name)).await? {
        None => TenantRead::Missing,
        Some(DeserializeGuard(Ok(tenant))) => TenantRead::There(Box::new(tenant)),
        Some(DeserializeGuard(Err(invalid))) => {
            let why = redact(&invalid.error, "");
            TenantRead::Unreadable(format!("VoicemailTenant {name} can't be read by this version: {why}"))
        }
    })
}

/// Whether the request is still the one that was looked at: called before anything that can't be taken back.
///
/// # Errors
/// It isn't, or the API server refuses or doesn't answer.
pub async fn check_unchanged(
    client: &Client,
    request: &GdprRequest,
    what: &'static str,
) -> Result<(), CallError> {
    let api: Api<GdprRequest> = Api::namespaced(client.clone(), &request.namespace().unwrap_or_default());
    let now = within_deadline("read the request", api.get_metadata_opt(&request.name_any())).await?;
    let same = now.is_some_and(|now| {
        let (now, then) = (&now.metadata, &request.metadata);
        now.uid == then.uid && now.generation == then.generation && now.deletion_timestamp.is_none()
    });
    if same { Ok(()) } else { Err(CallError::Changed { what }) }
}

/// The body of the call that opens the request's run, and the UID of the Secret that was read for it.
///
/// # Errors
/// The API server refuses or doesn't answer. A Secret that can't be used is the inner error.
pub async fn read_body(
    client: &Client,
    request: &GdprRequest,
) -> Result<Result<(GdprBody, Option<String>), Unusable>, CallError> {
    let read = match &request.spec.consumers {
        None => Ok((empty_body(request), None)),
        Some(source) => {
            let api: Api<Secret> = Api::namespaced(client.clone(), &request.namespace().unwrap_or_default());
            let name = &source.secret_ref.name;
            let secret = within_deadline("read the consumers' Secret", api.get_opt(name)).await?;
            let uid = secret.as_ref().and_then(ResourceExt::uid);
            read_consumers(secret.as_ref(), name, &request.spec.case_id).map(|body| (body, uid))
        }
    };
    Ok(read.map(|(body, secret)| (complete(body, request), secret)))
}

fn empty_body(request: &GdprRequest) -> GdprBody {
    let show = |name: &MessageName| MessageRef { mailbox: name.mailbox.clone(), id: name.id.clone() };
    GdprBody {
        caseid: request.spec.case_id.clone(),
        messages: request.spec.messages.iter().flatten().map(show).collect(),
        ..GdprBody::default()
    }
}

/// The name by which a request finds its run again for ever.
pub fn request_key(request: &GdprRequest) -> String {
    voicemail_runtime::place::place_of(request)
}

/// A waiting time as the core reads it, in whole seconds; what isn't one is left for the core to refuse.
fn in_core_words(text: &str) -> String {
    waiting::read(text).map_or_else(|_| text.to_owned(), waiting::write)
}

/// Adds what the resource says. What the file says about it doesn't count.
fn complete(body: GdprBody, request: &GdprRequest) -> GdprBody {
    let spec = &request.spec;
    let verification = spec.verification.as_ref().map(|verified| Verification {
        method: verified.method.clone(),
        verifier: verified.verifier.as_deref().map(person),
        at: verified.at.as_ref().map(|at| at.0.to_string()),
    });
    GdprBody {
        request_key: Some(request_key(request)),
        undo_window: spec.undo_window.as_deref().map(in_core_words),
        run: spec.run.clone(),
        dry_run: spec.dry_run,
        received_at: spec.received_at.as_ref().map(|at| at.0.to_string()),
        requested_by: spec.requested_by.as_deref().map(person),
        verification,
        require_approval: spec.require_approval,
        ..body
    }
}
