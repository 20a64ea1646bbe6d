//! Additions to a resource's schema beyond its Rust types: bounds, fields that can't change, and Kubernetes' own types.
//!
//! Types of core/v1 and networking/v1 are written out here with their bounds, since those that come with the library
//! have none, and hundreds of kilobytes of text.

use crate::rules;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Times that are read: RFC 3339 with capitals, nine digits of a second, and offsets of less than a day, in years of which
/// a month later is one, too. The format alone admits more.
const TIME: &str = r"^([0-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9])-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

/// A field that can't change: the path of its parent in the schema of the spec, its name, and why.
type Fixed = (&'static str, &'static str, &'static str);

const REGION: &str = "/properties/regions/items/properties/storage/properties";
const THERE: &str = "the messages are there";

/// Of a tenant: what can't be taken back.
const FIXED_OF_TENANT: [Fixed; 13] = [
    ("", "tenantID", "it names the tenant's data; make another tenant instead"),
    ("", "primaryRegion", "that region holds the mailboxes"),
    ("", "keys", "nobody can find a caller's messages by another key"),
    ("REGION/volume", "existingClaimRef", THERE),
    ("REGION/volume/properties/claim", "storageClassName", THERE),
    ("REGION/volume/properties/claim", "volumeName", THERE),
    ("REGION/volume/properties/claim", "selector", "the messages are on the volume that it chose"),
    ("REGION/azureBlob", "account", THERE),
    ("REGION/azureBlob", "container", THERE),
    ("REGION/azureBlob", "prefix", THERE),
    ("REGION/s3", "bucket", THERE),
    ("REGION/s3", "prefix", THERE),
    (
        "/properties/telephony/properties/spool/properties/claim",
        "storageClassName",
        "the pods have their volumes",
    ),
];

const RECORD: &str = "a request is a record; make another one instead";

/// Of a request: all but what people decide about it.
const FIXED_OF_REQUEST: [Fixed; 13] = [
    ("", "tenantRef", RECORD),
    ("", "operation", RECORD),
    ("", "caseID", RECORD),
    ("", "consumers", RECORD),
    ("", "messages", RECORD),
    ("", "run", RECORD),
    ("", "undoWindow", RECORD),
    ("", "receivedAt", RECORD),
    ("", "requestedBy", RECORD),
    ("", "verification", RECORD),
    ("", "dryRun", RECORD),
    ("", "requireApproval", RECORD),
    ("", "ttlSecondsAfterFinished", RECORD),
];

/// Removes `nullable`, which the derive adds to every optional field: a null would make `has()` true in CEL. Says of
/// each time and number what can be read, for the API server takes a format for less than the type behind it. And adds
/// the rules of fields that can't change.
pub(crate) fn finish(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let Ok(mut value) = serde_json::to_value(&crd) else { return crd };
    remove_nullable(&mut value);
    bound(&mut value);
    let fixed: &[Fixed] = match crd.spec.names.kind.as_str() {
        "GdprRequest" => &FIXED_OF_REQUEST,
        "VoicemailTenant" => &FIXED_OF_TENANT,
        // What the platform team wants may change.
        _ => &[],
    };
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    for (parent, field, why) in fixed {
        let path = format!("{spec}{}", parent.replace("REGION", REGION));
        if let Some(parent) = value.pointer_mut(&path) {
            rules::fix(parent, field, why);
        }
    }
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

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

fn text(most: u32) -> Value {
    json!({"type": "string", "maxLength": most})
}

/// Labels or annotations.
pub(crate) fn texts(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": "object", "maxProperties": 32, "additionalProperties": text(4096)}))
}

/// Labels.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": "object", "maxProperties": 32, "additionalProperties": text(63)}))
}

fn selector() -> Value {
    json!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": {
                "description": "Labels that must be there, such as app: ivr.",
                "type": "object", "maxProperties": 16, "additionalProperties": text(63),
            },
            "matchExpressions": {
                "description": "Rules about labels, all of which must hold.",
                "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"description": "Name of the label.", "type": "string", "maxLength": 317},
                        "operator": {
                            "description": "How the label's value is compared.",
                            "type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "Values for In and NotIn.",
                            "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic", "items": text(63),
                        },
                    },
                },
            },
        },
    })
}

/// A LabelSelector of meta/v1.
pub(crate) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    schema(selector())
}

/// A list of NetworkPolicyPeers of networking.k8s.io/v1.
pub(crate) fn peers(_: &mut SchemaGenerator) -> Schema {
    let described = |words: &str| {
        let mut value = selector();
        value["description"] = json!(words);
        value
    };
    schema(json!({
        "type": "array", "maxItems": 32, "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "properties": {
                "ipBlock": {
                    "description": "Addresses.",
                    "type": "object",
                    "required": ["cidr"],
                    "properties": {
                        "cidr": {"description": "A range, such as 10.20.0.0/16.", "type": "string", "maxLength": 43},
                        "except": {
                            "description": "Ranges within it that are left out.",
                            "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic", "items": text(43),
                        },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "isCIDR(self.cidr) && (!has(self.except) || self.except.all(range, isCIDR(range)))",
                        "message": "ipBlock: write ranges of addresses, such as 10.20.0.0/16 or fd00::/8",
                        "reason": "FieldValueInvalid",
                    }],
                },
                "namespaceSelector": described("Namespaces, by their labels; all of them when empty."),
                "podSelector": described("Pods, by their labels: of this namespace, or of those chosen."),
            },
            "x-kubernetes-validations": [{
                "rule": "has(self.ipBlock) != (has(self.namespaceSelector) || has(self.podSelector))",
                "message": "from: write ipBlock, or namespaceSelector and podSelector",
                "reason": "FieldValueRequired",
            }],
        },
    }))
}

/// Amounts by the name of a resource, as in core/v1.
pub(crate) fn amounts(generator: &mut SchemaGenerator) -> Schema {
    let mut amount: Value = generator.subschema_for::<crate::quantity::Amount>().to_value();
    amount["x-kubernetes-validations"] = json!([{
        "rule": "isQuantity(string(self))",
        "message": "resources: write an amount, such as 250m or 256Mi",
        "reason": "FieldValueInvalid",
    }]);
    schema(json!({"type": "object", "maxProperties": 16, "additionalProperties": amount}))
}

/// Tolerations of core/v1.
pub(crate) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "properties": {
                "key": {"description": "Key of the taint; every one when absent.", "type": "string", "maxLength": 317},
                "operator": {
                    "description": "How the value is compared.",
                    "type": "string", "enum": ["Equal", "Exists"],
                },
                "value": {"description": "Value of the taint.", "type": "string", "maxLength": 63},
                "effect": {
                    "description": "Effect of the taint; every one when absent.",
                    "type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
                },
                "tolerationSeconds": {
                    "description": "How long a taint that evicts is borne.",
                    "type": "integer", "format": "int64",
                },
            },
        },
    }))
}

/// An object of core/v1 that the API server checks once it is part of a pod.
pub(crate) fn object(_: &mut SchemaGenerator) -> Schema {
    schema(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
}

/// A list of such.
pub(crate) fn objects(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }))
}
