//! From a spec and facts to a plan or a refusal, on real YAML; and what the tests of the other pure steps start from.

use crate::settings::Settings;
use crate::tenant::build::certificate::{Authority, make_authority, make_serving_secret};
use crate::tenant::build::names::serving_secret;
use crate::tenant::facts::certificate::{CertificateParts, Fault};
use crate::tenant::facts::storage::{ClaimPlan, StoragePlan};
use crate::tenant::steps::dereference::{
    BroughtFact, ClaimFact, Facts, KeysFact, Look, StorageFacts, TlsFact,
};
use crate::tenant::steps::refusal::Refusal;
use crate::tenant::steps::validate::{Plan, TlsPlan, validate};
use clap::Parser;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use voicemail_api::config::{ApprovalConfig, ApprovalRule, RegionDown};
use voicemail_resources::VoicemailTenant;
use voicemail_runtime::calls::Classified;

#[derive(clap::Parser)]
struct TestArguments {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) fn settings() -> Settings {
    TestArguments::parse_from(["test", "--image", "core:1", "--namespace", "ops", "--service-account", "op"])
        .settings
}

pub(crate) fn example() -> Value {
    let text = include_str!("../../../examples/volume-tenant.yaml");
    let mut value: Value = serde_yaml::from_str(text).unwrap();
    value["metadata"]["namespace"] = json!("voice");
    value["metadata"]["uid"] = json!("uid-1");
    value["metadata"]["generation"] = json!(3);
    value
}

pub(crate) fn tenant(change: impl FnOnce(&mut Value)) -> VoicemailTenant {
    let mut value = example();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

pub(crate) fn facts() -> Facts {
    let storage = StorageFacts::Volume { claim: None };
    Facts {
        now: now(),
        storage,
        recent: None,
        keys: None,
        tls: None,
        brought: None,
        authority: None,
        unmarked_secrets: Vec::new(),
        made_secrets: Default::default(),
        look: Look::Further,
        live_claim: None,
        reclaim: None,
        access: Vec::new(),
        pull_secrets: Default::default(),
        telephone_leaves: false,
        has_user_range: false,
        least_undo_window: None,
    }
}

fn claim(modes: &[&str], phase: &str) -> StorageFacts {
    let access_modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
    StorageFacts::Volume {
        claim: Some(ClaimFact { access_modes, phase: phase.into(), ..ClaimFact::default() }),
    }
}

pub(crate) fn plan_with(tenant: &VoicemailTenant, facts: &Facts) -> Result<Plan, Refusal> {
    validate(tenant, facts, &settings(), "cluster-1")
}

pub(crate) fn plan() -> Plan {
    plan_with(&tenant(|_| {}), &facts()).unwrap()
}

fn refusal(change: impl FnOnce(&mut Value), facts: &Facts) -> &'static str {
    plan_with(&tenant(change), facts).unwrap_err().reason()
}

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
    let lost = |value: &mut Value| value["status"] = json!({"storeID": "s"});
    assert_eq!(refusal(lost, &facts()), "KeysSecretLost");
}

#[test]
fn given_keys_must_be_there_and_complete() {
    let given = |value: &mut Value| value["spec"]["keys"] = json!({"secretRef": {"name": "mine"}});
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
        value["spec"]["regions"][0]["storage"]["volume"] = json!({"existingClaimRef": {"name": "data"}});
    };
    assert_eq!(refusal(existing, &facts()), "ClaimNotFound");
    let single = Facts { storage: claim(&["ReadWriteOnce"], "Bound"), ..facts() };
    assert_eq!(refusal(existing, &single), "ClaimNotReadWriteMany");
    let shared = Facts { storage: claim(&["ReadWriteMany"], "Bound"), ..facts() };
    let storage = plan_with(&tenant(existing), &shared).unwrap().storage;
    assert_eq!(storage, StoragePlan::Volume(ClaimPlan::Existing("data".into())));
}

pub(crate) fn parts_of(secret: k8s_openapi::api::core::v1::Secret) -> CertificateParts {
    let data = secret.data.unwrap();
    let part = |key: &str| data[key].0.clone();
    CertificateParts { certificate: part("tls.crt"), key: part("tls.key"), authority: Some(part("ca.crt")) }
}

#[test]
fn a_brought_certificate_is_copied_when_it_is_no_worse_than_what_the_pods_have() {
    let authority = make_authority(&plan(), now()).unwrap();
    let made = || parts_of(make_serving_secret(&plan(), &authority, now()).unwrap());
    let (old, new) = (made(), made());
    let fault = |reason: &'static str| Some(Fault { reason, message: "m".into() });
    let brought = |parts: &CertificateParts, fault: Option<Fault>| {
        Some(BroughtFact { secret: "cert".into(), parts: Some(parts.clone()), fault, ends_soon: false })
    };
    let served = |fault: Option<Fault>| {
        let (parts, copied_from) = (Some(old.clone()), Some("cert".into()));
        Some(TlsFact { parts, copied_from, fault, ..TlsFact::default() })
    };
    let decide = |brought, tls| {
        let spec = tenant(|value| value["spec"]["tls"] = json!({"secretRef": {"name": "cert"}}));
        plan_with(&spec, &Facts { brought, tls, ..facts() }).map(|plan| plan.tls)
    };
    let copy = |parts: &CertificateParts| TlsPlan::Copy("cert".into(), parts.clone());
    assert_eq!(decide(brought(&new, None), None).unwrap(), copy(&new));
    assert_eq!(decide(brought(&new, None), served(None)).unwrap(), copy(&new), "it was rotated");
    assert_eq!(decide(brought(&old, None), served(None)).unwrap(), TlsPlan::Keep);
    for broken in ["CertificateUnusable", "CertificateExpired", "CertificateNamesMissing"] {
        assert_eq!(decide(brought(&new, fault(broken)), served(None)).unwrap(), TlsPlan::Keep, "{broken}");
    }
    let (names, expired) = (fault("CertificateNamesMissing"), fault("CertificateExpired"));
    assert_eq!(
        decide(brought(&new, names.clone()), served(expired.clone())).unwrap(),
        copy(&new),
        "neither is good"
    );
    assert_eq!(decide(brought(&new, names), None).unwrap(), copy(&new), "some callers take it");
    assert_eq!(decide(brought(&new, fault("CertificateUnusable")), served(expired)).unwrap(), TlsPlan::Keep);
    let refused = decide(brought(&new, fault("CertificateUnusable")), None).unwrap_err();
    assert_eq!(refused.reason(), "TlsSecretInvalid");
    assert!(refused.to_string().contains("Secret cert can't be used (m)"), "{refused}");
}

