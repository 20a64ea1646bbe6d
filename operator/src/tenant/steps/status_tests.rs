//! The status that follows from what was applied and seen.

use crate::tenant::deletion::progress::Report;
use crate::tenant::facts::pull_secrets::PullSecretsFact;
use crate::tenant::memory::rollout::Image;
use crate::tenant::steps::apply::{Applied, AppliedStorage};
use crate::tenant::steps::readiness::serves;
use crate::tenant::steps::refusal::Refusal;
use crate::tenant::steps::status::{Outcome, Seen, compute_status};
use crate::tenant::tests::{now, tenant};
use jiff::ToSpan;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use std::sync::LazyLock;
use voicemail_api::readiness::{Readiness, RegionHealth};
use voicemail_cores::pods::PodSeen;
use voicemail_resources::conditions::{ConditionStatus, find_condition};
use voicemail_resources::{VoicemailTenant, VoicemailTenantStatus};

pub(crate) fn deployment(ready: i32, updated: i32, total: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "acme-voicemail", "generation": 1},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": updated, "replicas": total},
    }))
    .unwrap()
}

pub(crate) fn bound(phase: &str) -> AppliedStorage {
    let value = json!({
        "metadata": {"name": "acme-voicemail"},
        "spec": {"accessModes": ["ReadWriteMany"]},
        "status": {"phase": phase},
    });
    AppliedStorage::Claim { claim: Box::new(serde_json::from_value(value).unwrap()), refused: None }
}

static NO_PULL_SECRETS: PullSecretsFact = PullSecretsFact { named: Vec::new(), missing: Vec::new() };

/// Everything was applied and these pods were seen.
pub(crate) fn applied_outcome<'a>(applied: &'a Applied, pods: &'a [PodSeen]) -> Outcome<'a> {
    static IMAGE: LazyLock<Image> = LazyLock::new(|| Image::Given("core:1".into()));
    Outcome::Applied(Seen {
        applied,
        pods: Some(pods),
        image: &IMAGE,
        reclaim: None,
        terminating: None,
        certificate: None,
        access: &[],
        pull_secrets: &NO_PULL_SECRETS,
        telephones: &[],
        policy: "",
    })
}

pub(crate) fn ready_core() -> PodSeen {
    let regions = vec![RegionHealth { name: "eu-west".into(), reachable: true, ..RegionHealth::default() }];
    let core = Readiness { ready: true, store_id: Some("store-1".into()), regions, ..Readiness::default() };
    PodSeen { name: "pod-1".into(), core: Some(core), ..PodSeen::default() }
}

pub(crate) fn unready_core(reason: &str) -> PodSeen {
    let core =
        Readiness { reason: Some(reason.into()), message: Some("words".into()), ..Readiness::default() };
    PodSeen { name: "pod-1".into(), core: Some(core), ..PodSeen::default() }
}

fn status_of(deployment: Deployment, phase: &str, pods: &[PodSeen]) -> VoicemailTenantStatus {
    let applied = Applied::for_test(deployment, bound(phase));
    compute_status(&tenant(|_| {}), &applied_outcome(&applied, pods), None, now())
}

pub(crate) fn condition(status: &VoicemailTenantStatus, type_: &str) -> (ConditionStatus, String) {
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
    assert_eq!((status.observed_generation, !status.regions[0].is_unreachable()), (Some(3), true));
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
    let status = compute_status(&tenant(|_| {}), &Outcome::Refused(&refusal), None, now());
    assert_eq!(condition(&status, "Ready"), (False, "KeysSecretLost".into()));
    assert_eq!((condition(&status, "Stalled").0, condition(&status, "Reconciling").0), (True, False));
}

#[test]
fn a_second_look_at_the_same_things_gives_the_same_status() {
    let first = status_of(deployment(2, 2, 2), "Bound", &[ready_core()]);
    let again = VoicemailTenant { status: Some(first.clone()), ..tenant(|_| {}) };
    let applied = Applied::for_test(deployment(2, 2, 2), bound("Bound"));
    let later = now() + 5.minutes();
    assert_eq!(compute_status(&again, &applied_outcome(&applied, &[ready_core()]), None, later), first);
}

