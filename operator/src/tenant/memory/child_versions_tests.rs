use super::child_versions::Version;
use super::{Memories, TenantKey};
use crate::tenant::tests::tenant;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use voicemail_cores::pods::PodNote;
use voicemail_resources::VoicemailTenant;

const KIND: &str = "ConfigMap";
const MINUTE: Duration = Duration::from_secs(60);

fn key() -> TenantKey {
    TenantKey::of(&tenant(|_| {}))
}

fn version(number: u64) -> Version {
    let metadata = json!({"uid": "u", "resourceVersion": number.to_string()});
    Version::of(&serde_json::from_value::<ObjectMeta>(metadata).unwrap())
}

fn deployment(change: impl FnOnce(&mut Value)) -> Version {
    let mut value = json!({
        "metadata": {"uid": "u", "generation": 1, "resourceVersion": "1"},
        "spec": {"replicas": 2, "selector": {}, "template": {}},
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1},
    });
    change(&mut value);
    Version::of_deployment(&serde_json::from_value::<Deployment>(value).unwrap())
}

/// A tenant of which one child is known, and which was left alone for a minute.
fn resting() -> (Memories, VoicemailTenant, Instant) {
    let (children, acme, now) = (Memories::new(Arc::default(), 1), tenant(|_| {}), Instant::now());
    children.meet(&key(), false);
    children.note_child(KIND, "voice", "acme", "acme-voicemail", version(5));
    children.found_right(KIND, &key(), "acme-voicemail", (version(5), "wanted".into()));
    let begun = children.begin(&acme);
    children.rest(&acme, begun, now + MINUTE);
    (children, acme, now)
}

#[test]
fn a_tenant_without_news_is_left_alone_until_its_time() {
    let (children, acme, now) = resting();
    assert_eq!(children.requeue_if_unchanged(&acme, now), Some(MINUTE));
    assert_eq!(children.requeue_if_unchanged(&acme, now + MINUTE), None);
    let changed = tenant(|value| value["metadata"]["annotations"] = json!({"a": "b"}));
    assert_eq!(children.requeue_if_unchanged(&changed, now), None);
    let reported = tenant(|value| value["status"] = json!({"replicas": 2}));
    assert_eq!(children.requeue_if_unchanged(&reported, now), Some(MINUTE), "its status is our own");
}

#[test]
fn what_happens_to_a_child_is_news_and_our_own_write_is_none() {
    let (children, acme, now) = resting();
    children.found_right(KIND, &key(), "acme-voicemail", (version(8), "wanted".into()));
    assert!(children.requeue_if_unchanged(&acme, now).is_some(), "the watch is behind what we wrote");
    children.note_child(KIND, "voice", "acme", "acme-voicemail", version(8));
    assert!(children.requeue_if_unchanged(&acme, now).is_some());
    assert!(children.is_right(KIND, &key(), "acme-voicemail", "wanted"));
    assert!(!children.is_right(KIND, &key(), "acme-voicemail", "other"));
    children.note_child(KIND, "voice", "acme", "acme-voicemail", version(9));
    assert!(children.requeue_if_unchanged(&acme, now).is_none());
    assert!(!children.is_right(KIND, &key(), "acme-voicemail", "wanted"));
}

#[test]
fn a_child_that_goes_or_comes_is_news() {
    let (children, acme, now) = resting();
    children.note_child_gone(KIND, "voice", "acme", "acme-voicemail");
    children.note_child("Service", "voice", "acme", "other", version(1));
    assert!(children.requeue_if_unchanged(&acme, now).is_none());
}

#[test]
fn what_comes_while_a_reconcile_runs_is_news_at_its_end() {
    let (children, acme, now) = resting();
    let begun = children.begin(&acme);
    children.note_pod("voice", "acme", "p", PodNote { address: None, failure: Some("ErrImagePull".into()) });
    children.rest(&acme, begun, now + MINUTE);
    assert!(children.requeue_if_unchanged(&acme, now).is_none());
    let begun = children.begin(&acme);
    children.rest(&acme, begun, now + MINUTE);
    assert!(children.requeue_if_unchanged(&acme, now).is_some());
    children.note_pod("voice", "acme", "p", PodNote { address: Some([10, 0, 0, 1].into()), failure: None });
    assert!(children.requeue_if_unchanged(&acme, now).is_none(), "it is well again");
    assert_eq!(children.addresses("voice", "acme").len(), 1);
}

