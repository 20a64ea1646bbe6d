//! Valid objects of both kinds in which, together, every field is present, and ways to edit them.

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Tenant,
    Request,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        if self == Self::Tenant { "VoicemailTenant" } else { "GdprRequest" }
    }

    pub(crate) fn schema(self) -> Value {
        let found = voicemail_operator::api::crds().map(|(_, crd)| crd);
        let crd = found.into_iter().find(|crd| crd.spec.names.kind == self.name()).unwrap();
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        serde_json::to_value(schema).unwrap()
    }

    /// Valid objects in which, together, every field is present.
    pub(crate) fn bases(self) -> Vec<Value> {
        match self {
            Self::Tenant => vec![
                full_tenant(),
                edited(
                    &full_tenant(),
                    &[
                        (&claim("/volumeName"), Value::Null),
                        (&claim("/selector"), json!({"matchLabels": {"disk": "fast"}})),
                    ],
                ),
                edited(&full_tenant(), &[(VOLUME, json!({"existingClaim": "messages"}))]),
            ],
            Self::Request => vec![full_request(), full_undo()],
        }
    }
}

pub(crate) const VOLUME: &str = "/spec/regions/0/storage/volume";

pub(crate) fn claim(field: &str) -> String {
    format!("{VOLUME}/claim{field}")
}

pub(crate) fn full_tenant() -> Value {
    let amounts = json!({"cpu": "100m", "memory": "64Mi"});
    json!({
        "apiVersion": "voicemail.dev/v1alpha1", "kind": "VoicemailTenant",
        "metadata": {"name": "acme"},
        "spec": {
            "tenantId": "acme-1", "region": "eu", "replicas": 2, "image": "localhost/voicemail:none",
            "regions": [{"name": "eu", "master": true, "storage": {"volume": {"claim": {
                "storageClassName": "nowhere", "size": "20Gi", "volumeName": "disk-1",
                "labels": {"servicename": "voice-voicemail"}, "volumeMode": "Filesystem",
            }}}}],
            "keys": {"secret": {"name": "keys"}}, "tls": {"secret": {"name": "tls"}},
            "resources": {"requests": amounts, "limits": amounts},
            "classesOfService": [{"name": "standard", "maxMessages": 10, "maxSeconds": 180,
                                  "retentionDays": 30, "trashHours": 24}],
            "numbers": {"defaultRegion": "GB"},
            "auth": {
                "issuers": [{"issuer": "https://id.example", "audience": "voice", "jwksUri": "https://id.example/k",
                             "userClaim": "sub", "rolesClaim": "roles", "roleMap": {"listener": "agent"}}],
                "serviceAccounts": [{"namespace": "voice", "name": "alice", "roles": ["agent"], "user": "alice"}],
            },
            "gdpr": {"undoWindow": "24h", "exportLifetime": "7d", "backupRetention": "35d"},
            "deletionPolicy": "Retain",
        },
        "status": {
            "conditions": [condition()], "storeId": "s", "replicas": 1, "readyReplicas": 1, "selector": "a=b",
            "regions": [{"name": "eu", "storage": "volume", "reachable": true}],
        },
    })
}

pub(crate) fn condition() -> Value {
    json!({"type": "Ready", "status": "True", "reason": "Available", "message": "all replicas serve",
           "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

pub(crate) fn full_request() -> Value {
    json!({
        "apiVersion": "voicemail.dev/v1alpha1", "kind": "GdprRequest",
        "metadata": {"name": "case-1"},
        "spec": {"tenant": "acme", "operation": "ForgetMe", "caseId": "1", "undoWindow": "24h",
                 "consumers": {"secret": {"name": "case-1"}}, "requestedBy": "ticket-1",
                 "receivedAt": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Marked", "conditions": [condition()], "run": "r", "matched": 3,
                   "dueAt": "2026-02-01T00:00:00Z"},
    })
}

pub(crate) fn full_undo() -> Value {
    edited(
        &full_request(),
        &[
            ("/spec/operation", json!("UndoForgetMe")),
            ("/spec/consumers", Value::Null),
            ("/spec/undoWindow", Value::Null),
            ("/spec/run", json!("run-1")),
        ],
    )
}

/// The object with values replaced or added; null removes.
pub(crate) fn edited(object: &Value, edits: &[(&str, Value)]) -> Value {
    let mut object = object.clone();
    for (pointer, value) in edits {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
        match (parent, value) {
            (Value::Object(fields), Value::Null) => drop(fields.remove(key)),
            (Value::Object(fields), value) => drop(fields.insert(key.to_owned(), value.clone())),
            (Value::Array(items), value) if key == "-" => items.push(value.clone()),
            (Value::Array(items), value) => items[key.parse::<usize>().unwrap()] = value.clone(),
            (other, _) => panic!("{pointer}: {other}"),
        }
    }
    object
}

pub(crate) type Edits = Vec<(String, Value)>;

pub(crate) fn apply(object: &Value, edits: &Edits) -> Value {
    let edits: Vec<(&str, Value)> = edits.iter().map(|(p, value)| (p.as_str(), value.clone())).collect();
    edited(object, &edits)
}
