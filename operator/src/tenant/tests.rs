//! From a spec and facts to a plan or a refusal, on real YAML; and what the tests of the other pure steps start from.

use super::build::certificate::{Authority, make_authority};
use super::certificate::Fault;
use super::dereference::{ClaimFact, Facts, KeysFact, StorageFacts, TlsFact};
use super::refusal::Refusal;
use super::storage::{ClaimPlan, StoragePlan};
use super::validate::{Plan, TlsPlan, validate};
use crate::api::VoicemailTenant;
use crate::calls::Classified;
use crate::settings::Settings;
use clap::Parser;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use voicemail_api::config::{ApprovalConfig, ApprovalRule, RegionDown};

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

pub(super) fn tenant(change: impl FnOnce(&mut Value)) -> VoicemailTenant {
    let mut value = example();
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

pub(super) fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().unwrap()
}

pub(super) fn facts() -> Facts {
    let storage = StorageFacts::Volume { claim: None };
    Facts {
        now: now(),
        storage,
        keys: None,
        tls: None,
        authority: None,
        unmarked_secrets: Vec::new(),
        reclaim: None,
        access: Vec::new(),
    }
}

fn claim(modes: &[&str], phase: &str) -> StorageFacts {
    let access_modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
    StorageFacts::Volume {
        claim: Some(ClaimFact { access_modes, phase: phase.into(), ..ClaimFact::default() }),
    }
}

pub(super) fn plan_with(tenant: &VoicemailTenant, facts: &Facts) -> Result<Plan, Refusal> {
    validate(tenant, facts, &settings(), "cluster-1")
}

pub(super) fn plan() -> Plan {
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
        fault: None,
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

#[test]
fn a_claim_that_somebody_deleted_is_never_made_anew_once_its_store_is_known() {
    let made = plan_with(&tenant(|_| {}), &facts()).unwrap();
    assert!(matches!(made.storage, StoragePlan::Volume(ClaimPlan::Make(_))), "a new tenant gets one");
    let known = tenant(|value| value["status"] = json!({"storeId": "s"}));
    let keys = Some(KeysFact { tenant_key: true, receipt_key: true });
    let refusal = plan_with(&known, &Facts { keys, ..facts() }).unwrap_err();
    assert_eq!((refusal.reason(), refusal.class()), ("ClaimGone", crate::calls::Class::Permanent));
    let words = refusal.to_string();
    assert!(words.contains("acme-voicemail") && words.contains("voicemail.dev/tenant=acme"), "{words}");
    let there = Facts { keys, storage: claim(&["ReadWriteMany"], "Bound"), ..facts() };
    assert!(plan_with(&known, &there).is_ok());
}
