//! An object that the API server took and this operator can't read: it is told of in the object itself, by an event and by
//! a metric, and holds up no other object.
//!
//! The CRDs' patterns and bounds are as strict as the types, so that is an object of before them, or of another version.
//! Only the conditions that say so are written, into the status as it is stored: nothing of it may be lost that this operator can't
//! read. What the parser says is repeated without anything that looks like a telephone number.

use super::Services;
use crate::calls::{CallError, within_deadline};
use crate::redact::redact;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::error_boundary::InvalidObject;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};
use voicemail_resources::MANAGER;
use voicemail_resources::conditions::{RECONCILING, STALLED, whole_seconds};

/// The reason of its condition and of its event.
pub const UNREADABLE: &str = "Unreadable";

/// Says so in its status, unless that stands there already.
///
/// # Errors
/// The API server refuses or doesn't answer.
pub async fn tell<K>(services: &Services, invalid: &InvalidObject, condition: &str) -> Result<(), CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let (namespace, name) = (invalid.metadata.namespace.clone(), invalid.metadata.name.clone());
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
    let kind = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(services.client.clone(), &namespace, &kind);
    let read = within_deadline("read an object that can't be decoded", api.get_opt(&name)).await?;
    let Some(object) = read.filter(|object| object.metadata.uid == invalid.metadata.uid) else {
        return Ok(());
    };
    let words = words_of(invalid);
    let Some(status) = status_with(&object, condition, &words, Timestamp::now()) else { return Ok(()) };
    let version = json!({ "uid": object.uid(), "resourceVersion": object.resource_version() });
    let patch = json!({ "metadata": version, "status": status });
    let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    let patch = Patch::Merge(&patch);
    let call = api.patch_status(&name, &parameters, &patch);
    within_deadline("write the status of an object that can't be decoded", call).await?;
    services.publish(event(&words), &reference::<K>(&object)).await;
    Ok(())
}

/// The fault, and how to correct it.
pub fn words_of(invalid: &InvalidObject) -> String {
    format!(
        "this version of the operator can't read the object, so nothing is done about it: {}; delete it and write it again",
        redact(&invalid.error, "")
    )
}

fn event(words: &str) -> Event {
    Event {
        type_: EventType::Warning,
        reason: UNREADABLE.into(),
        note: Some(words.to_owned()),
        action: UNREADABLE.into(),
        secondary: None,
    }
}

fn reference<K: Resource<DynamicType = ()>>(object: &DynamicObject) -> ObjectReference {
    object.object_ref(&ApiResource::erase::<K>(&()))
}

/// Pure: the part of the status to write; none if it stands there. Beside the kind's own condition what kstatus reads:
/// nothing will happen until a person changes something.
fn status_with(object: &DynamicObject, condition: &str, words: &str, now: Timestamp) -> Option<Value> {
    let told = [(condition, "False"), (RECONCILING, "False"), (STALLED, "True")];
    let known = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = known.cloned().unwrap_or_default();
    let ours = |known: &Value| told.iter().any(|(type_, _)| known["type"] == *type_);
    let says = |known: &Value| known["reason"] == UNREADABLE && known["message"] == words;
    if conditions.iter().filter(|known| ours(known) && says(known)).count() == told.len() {
        return None;
    }
    conditions.retain(|known| !ours(known));
    conditions.extend(told.map(|(type_, status)| {
        json!({
            "type": type_, "status": status, "reason": UNREADABLE, "message": words,
            "observedGeneration": object.metadata.generation, "lastTransitionTime": whole_seconds(now).to_string(),
        })
    }));
    Some(json!({ "conditions": conditions }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(status: Value) -> DynamicObject {
        serde_json::from_value(json!({ "apiVersion": "a/v1", "kind": "K",
                                       "metadata": { "name": "n", "generation": 2 }, "status": status }))
        .unwrap()
    }

    #[test]
    fn what_says_so_is_written_once_and_all_else_stays_as_it_is_stored() {
        let other =
            json!({ "type": "Approved", "status": "True", "reason": "R", "lastTransitionTime": "strange" });
        let stored = object(json!({ "phase": "Marked", "conditions": [other] }));
        let at = "2026-01-31T10:00:00.5Z".parse().unwrap();
        let status = status_with(&stored, "Validated", "w", at).unwrap();
        assert_eq!(status["conditions"][0], other);
        assert_eq!(status["conditions"][1]["lastTransitionTime"], "2026-01-31T10:00:00Z");
        let told = status["conditions"].as_array().unwrap().iter().skip(1);
        let told: Vec<_> = told.map(|told| (told["type"].as_str(), told["status"].as_str())).collect();
        let expected = [("Validated", "False"), ("Reconciling", "False"), ("Stalled", "True")];
        assert_eq!(told, expected.map(|(type_, status)| (Some(type_), Some(status))));
        assert_eq!(status["phase"], Value::Null, "what isn't named by a merge stays");
        assert_eq!(status_with(&object(status.clone()), "Validated", "w", at), None);
        assert!(status_with(&object(status), "Validated", "other words", at).is_some());
        assert!(status_with(&object(Value::Null), "Ready", "w", at).is_some());
    }

    #[test]
    fn what_the_parser_says_holds_no_number_of_a_person() {
        let error = "invalid value: \"+441632960001\", expected a time".to_owned();
        let words = words_of(&InvalidObject { error, metadata: Default::default() });
        assert!(!words.contains("1632960001") && words.contains("expected a time"), "{words}");
    }
}
