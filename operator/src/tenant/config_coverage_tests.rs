//! Every field of the core's configuration can be set by a VoicemailTenant, or this file says why not.
//!
//! Flow: two tenants that differ in every field are planned. A field of the configuration whose value differs is reached.
//! Which fields there are is asked of the configuration's own types: each object refuses an unknown field with the list of
//! those that it has, so that a new field can't be missed.

use crate::tenant::object_store_tests::complete;
use crate::tenant::tests::{example, facts, plan_with};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::config::TenantConfig;
use voicemail_resources::VoicemailTenant;

/// Fields that no VoicemailTenant sets, with all below them, and why.
const EXCEPTIONS: [(&str, &str); 17] = [
    ("cluster", "the operator's own cluster, by the UID of its namespace"),
    ("keysDir", "where the operator mounts the keys"),
    ("listen", "the ports of the pods are fixed: Services and policies name them"),
    ("peers", "the headless Service"),
    ("auth.kubernetes.apiServer", "the cluster's own"),
    ("auth.kubernetes.caFile", "the pod's own"),
    ("auth.kubernetes.tokenFile", "the pod's own"),
    ("auth.kubernetes.serviceAccounts[].audience", "the operator's own entry, which alone has one"),
    ("auth.introspection.clientIdFile", "where the operator mounts spec.auth.introspection.secretRef"),
    ("auth.introspection.clientSecretFile", "where the operator mounts spec.auth.introspection.secretRef"),
    ("auth.basic.usersFile", "where the operator mounts spec.auth.basic.secretRef"),
    ("email.smtp.credentialsDir", "where the operator mounts spec.email.smtp.secretRef"),
    ("email.templatesDir", "where the operator mounts spec.email.templatesRef"),
    (
        "gdpr.leastUndoWindow",
        "a VoicemailPolicy's floors.undoWindow: whoever edits the tenant can't touch it",
    ),
    ("gdpr.expectedHead", "where the operator mounts the ledger's Secret"),
    ("limits.headerTime", "a defence that nobody needs to loosen: clients in a cluster are near"),
    ("regions[].storage.volume.path", "where the operator mounts the claim"),
];

/// Objects with one key, which names a variant.
const VARIANTS: [&str; 2] = ["storage", "credentials"];
/// Objects whose keys the tenant chooses.
const FREE: [&str; 1] = ["roleMap"];
const UNKNOWN: &str = "anUnknownField";

