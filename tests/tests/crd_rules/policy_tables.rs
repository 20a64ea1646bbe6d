//! Policies that the rules about them accept and refuse.

use serde_json::{Value, json};

use crate::tables::{Row, edit, row};

/// A valid policy in which every field is present. It applies to no namespace.
pub(crate) fn full_policy() -> Value {
    json!({
        "apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailPolicy", "metadata": {"name": "rules"},
        "spec": {
            "namespaceLabels": {"rules.example/applies": "nowhere"},
            "images": {"prefixes": ["registry.example/voicemail/"], "digest": "Required"},
            "issuers": ["https://id.example"], "endpoints": [".blob.core.windows.net"],
            "serviceAccountNamespaces": ["voice"], "identities": ["Secret"],
            "secrets": "Labelled", "podTemplate": "Placement",
            "floors": {"approval": "LargeMatches", "exports": "Never", "largeMatchesAtMost": 100, "undoWindow": "24h",
                       "auditRetentionDays": 90, "deletion": "RetainOnly"},
        },
    })
}

pub(crate) fn policy_rules() -> Vec<Row> {
    let form = |rule: &'static str, pointer: &'static str, good: &[&str], bad: &[&str]| {
        let list = |texts: &[&str]| texts.iter().map(|text| edit(pointer, json!([text]))).collect();
        row(rule, vec![], list(good), list(bad))
    };
    let floor = |text: &str| edit("/spec/floors/undoWindow", json!(text));
    vec![
        form(
            "prefixes: write",
            "/spec/images/prefixes",
            &["registry.example/voicemail/", "registry.example/core:", "registry.example/core@"],
            &["registry.example/voicemail", "registry example/"],
        ),
        form(
            "issuers: write URLs",
            "/spec/issuers",
            &["https://id.example", "https://id.example:8443/realms/voice/"],
            &["http://id.example", "https://", "https://id.example?x", "https://id.example/ x"],
        ),
        form(
            "endpoints: write hosts",
            "/spec/endpoints",
            &["minio.storage.svc", ".amazonaws.com", "10.20.0.1", "fd00::1"],
            &["https://minio.storage.svc", "Minio.svc", "minio.svc/x", "a b"],
        ),
        row(
            "floors.undoWindow: write",
            vec![],
            vec![floor("0s"), floor("720h"), floor("1h30m")],
            vec![floor("721h"), floor("1d"), floor("soon")],
        ),
    ]
}