#[test]
fn a_known_store_id_is_kept_while_no_core_answers() {
    let known = tenant(|value| value["status"] = json!({"storeID": "store-1"}));
    let applied = Applied::for_test(deployment(0, 0, 0), bound("Bound"));
    let status = compute_status(&known, &applied_outcome(&applied, &[]), None, now());
    assert_eq!(status.store_id.as_deref(), Some("store-1"));
}

#[test]
fn every_reason_of_a_failure_is_written_while_it_is_tried_again_and_what_was_known_stays() {
    let known = tenant(|value| {
        value["status"] = json!({"conditions": [{
            "type": "DataKept", "status": "True", "reason": "VolumeIsRetained", "message": "",
            "lastTransitionTime": "2026-11-23T10:00:00Z",
        }]});
    });
    for reason in [
        "QuotaExceeded",
        "AdmissionFailed",
        "AdmissionDenied",
        "Forbidden",
        "ApiServerError",
        "ApiServerUnreachable",
        "MaterialNotMade",
        "NotEncodable",
    ] {
        let outcome = Outcome::Failing { reason, message: "why".into(), pods: &[ready_core()] };
        let status = compute_status(&known, &outcome, None, now());
        let running = VoicemailTenantStatus { ready_replicas: 2, ..status.clone() };
        let running = VoicemailTenant { status: Some(running), ..known.clone() };
        assert!(serves(&running), "{reason}: its pods go on");
        let find = |type_| find_condition(&status.conditions, type_).unwrap();
        assert_eq!((find("Ready").status, find("Ready").reason.as_str()), (ConditionStatus::False, reason));
        assert!(find("Ready").message.contains("why"), "{reason}");
        assert_eq!(find("Reconciling").status, ConditionStatus::True, "{reason}");
        assert_eq!(find("Stalled").status, ConditionStatus::False, "{reason}");
        assert_eq!(find("DataKept").reason, "VolumeIsRetained");
        assert!(status.store_id.is_some(), "without it lost keys would be made anew");
        assert_eq!(status.observed_generation, known.metadata.generation);
    }
}

#[test]
fn a_deletion_that_waits_leaves_all_other_conditions_as_they_are_of_any_tenant() {
    let applied = Applied::for_test(deployment(2, 2, 2), bound("Bound"));
    let pods = [ready_core()];
    let outcome = applied_outcome(&applied, &pods);
    let acme = tenant(|_| {});
    let waiting = Report::blocked("LegalHold", "1 message");
    let (plain, deleting) = (
        compute_status(&acme, &outcome, None, now()),
        compute_status(&acme, &outcome, Some(&waiting), now()),
    );
    let blocked = find_condition(&deleting.conditions, "DeletionBlocked").unwrap();
    assert_eq!((blocked.status, blocked.reason.as_str()), (ConditionStatus::True, "LegalHold"));
    let others: Vec<_> =
        deleting.conditions.iter().filter(|c| c.type_ != "DeletionBlocked").cloned().collect();
    let of_any: Vec<_> = plain.conditions.iter().filter(|c| c.type_ != "DeletionBlocked").cloned().collect();
    assert_eq!(others, of_any);
    assert_eq!(find_condition(&others, "Ready").unwrap().status, ConditionStatus::True);
}

#[test]
fn a_claim_that_somebody_deletes_is_told_at_once_while_the_pods_serve_on() {
    let applied = Applied::for_test(deployment(2, 2, 2), bound("Bound"));
    let pods = [ready_core()];
    let Outcome::Applied(seen) = applied_outcome(&applied, &pods) else { panic!() };
    let outcome = Outcome::Applied(Seen { terminating: Some("acme-voicemail"), ..seen });
    let status = compute_status(&tenant(|_| {}), &outcome, None, now());
    let storage = find_condition(&status.conditions, "StorageReady").unwrap();
    assert_eq!((storage.status, storage.reason.as_str()), (ConditionStatus::False, "ClaimTerminating"));
    assert_eq!(find_condition(&status.conditions, "Ready").unwrap().status, ConditionStatus::True);
}