/// Both with every field; no value of the one is that of the other.
fn tenants() -> [Value; 2] {
    [false, true].map(|other| {
        let pick = |a: Value, b: Value| if other { b } else { a };
        let name = |text: &str| pick(json!(text), json!(format!("{text}-2")));
        let ca = |text: &str| json!({"kind": "Secret", "name": name(text)});
        let mut value = example();
        let spec = &mut value["spec"];
        spec["tenantID"] = name("acme");
        spec["storeCalls"] = pick(json!(32), json!(48));
        spec["uploadBuffer"] = pick(json!("32Mi"), json!("48Mi"));
        spec["numbers"] = json!({
            "defaultRegion": pick(json!("GB"), json!("DE")), "callerTag": pick(json!("E164"), json!("Hash")),
            "withheld": [name("nobody")],
            "prefixes": [{"prefix": pick(json!("9"), json!("0")), "digits": pick(json!(5), json!(6)),
                          "replaceWith": pick(json!("+44"), json!("+49"))}],
        });
        spec["reception"] = json!({
            "optOut": name("5555"), "language": pick(json!("en"), json!("de")),
            "timeZone": pick(json!("Europe/London"), json!("Europe/Berlin")),
        });
        spec["classesOfService"] = json!([{
            "name": name("short"), "maxMessages": pick(json!(5), json!(6)), "maxSeconds": pick(json!(60), json!(61)),
            "minSeconds": pick(json!(1), json!(2)), "quotaSeconds": pick(json!(600), json!(601)),
            "retentionDays": pick(json!(7), json!(8)), "trashHours": pick(json!(1), json!(2)),
            "email": pick(json!("Note"), json!("Audio")), "emailDigestMinutes": pick(json!(30), json!(60)),
        }]);
        spec["email"] = json!({
            "smtp": {"host": pick(json!("a.example"), json!("b.example")), "port": pick(json!(25), json!(26)),
                     "tls": pick(json!("StartTLS"), json!("TLS")), "secretRef": {"name": "smtp"}, "caRef": ca("smtp")},
            "from": pick(json!("a@example.com"), json!("b@example.com")),
            "replyTo": pick(json!("c@example.com"), json!("d@example.com")), "templatesRef": {"name": "words"},
        });
        spec["web"] = json!({
            "host": pick(json!("a.example"), json!("b.example:8443")), "passwords": pick(json!("Forbidden"), json!("Allowed")),
            "login": [{
                "issuer": pick(json!("https://a.example"), json!("https://b.example")), "label": name("Acme"),
                "secretRef": {"name": name("web")}, "scopes": [json!("openid"), name("voicemail")],
                "resource": name("urn:voicemail"), "identityFrom": pick(json!("AccessToken"), json!("IDToken")),
            }],
            "embedIn": [pick(json!("https://a.example"), json!("https://b.example"))],
            "session": {"lifetime": pick(json!("1h"), json!("2h")), "idle": pick(json!("5m"), json!("6m")), "epoch": pick(json!(2), json!(3))},
            "freshLogin": pick(json!("7m"), json!("8m")), "maskCallers": pick(json!("Never"), json!("All")),
        });
        spec["gdpr"] = json!({
            "undoWindow": pick(json!("1h"), json!("2h")), "exportLifetime": pick(json!("3h"), json!("4h")),
            "backupRetentionDays": pick(json!(7), json!(8)), "regionDown": pick(json!("Refuse"), json!("MarkAndRetry")),
            "approval": {"required": pick(json!("Always"), json!("LargeMatches")), "largeMatches": pick(json!(5), json!(6)),
                         "exports": pick(json!("Always"), json!("LargeMatches"))},
        });
        spec["audit"] = json!({"retentionDays": pick(json!(90), json!(91))});
        spec["directory"] = pick(json!("Open"), json!("Closed"));
        spec["cors"] = json!({"allowedOrigins": [pick(json!("https://a.example"), json!("https://b.example"))]});
        spec["clientLimits"] = json!({
            "connections": pick(json!(20), json!(30)), "connectionsPerAddress": pick(json!(5), json!(6)),
            "requestsPerAddress": pick(json!(7), json!(8)), "requestsPerCaller": pick(json!(9), json!(10)),
            "refusalsPerAddress": pick(json!(11), json!(12)), "streamsPerUser": pick(json!(13), json!(14)),
            "requestsPerTelephony": pick(json!(15), json!(16)), "sharedAddresses": [pick(json!("10.0.0.1"), json!("10.0.0.2"))],
        });
        spec["telemetry"] = json!({"otlp": {
            "endpoint": pick(json!("https://a.example:4318"), json!("https://b.example:4318")), "caRef": ca("otel"),
            "samplePercent": pick(json!(1), json!(2)),
        }});
        spec["mwi"] = json!({
            "streamLifetime": pick(json!("10m"), json!("20m")), "reconcileEvery": pick(json!("1m"), json!("2m")),
            "webhooks": [{
                "name": name("desk"), "url": pick(json!("https://a.example"), json!("https://b.example")),
                "secretRef": {"name": "desk"}, "caRef": ca("desk"),
                "allowedPrivateRanges": [pick(json!("10.1.0.0/16"), json!("10.2.0.0/16"))],
            }],
        });
        let role = |a: &str, b: &str| pick(json!({"x": a}), json!({"x": b}));
        spec["auth"] = json!({
            "serviceAccounts": [{"namespace": name("a"), "name": name("b"), "user": name("c"),
                                 "roles": [pick(json!("Agent"), json!("Admin"))]}],
            "issuers": [{
                "issuer": pick(json!("https://a.example"), json!("https://b.example")), "audience": name("v"),
                "jwksURI": pick(json!("https://a.example/k"), json!("https://b.example/k")), "caRef": ca("issuer"),
                "roleMap": role("Agent", "Admin"), "rolesClaim": name("roles"), "userClaim": name("user"),
                "userPrefix": name("prefix"), "algorithms": [pick(json!("ES256"), json!("RS256"))],
                "clockSkew": pick(json!("1s"), json!("2s")),
            }],
            "introspection": {
                "endpoint": pick(json!("https://a.example/i"), json!("https://b.example/i")),
                "secretRef": {"name": "client"}, "audience": name("v"), "caRef": ca("look"),
                "roleMap": role("Agent", "Admin"), "rolesClaim": name("scope"), "userClaim": name("user"),
                "userPrefix": name("prefix2"), "cache": pick(json!("5s"), json!("6s")),
            },
            "basic": {"secretRef": {"name": "people"}}, "longestTokenLife": pick(json!("1h"), json!("2h")),
            "people": [{"name": name("ann"), "identities": [{"authority": name("basic"), "name": name("ann")}]}],
        });
        value
    })
}

