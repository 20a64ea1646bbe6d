//! The pure steps together, on real YAML: validate, build, status, deletion.

use super::apply::{Applied, AppliedStorage};
use super::build::certificate::{
    CA_CERTIFICATE, TLS_CERTIFICATE, TLS_KEY, make_authority, make_serving_secret, serving_names,
};
use super::build::{Built, BuiltStorage, build};
use super::deletion::{Decision, decide};
use super::dereference::{ClaimFact, Facts, KeysFact, StorageFacts, TlsFact};
use super::observe::{CoreReadiness, PodSeen, RegionSeen};
use super::refusal::Refusal;
use super::rollout::Image;
use super::status::{Outcome, Seen, compute_status};
use super::storage::{ClaimPlan, StoragePlan};
use super::validate::{Plan, TlsPlan, validate};
use crate::api::conditions::{ConditionStatus, find_condition};
use crate::api::{VoicemailTenant, VoicemailTenantStatus};
use crate::calls::Classified;
use crate::settings::Settings;
use clap::Parser;
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use serde_json::{Value, json};
use std::sync::LazyLock;
use voicemail_core::config::{ApprovalConfig, ApprovalRule, RegionDown, TenantConfig};

#[derive(clap::Parser)]
struct TestArguments {
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn settings() -> Settings {
    TestArguments::parse_from(["test", "--image", "core:1", "--namespace", "ops", "--service-account", "op"])
        .settings
}

pub(super) fn example() -> Value {
    let text = include_str!("../../../examples/volume-tenant.yaml");
    let mut value: Value = serde_yaml::from_str(text).unwrap();
    value["metadata"]["namespace"] = json!("voice");
    value["metadata"]["uid"] = json!("uid-1");
    value["metadata"]["generation"] = json!(3);
    value
}

fn tenant(change: impl FnOnce(&mut Value)) -> VoicemailTenant {
    let mut value = example();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

pub(super) fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

pub(super) fn facts() -> Facts {
    let storage = StorageFacts::Volume { claim: None };
    Facts { now: now(), storage, keys: None, tls: None, authority: None, reclaim: None, access: Vec::new() }
}

fn claim(modes: &[&str], phase: &str) -> StorageFacts {
    let access_modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
    StorageFacts::Volume { claim: Some(ClaimFact { access_modes, phase: phase.into(), volume: None }) }
}

pub(super) fn plan_with(tenant: &VoicemailTenant, facts: &Facts) -> Result<Plan, Refusal> {
    validate(tenant, facts, &settings(), "cluster-1")
}

fn plan() -> Plan {
    plan_with(&tenant(|_| {}), &facts()).unwrap()
}

fn refusal(change: impl FnOnce(&mut Value), facts: &Facts) -> &'static str {
    plan_with(&tenant(change), facts).unwrap_err().reason()
}

fn built() -> Built {
    build(&plan()).unwrap()
}

// validate

#[test]
fn first_reconcile_makes_keys_authority_and_claim() {
    let plan = plan();
    assert!(plan.keys.make);
    assert_eq!(plan.keys.secret, "acme-voicemail-keys");
    assert_eq!(plan.tls, TlsPlan::Start);
    assert!(matches!(plan.storage, StoragePlan::Volume(ClaimPlan::Make(_))));
}

#[test]
fn keys_lost_after_the_store_was_known_are_never_made_again() {
    let lost = |value: &mut Value| value["status"] = json!({"storeId": "s"});
    assert_eq!(refusal(lost, &facts()), "KeysSecretLost");
}

#[test]
fn given_keys_must_be_there_and_complete() {
    let given = |value: &mut Value| value["spec"]["keys"] = json!({"secret": {"name": "mine"}});
    assert_eq!(refusal(given, &facts()), "KeysSecretNotFound");
    let half = Facts { keys: Some(KeysFact { tenant_key: true, receipt_key: false }), ..facts() };
    assert_eq!(refusal(given, &half), "KeysSecretInvalid");
    let whole = Facts { keys: Some(KeysFact { tenant_key: true, receipt_key: true }), ..facts() };
    let plan = plan_with(&tenant(given), &whole).unwrap();
    assert_eq!((plan.keys.secret.as_str(), plan.keys.make), ("mine", false));
}

#[test]
fn an_existing_claim_must_be_there_and_shared() {
    let existing = |value: &mut Value| {
        value["spec"]["regions"][0]["storage"]["volume"] = json!({"existingClaim": "data"});
    };
    assert_eq!(refusal(existing, &facts()), "ClaimNotFound");
    let single = Facts { storage: claim(&["ReadWriteOnce"], "Bound"), ..facts() };
    assert_eq!(refusal(existing, &single), "ClaimNotReadWriteMany");
    let shared = Facts { storage: claim(&["ReadWriteMany"], "Bound"), ..facts() };
    let storage = plan_with(&tenant(existing), &shared).unwrap().storage;
    assert_eq!(storage, StoragePlan::Volume(ClaimPlan::Existing("data".into())));
}

#[test]
fn a_brought_certificate_must_be_complete_and_is_kept() {
    let brought = |value: &mut Value| value["spec"]["tls"] = json!({"secret": {"name": "cert"}});
    assert_eq!(refusal(brought, &facts()), "TlsSecretInvalid");
    let complete = Facts { tls: Some(TlsFact { complete: true, ..TlsFact::default() }), ..facts() };
    let plan = plan_with(&tenant(brought), &complete).unwrap();
    assert_eq!((plan.tls, plan.tls_secret.as_str()), (TlsPlan::Keep, "cert"));
}

#[test]
fn a_made_certificate_is_kept_until_two_thirds_of_its_life() {
    let authority = make_authority(&plan(), now()).unwrap();
    let tls = |renew_at: Timestamp, beside: &str| TlsFact {
        complete: true,
        renew_at: Some(renew_at),
        authority: Some(beside.into()),
    };
    let with = |tls| Facts { tls: Some(tls), authority: Some(authority.clone()), ..facts() };
    let decide = |facts: &Facts| plan_with(&tenant(|_| {}), facts).unwrap().tls;
    let (later, earlier) = (now() + 1.hour(), now() - 1.hour());
    assert_eq!(decide(&with(tls(later, &authority.certificate))), TlsPlan::Keep);
    assert!(matches!(decide(&with(tls(earlier, &authority.certificate))), TlsPlan::Renew(_)));
    assert!(matches!(decide(&with(tls(later, "another"))), TlsPlan::Renew(_)));
    assert_eq!(authority.renew_at, now() + 58_400.hours());
}

#[test]
fn rules_of_the_core_are_checked_before_anything_is_written() {
    let long = |value: &mut Value| value["spec"]["gdpr"] = json!({"undoWindow": "31d"});
    let error = plan_with(&tenant(long), &facts()).unwrap_err();
    assert_eq!(error.reason(), "InvalidSpec");
    assert!(error.to_string().contains("at most 30d"), "{error}");
}

#[test]
fn approvals_and_regions_that_are_away_are_the_tenants_to_decide() {
    let given = |value: &mut Value| {
        value["spec"]["gdpr"] =
            json!({"approval": {"required": "large", "largeMatches": 7}, "regionDown": "markAndRetry"});
    };
    let gdpr = plan_with(&tenant(given), &facts()).unwrap().config.gdpr;
    assert_eq!(gdpr.approval, ApprovalConfig { required: ApprovalRule::Large, large_matches: 7 });
    assert_eq!(gdpr.region_down, RegionDown::MarkAndRetry);
    let silent = |value: &mut Value| value["spec"]["gdpr"] = json!({"approval": {"required": "always"}});
    let gdpr = plan_with(&tenant(silent), &facts()).unwrap().config.gdpr;
    assert_eq!(gdpr.approval, ApprovalConfig { required: ApprovalRule::Always, large_matches: 100 });
    assert_eq!(
        (gdpr.region_down, plan().config.gdpr.approval),
        (RegionDown::Refuse, ApprovalConfig::default())
    );
}

// build

#[test]
fn configuration_is_what_the_core_reads() {
    let text = built().config.data.unwrap().remove("config.yaml").unwrap();
    let config = TenantConfig::parse(&text).unwrap();
    assert_eq!(config, plan().config);
    let kubernetes = config.auth.kubernetes.unwrap();
    assert_eq!(kubernetes.audiences, ["2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d", "uid-1"]);
    let operator = kubernetes.service_accounts.last().unwrap();
    assert_eq!((operator.namespace.as_str(), operator.name.as_str()), ("ops", "op"));
    assert_eq!(operator.audience.as_deref(), Some("uid-1"));
    assert_eq!((config.default_number_region.as_str(), config.cluster.as_str()), ("GB", "cluster-1"));
}

#[test]
fn replicas_find_one_another_through_a_service_of_their_own() {
    let built = built();
    let peers = serde_json::to_value(&built.services[2]).unwrap();
    assert_eq!(peers["metadata"]["name"], "acme-voicemail-peers");
    let spec = &peers["spec"];
    assert_eq!((&spec["clusterIP"], &spec["publishNotReadyAddresses"]), (&json!("None"), &json!(true)));
    let port = json!({"name": "hints", "port": 9091, "protocol": "UDP", "targetPort": 9091});
    assert_eq!(spec["ports"], json!([port]));
    let config = plan().config.peers.unwrap();
    assert_eq!((config.service.as_str(), config.listen.port()), ("acme-voicemail-peers:9091", 9091));
}

fn built_claim(tenant: &VoicemailTenant) -> PersistentVolumeClaim {
    match build(&plan_with(tenant, &facts()).unwrap()).unwrap().storage {
        BuiltStorage::Claim(claim) => *claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn claim_is_the_vendors_sample_field_by_field() {
    let claim = serde_json::to_value(built_claim(&tenant(|_| {}))).unwrap();
    assert_eq!(claim["metadata"]["labels"]["servicename"], "voice-voicemail");
    let expected = json!({
        "storageClassName": "voice-voicemail",
        "volumeMode": "Filesystem",
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "20Gi"}},
    });
    assert_eq!(claim["spec"], expected);
    assert!(claim["metadata"].get("ownerReferences").is_none(), "garbage collection would take the messages");
}

#[test]
fn claim_can_name_or_select_its_volume() {
    for (field, given) in [("volumeName", json!("pv-1")), ("selector", json!({"matchLabels": {"a": "b"}}))] {
        let tenant = tenant(|value| {
            value["spec"]["regions"][0]["storage"]["volume"]["claim"][field] = given.clone();
        });
        let claim = built_claim(&tenant);
        assert_eq!(serde_json::to_value(claim).unwrap()["spec"][field], given);
    }
}

#[test]
fn pods_are_restricted_and_mount_what_the_configuration_names() {
    let deployment = serde_json::to_value(built().deployment).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "core:1");
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let mounts: Vec<&str> = container["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["mountPath"].as_str().unwrap())
        .collect();
    let config = plan().config;
    let tls = config.listen.tls.unwrap();
    let head = config.gdpr.expected_head.unwrap();
    for path in [&config.keys_dir, &tls.certificate, &tls.key, &head] {
        assert!(mounts.iter().any(|mount| path.starts_with(mount)), "{path:?} in {mounts:?}");
    }
    assert!(pod.get("automountServiceAccountToken").is_none(), "the core needs its token for discovery");
}

#[test]
fn a_new_operator_version_or_configuration_rolls_no_pod() {
    let template = |tenant: &VoicemailTenant| {
        let deployment = build(&plan_with(tenant, &facts()).unwrap()).unwrap().deployment;
        serde_json::to_string(&deployment.spec.unwrap().template).unwrap()
    };
    let text = template(&tenant(|_| {}));
    assert!(!text.contains(env!("CARGO_PKG_VERSION")));
    let changed = tenant(|value| value["spec"]["classesOfService"][0]["maxMessages"] = json!(99));
    assert_eq!(template(&changed), text);
}

#[test]
fn all_but_claim_and_keys_go_with_the_tenant() {
    let built = built();
    let owned = |value: Value| value["metadata"]["ownerReferences"][0]["uid"] == "uid-1";
    assert!(owned(serde_json::to_value(&built.deployment).unwrap()));
    assert!(owned(serde_json::to_value(&built.config).unwrap()));
    assert!(owned(serde_json::to_value(&built.service_account).unwrap()));
    assert!(owned(serde_json::to_value(&built.disruption_budget).unwrap()));
    assert!(built.services.iter().all(|service| owned(serde_json::to_value(service).unwrap())));
}

#[test]
fn serving_certificate_is_for_the_services_and_signed_by_the_authority() {
    let authority = make_authority(&plan(), now()).unwrap();
    let secret = make_serving_secret(&plan(), &authority, now()).unwrap();
    let data = secret.data.unwrap();
    assert_eq!(data[CA_CERTIFICATE].0, authority.certificate.as_bytes());
    for key in [TLS_CERTIFICATE, TLS_KEY] {
        assert!(data[key].0.starts_with(b"-----BEGIN"), "{key}");
    }
    assert!(!data.contains_key("ca.key"), "pods must not see the authority's key");
    let names = serving_names("acme", "voice");
    for name in
        ["acme-voicemail", "acme-voicemail.voice.svc", "acme-voicemail.voice.svc.cluster.local", "localhost"]
    {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
}

// status

pub(super) fn deployment(ready: i32, updated: i32, total: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "acme-voicemail", "generation": 1},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": updated, "replicas": total},
    }))
    .unwrap()
}

