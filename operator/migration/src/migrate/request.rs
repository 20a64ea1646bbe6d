//! A data-subject request's part of the conversion. Pure.
//!
//! A request that has ended is looked at no more, so its conditions are made whole here.

use super::convert::{
    UNRECORDED, Unconvertible, inner, items, mend_conditions, read_time, rename, role, secret_ref, wait,
};
use serde_json::{Map, Value, json};
use voicemail_resources::conditions::{
    Condition, ConditionStatus, Finding, OF_REQUESTS, SUCCEEDED, complete, find_condition, merge_conditions,
};
use voicemail_resources::gdpr_request::Phase;
use voicemail_resources::progress::find_progress;

/// Converts it.
///
/// # Errors
/// [`Unconvertible`].
pub(super) fn convert(object: &mut Value, now: jiff::Timestamp) -> Result<(), Unconvertible> {
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        convert_spec(spec)?;
    }
    let generation = object["metadata"]["generation"].as_i64();
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        rename(status, "consumersUid", "consumersUID");
        items(status, "regions").for_each(role);
        mend_conditions(status);
        convert_conditions(status, generation, now)?;
    }
    Ok(())
}

fn convert_spec(spec: &mut Map<String, Value>) -> Result<(), Unconvertible> {
    if let Some(tenant) = spec.remove("tenant") {
        spec.insert("tenantRef".into(), json!({ "name": tenant }));
    }
    rename(spec, "caseId", "caseID");
    if let Some(consumers) = inner(spec, "consumers") {
        secret_ref(consumers);
        if let Some(keep) = consumers.remove("keep") {
            let deletion = if keep == true { "Never" } else { "OnFinish" };
            consumers.insert("deletion".into(), json!(deletion));
        }
    }
    wait(spec, "undoWindow", "spec")?;
    if let Some(time) = read_time(spec, "ttlAfterFinished", "spec")? {
        spec.remove("ttlAfterFinished");
        spec.insert("ttlSecondsAfterFinished".into(), json!(time.as_secs()));
    }
    rename(spec, "cancel", "cancellation");
    for decision in ["cancellation", "extension"] {
        if let Some(decision) = inner(spec, decision) {
            decision.entry("by").or_insert_with(|| json!(UNRECORDED));
        }
    }
    Ok(())
}

/// `Completed` and `Failed` become `Succeeded`, and all that a request has now is there.
fn convert_conditions(
    status: &mut Map<String, Value>,
    generation: Option<i64>,
    now: jiff::Timestamp,
) -> Result<(), Unconvertible> {
    let fault = |error: serde_json::Error| Unconvertible { field: "status".into(), fault: error.to_string() };
    let phase: Phase = match status.get("phase") {
        Some(phase) => serde_json::from_value(phase.clone()).map_err(fault)?,
        None => Phase::default(),
    };
    let known = status.get("conditions").cloned().unwrap_or_else(|| json!([]));
    let mut known: Vec<Condition> = serde_json::from_value(known).map_err(fault)?;
    let Some(ended) = find_condition(&known, "Completed").cloned() else { return Ok(()) };
    known.retain(|condition| !["Completed", "Failed"].contains(&condition.type_.as_str()));
    let succeeded = match phase {
        Phase::Completed if ended.status == ConditionStatus::Unknown => ConditionStatus::Unknown,
        Phase::Completed | Phase::Undone => ConditionStatus::True,
        phase if phase.is_terminal() => ConditionStatus::False,
        _ => ConditionStatus::Unknown,
    };
    known.push(Condition { type_: SUCCEEDED.into(), status: succeeded, ..ended.clone() });
    let waits = find_condition(&known, "Validated")
        .is_some_and(|validated| validated.status == ConditionStatus::False);
    let mut findings: Vec<Finding> =
        find_progress(phase, (succeeded, &ended.reason, &ended.message), waits).into();
    for type_ in OF_REQUESTS {
        let new = findings.iter().any(|finding| finding.type_ == type_);
        if let Some(found) = find_condition(&known, type_).filter(|_| !new) {
            findings.push(Finding::new(type_, found.status, found.reason.clone(), found.message.clone()));
        }
    }
    complete(&mut findings, &OF_REQUESTS);
    let conditions = merge_conditions(&known, findings, generation, now);
    status.insert("conditions".into(), serde_json::to_value(conditions).map_err(fault)?);
    Ok(())
}
