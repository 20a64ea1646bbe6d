//! A request that is deleted and made again under its name during any call of the controller: what was seen of the old
//! one is never done or said of the new one.

use super::fake_cluster::{Cluster, REQUESTS};
use super::reconcile;
use serde_json::{Value, json};
use voicemail_resources::GdprRequest;

/// More calls than one reconcile has.
const CALLS: usize = 16;

fn path() -> String {
    format!("{REQUESTS}/rc")
}

fn request(uid: &str, more: Value, status: Value) -> Value {
    let mut spec = json!({ "tenantRef": { "name": "acme" }, "operation": "ForgetMe", "caseID": "1", "requestedBy": "anna",
                           "consumers": { "secretRef": { "name": "c" } } });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let metadata = json!({ "name": "rc", "namespace": "n", "uid": uid, "generation": 1,
                           "creationTimestamp": "2026-01-31T10:00:00Z" });
    let mut object = json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
                             "metadata": metadata, "spec": spec });
    if !status.is_null() {
        object["status"] = status;
    }
    object
}

/// Reconciles the old object, which is made again during the nth call.
async fn recreate(during: usize, old: Value, new: Value) -> (Cluster, crate::tenant::context::Context) {
    let (cluster, context) = Cluster::start().await;
    cluster.put(&path(), old.clone());
    let event = move |state: &mut super::fake_cluster::Stored| drop(state.objects.insert(path(), new));
    cluster.0.lock().unwrap().planned = Some((during, Box::new(event)));
    let cached: GdprRequest = serde_json::from_value(old).unwrap();
    // A conflict is a failure that is repeated.
    let _ = reconcile(&cached, &context).await;
    (cluster, context)
}

async fn reconcile_stored(cluster: &Cluster, context: &crate::tenant::context::Context) {
    let stored: GdprRequest = serde_json::from_value(cluster.get(&path()).unwrap()).unwrap();
    reconcile(&stored, context).await.unwrap();
}

#[tokio::test]
async fn a_request_made_again_after_its_dry_run_is_carried_out_whenever_that_was() {
    for during in 0..CALLS {
        let dry = request("old", json!({ "dryRun": true }), Value::Null);
        let (cluster, context) = recreate(during, dry, request("new", json!({}), Value::Null)).await;
        let made = |what: &str| cluster.get(&path()).unwrap()[what].clone();
        if made("metadata")["uid"] != "new" {
            // There was no such call.
            assert!(during > 4);
            continue;
        }
        assert_ne!(made("status")["phase"], "Completed", "call {during}: it has the old one's end");
        for _ in 0..2 {
            reconcile_stored(&cluster, &context).await;
        }
        assert_eq!(made("status")["phase"], "Marked", "call {during}");
        let real = cluster.0.lock().unwrap().opened.iter().filter(|(_, dry)| !dry).count();
        assert_eq!(real, 1, "call {during}: it was opened once");
        assert!(cluster.has_secret(), "call {during}: the new request needs its Secret");
    }
}

#[tokio::test]
async fn what_was_withdrawn_for_a_dry_run_isnt_opened_any_more() {
    for during in 0..CALLS {
        let dry = request("new", json!({ "dryRun": true }), Value::Null);
        let (cluster, _context) = recreate(during, request("old", json!({}), Value::Null), dry).await;
        let state = cluster.0.lock().unwrap();
        let late = state.opened.iter().any(|(calls, dry)| !dry && *calls > during);
        assert!(!late, "call {during} of {:?}: the erasure began after its request was gone", state.calls);
    }
}

#[tokio::test]
async fn an_approval_of_an_object_that_is_gone_is_not_passed_on() {
    for during in 0..CALLS {
        let (cluster, context) = Cluster::start().await;
        let given = json!({ "approval": { "decision": "Approve", "by": "bert" } });
        cluster.put(&path(), request("old", given, Value::Null));
        let gone = |state: &mut super::fake_cluster::Stored| drop(state.objects.remove(&path()));
        cluster.0.lock().unwrap().planned = Some((during, Box::new(gone)));
        let cached: GdprRequest = serde_json::from_value(cluster.get(&path()).unwrap()).unwrap();
        let _ = reconcile(&cached, &context).await;
        let state = cluster.0.lock().unwrap();
        assert!(!state.opened.iter().any(|(calls, _)| *calls > during), "call {during} of {:?}", state.calls);
    }
}

