//! From an object of `voicemail.dev/v1alpha1`, as it is stored, to the same in `v1beta1`. Pure.
//!
//! Objects are plain JSON here, so that what nobody reads any more needs no types. A field that isn't known is left where
//! it is, and the new schema refuses it by name. An object that has the new form already stays as it is.

use super::{request, tenant};
use serde_json::{Map, Value, json};
use std::time::Duration;
use voicemail_resources::waiting;

/// The former version.
pub const FORMER: &str = "voicemail.dev/v1alpha1";
/// The version that is.
pub const PRESENT: &str = "voicemail.dev/v1beta1";
/// Who decided something of which the former version didn't ask who did.
pub const UNRECORDED: &str = "unrecorded";
const DAY: u64 = 86_400;

/// Why an object can't be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct Unconvertible {
    /// The field, by its former path.
    pub field: String,
    /// What is wrong with it.
    pub fault: String,
}

/// A converted object, and what is worth telling.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The object.
    pub object: Value,
    /// Sentences for people.
    pub notes: Vec<String>,
}

/// Whether it has the new form: its spec names the tenant by the new field.
pub fn is_present(object: &Value) -> bool {
    object["spec"].get("tenantID").is_some() || object["spec"].get("tenantRef").is_some()
}

/// Converts an object of either kind.
///
/// # Errors
/// [`Unconvertible`] names the field.
pub fn convert(object: &Value, now: jiff::Timestamp) -> Result<Converted, Unconvertible> {
    let mut object = object.clone();
    object["apiVersion"] = json!(PRESENT);
    let mut notes = Vec::new();
    if !is_present(&object) {
        match object["kind"].as_str() {
            Some("VoicemailTenant") => tenant::convert(&mut object, &mut notes, now)?,
            Some("GdprRequest") => request::convert(&mut object, now)?,
            other => {
                let fault = format!("{other:?} is neither VoicemailTenant nor GdprRequest");
                return Err(Unconvertible { field: "kind".into(), fault });
            }
        }
        note_generation(&mut object);
    }
    Ok(Converted { object, notes })
}

/// Writing the object makes its generation one more: what was looked at is looked at still.
fn note_generation(object: &mut Value) {
    let Some(generation) = object["metadata"]["generation"].as_i64() else { return };
    let next = generation.saturating_add(1);
    let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else { return };
    if status.get("observedGeneration").and_then(Value::as_i64) == Some(generation) {
        status.insert("observedGeneration".into(), json!(next));
    }
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if condition["observedGeneration"].as_i64() == Some(generation) {
            condition["observedGeneration"] = json!(next);
        }
    }
}

/// Moves a field to another name.
pub(super) fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.insert(to.into(), value);
    }
}

/// The object in a field.
pub(super) fn inner<'a>(
    fields: &'a mut Map<String, Value>,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    fields.get_mut(name)?.as_object_mut()
}

/// The objects in a list.
pub(super) fn items<'a>(
    fields: &'a mut Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Another word for each value.
pub(super) fn reword(fields: &mut Map<String, Value>, name: &str, words: &[(&str, &str)]) {
    if let Some(value) = fields.get_mut(name) {
        *value = word(value, words);
    }
}

pub(super) fn word(value: &Value, words: &[(&str, &str)]) -> Value {
    let found = words.iter().find(|(former, _)| value.as_str() == Some(former));
    found.map_or_else(|| value.clone(), |(_, present)| json!(present))
}

/// `x: {secret: {name}}` becomes `x: {secretRef: {name}}`.
pub(super) fn secret_ref(fields: &mut Map<String, Value>) {
    rename(fields, "secret", "secretRef");
}

/// A waiting time without days.
pub(super) fn wait(fields: &mut Map<String, Value>, name: &str, path: &str) -> Result<(), Unconvertible> {
    if let Some(duration) = read_time(fields, name, path)? {
        fields.insert(name.into(), json!(waiting::write(duration)));
    }
    Ok(())
}

/// A time that is kept, in days; a part of one counts whole, which is told.
pub(super) fn days(
    fields: &mut Map<String, Value>,
    (from, to): (&str, &str),
    path: &str,
    notes: &mut Vec<String>,
) -> Result<(), Unconvertible> {
    let Some(duration) = read_time(fields, from, path)? else { return Ok(()) };
    let (former, days) = (fields.remove(from), duration.as_secs().div_ceil(DAY));
    if duration.as_secs() % DAY != 0 {
        let former = former.as_ref().and_then(Value::as_str).unwrap_or_default();
        notes.push(format!("{path}.{from}: {former} is kept as {days} days"));
    }
    fields.insert(to.into(), json!(days));
    Ok(())
}

pub(super) fn read_time(
    fields: &Map<String, Value>,
    name: &str,
    path: &str,
) -> Result<Option<Duration>, Unconvertible> {
    let Some(text) = fields.get(name).and_then(Value::as_str) else { return Ok(None) };
    let fault = |fault| Unconvertible { field: format!("{path}.{name}"), fault };
    voicemail_api::config::parse_duration(text).map(Some).map_err(fault)
}

/// A condition that the former version wrote, with a reason where it had none.
pub(super) fn mend_conditions(status: &mut Map<String, Value>) {
    for condition in items(status, "conditions") {
        if condition.get("reason").and_then(Value::as_str).is_none_or(str::is_empty) {
            condition.insert("reason".into(), json!(voicemail_resources::conditions::NOT_KNOWN));
        }
    }
}

/// What a region held.
pub(super) fn role(region: &mut Map<String, Value>) {
    let primary = region.remove("master").is_some_and(|master| master == true);
    region.insert("role".into(), json!(if primary { "Primary" } else { "Audio" }));
}