pub(super) fn bound(phase: &str) -> AppliedStorage {
    let value = json!({
        "metadata": {"name": "acme-voicemail"},
        "spec": {"accessModes": ["ReadWriteMany"]},
        "status": {"phase": phase},
    });
    AppliedStorage::Claim { claim: Box::new(serde_json::from_value(value).unwrap()), refused: None }
}

/// Everything was applied and these pods were seen.
pub(super) fn applied_outcome<'a>(applied: &'a Applied, pods: &'a [PodSeen]) -> Outcome<'a> {
    static IMAGE: LazyLock<Image> = LazyLock::new(|| Image::Given("core:1".into()));
    Outcome::Applied(Seen { applied, pods: Some(pods), image: &IMAGE, reclaim: None, access: &[] })
}

pub(super) fn ready_core() -> PodSeen {
    let regions = vec![RegionSeen { name: "eu-west".into(), reachable: true, message: None }];
    let core =
        CoreReadiness { ready: true, store_id: Some("store-1".into()), regions, ..CoreReadiness::default() };
    PodSeen { name: "pod-1".into(), core: Some(core), ..PodSeen::default() }
}

pub(super) fn unready_core(reason: &str) -> PodSeen {
    let core = CoreReadiness {
        reason: Some(reason.into()),
        message: Some("words".into()),
        ..CoreReadiness::default()
    };
    PodSeen { name: "pod-1".into(), core: Some(core), ..PodSeen::default() }
}

