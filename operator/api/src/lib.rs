//! The resources of `voicemail.dev/v1beta1`: their types, CEL rules and the files that are generated from them.
//!
//! Flow: [`crds`] derives the CustomResourceDefinitions from the types; `voicemail-operator crds` writes
//! them to `crds/` and to the chart, and a test fails when a checked-in file differs. The API server
//! enforces every rule, so there is no admission webhook and no certificate for one. A CRD has defaults of its own: of a field
//! that the core reads, the default repeats that of `voicemail-core/api/src/config`. Whoever changes one changes both.
//!
//! What can go wrong: a rule over an unbounded list or string exceeds the API server's cost limit and the
//! whole CRD is refused; every list, map and string that a rule can reach is therefore bounded.

pub mod access;
pub mod conditions;
pub mod crd_files;
pub mod crd_reference;
pub mod data_subject_rights;
mod email;
pub mod gdpr_decisions;
pub mod gdpr_request;
pub mod gdpr_status;
pub mod mailboxes;
mod mwi;
pub mod network;
pub mod numbers;
pub mod outgoing;
pub mod pod_template;
pub mod pods;
pub mod policy;
pub mod progress;
pub mod quantity;
pub mod references;
mod rules;
mod schema;
pub mod storage;
pub mod telemetry;
pub mod telephony;
pub mod tenant_status;
pub mod voicemail_tenant;
pub mod waiting;
mod web;

pub use gdpr_request::{GdprOperation, GdprRequest, GdprRequestSpec, GdprRequestStatus, Phase};
pub use policy::{VoicemailPolicy, VoicemailPolicySpec};
pub use voicemail_tenant::{VoicemailTenant, VoicemailTenantSpec, VoicemailTenantStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

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
/// Label by which whoever may write a Secret lets tenants use it: `true`, or a tenant's name.
pub const TENANT_USABLE_LABEL: &str = "voicemail.dev/tenant-usable";
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

/// The CustomResourceDefinitions, each with its file name.
pub fn crds() -> [(&'static str, CustomResourceDefinition); 3] {
    [
        ("voicemail.dev_gdprrequests.yaml", schema::finish(GdprRequest::crd())),
        ("voicemail.dev_voicemailtenants.yaml", schema::finish(VoicemailTenant::crd())),
        ("voicemail.dev_voicemailpolicies.yaml", schema::finish(VoicemailPolicy::crd())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
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
        for ((name, crd), types) in
            crds().into_iter().zip([conditions::OF_REQUESTS.as_slice(), conditions::OF_TENANTS.as_slice()])
        {
            let value = serde_json::to_value(&crd).unwrap();
            let status = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
            let most = status["properties"]["conditions"]["maxItems"].as_u64().unwrap();
            assert!(types.len() > 10 && most >= types.len() as u64, "{name}: {} types", types.len());
        }
    }

    /// Every schema of a CRD with its path.
    fn schemas(crd: &CustomResourceDefinition) -> Vec<(String, Value)> {
        fn visit(path: String, schema: &Value, found: &mut Vec<(String, Value)>) {
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                visit(format!("{path}.{name}"), inner, found);
            }
            for (inner, mark) in [(&schema["items"], "[]"), (&schema["additionalProperties"], "{}")] {
                if inner.is_object() {
                    visit(format!("{path}{mark}"), inner, found);
                }
            }
            found.push((path, schema.clone()));
        }
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        let mut found = Vec::new();
        visit(String::new(), &serde_json::to_value(schema).unwrap(), &mut found);
        found
    }

    #[test]
    fn every_rule_says_why_and_which_field() {
        let reasons =
            ["FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"];
        for (name, crd) in crds() {
            for (path, schema) in schemas(&crd) {
                for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                    assert!(
                        reasons.contains(&rule["reason"].as_str().unwrap_or_default()),
                        "{name}{path}: {rule}"
                    );
                    let Some(field) = rule["fieldPath"].as_str() else { continue };
                    let named = field.strip_prefix('.').unwrap().split('.');
                    let found = named.fold(&schema, |schema, field| &schema["properties"][field]);
                    assert!(found.is_object(), "{name}{path}: {rule}");
                }
            }
        }
    }

    #[test]
    fn everything_is_bounded_and_described_in_a_sentence() {
        let mut faults = Vec::new();
        for (name, crd) in crds() {
            for (path, schema) in schemas(&crd) {
                let has = |keyword: &str| schema.get(keyword).is_some();
                let is_named = path.contains('.') && !path.ends_with("[]") && !path.ends_with("{}");
                let text = schema["description"].as_str().unwrap_or_default();
                if is_named && path != ".metadata" && text.is_empty() {
                    faults.push(format!("{name}{path} says nothing"));
                }
                if text.chars().count() > 200 {
                    faults.push(format!(
                        "{name}{path} has a description of {} characters",
                        text.chars().count()
                    ));
                }
                let bounded = match schema["type"].as_str() {
                    Some("string") => has("maxLength") || has("enum") || has("format"),
                    Some("array") => has("maxItems") && has("x-kubernetes-list-type"),
                    Some("object") => !has("additionalProperties") || has("maxProperties"),
                    Some("integer") => true,
                    Some("boolean") => true,
                    _ => has("x-kubernetes-int-or-string") && has("maxLength"),
                };
                if !bounded && path != ".metadata" {
                    faults.push(format!("{name}{path} has no bound"));
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn crds_stay_small_enough_for_client_side_apply() {
        for (name, crd) in crds() {
            let size = serde_json::to_string(&crd).unwrap().len();
            // Client-side apply keeps a copy in an annotation, and all annotations together end at 256 KiB.
            assert!(size < 160_000, "{name}: {size}");
            println!("{name}: {size} of 160000 bytes");
        }
    }
}
