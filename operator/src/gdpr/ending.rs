//! Follow-up of a request's end: the Secret with the consumers is deleted, and after its time the object itself.
//!
//! The status is written first: a request that has ended needs its Secret no more. A Secret stays while another open
//! request names it, when any request that names it says that it is never deleted, when it isn't labelled (any more), when it isn't the one
//! that was read and compared with the run, and after a failure or a dry run, which are no answer to the person yet.
//! Objects are told apart by their UIDs: one that was made again under the name of a request is another request.

use super::plan::{is_verified, waits_for_backups};
use super::status::body_of;
use crate::tenant::context::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;
use std::time::Duration;
use voicemail_resources::conditions::whole_seconds;
use voicemail_resources::gdpr_request::{ConsumersDeletion, GdprRequest, Phase};
use voicemail_resources::{CONSUMERS_LABEL, MANAGER};
use voicemail_runtime::calls::{CallError, within_deadline};

/// Does what is due of it; gives when to look again.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn finish(
    context: &Context,
    request: &GdprRequest,
    now: Timestamp,
) -> Result<Option<Duration>, CallError> {
    let Some(status) = request.status.as_ref().filter(|status| status.phase.is_terminal()) else {
        return Ok(None);
    };
    if let Some((name, uid)) = secret_to_delete(request)
        && delete_secret(&context.client, request, name, uid).await?
    {
        note_deletion(context, request, now).await?;
    }
    if waits_for_backups(status) {
        // Only this object says so, and when they are cleared.
        return Ok(None);
    }
    let over = status.finished_at.iter().chain(&status.backups_clear_after).max();
    let Some(left) = time_left(request, over, now) else { return Ok(None) };
    if left.is_zero() {
        delete_request(&context.client, request).await?;
        return Ok(None);
    }
    Ok(Some(left))
}

/// Pure: name and UID of the Secret that the request leaves behind. A Secret that wasn't read isn't this
/// request's: its writer may still need it.
fn secret_to_delete(request: &GdprRequest) -> Option<(&str, &str)> {
    let consumers = request.spec.consumers.as_ref()?;
    let status = request.status.as_ref()?;
    let keep = consumers.deletion == ConsumersDeletion::Never
        || request.spec.dry_run
        || status.phase == Phase::Failed
        || status.consumers_deleted_at.is_some();
    let read = status.consumers_uid.as_deref().filter(|_| is_verified(&status.conditions))?;
    (!keep).then_some((consumers.secret_ref.name.as_str(), read))
}

/// Pure: how long the object stays after everything was over; zero when its time is over, `None` for ever.
fn time_left(request: &GdprRequest, finished: Option<&Time>, now: Timestamp) -> Option<Duration> {
    let ttl = Duration::from_secs(u64::try_from(request.spec.ttl_seconds_after_finished?).ok()?);
    let gone = Duration::try_from(now.duration_since(finished?.0)).unwrap_or_default();
    Some(ttl.saturating_sub(gone))
}

/// True when it is gone.
async fn delete_secret(
    client: &Client,
    request: &GdprRequest,
    name: &str,
    uid: &str,
) -> Result<bool, CallError> {
    let namespace = request.namespace().unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let Some(secret) = within_deadline("read the consumers' Secret", api.get_opt(name)).await? else {
        return Ok(true);
    };
    if secret.uid().as_deref() != Some(uid) {
        // The one that was read is gone, and this one is another request's.
        return Ok(true);
    }
    let labelled = secret.labels().get(CONSUMERS_LABEL).map(String::as_str) == Some("true");
    if !labelled || is_needed(client, request, name).await? {
        return Ok(false);
    }
    let same = Preconditions { uid: secret.uid(), resource_version: secret.resource_version() };
    let parameters = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
    match within_deadline("delete the consumers' Secret", api.delete(name, &parameters)).await {
        Err(error) if error.is_not_found() => Ok(true),
        result => result.map(|_| true),
    }
}

/// The requests are taken as they are stored, since one that can't be read may need the Secret, too.
async fn is_needed(client: &Client, request: &GdprRequest, name: &str) -> Result<bool, CallError> {
    let kind = ApiResource::erase::<GdprRequest>(&());
    let namespace = request.namespace().unwrap_or_default();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let all = within_deadline("list the requests", api.list(&ListParams::default())).await?;
    let uid = request.uid();
    let (own, others): (Vec<_>, Vec<_>) = all.items.iter().partition(|other| other.metadata.uid == uid);
    let unchanged = own.iter().any(|own| own.metadata.generation == request.metadata.generation);
    let secret = request.status.as_ref().and_then(|status| status.consumers_uid.as_deref());
    Ok(!unchanged || others.iter().any(|other| needs(&other.data, name, secret)))
}

/// Pure: whether another request, as it is stored, needs the Secret: it hasn't ended, or says that it is to be kept. What
/// an ended one says is about the Secret that it read.
fn needs(other: &Value, name: &str, secret: Option<&str>) -> bool {
    let text = |field: &str| other.pointer(field).and_then(Value::as_str);
    let keep = text("/spec/consumers/deletion").is_some_and(|deletion| deletion != "OnFinish");
    let same = text("/status/consumersUID").is_none_or(|read| secret == Some(read));
    text("/spec/consumers/secretRef/name") == Some(name) && (!Phase::has_ended(other) || keep && same)
}

