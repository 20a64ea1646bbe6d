//! Whether a live object is what it should be, so that nothing is written when nothing differs. Pure.
//!
//! An object is current when its annotation holds the hash of what we would apply, which notices fields that
//! we no longer want, and when all that we want is in it still, which notices what somebody changed. Fields
//! that the API server or others added are left alone.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

/// Annotation with the hash of what was applied.
pub const APPLIED_HASH: &str = "voicemail.dev/applied-hash";

/// The hash of a desired object. Maps are sorted, so equal objects have equal hashes.
pub fn hash(desired: &Value) -> String {
    hex::encode(&digest(&SHA256, desired.to_string().as_bytes()).as_ref()[..16])
}

/// Whether `live` needs no apply. `desired` carries the annotation already.
pub fn is_current(desired: &Value, live: &Value) -> bool {
    contains(desired, live, false)
}

/// Fields of amounts, whose text the server rewrites: 1024Mi becomes 1Gi.
const AMOUNTS: [&str; 3] = ["requests", "limits", "sizeLimit"];

/// All of `wanted` is in `live`. Amounts of resources are compared by value: the server rewrites their text.
fn contains(wanted: &Value, live: &Value, amounts: bool) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => contains_fields(wanted, live, amounts),
        (Value::Array(wanted), Value::Array(live)) => {
            wanted.len() == live.len() && wanted.iter().zip(live).all(|(w, l)| contains(w, l, amounts))
        }
        (Value::String(wanted), Value::String(live)) if amounts => same_amount(wanted, live),
        _ => wanted == live,
    }
}

fn contains_fields(wanted: &Map<String, Value>, live: &Map<String, Value>, amounts: bool) -> bool {
    wanted.iter().all(|(key, value)| {
        let amounts = amounts || AMOUNTS.contains(&key.as_str());
        match live.get(key) {
            Some(found) => contains(value, found, amounts),
            None => is_empty(value),
        }
    })
}

/// The server drops what is empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

fn same_amount(one: &str, other: &str) -> bool {
    one == other
        || matches!((amount(one), amount(other)), (Some(a), Some(b)) if (a - b).abs() <= a.abs() * 1e-12)
}

fn amount(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 12] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("", 1.0),
    ];
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_add_is_left_alone() {
        let desired = json!({"spec": {"ports": [{"port": 1}]}});
        let live =
            json!({"spec": {"ports": [{"port": 1, "nodePort": 2}], "clusterIP": "10.0.0.1"}, "status": {}});
        assert!(is_current(&desired, &live));
    }

    #[test]
    fn what_somebody_changed_or_removed_is_noticed() {
        let desired = json!({"spec": {"ports": [{"port": 1}], "type": "ClusterIP"}});
        for live in [
            json!({"spec": {"ports": [{"port": 2}], "type": "ClusterIP"}}),
            json!({"spec": {"ports": [{"port": 1}, {"port": 9}], "type": "ClusterIP"}}),
            json!({"spec": {"ports": [{"port": 1}]}}),
        ] {
            assert!(!is_current(&desired, &live), "{live}");
        }
    }

    #[test]
    fn amounts_are_compared_by_value() {
        let desired = json!({"resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}});
        assert!(is_current(&desired, &json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})));
        assert!(!is_current(&desired, &json!({"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}})));
        let disk = |size: &str| json!({"volumes": [{"emptyDir": {"sizeLimit": size}}]});
        assert!(is_current(&disk("1024Mi"), &disk("1Gi")) && !is_current(&disk("1024Mi"), &disk("2Gi")));
    }

    #[test]
    fn text_elsewhere_is_compared_as_text() {
        assert!(!is_current(&json!({"labels": {"a": "1000m"}}), &json!({"labels": {"a": "1"}})));
    }

    #[test]
    fn empty_fields_that_the_server_drops_are_no_difference() {
        assert!(is_current(&json!({"emptyDir": {}, "name": "tmp"}), &json!({"name": "tmp"})));
    }
}