#[tokio::test]
async fn the_end_of_an_old_request_takes_no_secret_from_the_one_that_was_made_under_its_name() {
    let compared = json!([{ "type": "SubjectVerified", "status": "True", "reason": "Compared", "message": "",
                            "lastTransitionTime": "2026-01-31T10:00:00Z" }]);
    let ended = json!({ "phase": "Completed", "run": "1/forgetme.1", "consumersUID": "secret",
                        "finishedAt": "2026-01-31T10:00:00Z", "conditions": compared });
    let mut deleted = false;
    for during in 0..CALLS {
        let old = request("old", json!({}), ended.clone());
        let (cluster, _context) = recreate(during, old, request("new", json!({}), Value::Null)).await;
        let calls = cluster.0.lock().unwrap().calls.clone();
        let deletion = calls.iter().position(|call| call.starts_with("DELETE"));
        assert!(deletion.is_none_or(|deletion| deletion <= during), "call {during} of {calls:?}");
        deleted |= deletion.is_some();
        let status = &cluster.get(&path()).unwrap()["status"];
        assert!(status.is_null() || cluster.get(&path()).unwrap()["metadata"]["uid"] == "old" || during == 0);
    }
    assert!(deleted, "an end that nobody disturbs deletes the Secret");
}

#[tokio::test]
async fn a_secret_that_one_request_keeps_outlives_the_end_of_another() {
    let compared = json!([{ "type": "SubjectVerified", "status": "True", "reason": "Compared", "message": "",
                            "lastTransitionTime": "2026-01-31T10:00:00Z" }]);
    let ended = json!({ "phase": "Completed", "run": "1/forgetme.1", "consumersUID": "secret",
                        "finishedAt": "2026-01-31T10:00:00Z", "conditions": compared });
    for keep in [true, false] {
        let (cluster, context) = Cluster::start().await;
        cluster.put(&path(), request("u", json!({}), ended.clone()));
        let mut other = request("other", json!({}), ended.clone());
        other["metadata"]["name"] = "other".into();
        other["spec"]["consumers"]["deletion"] = if keep { "Never" } else { "OnFinish" }.into();
        cluster.put(&format!("{REQUESTS}/other"), other);
        reconcile_stored(&cluster, &context).await;
        assert_eq!(cluster.has_secret(), keep);
    }
}

#[tokio::test]
async fn a_core_of_another_version_that_refuses_a_question_fails_no_request() {
    for code in [400, 405, 409, 410, 415, 422] {
        let (cluster, context) = Cluster::start().await;
        cluster.0.lock().unwrap().lookups = Some(http::StatusCode::from_u16(code).unwrap());
        let followed = json!({ "phase": "Marked", "run": "1/forgetme.1" });
        for status in [Value::Null, followed] {
            cluster.put(&path(), request("u", json!({}), status.clone()));
            reconcile_stored(&cluster, &context).await;
            let phase = cluster.get(&path()).unwrap()["status"]["phase"].clone();
            let before = if status.is_null() { json!("Pending") } else { json!("Marked") };
            assert_eq!(phase, before, "{code}: the request has a new phase");
            context.cores.keep("tenant", cluster.serve_core().await);
        }
        // Of the same version again, it goes on.
        cluster.0.lock().unwrap().lookups = None;
        reconcile_stored(&cluster, &context).await;
        assert_eq!(cluster.get(&path()).unwrap()["status"]["phase"], "Marked", "{code}");
    }
}

#[tokio::test]
async fn an_object_stays_until_no_backup_holds_copies_whatever_its_time_is() {
    let cleared = |cleared: &str, after: &str| {
        let conditions = json!([{ "type": "BackupsCleared", "status": cleared, "reason": "R", "message": "",
                                  "lastTransitionTime": "2026-01-31T10:00:00Z" }]);
        json!({ "phase": "Completed", "run": "1/forgetme.1", "finishedAt": "2026-01-31T10:00:00Z",
                "consumersDeletedAt": "2026-01-31T10:00:00Z", "backupsClearAfter": after, "conditions": conditions })
    };
    for (status, stays) in [
        (cleared("False", "9000-01-01T00:00:00Z"), true),
        (cleared("Unknown", "2026-02-01T00:00:00Z"), false),
        (cleared("True", "2026-02-01T00:00:00Z"), false),
    ] {
        let (cluster, context) = Cluster::start().await;
        cluster.0.lock().unwrap().lookups = Some(http::StatusCode::SERVICE_UNAVAILABLE);
        cluster.put(&path(), request("u", json!({ "ttlSecondsAfterFinished": 1 }), status));
        reconcile_stored(&cluster, &context).await;
        assert_eq!(cluster.get(&path()).is_some(), stays);
    }
}