fn status_of(deployment: Deployment, phase: &str, pods: &[PodSeen]) -> VoicemailTenantStatus {
    let applied = Applied::for_test(deployment, bound(phase));
    compute_status(&tenant(|_| {}), &applied_outcome(&applied, pods), now())
}

pub(super) fn condition(status: &VoicemailTenantStatus, type_: &str) -> (ConditionStatus, String) {
    let condition = find_condition(&status.conditions, type_).unwrap();
    (condition.status, condition.reason.clone())
}

use ConditionStatus::{False, True, Unknown};

#[test]
fn a_tenant_whose_replicas_all_serve_is_ready_and_knows_its_store() {
    let status = status_of(deployment(2, 2, 2), "Bound", &[ready_core()]);
    assert_eq!(condition(&status, "Ready"), (True, "Available".into()));
    assert_eq!(condition(&status, "Reconciling").0, False);
    assert_eq!(condition(&status, "Stalled").0, False);
    assert_eq!(condition(&status, "StorageReady").0, True);
    assert_eq!((status.store_id.as_deref(), status.ready_replicas), (Some("store-1"), 2));
    assert_eq!((status.observed_generation, status.regions[0].reachable), (Some(3), true));
}

#[test]
fn a_roll_out_keeps_a_serving_tenant_ready() {
    let status = status_of(deployment(2, 1, 3), "Bound", &[ready_core()]);
    assert_eq!(condition(&status, "Ready"), (True, "Available".into()));
    assert_eq!(condition(&status, "Reconciling"), (True, "RolloutInProgress".into()));
}