#[test]
fn a_brought_certificate_under_the_name_of_the_copy_is_copied_beside_it() {
    let named = |name: &str| tenant(|value| value["spec"]["tls"] = json!({"secretRef": {"name": name}}));
    assert_eq!(serving_secret(&named("cert")), "acme-voicemail-tls");
    assert_eq!(serving_secret(&named("acme-voicemail-tls")), "acme-voicemail-tls-copy");
}

#[test]
fn a_made_certificate_is_kept_until_two_thirds_of_its_life() {
    let authority = make_authority(&plan(), now()).unwrap();
    let tls = |renew_at: Timestamp, beside: &str| TlsFact {
        parts: Some(CertificateParts {
            certificate: b"c".to_vec(),
            key: b"k".to_vec(),
            authority: Some(beside.into()),
        }),
        renew_at: Some(renew_at),
        ..TlsFact::default()
    };
    let with = |tls| Facts { tls: Some(tls), authority: Some(authority.clone()), ..facts() };
    let decide = |facts: &Facts| plan_with(&tenant(|_| {}), facts).unwrap().tls;
    let (later, earlier) = (now() + 1.hour(), now() - 1.hour());
    assert_eq!(decide(&with(tls(later, &authority.certificate))), TlsPlan::Keep);
    assert!(matches!(decide(&with(tls(earlier, &authority.certificate))), TlsPlan::Renew(_)));
    assert!(matches!(decide(&with(tls(later, "another"))), TlsPlan::Renew(_)));
    let fault = Some(Fault { reason: "CertificateUnusable", message: "broken".into() });
    let broken = TlsFact { fault, ..tls(later, &authority.certificate) };
    assert!(matches!(decide(&with(broken)), TlsPlan::Renew(_)), "what somebody broke is made anew");
    assert_eq!(authority.renew_at, now() + 58_400.hours());
    let due = Authority { renew_at: now(), ..authority.clone() };
    let facts = Facts { authority: Some(due.clone()), ..with(tls(later, &authority.certificate)) };
    assert_eq!(decide(&facts), TlsPlan::Prolong(due));
}

#[test]
fn rules_of_the_core_are_checked_before_anything_is_written() {
    let long = |value: &mut Value| value["spec"]["gdpr"] = json!({"undoWindow": "721h"});
    let error = plan_with(&tenant(long), &facts()).unwrap_err();
    assert_eq!(error.reason(), "InvalidSpec");
    assert!(error.to_string().contains("at most 30d"), "{error}");
}

#[test]
fn approvals_and_regions_that_are_away_are_the_tenants_to_decide() {
    let given = |value: &mut Value| {
        value["spec"]["gdpr"] = json!({"approval": {"required": "LargeMatches", "largeMatches": 7, "exports": "Always"}, "regionDown": "MarkAndRetry"});
    };
    let gdpr = plan_with(&tenant(given), &facts()).unwrap().config.gdpr;
    assert_eq!(
        gdpr.approval,
        ApprovalConfig { required: ApprovalRule::Large, exports: ApprovalRule::Always, large_matches: 7 }
    );
    assert_eq!(gdpr.region_down, RegionDown::MarkAndRetry);
    let silent = |value: &mut Value| value["spec"]["gdpr"] = json!({"approval": {"required": "Always"}});
    let gdpr = plan_with(&tenant(silent), &facts()).unwrap().config.gdpr;
    assert_eq!(
        gdpr.approval,
        ApprovalConfig { required: ApprovalRule::Always, exports: ApprovalRule::Never, large_matches: 100 }
    );
    assert_eq!(
        (gdpr.region_down, plan().config.gdpr.approval),
        (RegionDown::Refuse, ApprovalConfig::default())
    );
}

#[test]
fn a_claim_that_somebody_deleted_is_never_made_anew_once_its_store_is_known() {
    let made = plan_with(&tenant(|_| {}), &facts()).unwrap();
    assert!(matches!(made.storage, StoragePlan::Volume(ClaimPlan::Make(_))), "a new tenant gets one");
    let known = tenant(|value| value["status"] = json!({"storeID": "s"}));
    let keys = Some(KeysFact { tenant_key: true, receipt_key: true });
    let refusal = plan_with(&known, &Facts { keys, ..facts() }).unwrap_err();
    assert_eq!(
        (refusal.reason(), refusal.class()),
        ("ClaimGone", voicemail_runtime::calls::ErrorClass::Permanent)
    );
    let words = refusal.to_string();
    assert!(words.contains("acme-voicemail") && words.contains("voicemail.dev/tenant=acme"), "{words}");
    let there = Facts { keys, storage: claim(&["ReadWriteMany"], "Bound"), ..facts() };
    assert!(plan_with(&known, &there).is_ok());
}
