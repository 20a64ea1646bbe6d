//! Who may call and how much, from a spec to the configuration and the mounts.

use crate::tenant::build::access::plan_access;
use crate::tenant::build::build;
use crate::tenant::facts::access_secrets::{AccessFact, list_secrets};
use crate::tenant::steps::apply::Applied;
use crate::tenant::steps::status::{Outcome, Seen, compute_status};
use crate::tenant::steps::status_tests::{applied_outcome, bound, condition, deployment};
use crate::tenant::tests::{example, facts, now, plan_with};
use serde_json::{Value, json};
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::ConditionStatus::{False, True};

fn tenant(change: impl FnOnce(&mut Value)) -> VoicemailTenant {
    let mut value = example();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

fn with_access() -> VoicemailTenant {
    tenant(|value| {
        value["spec"]["auth"]["issuers"] = json!([{
            "issuer": "https://id.acme.example", "audience": "voicemail", "roleMap": {"agents": "Agent"},
            "algorithms": ["ES256"], "clockSkew": "10s", "caRef": {"kind": "Secret", "name": "acme.ca"},
        }]);
        value["spec"]["auth"]["introspection"] = json!({
            "endpoint": "https://id.acme.example/introspect", "secretRef": {"name": "client"}, "audience": "voicemail",
            "caRef": {"kind": "Secret", "name": "acme.ca"}, "roleMap": {"vm:agent": "Agent"}, "cache": "20s",
        });
        value["spec"]["auth"]["basic"] = json!({"secretRef": {"name": "people"}});
        value["spec"]["cors"] = json!({"allowedOrigins": ["https://desk.acme.example"]});
        value["spec"]["clientLimits"] =
            json!({"connections": 100, "requestsPerCaller": 0, "sharedAddresses": ["10.0.0.1"]});
        value["spec"]["audit"] = json!({"retentionDays": 90});
        value["spec"]["telemetry"] = json!({"otlp": {
            "endpoint": "https://otel.acme.example:4318", "caRef": {"kind": "Secret", "name": "acme.ca"}, "samplePercent": 5,
        }});
    })
}

#[test]
fn who_may_call_and_how_much_reaches_the_core() {
    let plan = plan_with(&with_access(), &facts()).unwrap();
    let config = &plan.config;
    let issuer = &config.auth.issuers[0];
    assert_eq!(issuer.clock_skew.as_secs(), 10);
    assert_eq!(issuer.ca_file.as_ref().unwrap().to_str(), Some("/etc/voicemail/trust/acme.ca/ca.crt"));
    let introspection = config.auth.introspection.as_ref().unwrap();
    assert_eq!(introspection.client_id_file.to_str(), Some("/etc/voicemail/introspection/clientId"));
    assert_eq!((introspection.cache.as_secs(), introspection.roles_claim.as_str()), (20, "scope"));
    let users = &config.auth.basic.as_ref().unwrap().users_file;
    assert_eq!(users.to_str(), Some("/etc/voicemail/basic/users"));
    assert_eq!(config.browser_origins, ["https://desk.acme.example"]);
    let limits = &config.limits;
    assert_eq!(
        (limits.connections, limits.connections_per_address, limits.requests_per_caller),
        (100, 50, 0)
    );
    assert_eq!((limits.requests_per_address, limits.shared_addresses.len()), (1_000, 1));
    assert_eq!(config.audit.retention.as_secs(), 90 * 86_400);
    let otlp = config.telemetry.otlp.as_ref().unwrap();
    assert_eq!((otlp.endpoint.as_str(), otlp.sample_percent), ("https://otel.acme.example:4318", 5));
    assert_eq!(otlp.ca_file.as_ref().unwrap().to_str(), Some("/etc/voicemail/trust/acme.ca/ca.crt"));
    let plain = plan_with(&tenant(|_| {}), &facts()).unwrap();
    assert!(!plain.config.to_yaml().unwrap().contains("telemetry"), "cores of before can read it");
}

#[test]
fn the_secrets_are_mounted_with_the_keys_that_are_read_and_hold_up_no_pod() {
    let plan = plan_with(&with_access(), &facts()).unwrap();
    let deployment = serde_json::to_value(build(&plan).unwrap().deployment).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let volume = |name: &str| {
        let volumes = pod["volumes"].as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == name).cloned().unwrap_or_default()
    };
    let client = &volume("introspection")["secret"];
    assert_eq!((&client["secretName"], &client["optional"]), (&json!("client"), &json!(true)));
    assert_eq!(client["items"].as_array().unwrap().len(), 2);
    assert_eq!(volume("basic")["secret"]["items"], json!([{"key": "users", "path": "users"}]));
    let trust = &volume("trust")["projected"]["sources"];
    assert_eq!(trust.as_array().unwrap().len(), 1);
    assert_eq!(trust[0]["secret"]["items"], json!([{"key": "ca.crt", "path": "acme.ca/ca.crt"}]));
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let paths: Vec<&str> = mounts.iter().filter_map(|mount| mount["mountPath"].as_str()).collect();
    for path in ["/etc/voicemail/introspection", "/etc/voicemail/basic", "/etc/voicemail/trust"] {
        assert!(paths.contains(&path), "{paths:?}");
    }
    let plain = plan_with(&tenant(|_| {}), &facts()).unwrap();
    let plain = serde_json::to_string(&build(&plain).unwrap().deployment).unwrap();
    assert!(!["introspection", "basic", "trust"].iter().any(|name| plain.contains(name)), "{plain}");
}

