//! Tenants of the former version, and digests of the children that the operator of that version built of each. Both are
//! frozen: 150 specs made at random within that version's schema, and its examples. A converted tenant has the same children,
//! byte for byte, so that no pod starts anew. What differs from then is put back here by name, where no running pod heeds it.

use crate::tenant::build::retire_job::{Ending, Stage, build_retire_job};
use crate::tenant::build::service::{API_PORT, HINTS_PORT, METRICS_PORT};
use crate::tenant::build::{BuiltStorage, build};
use crate::tenant::facts::credentials::{SecretKind, Source, plan_source};
use crate::tenant::steps::dereference::{ClaimFact, Facts, KeysFact, StorageFacts};
use crate::tenant::tests::{facts, now, plan_with};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use voicemail_cores::child_names::former_peers_name;
use voicemail_migration::migrate::convert::{UNRECORDED, convert, is_present};
use voicemail_resources::conditions::{ConditionStatus, find_condition};
use voicemail_resources::{GdprRequest, VoicemailTenant};

fn tenants() -> Vec<Value> {
    serde_json::from_str(include_str!("../migration/fixture/tenants.json")).unwrap()
}

/// All that a tenant names is there.
fn complete(tenant: &VoicemailTenant) -> Facts {
    let on_volume = tenant.spec.regions.iter().any(|region| region.storage.volume.is_some());
    let storage = if on_volume {
        let access_modes = vec!["ReadWriteMany".into()];
        let claim = ClaimFact { access_modes, phase: "Bound".into(), ..ClaimFact::default() };
        StorageFacts::Volume { claim: Some(claim) }
    } else {
        let sources = tenant.spec.regions.iter().filter_map(|region| plan_source(tenant, region));
        let secrets: BTreeMap<_, _> = sources
            .filter_map(|source| match source {
                Source::Secret { name, kind: SecretKind::Azure } => Some((name, vec!["accountKey"])),
                Source::Secret { name, .. } => Some((name, vec!["accessKeyId", "secretAccessKey"])),
                _ => None,
            })
            .collect();
        StorageFacts::ObjectStores { secrets, provider_classes: Some(Vec::new()) }
    };
    Facts { storage, keys: Some(KeysFact { tenant_key: true, receipt_key: true }), ..facts() }
}

fn children(tenant: &VoicemailTenant) -> BTreeMap<&'static str, Value> {
    let plan = plan_with(tenant, &complete(tenant)).unwrap();
    let built = build(&plan).unwrap();
    let storage = match built.storage {
        BuiltStorage::Claim(claim) => json!(claim),
        BuiltStorage::ExistingClaim => Value::Null,
        BuiltStorage::ObjectStores(classes) => json!(classes),
    };
    BTreeMap::from([
        ("serviceAccount", json!(built.service_account)),
        ("config", json!(built.config)),
        ("services", with_former_peers(&plan.name, json!(built.services))),
        ("disruptionBudget", json!(built.disruption_budget)),
        ("networkPolicy", json!(built.network_policy)),
        ("autoscaler", json!(built.autoscaler)),
        ("podMonitor", json!(built.pod_monitor)),
        ("prometheusRule", json!(built.prometheus_rule)),
        ("deployment", json!(built.deployment)),
        ("checkJob", json!(build_retire_job(&plan, Stage::Check, Ending::Deregister))),
        ("endJob", json!(build_retire_job(&plan, Stage::End, Ending::Remove))),
        ("storage", storage),
    ])
}

/// Replicas found one another by a Service of their own then, which stays for those that run.
fn with_former_peers(tenant: &str, services: Value) -> Value {
    let mut services = services.as_array().unwrap().clone();
    let mut peers = services[1].clone();
    peers["metadata"]["name"] = json!(former_peers_name(tenant));
    peers["spec"]["ports"] =
        json!([{"name": "hints", "port": HINTS_PORT, "protocol": "UDP", "targetPort": HINTS_PORT}]);
    services.push(peers);
    json!(services)
}

/// A core listened by IPv4 alone then, and knew the others by that Service; a running one goes on so until it is replaced.
fn short_digest(value: &Value) -> String {
    let as_it_was = [API_PORT, METRICS_PORT, HINTS_PORT].iter().fold(value.to_string(), |text, port| {
        text.replace(&format!("'[::]:{port}'"), &format!("0.0.0.0:{port}"))
    });
    let as_it_was = as_it_was.replace(&format!("-headless:{HINTS_PORT}"), &format!("-peers:{HINTS_PORT}"));
    hex::encode(&digest(&SHA256, as_it_was.as_bytes()).as_ref()[..8])
}

#[test]
fn every_tenant_of_the_former_version_has_the_same_children_byte_for_byte() {
    let frozen: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(include_str!("../migration/fixture/children.json")).unwrap();
    let (mut faults, tenants) = (Vec::new(), tenants());
    assert!(tenants.len() > 150 && tenants.len() == frozen.len());
    for former in tenants {
        let name = former["metadata"]["name"].as_str().unwrap().to_owned();
        let converted = convert(&former, now()).unwrap_or_else(|fault| panic!("{name}: {fault}")).object;
        let tenant: VoicemailTenant = serde_json::from_value(converted).unwrap();
        for (kind, child) in children(&tenant) {
            if short_digest(&child) != frozen[&name][kind] {
                faults.push(format!("{name}: {kind}: {child}"));
            }
        }
    }
    let shown = faults.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} differ, such as\n{shown}", faults.len());
}