async fn note_deletion(context: &Context, request: &GdprRequest, now: Timestamp) -> Result<(), CallError> {
    let mut status = request.status.clone().unwrap_or_default();
    status.consumers_deleted_at = Some(Time(whole_seconds(now)));
    let api: Api<GdprRequest> =
        Api::namespaced(context.client.clone(), &request.namespace().unwrap_or_default());
    let body = body_of(request, &status);
    let (name, parameters) = (request.name_any(), PatchParams::apply(MANAGER).force());
    let patch = Patch::Apply(&body);
    let call = api.patch_status(&name, &parameters, &patch);
    match within_deadline("write the request's status", call).await {
        Err(error) if error.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

async fn delete_request(client: &Client, request: &GdprRequest) -> Result<(), CallError> {
    let api: Api<GdprRequest> = Api::namespaced(client.clone(), &request.namespace().unwrap_or_default());
    let same = Preconditions { uid: request.uid(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(same), ..DeleteParams::default() };
    let name = request.name_any();
    match within_deadline("delete the request", api.delete(&name, &parameters)).await {
        Err(error) if error.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(spec: &str, status: &str) -> GdprRequest {
        serde_yaml::from_str(&format!(
            "{{apiVersion: voicemail.dev/v1beta1, kind: GdprRequest, metadata: {{name: r, namespace: n}}, \
              spec: {{tenantRef: {{name: acme}}, operation: ForgetMe, caseID: '1', {spec}}}, \
              status: {{finishedAt: '2026-01-31T10:00:00Z', {status}}}}}"
        ))
        .unwrap()
    }

    #[test]
    fn a_secret_goes_with_an_answer_and_stays_when_asked_or_when_there_is_none() {
        let secret = "consumers: {secretRef: {name: c}";
        let left = |spec: &str, status: &str| {
            let read = format!("{status}, consumersUID: u, conditions: [{COMPARED}]");
            secret_to_delete(&ended(&format!("{secret}{spec}"), &read)).map(|(name, _)| name.to_owned())
        };
        assert_eq!(left("}", "phase: Completed").as_deref(), Some("c"));
        assert_eq!(left("}", "phase: Denied").as_deref(), Some("c"));
        assert_eq!(left(", deletion: Never}", "phase: Completed"), None);
        assert_eq!(left("}, dryRun: true", "phase: Completed"), None);
        assert_eq!(left("}", "phase: Failed"), None);
        assert_eq!(left("}", "phase: Completed, consumersDeletedAt: '2026-01-31T10:00:01Z'"), None);
    }

    const COMPARED: &str = "{type: SubjectVerified, status: 'True', reason: Compared, message: '', \
                            lastTransitionTime: '2026-01-31T10:00:00Z'}";

    #[test]
    fn a_secret_that_was_not_read_or_not_compared_stays() {
        let left = |status: &str| {
            let request = ended("consumers: {secretRef: {name: c}}", status);
            secret_to_delete(&request).map(|(name, uid)| (name.to_owned(), uid.to_owned()))
        };
        let compared = format!("phase: Completed, conditions: [{COMPARED}]");
        assert_eq!(left(&format!("{compared}, consumersUID: u")), Some(("c".into(), "u".into())));
        assert_eq!(left(&compared), None, "no Secret was read");
        assert_eq!(left("phase: Completed, consumersUID: u"), None, "the core has not compared it");
        let unknown = compared.replace("'True'", "Unknown");
        assert_eq!(left(&format!("{unknown}, consumersUID: u")), None);
    }

    #[test]
    fn a_secret_stays_while_an_open_request_names_it_or_any_that_read_it_says_never() {
        let needs = |text: &str| needs(&serde_yaml::from_str(text).unwrap(), "c", Some("u"));
        let names = "spec: {consumers: {secretRef: {name: c}";
        assert!(needs(&format!("{{{names}}}}}}}")), "it has no status yet");
        assert!(needs(&format!("{{{names}}}}}, status: {{phase: Marked}}}}")));
        assert!(!needs(&format!("{{{names}}}}}, status: {{phase: Completed}}}}")));
        for phase in ["Completed", "Failed", "Marked"] {
            assert!(
                needs(&format!("{{{names}, deletion: Never}}}}, status: {{phase: {phase}}}}}")),
                "{phase}"
            );
        }
        assert!(!needs(&format!("{{{names}, deletion: OnFinish}}}}, status: {{phase: Completed}}}}")));
        let kept = |uid: &str| {
            format!("{{{names}, deletion: Never}}}}, status: {{phase: Completed, consumersUID: {uid}}}}}")
        };
        assert!(needs(&kept("u")) && !needs(&kept("another")), "deletion is about the Secret that was read");
        assert!(
            !needs("{spec: {consumers: {secretRef: {name: d}, deletion: Never}}}"),
            "it names another Secret"
        );
        // Nobody can read this one as a request, and it may need the Secret.
        assert!(needs(
            "{spec: {consumers: {secretRef: {name: c}}, receivedAt: never}, status: {phase: New}}"
        ));
    }

    #[test]
    fn an_object_goes_when_its_time_after_the_end_is_over_and_never_without_one() {
        let now: Timestamp = "2026-01-31T10:00:30Z".parse().unwrap();
        let left = |spec: &str| {
            let request = ended(spec, "phase: Completed");
            let finished = request.status.as_ref().unwrap().finished_at.clone();
            time_left(&request, finished.as_ref(), now)
        };
        assert_eq!(left("ttlSecondsAfterFinished: 60"), Some(Duration::from_secs(30)));
        assert_eq!(left("ttlSecondsAfterFinished: 10"), Some(Duration::ZERO));
        assert_eq!(left("requestedBy: a"), None);
    }
}