#[test]
fn while_a_watch_lists_anew_nothing_is_known_of_its_kind() {
    let (children, _, _) = resting();
    children.end_list(KIND, None);
    assert!(children.is_absent(KIND, &key(), "other"));
    assert!(!children.is_absent(KIND, &key(), "acme-voicemail"));
    children.begin_list(KIND, Some("elsewhere"));
    assert!(children.is_right(KIND, &key(), "acme-voicemail", "wanted"));
    children.begin_list(KIND, None);
    assert!(!children.is_absent(KIND, &key(), "other"));
    assert!(!children.is_right(KIND, &key(), "acme-voicemail", "wanted"));
    children.note_child(KIND, "voice", "acme", "acme-voicemail", version(5));
    assert!(children.is_right(KIND, &key(), "acme-voicemail", "wanted"));
}

#[test]
fn a_pod_that_went_while_its_watch_was_away_has_no_address() {
    let (children, _, _) = resting();
    let note = PodNote { address: Some([10, 0, 0, 1].into()), failure: None };
    children.note_pod("voice", "acme", "gone", note.clone());
    children.begin_list("Pod", None);
    children.note_pod("voice", "acme", "there", note);
    children.end_list("Pod", None);
    assert_eq!(children.addresses("voice", "acme").len(), 1);
}

#[test]
fn a_child_that_went_while_its_watch_was_away_is_read_again() {
    let (children, acme, now) = resting();
    children.begin_list(KIND, None);
    children.end_list(KIND, None);
    assert!(!children.is_right(KIND, &key(), "acme-voicemail", "wanted"));
    assert!(children.requeue_if_unchanged(&acme, now).is_none(), "it isn't there any more");
}

#[test]
fn a_deployment_is_news_when_its_pods_serve_or_do_not_and_not_at_every_step() {
    let before = deployment(|_| {});
    let counted = deployment(|value| {
        value["metadata"]["resourceVersion"] = json!("2");
        value["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": "1"});
    });
    let unequal = |one: Version, other: Version| {
        format!("{one:?}").split("mark").nth(1).map(str::to_owned)
            != format!("{other:?}").split("mark").nth(1).map(str::to_owned)
    };
    assert!(!unequal(before, counted));
    assert!(unequal(before, deployment(|value| value["status"]["readyReplicas"] = json!(2))));
    assert!(unequal(before, deployment(|value| value["metadata"]["generation"] = json!(2))));
    assert!(unequal(before, deployment(|value| value["metadata"]["labels"] = json!({"a": "b"}))));
    let refused = json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}]);
    assert!(unequal(before, deployment(|value| value["status"]["conditions"] = refused)));
}

#[test]
fn what_an_autoscaler_sees_is_no_news_and_what_it_should_do_is() {
    let scaler = |version: u64, max: u32, replicas: u32| {
        let value = json!({
            "metadata": {"uid": "u", "resourceVersion": version.to_string()},
            "spec": {"maxReplicas": max, "scaleTargetRef": {"kind": "Deployment", "name": "n"}},
            "status": {"currentReplicas": replicas, "desiredReplicas": replicas},
        });
        Version::of_autoscaler(&serde_json::from_value(value).unwrap())
    };
    let (children, acme, now) = resting();
    children.found_right("HPA", &key(), "acme-voicemail", (scaler(5, 3, 1), "w".into()));
    children.note_child("HPA", "voice", "acme", "acme-voicemail", scaler(5, 3, 1));
    for version in 6..26 {
        children.note_child("HPA", "voice", "acme", "acme-voicemail", scaler(version, 3, 2));
        assert!(
            children.requeue_if_unchanged(&acme, now).is_some(),
            "each change of its status would be a reconcile"
        );
    }
    children.note_child("HPA", "voice", "acme", "acme-voicemail", scaler(26, 9, 2));
    assert!(children.requeue_if_unchanged(&acme, now).is_none());
}
