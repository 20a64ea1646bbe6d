//! Deleting a tenant: waits for what must not be cut short, lets go of the store, then of the tenant.
//!
//! ```text
//!  decide ─▶ check Job (cores serve) ─▶ stop the cores ─▶ end Job ─▶ claim, ledger, keys (Delete alone) ─▶ finalizer
//!               ▲ open requests, holds, other clusters: waits        │ something came between: begin again
//!               └────────────────────────────────────────────────────┘
//! ```
//!
//! While a deletion waits, for whatever reason, the tenant is maintained as any other: only its end stops the cores.
//! [`decide`](decide::decide) and [`progress`] are pure. Under `Retain` the end Job takes this cluster out of the store's
//! register and all data stays; under `Delete`, confirmed by the tenant's name in an annotation, it removes all that the
//! tenant has in every region and lists again, which proves the store empty. The children are given to the garbage
//! collector at the very end ([`let_children_go`]), however the tenant is deleted. Each step is found anew from the Jobs,
//! so a restart of the operator loses nothing.
//!
//! What can go wrong: the store is gone for good, or the Job can't start. Then a condition and an event say so, with
//! the annotation that lets the tenant go all the same. A terminating namespace takes everything anyway, so there the
//! finalizer never holds it up. It is let go as soon as the namespace ends ([`stay_in_namespace`]), when the pods
//! go: the operator's own rights in that namespace may go at the same time as the tenant, and then nobody could remove
//! the finalizer.

pub mod confirmation;
#[cfg(test)]
mod confirmation_tests;
pub mod decide;
mod destroy;
mod finalizer;
pub mod progress;
mod retire;
#[cfg(test)]
mod waiting_tests;

pub use finalizer::add_finalizer;

use crate::tenant::TenantError;
use crate::tenant::build::retire_job::Ending;
use crate::tenant::context::Context;
use crate::tenant::facts::user_range::has_user_range;
use crate::tenant::steps::apply::{Retirement, let_children_go};
use crate::tenant::steps::status::write_status;
use decide::{Decision, decide};
use finalizer::remove_finalizer;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Client, Resource, ResourceExt};
use progress::Report;
use retire::Step;
use serde_json::Value;
use std::time::Instant;
use voicemail_resources::conditions::{
    DELETION_BLOCKED, Finding, READY, RECONCILING, STALLED, STORAGE_READY, find_condition, merge_conditions,
};
use voicemail_resources::{FINALIZER, GdprRequest, Phase, VoicemailTenant};
use voicemail_runtime::calls::{CallError, within_deadline};

/// A namespace is new for so long.
const NEW: SignedDuration = SignedDuration::from_secs(60);

/// How far a deletion is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// It waits, or looks: the tenant serves, and is to be maintained as any other.
    Serving(Report),
    /// Its end is under way and has been reported.
    Ending,
    /// The tenant may go, which it then does.
    Gone,
}

/// Does the next step.
///
/// # Errors
/// The API server refuses or doesn't answer; the finalizer stays and the step is repeated.
pub async fn advance(tenant: &VoicemailTenant, context: &Context) -> Result<Course, TenantError> {
    let (client, namespace) = (&context.client, tenant.namespace().unwrap_or_default());
    let ends = find_lasting_namespace(client, &namespace).await?.is_none();
    let open = if ends { Vec::new() } else { open_requests(client, &namespace, &tenant.name_any()).await? };
    match decide(tenant, ends, &open) {
        Decision::Wait(reason, message) => {
            // Cores that were stopped already must serve again: what is waited for needs them.
            Retirement::withdraw_for(client, tenant).await?;
            return Ok(Course::Serving(Report::blocked(reason, message)));
        }
        Decision::LetGo => {}
        Decision::Abandon => {
            let words = "the tenant goes without a word to its store, as its annotation says; store, claim and Secrets \
                         stay";
            tell(tenant, EventType::Warning, "StoreAbandoned", words, context).await;
            let_children_go(client, tenant).await?;
        }
        Decision::Retire(ending) => match Box::pin(retire::advance(tenant, ending, context)).await? {
            Step::Serving(report) => return Ok(Course::Serving(report)),
            Step::Stopped(under) => {
                report(tenant, &under, context).await?;
                return Ok(Course::Ending);
            }
            step => {
                if !conclude(tenant, ending, &step, context).await? {
                    return Ok(Course::Ending);
                }
                let_children_go(client, tenant).await?;
            }
        },
    }
    remove_finalizer(client, tenant).await?;
    Ok(Course::Gone)
}

/// Nothing holds up the tenant any more. False if something changed meanwhile: it is looked at again then.
async fn conclude(
    tenant: &VoicemailTenant,
    ending: Ending,
    step: &Step,
    context: &Context,
) -> Result<bool, CallError> {
    if ending == Ending::Remove {
        if !retire::is_still_wanted(tenant, context).await? {
            return Ok(false);
        }
        destroy::destroy_data(&context.client, tenant).await?;
    }
    let regions: Vec<&str> = tenant.spec.regions.iter().map(|region| region.name.as_str()).collect();
    let (reason, words) = match (step, ending) {
        (Step::Done, Ending::Remove) => {
            ("StoreEmptied", format!("a last list found nothing of this tenant in {}", regions.join(", ")))
        }
        (Step::Done, Ending::Deregister) => (
            "StoreLetGo",
            format!("this cluster is registered no more; all data stays in {}", regions.join(", ")),
        ),
        _ => return Ok(true),
    };
    tell(tenant, EventType::Normal, reason, &words, context).await;
    Ok(true)
}