#[test]
fn each_obstacle_has_its_reason() {
    let pending = status_of(deployment(0, 2, 2), "Pending", &[]);
    assert_eq!(condition(&pending, "Ready"), (False, "ClaimPending".into()));
    assert_eq!(condition(&pending, "StorageReady"), (False, "ClaimPending".into()));
    let waiting = PodSeen {
        name: "pod-1".into(),
        cannot_start: Some(("ErrImageNeverPull".into(), "m".into())),
        ..PodSeen::default()
    };
    let image = status_of(deployment(0, 2, 2), "Bound", &[waiting]);
    assert_eq!(condition(&image, "Ready"), (False, "ImageCannotStart".into()));
    assert_eq!(condition(&image, "Stalled").0, True);
    assert_eq!(condition(&image, "StorageReady").0, Unknown);
    let starting = status_of(deployment(0, 2, 2), "Bound", &[unready_core("Starting")]);
    assert_eq!(condition(&starting, "Ready"), (False, "RolloutInProgress".into()));
}

#[test]
fn what_the_core_says_about_its_store_becomes_the_reason() {
    for (reason, stalled) in
        [("KeyMismatch", True), ("StoreBelongsToAnother", True), ("StorageProbeFailed", False)]
    {
        let status = status_of(deployment(0, 2, 2), "Bound", &[unready_core(reason)]);
        assert_eq!(condition(&status, "Ready"), (False, reason.into()));
        assert_eq!(condition(&status, "StorageReady"), (False, reason.into()));
        assert_eq!(condition(&status, "Stalled").0, stalled, "{reason}");
    }
}

