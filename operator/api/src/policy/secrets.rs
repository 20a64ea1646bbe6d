//! Which Secrets a tenant names. Pure.
//!
//! Found by the form of the spec (`…secretRef`, `…caRef` of kind Secret, `imagePullSecrets`; in templates of pods also
//! `secretKeyRef` and the volumes' `secret` and `azureFile`), so that a field that comes later isn't forgotten.

use crate::TENANT_USABLE_LABEL;
use crate::voicemail_tenant::VoicemailTenantSpec;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Names of all Secrets of its namespace that a tenant has the operator or its pods read.
pub fn named_secrets(spec: &VoicemailTenantSpec) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A spec came from JSON, and can be written as such.
    visit(&serde_json::to_value(spec).unwrap_or_default(), &mut found);
    found
}

fn visit(value: &Value, found: &mut BTreeSet<String>) {
    let name = |reference: &Value| reference["name"].as_str().map(str::to_owned);
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields {
                let form = field.to_ascii_lowercase();
                let is_secret = form.ends_with("secretref") || form == "secretkeyref";
                if is_secret || (form.ends_with("caref") && inner["kind"] == "Secret") {
                    found.extend(name(inner));
                } else if matches!(field.as_str(), "secret" | "azureFile") {
                    // A volume of a template, or a source of a projected one.
                    found.extend(inner["secretName"].as_str().map(str::to_owned).or_else(|| name(inner)));
                } else if field == "imagePullSecrets" {
                    found.extend(inner.as_array().into_iter().flatten().filter_map(name));
                } else {
                    visit(inner, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| visit(item, found)),
        _ => {}
    }
}

/// Whether somebody who may write the Secret has let that tenant use it.
pub fn is_usable(labels: &BTreeMap<String, String>, tenant: &str) -> bool {
    labels.get(TENANT_USABLE_LABEL).is_some_and(|value| value == "true" || value == tenant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_of_templates_and_authorities_are_found() {
        let spec: VoicemailTenantSpec = serde_json::from_value(json!({
            "tenantID": "acme-1", "localRegion": "eu", "primaryRegion": "eu", "numbers": {"defaultRegion": "GB"},
            "regions": [{"name": "eu", "storage": {"volume": {"claim": {"storageClassName": "s", "size": "1Gi"}}}}],
            "trustedCARef": {"kind": "Secret", "name": "company"},
            "telephony": {"domain": "d", "trunks": [], "tls": {"secretRef": {"name": "sip"}, "peerCARef": {"kind": "Secret", "name": "peers"}}},
            "podTemplate": {"spec": {
                "volumes": [
                    {"name": "a", "secret": {"secretName": "mounted"}},
                    {"name": "b", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
                    {"name": "c", "azureFile": {"secretName": "share", "shareName": "s"}},
                    {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "driver"}}},
                ],
                "containers": [{"name": "voicemail", "envFrom": [{"secretRef": {"name": "all"}}], "env": [
                    {"name": "X", "valueFrom": {"secretKeyRef": {"name": "one", "key": "k"}}},
                ]}],
            }},
        }))
        .unwrap();
        let found = named_secrets(&spec);
        let expected = ["all", "company", "driver", "mounted", "one", "peers", "projected", "share", "sip"];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_secret_that_a_spec_names_is_found() {
        let secret = |name: &str| json!({ "name": name });
        let ca = |kind: &str, name: &str| json!({"kind": kind, "name": name});
        let spec: VoicemailTenantSpec = serde_json::from_value(json!({
            "tenantID": "acme-1", "localRegion": "eu", "primaryRegion": "eu", "numbers": {"defaultRegion": "GB"},
            "regions": [
                {"name": "eu", "storage": {"azureBlob": {"account": "acmevoice", "container": "c",
                    "credentials": {"secretRef": secret("azure")}, "encryption": {"customerKeySecretRef": secret("key")}}}},
                {"name": "us", "storage": {"s3": {"bucket": "b", "region": "us-east-1",
                    "credentials": {"secretRef": secret("s3")}}}},
            ],
            "imagePullSecrets": [secret("registry")], "tls": {"secretRef": secret("tls")},
            "keys": {"secretRef": secret("keys")},
            "auth": {
                "basic": {"secretRef": secret("people")},
                "issuers": [{"issuer": "https://a", "audience": "v", "roleMap": {}, "caRef": ca("Secret", "issuer-ca")}],
                "introspection": {"endpoint": "https://a/i", "secretRef": secret("client"), "audience": "v",
                                  "roleMap": {}, "caRef": ca("ConfigMap", "public")},
            },
            "mwi": {"webhooks": [{"name": "w", "url": "https://w", "secretRef": secret("webhook")}]},
            "telemetry": {"otlp": {"endpoint": "http://o", "caRef": ca("Secret", "otlp-ca")}},
        }))
        .unwrap();
        let names: Vec<String> = named_secrets(&spec).into_iter().collect();
        let expected = [
            "azure",
            "client",
            "issuer-ca",
            "key",
            "keys",
            "otlp-ca",
            "people",
            "registry",
            "s3",
            "tls",
            "webhook",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_label_lets_all_tenants_use_a_secret_or_one() {
        let labels = |value: &str| BTreeMap::from([(TENANT_USABLE_LABEL.to_owned(), value.to_owned())]);
        assert!(is_usable(&labels("true"), "acme") && is_usable(&labels("acme"), "acme"));
        assert!(!is_usable(&labels("other"), "acme") && !is_usable(&labels("false"), "acme"));
        assert!(!is_usable(&BTreeMap::new(), "acme"));
    }
}