/// Whether the tenant's namespace has a range of users; none if it is being deleted, and then the tenant's finalizer is removed.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn stay_in_namespace(
    context: &Context,
    tenant: &VoicemailTenant,
) -> Result<Option<bool>, CallError> {
    let (client, name, now) = (&context.client, tenant.namespace().unwrap_or_default(), Instant::now());
    // Where the operator's rights may go with the namespace, it is asked for each time.
    let rights_stay = context.settings.watch_namespaces.0.is_empty();
    if let Some(known) = context.namespaces.find(&name, now).filter(|_| rights_stay) {
        return Ok(Some(known));
    }
    let lasting = find_lasting_namespace(client, &name).await?;
    match &lasting {
        Some(namespace) if is_complete(namespace, Timestamp::now()) => {
            context.namespaces.note(&name, now, has_user_range(namespace));
        }
        Some(_) => {}
        None if tenant.finalizers().iter().any(|name| name == FINALIZER) => {
            remove_finalizer(client, tenant).await?;
        }
        None => {}
    }
    Ok(lasting.as_ref().map(has_user_range))
}

/// Whether controllers have had the time to write a new namespace's annotations, such as its range of users.
fn is_complete(namespace: &Namespace, now: Timestamp) -> bool {
    let made = namespace.creation_timestamp();
    made.is_none_or(|made| now.duration_since(made.0) >= NEW)
}

async fn find_lasting_namespace(client: &Client, name: &str) -> Result<Option<Namespace>, CallError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = within_deadline("read the namespace", api.get_opt(name)).await?;
    Ok(namespace.filter(|namespace| namespace.metadata.deletion_timestamp.is_none()))
}

/// The requests are taken as they are stored: one that can't be read is open, and hides no other.
async fn open_requests(client: &Client, namespace: &str, tenant: &str) -> Result<Vec<String>, CallError> {
    let kind = ApiResource::erase::<GdprRequest>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let list = within_deadline("list the data-subject requests", api.list(&ListParams::default())).await?;
    let open = |request: &DynamicObject| {
        is_open(&request.data, tenant) && request.metadata.deletion_timestamp.is_none()
    };
    Ok(list.items.into_iter().filter(open).map(|request| request.name_any()).take(5).collect())
}

/// Pure: whether a request, as it is stored, is the tenant's and hasn't ended.
fn is_open(request: &Value, tenant: &str) -> bool {
    request["spec"]["tenantRef"]["name"] == tenant && !Phase::has_ended(request)
}

/// Reports the end, when no core serves any more.
async fn report(tenant: &VoicemailTenant, report: &Report, context: &Context) -> Result<(), CallError> {
    let mut status = tenant.status.clone().unwrap_or_default();
    let message = report.message.as_str();
    let storage = status.conditions.iter().filter(|condition| condition.type_ == STORAGE_READY).cloned();
    let findings = vec![
        Finding::new(READY, false, "Deleting", message),
        Finding::new(RECONCILING, true, "Deleting", message),
        Finding::new(STALLED, false, "NotStalled", ""),
        report.finding(),
    ];
    let findings = findings.into_iter().chain(confirmation::find_early(tenant)).collect();
    let generation = tenant.metadata.generation;
    let mut conditions = merge_conditions(&status.conditions, findings, generation, Timestamp::now());
    conditions.extend(storage);
    status.conditions = conditions;
    status.observed_generation = generation;
    if write_status(&context.client, tenant, &status).await?.is_some() {
        announce(tenant, report, context).await;
    }
    Ok(())
}

/// An event when a deletion begins to wait for something, or for something else.
pub async fn announce(tenant: &VoicemailTenant, report: &Report, context: &Context) {
    let known =
        tenant.status.as_ref().and_then(|status| find_condition(&status.conditions, DELETION_BLOCKED));
    if report.blocked && known.is_none_or(|known| known.reason != report.reason) {
        tell(tenant, EventType::Warning, &report.reason, &report.message, context).await;
    }
}

async fn tell(tenant: &VoicemailTenant, type_: EventType, reason: &str, words: &str, context: &Context) {
    let note = Some(words.to_owned());
    let event = Event { type_, reason: reason.into(), note, action: "Delete".into(), secondary: None };
    context.publish(event, &tenant.object_ref(&())).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_that_cannot_be_read_is_open_and_hides_no_other() {
        let request = |received: &str, status: Value| json!({ "spec": { "tenantRef": { "name": "acme" }, "receivedAt": received }, "status": status });
        let unreadable = request("9999-12-31T23:59:59Z", Value::Null);
        assert!(is_open(&unreadable, "acme") && !is_open(&unreadable, "other"));
        assert!(is_open(&request("never", json!({ "phase": "OfAnotherVersion" })), "acme"));
        assert!(is_open(&request("2026-01-31T10:00:00Z", json!({ "phase": "Marked" })), "acme"));
        assert!(!is_open(&request("never", json!({ "phase": "Completed" })), "acme"));
    }
}