#[test]
fn a_restored_store_says_with_which_command_it_is_served_again() {
    let mut named = deployment(0, 2, 2);
    (named.metadata.name, named.metadata.namespace) = (Some("acme-voicemail".into()), Some("voice".into()));
    let status = status_of(named, "Bound", &[unready_core("RestoreDetected")]);
    assert_eq!(condition(&status, "Ready"), (False, "RestoreDetected".into()));
    assert_eq!(condition(&status, "Stalled").0, True);
    let words = &find_condition(&status.conditions, "StorageReady").unwrap().message;
    let command = "kubectl exec -n voice deploy/acme-voicemail -- voicemail admin replay-erasures";
    assert!(words.ends_with(command), "{words}");
}

#[test]
fn stalled_and_reconciling_are_never_true_together() {
    let refusal = Refusal::KeysSecretLost("k".into());
    let status = compute_status(&tenant(|_| {}), &Outcome::Refused(&refusal), now());
    assert_eq!(condition(&status, "Ready"), (False, "KeysSecretLost".into()));
    assert_eq!((condition(&status, "Stalled").0, condition(&status, "Reconciling").0), (True, False));
}

#[test]
fn a_second_look_at_the_same_things_gives_the_same_status() {
    let first = status_of(deployment(2, 2, 2), "Bound", &[ready_core()]);
    let again = VoicemailTenant { status: Some(first.clone()), ..tenant(|_| {}) };
    let applied = Applied::for_test(deployment(2, 2, 2), bound("Bound"));
    let later = now() + 5.minutes();
    assert_eq!(compute_status(&again, &applied_outcome(&applied, &[ready_core()]), later), first);
}

#[test]
fn a_known_store_id_is_kept_while_no_core_answers() {
    let known = tenant(|value| value["status"] = json!({"storeId": "store-1"}));
    let applied = Applied::for_test(deployment(0, 0, 0), bound("Bound"));
    let status = compute_status(&known, &applied_outcome(&applied, &[]), now());
    assert_eq!(status.store_id.as_deref(), Some("store-1"));
}

// deletion

fn deleting(policy: &str, confirmed: &str) -> VoicemailTenant {
    tenant(|value| {
        value["spec"]["deletionPolicy"] = json!(policy);
        value["metadata"]["annotations"] = json!({"voicemail.dev/confirm-deletion": confirmed});
    })
}

#[test]
fn retain_keeps_claim_and_keys() {
    assert_eq!(decide(&deleting("Retain", "acme"), false, &[]), Decision::Keep);
}

#[test]
fn delete_needs_the_typed_name_and_says_what_to_type() {
    let Decision::Wait(reason, message) = decide(&deleting("Delete", "other"), false, &[]) else { panic!() };
    assert_eq!(reason, "ConfirmationMissing");
    assert!(
        message.contains("kubectl annotate vmt acme -n voice voicemail.dev/confirm-deletion=acme"),
        "{message}"
    );
    assert_eq!(decide(&deleting("Delete", "acme"), false, &[]), Decision::Destroy);
}

#[test]
fn open_requests_block_deletion_under_either_policy() {
    for policy in ["Retain", "Delete"] {
        let decision = decide(&deleting(policy, "acme"), false, &["forget".into()]);
        assert!(matches!(decision, Decision::Wait("OpenGdprRequests", _)), "{decision:?}");
    }
}

#[test]
fn a_terminating_namespace_is_never_held_up() {
    assert_eq!(decide(&deleting("Delete", ""), true, &["forget".into()]), Decision::Keep);
}

#[test]
fn a_claim_of_somebody_else_is_never_deleted() {
    let mut tenant = deleting("Delete", "acme");
    let volume = tenant.spec.regions[0].storage.volume.as_mut().unwrap();
    (volume.claim, volume.existing_claim) = (None, Some("data".into()));
    assert_eq!(decide(&tenant, false, &[]), Decision::Keep);
}

#[test]
fn pods_go_where_the_tenant_says_and_tolerate_what_it_names() {
    let tenant = tenant(|value| {
        value["spec"]["scheduling"] = json!({
            "nodeSelector": {"pool": "voice"}, "priorityClassName": "high",
            "tolerations": [{"key": "voice", "value": "only", "effect": "NoSchedule"}, {"key": "gpu"}],
        });
    });
    let deployment = build(&plan_with(&tenant, &facts()).unwrap()).unwrap().deployment;
    let pod = serde_json::to_value(deployment.spec.unwrap().template.spec).unwrap();
    assert_eq!(pod["nodeSelector"], json!({"pool": "voice"}));
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(
        pod["tolerations"],
        json!([{"key": "voice", "operator": "Equal", "value": "only", "effect": "NoSchedule"},
               {"key": "gpu", "operator": "Exists"}])
    );
}