#[test]
fn an_address_that_is_none_is_named() {
    let bad = tenant(|value| value["spec"]["clientLimits"] = json!({"sharedAddresses": ["1.2.3"]}));
    let refusal = plan_with(&bad, &facts()).unwrap_err().to_string();
    assert!(refusal.contains("clientLimits.sharedAddresses") && refusal.contains("1.2.3"), "{refusal}");
}

#[test]
fn every_secret_that_is_mounted_is_looked_at_with_its_keys() {
    let tenant = with_access();
    let secrets = list_secrets(&tenant);
    let seen: Vec<_> = secrets.iter().map(|secret| (secret.field.as_str(), secret.name.as_str())).collect();
    let expected = [
        ("auth.issuers[0].caRef", "acme.ca"),
        ("auth.introspection", "client"),
        ("auth.introspection.caRef", "acme.ca"),
        ("auth.basic", "people"),
    ];
    assert_eq!(seen, expected);
    let plan = plan_access(&tenant);
    let mounted = plan.introspection.iter().chain(&plan.basic).chain(plan.trust.iter().map(|ca| &ca.name));
    assert!(
        mounted.clone().count() == 3
            && mounted.into_iter().all(|name| seen.iter().any(|(_, seen)| seen == name))
    );
}

#[test]
fn a_missing_secret_leaves_the_tenant_ready_and_shows_until_it_is_there() {
    let mut tenant = with_access();
    tenant.metadata.generation = Some(7);
    let applied = Applied::for_test(deployment(2, 2, 2), bound("Bound"));
    let mut look = |lacks: Option<Vec<&'static str>>| {
        let [.., secret] = &list_secrets(&tenant)[..] else { panic!("none") };
        let access = [AccessFact { secret: secret.clone(), lacks, unusable: None }];
        let Outcome::Applied(seen) = applied_outcome(&applied, &[]) else { panic!("applied") };
        let seen = Seen { access: &access, ..seen };
        tenant.status = Some(compute_status(&tenant, &Outcome::Applied(seen), None, now()));
        tenant.status.clone().unwrap()
    };
    let lacking = look(None);
    assert_eq!(condition(&lacking, "AccessReady"), (False, "AccessSecretNotFound".into()));
    let found = lacking.conditions.iter().find(|condition| condition.type_ == "AccessReady").unwrap();
    assert_eq!(found.observed_generation, Some(7));
    assert_eq!(condition(&lacking, "Ready").0, True);
    assert_eq!(condition(&look(Some(Vec::new())), "AccessReady"), (True, "SecretsComplete".into()));
}
