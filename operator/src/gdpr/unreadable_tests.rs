//! An object that this operator can't read, beside others that it can.

use super::fake_cluster::{Cluster, REQUESTS};
use super::reconcile;
use serde_json::{Value, json};
use voicemail_resources::GdprRequest;
use voicemail_runtime::reconciling::streams::Guarded;
use voicemail_runtime::reconciling::unreadable;

fn object(name: &str, spec: Value, status: Value) -> Value {
    let mut all = json!({ "tenantRef": { "name": "acme" }, "operation": "ForgetMe", "caseID": "1" });
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest", "spec": all, "status": status,
            "metadata": { "name": name, "namespace": "n", "uid": name, "generation": 1, "resourceVersion": "1",
                          "creationTimestamp": "2026-01-31T10:00:00Z" } })
}

fn path(name: &str) -> String {
    format!("{REQUESTS}/{name}")
}

/// A request of before the CRD's patterns: no type of ours reads its time.
fn strange(secret: &str) -> Value {
    let spec =
        json!({ "consumers": { "secretRef": { "name": secret } }, "receivedAt": "9999-12-31T23:59:59Z" });
    object("strange", spec, json!({ "phase": "Pending", "conditions": [] }))
}

fn patches(cluster: &Cluster) -> usize {
    cluster
        .0
        .lock()
        .unwrap()
        .calls
        .iter()
        .filter(|call| call.starts_with("PATCH") && call.contains("status"))
        .count()
}

#[tokio::test]
async fn it_says_so_itself_once() {
    let (cluster, context) = Cluster::start().await;
    cluster.put(&path("strange"), strange("c"));
    let read: Guarded<GdprRequest> = serde_json::from_value(strange("c")).unwrap();
    let invalid = read.0.unwrap_err();
    for _ in 0..2 {
        unreadable::tell::<GdprRequest>(&context.services, &invalid, "Validated").await.unwrap();
    }
    assert_eq!(patches(&cluster), 1);
    let condition = cluster.get(&path("strange")).unwrap()["status"]["conditions"][0].clone();
    assert_eq!((&condition["type"], &condition["reason"]), (&json!("Validated"), &json!("Unreadable")));
    let calls = cluster.0.lock().unwrap().calls.clone();
    assert_eq!(calls.iter().filter(|call| call.contains("/events")).count(), 1, "{calls:?}");
    // Of an object that was made again under its name nothing is said.
    let mut again = strange("c");
    again["metadata"]["uid"] = "again".into();
    cluster.put(&path("strange"), again);
    unreadable::tell::<GdprRequest>(&context.services, &invalid, "Validated").await.unwrap();
    assert_eq!(patches(&cluster), 1);
}

#[tokio::test]
async fn the_secret_of_a_request_that_ended_beside_it_goes_unless_it_names_that_one() {
    let compared = json!([{ "type": "SubjectVerified", "status": "True", "reason": "Compared", "message": "",
                            "lastTransitionTime": "2026-01-31T10:00:00Z" }]);
    let ended = json!({ "phase": "Completed", "run": "1/forgetme.1", "consumersUID": "secret",
                        "finishedAt": "2026-01-31T10:00:00Z", "conditions": compared });
    for (named, stays) in [("another", false), ("c", true)] {
        let (cluster, context) = Cluster::start().await;
        let consumers = json!({ "consumers": { "secretRef": { "name": "c" } } });
        let request = object("ended", consumers, ended.clone());
        cluster.put(&path("ended"), request.clone());
        cluster.put(&path("strange"), strange(named));
        let request: GdprRequest = serde_json::from_value(request).unwrap();
        reconcile(&request, &context).await.unwrap();
        assert_eq!(cluster.has_secret(), stays, "the strange one names {named}");
    }
}