fn storages(other: bool) -> [Value; 2] {
    let pick = |a: Value, b: Value| if other { b } else { a };
    let name = |text: &str| pick(json!(text), json!(format!("{text}-2")));
    let volume = json!([{"name": name("main"), "storage": {"volume": {
        "claim": {"storageClassName": "nfs", "size": "1Gi"},
        "keepFree": {"size": pick(json!("64Mi"), json!("65Mi")), "percent": pick(json!(6), json!(7))},
    }}}]);
    let objects = json!([
        {"name": name("main"), "storage": {"s3": {
            "bucket": name("bucket"), "prefix": name("prefix"), "region": name("eu"),
            "endpoint": pick(json!("https://a.example"), json!("https://b.example")),
            "stsEndpoint": pick(json!("https://a.example"), json!("https://b.example")),
            "encryption": {"algorithm": "KMS", "kmsKeyID": name("key")},
            "restoreArchived": {"days": pick(json!(1), json!(2))},
            "etagQuoting": pick(json!("RFC"), json!("Bare")), "credentials": {"secretRef": {"name": "s3"}},
        }}},
        {"name": name("second"), "storage": {"azureBlob": {
            "account": pick(json!("acme"), json!("acme2")), "container": name("voice"), "prefix": name("prefix"),
            "endpoint": pick(json!("https://c.example"), json!("https://d.example")),
            "encryption": {"scope": name("scope")},
            "restoreArchived": {"tier": pick(json!("Hot"), json!("Cool"))},
            "credentials": {"secretRef": {"name": "azure"}},
        }}},
    ]);
    let algorithm = pick(json!("AES256"), json!("KMS"));
    let more = [
        json!({"name": name("third"), "storage": {"s3": {
            "bucket": name("third"), "region": "eu", "credentials": {"secretRef": {"name": "s3"}},
            "encryption": {"algorithm": algorithm},
        }}}),
        json!({"name": name("fourth"), "storage": {"azureBlob": {
            "account": "acme", "container": "fourth", "credentials": {"secretRef": {"name": "azure"}},
            "encryption": {"customerKeySecretRef": {"name": "key"}},
        }}}),
    ];
    let mut objects = objects;
    objects.as_array_mut().unwrap().extend(more);
    [volume, objects]
}

/// The configurations of both tenants, on a volume and on object stores; the master of the second pair is the other region.
fn configurations() -> Vec<[Value; 2]> {
    let mut pairs = Vec::new();
    for at in 0..2 {
        let [first, second] = tenants();
        let planned = [(first, false), (second, true)].map(|(mut value, other)| {
            let regions = storages(other)[at].clone();
            let primary =
                regions.as_array().unwrap().last().filter(|_| other).unwrap_or(&regions[0])["name"].clone();
            value["spec"]["localRegion"] = regions[0]["name"].clone();
            value["spec"]["primaryRegion"] = primary;
            value["spec"]["regions"] = regions;
            let tenant: VoicemailTenant = serde_json::from_value(value).unwrap();
            let facts = if at == 0 { facts() } else { complete() };
            serde_json::to_value(plan_with(&tenant, &facts).unwrap().config).unwrap()
        });
        pairs.push(planned);
    }
    pairs
}