#[test]
fn converting_twice_is_converting_once() {
    for former in tenants() {
        let once = convert(&former, now()).unwrap().object;
        assert!(is_present(&once));
        assert_eq!(convert(&once, now()).unwrap().object, once);
    }
}

fn former_request(spec: Value, status: Value) -> Value {
    let mut object = json!({"apiVersion": "voicemail.dev/v1alpha1", "kind": "GdprRequest",
        "metadata": {"name": "r", "namespace": "n", "generation": 4},
        "spec": {"tenant": "acme", "operation": "ForgetMe", "caseId": "77",
                 "consumers": {"secret": {"name": "c"}, "keep": true}, "ttlAfterFinished": "90d", "undoWindow": "1d2h"},
        "status": status});
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "m", "observedGeneration": 4,
           "lastTransitionTime": "2026-01-31T10:00:00Z"})
}

#[test]
fn a_request_keeps_what_it_says_in_each_phase() {
    use ConditionStatus::{False, True, Unknown};
    for (phase, completed, succeeded, finished) in [
        ("Pending", "False", Unknown, False),
        ("AwaitingApproval", "False", Unknown, False),
        ("Marked", "False", Unknown, False),
        ("Erasing", "False", Unknown, False),
        ("PartiallyFailed", "False", Unknown, False),
        ("Completed", "True", True, True),
        ("Completed", "Unknown", Unknown, True),
        ("Undone", "False", True, True),
        ("Denied", "False", False, True),
        ("Cancelled", "False", False, True),
        ("Failed", "False", False, True),
    ] {
        let status = json!({"phase": phase, "observedGeneration": 4, "consumersUid": "u",
            "regions": [{"name": "eu", "master": true, "matched": 1, "erased": 0, "blocked": false, "attempts": 0}],
            "conditions": [condition("Completed", completed, "R"), condition("Failed", "False", "NotFailed"),
                           condition("Approved", "True", "Approved")]});
        let decisions =
            json!({"cancel": {"reason": "r"}, "extension": {"months": 1, "reason": "r", "by": "b"}});
        let converted = convert(&former_request(decisions, status), now()).unwrap().object;
        let request: GdprRequest = serde_json::from_value(converted.clone()).unwrap();
        let (spec, status) = (&request.spec, request.status.as_ref().unwrap());
        assert_eq!((spec.tenant_ref.name.as_str(), spec.case_id.as_str()), ("acme", "77"));
        assert_eq!(spec.undo_window.as_deref(), Some("26h"));
        assert_eq!(spec.ttl_seconds_after_finished, Some(7_776_000));
        assert_eq!(converted["spec"]["consumers"], json!({"secretRef": {"name": "c"}, "deletion": "Never"}));
        assert_eq!(spec.cancellation.as_ref().unwrap().by, UNRECORDED);
        assert_eq!(spec.extension.as_ref().unwrap().by, "b");
        assert_eq!((status.consumers_uid.as_deref(), status.observed_generation), (Some("u"), Some(5)));
        let found = |type_: &str| find_condition(&status.conditions, type_).unwrap();
        assert_eq!((found("Succeeded").status, found("Finished").status), (succeeded, finished), "{phase}");
        assert_eq!(found("Succeeded").reason, "R");
        assert_eq!(found("Approved").status, True);
        assert_eq!(found("Approved").observed_generation, Some(5));
        assert!(find_condition(&status.conditions, "Completed").is_none());
    }
}

#[test]
fn what_a_tenants_status_knows_is_known_still() {
    let mut former = tenants().remove(0);
    former["status"] = json!({"storeId": "s", "observedGeneration": 1, "replicas": 2, "conditions": [
        {"type": "Ready", "status": "True", "reason": "", "message": "", "lastTransitionTime": "2026-01-31T10:00:00Z"}],
        "regions": [{"name": "eu", "storage": "s3", "master": true, "reachable": false, "message": "no route"}]});
    let converted = convert(&former, now()).unwrap().object;
    let tenant: VoicemailTenant = serde_json::from_value(converted).unwrap();
    let status = tenant.status.as_ref().unwrap();
    assert!(tenant.has_known_store() && status.regions[0].is_unreachable());
    assert_eq!((status.observed_generation, status.conditions[0].reason.as_str()), (Some(2), "NotKnown"));
}

#[test]
fn a_part_of_a_day_counts_whole_and_is_told() {
    let mut former = tenants().remove(0);
    former["spec"]["audit"] = json!({"retention": "1d1s"});
    let converted = convert(&former, now()).unwrap();
    assert_eq!(converted.object["spec"]["audit"], json!({"retentionDays": 2}));
    assert_eq!(converted.notes, ["spec.audit.retention: 1d1s is kept as 2 days"]);
    former["spec"]["audit"] = json!({"retention": "some"});
    assert_eq!(convert(&former, now()).unwrap_err().field, "spec.audit.retention");
}
