//! The resources of `voicemail.dev/v1alpha1`: their types and CEL rules, nothing else.
//!
//! Flow: [`crds`] derives the CustomResourceDefinitions from the types; `voicemail-operator crds` writes
//! them to `crds/` and to the chart, and a test fails when a checked-in file differs. The API server
//! enforces every rule, so there is no admission webhook and no certificate for one.
//!
//! What can go wrong: a rule over an unbounded list or string exceeds the API server's cost limit and the
//! whole CRD is refused; every list, map and string that a rule can reach is therefore bounded.

pub mod access;
pub mod conditions;
pub mod gdpr_decisions;
pub mod gdpr_request;
pub mod gdpr_status;
pub mod numbers;
pub mod operation;
pub mod storage;
pub mod telemetry;
pub mod voicemail_tenant;

pub use gdpr_request::{GdprOperation, GdprRequest, GdprRequestSpec, GdprRequestStatus, Phase};
pub use voicemail_tenant::{VoicemailTenant, VoicemailTenantSpec, VoicemailTenantStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Field manager of every server-side apply, and value of the `managed-by` label.
pub const MANAGER: &str = "voicemail-operator";
/// Label that all children carry, with the tenant's name.
pub const TENANT_LABEL: &str = "voicemail.dev/tenant";
/// Label of all children with the UID of their tenant: another tenant of that name is another one.
pub const TENANT_UID_LABEL: &str = "voicemail.dev/tenant-uid";
/// Label that says who manages an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Label that a Secret must carry, with value `true`, before its consumers are read.
pub const CONSUMERS_LABEL: &str = "voicemail.dev/gdpr-consumers";
/// Annotation that confirms the deletion of a tenant's data: its value is the tenant's name.
pub const CONFIRM_DELETION: &str = "voicemail.dev/confirm-deletion";
/// Annotation that lets a tenant go whose store can't be asked any more: its value is the tenant's name.
pub const ABANDON_STORE: &str = "voicemail.dev/abandon-store";
/// Annotation that keeps the operator's hands off a tenant's children while its value is `true`.
pub const PAUSED: &str = "voicemail.dev/paused";
/// Annotation whose change makes the operator look at a tenant at once.
pub const RECONCILE_AT: &str = "voicemail.dev/reconcile-at";
/// Finalizer on every tenant.
pub const FINALIZER: &str = "voicemail.dev/tenant";

/// Names a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretName {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Points at a Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretSource {
    /// The Secret.
    pub secret: SecretName,
}

/// The CustomResourceDefinitions, each with its file name.
pub fn crds() -> [(&'static str, CustomResourceDefinition); 2] {
    [
        ("voicemail.dev_gdprrequests.yaml", slim(GdprRequest::crd())),
        ("voicemail.dev_voicemailtenants.yaml", slim(VoicemailTenant::crd())),
    ]
}

/// Times that are read: RFC 3339 with capitals, nine digits of a second, and offsets of less than a day, in years of which
/// a month later is one, too. The format alone admits more.
const TIME: &str = r"^([0-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// Removes `nullable`, which the derive adds to every optional field: a null would make `has()` true in CEL. And says of
/// each time and number what can be read: the API server takes a format for less than the type behind it.
fn slim(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let Ok(mut value) = serde_json::to_value(&crd) else { return crd };
    remove_nullable(&mut value);
    bound(&mut value);
    serde_json::from_value(value).unwrap_or(crd)
}

fn bound(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(format) = fields.get("format").and_then(Value::as_str).map(str::to_owned) {
                bound_format(fields, &format);
            }
            fields.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        _ => {}
    }
}

fn bound_format(fields: &mut Map<String, Value>, format: &str) {
    let range: (i64, i64) = match format {
        "date-time" => {
            fields.entry("pattern").or_insert_with(|| TIME.into());
            return;
        }
        // They all are counts.
        "int32" => (0, i32::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        _ => return,
    };
    fields.entry("minimum").or_insert_with(|| range.0.into());
    fields.entry("maximum").or_insert_with(|| range.1.into());
}

fn remove_nullable(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("nullable");
            fields.values_mut().for_each(remove_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nullable),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_optional_field_is_nullable() {
        for (name, crd) in crds() {
            assert!(!serde_yaml::to_string(&crd).unwrap().contains("nullable"), "{name}");
        }
    }

    #[test]
    fn every_rule_has_a_message_of_its_own() {
        // A type that stands in two places brings the same rule twice.
        fn visit(value: &Value, rules: &mut BTreeSet<(String, String)>) {
            match value {
                Value::Object(fields) => {
                    for rule in
                        fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
                    {
                        let text =
                            |field: &str| rule[field].as_str().unwrap_or_else(|| panic!("{rule}")).to_owned();
                        rules.insert((text("message"), text("rule")));
                    }
                    fields.values().for_each(|value| visit(value, rules));
                }
                Value::Array(items) => items.iter().for_each(|value| visit(value, rules)),
                _ => {}
            }
        }
        for (name, crd) in crds() {
            let mut rules = BTreeSet::new();
            visit(&serde_json::to_value(&crd).unwrap(), &mut rules);
            let messages: BTreeSet<&String> = rules.iter().map(|(message, _)| message).collect();
            assert!(rules.len() > 3 && messages.len() == rules.len(), "{name}: {rules:?}");
        }
    }

    #[test]
    fn a_status_has_room_for_every_type_of_condition() {
        let types = include_str!("conditions.rs").lines();
        let types = types.filter(|line| line.starts_with("pub const ") && line.contains(": &str = ")).count();
        for (name, crd) in crds() {
            let value = serde_json::to_value(&crd).unwrap();
            let status = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
            let most = status["properties"]["conditions"]["maxItems"].as_u64().unwrap();
            assert!(types > 20 && most >= types as u64, "{name}: {types} types and {most} places");
        }
    }

    #[test]
    fn crds_stay_small_enough_for_client_side_apply() {
        for (name, crd) in crds() {
            let size = serde_json::to_string(&crd).unwrap().len();
            // Client-side apply keeps a copy in an annotation, and all annotations together end at 256 KiB.
            assert!(size < 48_000, "{name}: {size}");
        }
    }
}