/// The values at each path, those of a list's items at one; a folder's path too.
fn collect(value: &Value, path: &str, found: &mut BTreeMap<String, Vec<String>>) {
    let name = path.rsplit(['.', ']']).next().unwrap_or_default();
    found.entry(path.to_owned()).or_default().push(value.to_string());
    match value {
        Value::Object(fields) if !FREE.contains(&name) => {
            for (field, value) in fields {
                collect(value, format!("{path}.{field}").trim_start_matches('.'), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

/// The fields that each object of a configuration could have.
fn ask_fields(whole: &Value, pointer: &str, path: &str, known: &mut BTreeSet<String>) {
    let here = whole.pointer(pointer).unwrap();
    let name = path.rsplit(['.', ']']).next().unwrap_or_default();
    match here {
        Value::Object(fields) => {
            if FREE.contains(&name) {
                return;
            }
            if !VARIANTS.contains(&name) {
                for field in expected_fields(whole, pointer) {
                    known.insert(format!("{path}.{field}").trim_start_matches('.').to_owned());
                }
            }
            for field in fields.keys() {
                let path = format!("{path}.{field}");
                ask_fields(whole, &format!("{pointer}/{field}"), path.trim_start_matches('.'), known);
            }
        }
        Value::Array(items) => {
            for at in 0..items.len() {
                ask_fields(whole, &format!("{pointer}/{at}"), &format!("{path}[]"), known);
            }
        }
        _ => {}
    }
}

/// The fields that an object names when it refuses one that it doesn't have.
fn expected_fields(whole: &Value, pointer: &str) -> Vec<String> {
    let mut asked = whole.clone();
    asked.pointer_mut(pointer).unwrap()[UNKNOWN] = json!(1);
    let error = TenantConfig::parse(&asked.to_string()).expect_err(pointer).to_string();
    let (_, names) = error.split_once(&format!("unknown field `{UNKNOWN}`")).unwrap_or_else(|| {
        panic!("{pointer} takes unknown fields: {error}");
    });
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Something that is there or isn't, and whose fields the operator writes.
fn holds_excepted(path: &str) -> bool {
    EXCEPTIONS.iter().any(|(field, _)| field.starts_with(&format!("{path}.")))
}

fn is_excepted(path: &str) -> bool {
    EXCEPTIONS.iter().any(|(field, _)| {
        path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

#[test]
fn every_field_of_the_cores_configuration_can_be_set_by_a_tenant_or_is_excepted_with_a_reason() {
    let (mut known, mut reached) = (BTreeSet::new(), BTreeSet::new());
    for [first, second] in configurations() {
        ask_fields(&first, "", "", &mut known);
        let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
        collect(&first, "", &mut ours);
        collect(&second, "", &mut theirs);
        reached.extend(
            ours.into_iter().filter(|(path, values)| theirs.get(path) != Some(values)).map(|(path, _)| path),
        );
    }
    let missed: Vec<&String> = known
        .iter()
        .filter(|path| !reached.contains(*path) && !is_excepted(path) && !holds_excepted(path))
        .collect();
    assert!(missed.is_empty(), "no VoicemailTenant sets these, and nothing says why: {missed:#?}");
    let (unknown, stale): (Vec<_>, Vec<_>) = (
        EXCEPTIONS.iter().filter(|(field, _)| !known.contains(*field)).collect(),
        EXCEPTIONS.iter().filter(|(field, _)| reached.contains(*field) && *field != "peers").collect(),
    );
    assert!(unknown.is_empty(), "no such fields: {unknown:?}");
    assert!(stale.is_empty(), "a tenant sets these after all: {stale:?}");
}

/// The resource's defaults and the core's are written twice, since the API server has to know them.
#[test]
fn an_object_that_says_nothing_means_what_its_absence_means() {
    let config = |change: &dyn Fn(&mut Value)| {
        let mut value = example();
        let spec = value["spec"].as_object_mut().unwrap();
        for field in ["classesOfService", "clientLimits", "reception", "mwi", "gdpr", "audit"] {
            spec.remove(field);
        }
        change(&mut value["spec"]);
        let tenant: VoicemailTenant = serde_json::from_value(value).unwrap();
        plan_with(&tenant, &facts()).unwrap().config
    };
    let absent = config(&|_| {});
    for field in ["clientLimits", "reception", "mwi", "gdpr", "audit"] {
        assert_eq!(config(&|spec| spec[field] = json!({})), absent, "spec.{field}");
    }
    let classes = config(&|spec| spec["classesOfService"] = json!([{"name": "standard"}])).classes_of_service;
    assert_eq!(classes, [voicemail_api::config::ClassOfService::standard()]);
}
