//! A tenant as policies let it be: raised, left out, or refused.

use super::{VoicemailPolicy, applies, bind};
use crate::voicemail_tenant::{ApprovalRule, DeletionPolicy, VoicemailTenantSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

fn policy(name: &str, spec: Value) -> VoicemailPolicy {
    let object = json!({"apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailPolicy",
                        "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn tenant(more: Value) -> VoicemailTenantSpec {
    let mut spec = json!({
        "tenantID": "acme-1", "localRegion": "eu", "primaryRegion": "eu", "numbers": {"defaultRegion": "GB"},
        "regions": [{"name": "eu", "storage": {"volume": {"claim": {"storageClassName": "nfs", "size": "1Gi"}}}}],
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn azure(more: Value) -> Value {
    let mut store =
        json!({"account": "acmevoice", "container": "c", "credentials": {"secretRef": {"name": "s"}}});
    store.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"regions": [{"name": "eu", "storage": {"azureBlob": store}}]})
}

fn s3(more: Value) -> Value {
    let mut store =
        json!({"bucket": "b", "region": "eu-west-1", "credentials": {"secretRef": {"name": "s"}}});
    store.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"regions": [{"name": "eu", "storage": {"s3": store}}]})
}

/// The first words of what is refused.
fn refused(rules: Value, more: Value) -> Vec<String> {
    let bound = bind(&[policy("p", rules)], &tenant(more));
    bound.refused.iter().map(|words| words.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn without_a_policy_and_with_an_empty_one_a_tenant_is_as_it_is_written() {
    let spec = tenant(json!({"image": "any:1", "deletionPolicy": "Delete", "podTemplate": {}}));
    for policies in [vec![], vec![policy("p", json!({})), policy("q", json!({"floors": {}}))]] {
        let bound = bind(&policies, &spec);
        assert_eq!((&bound.spec, bound.words().as_str(), bound.least_undo_window), (&spec, "", None));
    }
}

#[test]
fn nobody_signs_in_at_an_issuer_that_is_left_out() {
    let issuer = |url: &str| json!({"issuer": url, "audience": "v", "roleMap": {}});
    let login = |url: &str| json!({"issuer": url, "label": "L", "secretRef": {"name": "s"}});
    let (good, evil) = ("https://good.example", "https://evil.example");
    let spec = |logins: Value, passwords: &str| {
        tenant(json!({
            "auth": {"issuers": [issuer(good), issuer(evil)], "basic": {"secretRef": {"name": "people"}}},
            "web": {"host": "v.example", "login": logins, "passwords": passwords},
        }))
    };
    let rules = || [policy("p", json!({"issuers": [good]}))];
    let bound = bind(&rules(), &spec(json!([login(good), login(evil)]), "Forbidden"));
    let left: Vec<String> = bound.spec.web.unwrap().login.into_iter().map(|login| login.issuer).collect();
    assert_eq!(left, [good]);
    assert!(bound.mended[1].starts_with("web.login: https://evil.example is left out"), "{:?}", bound.mended);
    let bound = bind(&rules(), &spec(json!([login(evil)]), "Forbidden"));
    assert_eq!((bound.spec.web, bound.mended.len(), bound.refused.len()), (None, 3, 0));
    assert!(bind(&rules(), &spec(json!([login(evil)]), "Allowed")).spec.web.is_some(), "by a password");
}

#[test]
fn images_are_of_the_listed_registries_and_by_digest() {
    let rules = json!({"images": {"prefixes": ["registry.example/voicemail/"], "digest": "Required"}});
    let digest = "a".repeat(64);
    for (image, expected) in [
        (format!("registry.example/voicemail/core@sha256:{digest}"), true),
        ("registry.example/voicemail/core:1".into(), false),
        (format!("registry.example/voicemail/core@sha256:{digest}:latest"), false),
        (format!("registry.example/voicemail-evil/core@sha256:{digest}"), false),
        (format!("evil.example/registry.example/voicemail/core@sha256:{digest}"), false),
    ] {
        assert_eq!(refused(rules.clone(), json!({"image": image})).is_empty(), expected, "{image}");
    }
    // The operator's own image isn't the tenant's to choose.
    assert!(refused(rules.clone(), json!({})).is_empty());
    let none = json!({"images": {"prefixes": []}});
    let bound = bind(&[policy("strict", none)], &tenant(json!({"image": "core:1"})));
    assert_eq!((bound.words().as_str(), &bound.spec.image), ("image: policy strict allows only: ", &None));
}

#[test]
fn stores_are_at_listed_hosts_and_the_providers_own_count_as_theirs() {
    let rules = json!({"endpoints": [".blob.core.windows.net", "minio.storage.svc", ".amazonaws.com"]});
    for (store, expected) in [
        (azure(json!({})), true),
        (azure(json!({"endpoint": "https://acmevoice.blob.core.windows.net"})), true),
        (azure(json!({"endpoint": "https://evil.example"})), false),
        (s3(json!({})), true),
        (s3(json!({"region": "cn-north-1"})), false),
        (s3(json!({"endpoint": "http://minio.storage.svc:9000"})), true),
        (s3(json!({"endpoint": "http://minio.storage.svc.evil.example:9000"})), false),
        (s3(json!({"stsEndpoint": "https://evil.example"})), false),
        (json!({}), true),
    ] {
        assert_eq!(refused(rules.clone(), store.clone()).is_empty(), expected, "{store}");
    }
    assert_eq!(refused(json!({"endpoints": []}), azure(json!({}))), ["regions"]);
}

#[test]
fn credentials_are_of_a_listed_kind() {
    let rules = json!({"identities": ["Secret", "KeyVaultWorkload"]});
    let vault = |more: Value| {
        let mut vault =
            json!({"vaultName": "v-1", "tenantID": "1", "secretName": "s", "entry": "AccountKey"});
        vault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        azure(json!({"credentials": {"keyVault": vault}}))
    };
    for (store, expected) in [
        (azure(json!({})), true),
        (s3(json!({})), true),
        (vault(json!({"clientID": "1"})), true),
        (vault(json!({})), false),
        (azure(json!({"credentials": {"workloadIdentity": {"clientID": "1"}}})), false),
        (s3(json!({"credentials": {"webIdentity": {"roleARN": "arn:aws:iam::123456789012:role/v"}}})), false),
    ] {
        assert_eq!(refused(rules.clone(), store.clone()).is_empty(), expected, "{store}");
    }
}

#[test]
fn a_template_is_refused_where_none_is_allowed_at_the_telephone_too() {
    let rules = json!({"podTemplate": "None"});
    assert_eq!(refused(rules.clone(), json!({"podTemplate": {}})), ["podTemplate"]);
    let telephone = json!({"telephony": {"domain": "d", "podTemplate": {},
                           "trunks": [{"name": "t", "addresses": ["192.0.2.1/32"]}]}});
    assert_eq!(refused(rules.clone(), telephone), ["telephony.podTemplate"]);
    assert!(refused(rules, json!({})).is_empty());
}

#[test]
fn callers_and_receivers_that_are_not_allowed_are_left_out_and_named() {
    let rules = json!({
        "issuers": ["https://id.example"], "serviceAccountNamespaces": ["voice"], "endpoints": ["good.example"],
    });
    let issuer = |url: &str| json!({"issuer": url, "audience": "v", "roleMap": {}});
    let mut foreign_keys = issuer("https://id.example");
    foreign_keys["audience"] = json!("w");
    foreign_keys["jwksURI"] = json!("https://evil.example/keys");
    let webhook = |name: &str, url: &str| json!({"name": name, "url": url, "secretRef": {"name": "s"}});
    let spec = tenant(json!({
        "auth": {
            "issuers": [issuer("https://id.example"), issuer("https://id.example/"), foreign_keys],
            "serviceAccounts": [{"namespace": "voice", "name": "a", "roles": ["Admin"]},
                                {"namespace": "other", "name": "b", "roles": ["Privacy"]}],
            "introspection": {"endpoint": "https://id.example.evil/i", "secretRef": {"name": "s"}, "audience": "v",
                              "roleMap": {}},
        },
        "mwi": {"webhooks": [webhook("good", "https://good.example/mwi"), webhook("bad", "https://bad.example/mwi")]},
        "telemetry": {"otlp": {"endpoint": "http://bad.example:4318"}},
        "email": {"smtp": {"host": "Mail.bad.example"}, "from": "voicemail@good.example"},
    }));
    let bound = bind(&[policy("p", rules)], &spec);
    let auth = &bound.spec.auth;
    assert_eq!(auth.issuers.len(), 1, "{:?}", auth.issuers);
    assert_eq!(auth.issuers[0].audience, "v");
    assert_eq!(auth.service_accounts.len(), 1);
    assert!(auth.introspection.is_none());
    let receivers = &bound.spec.mwi.as_ref().unwrap().webhooks;
    assert_eq!(receivers.iter().map(|webhook| webhook.name.as_str()).collect::<Vec<_>>(), ["good"]);
    assert!(bound.spec.telemetry.as_ref().unwrap().otlp.is_none() && bound.spec.email.is_none());
    assert!(bound.refused.is_empty());
    assert_eq!(bound.mended.len(), 7, "{:?}", bound.mended);
    let words = bound.words();
    assert!(
        words.contains("auth.serviceAccounts: other/b is left out: policy p allows only: voice"),
        "{words}"
    );
}

#[test]
fn the_strictest_of_several_floors_counts_and_what_is_above_stays() {
    let policies = [
        policy(
            "a",
            json!({"floors": {"approval": "LargeMatches", "undoWindow": "24h", "auditRetentionDays": 90}}),
        ),
        policy(
            "b",
            json!({"floors": {"approval": "Always", "exports": "LargeMatches", "undoWindow": "1h",
                                      "largeMatchesAtMost": 50, "deletion": "RetainOnly"}}),
        ),
    ];
    let lax = tenant(
        json!({"gdpr": {"undoWindow": "0s"}, "audit": {"retentionDays": 1}, "deletionPolicy": "Delete"}),
    );
    let bound = bind(&policies, &lax);
    let gdpr = bound.spec.gdpr.clone().unwrap();
    let approval = gdpr.approval.clone().unwrap();
    assert_eq!(gdpr.undo_window, "24h");
    assert_eq!((approval.required, approval.exports), (ApprovalRule::Always, ApprovalRule::LargeMatches));
    assert_eq!(approval.large_matches, 50);
    assert_eq!(bound.spec.audit.as_ref().unwrap().retention_days, 90);
    assert_eq!(bound.spec.deletion_policy, DeletionPolicy::Retain);
    assert_eq!(bound.least_undo_window, Some(Duration::from_secs(86_400)));
    assert!(bound.refused.is_empty() && !bound.mended.is_empty());
    // What was raised is at the floors already.
    let again = bind(&policies, &bound.spec);
    assert_eq!((&again.spec, again.words().as_str()), (&bound.spec, ""));

    let strict = tenant(json!({
        "gdpr": {"undoWindow": "48h", "approval": {"required": "Always", "exports": "Always", "largeMatches": 10}},
        "audit": {"retentionDays": 365},
    }));
    let bound = bind(&policies, &strict);
    assert_eq!((&bound.spec, bound.words().as_str()), (&strict, ""));
}

#[test]
fn a_tenant_that_says_nothing_gets_the_floors_too() {
    let bound = bind(
        &[policy("p", json!({"floors": {"undoWindow": "72h", "auditRetentionDays": 365}}))],
        &tenant(json!({})),
    );
    assert_eq!(bound.spec.gdpr.unwrap().undo_window, "72h");
    assert_eq!(bound.spec.audit.unwrap().retention_days, 365);
}

#[test]
fn a_policy_applies_where_all_its_labels_are() {
    let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let chosen = policy("p", json!({"namespaceLabels": {"stage": "production", "team": "voice"}}));
    assert!(applies(&policy("all", json!({})), &labels(&[])));
    assert!(applies(&chosen, &labels(&[("stage", "production"), ("team", "voice"), ("x", "y")])));
    assert!(!applies(&chosen, &labels(&[("stage", "production")])));
    assert!(!applies(&chosen, &labels(&[("stage", "test"), ("team", "voice")])));
}

#[test]
fn templates_say_where_pods_run_and_more_only_where_a_policy_lets_them() {
    let placed = json!({"podTemplate": {"spec": {"priorityClassName": "high"}}});
    let more = json!({"podTemplate": {"spec": {"containers": [{"name": "envoy", "image": "envoy"}]}}});
    assert!(refused(json!({}), placed.clone()).is_empty());
    assert_eq!(refused(json!({}), more.clone()), ["podTemplate"], "Placement is the default");
    assert_eq!(refused(json!({"podTemplate": "Placement"}), more.clone()), ["podTemplate"]);
    assert!(refused(json!({"podTemplate": "Full"}), more).is_empty());
}

#[test]
fn a_proxy_is_one_of_the_hosts_that_credentials_are_sent_to() {
    let proxy = |host: &str| json!({"proxy": {"httpsProxy": format!("http://{host}:3128")}});
    let rules = json!({"endpoints": [".corp.example"]});
    assert!(refused(rules.clone(), proxy("proxy.corp.example")).is_empty());
    assert_eq!(refused(rules, proxy("proxy.evil.example")), ["proxy"]);
}
