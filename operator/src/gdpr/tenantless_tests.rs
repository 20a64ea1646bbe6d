//! Requests whose tenant isn't there, or can't be read: they can be cancelled while nothing is hidden, and no deadline runs
//! while nobody is asked.

use super::fake_cluster::{Cluster, REQUESTS, TENANTS};
use super::reconcile;
use crate::tenant::context::Context;
use serde_json::{Value, json};
use voicemail_resources::GdprRequest;

fn path() -> String {
    format!("{REQUESTS}/r")
}

/// A request of long ago, with what the spec and the status have more.
fn request(operation: &str, more: &Value, status: Value) -> Value {
    let mut spec = json!({ "tenantRef": { "name": "acme" }, "operation": operation, "caseID": "1", "requestedBy": "anna",
                           "consumers": { "secretRef": { "name": "c" } } });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequest",
            "metadata": { "name": "r", "namespace": "n", "uid": "u", "generation": 1,
                          "creationTimestamp": "2026-01-31T10:00:00Z" },
            "spec": spec, "status": status })
}

async fn reconcile_stored(cluster: &Cluster, context: &Context) -> Value {
    let stored: GdprRequest = serde_json::from_value(cluster.get(&path()).unwrap()).unwrap();
    reconcile(&stored, context).await.unwrap();
    cluster.get(&path()).unwrap()["status"].clone()
}

fn condition<'a>(status: &'a Value, type_: &str) -> &'a Value {
    let conditions = status["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == type_).unwrap()
}

#[tokio::test]
async fn a_request_that_names_no_tenant_is_never_overdue_and_can_be_cancelled() {
    let (cluster, context) = Cluster::start().await;
    cluster.0.lock().unwrap().objects.remove(&format!("{TENANTS}/acme"));
    // As a former release left it.
    let overdue = json!({ "phase": "Pending", "dueAt": "2026-02-28T10:00:00Z" });
    cluster.put(&path(), request("ForgetMe", &json!({}), overdue));
    let status = reconcile_stored(&cluster, &context).await;
    assert_eq!(condition(&status, "DeadlineAtRisk")["status"], "False", "{status}");
    assert_eq!((&status["phase"], &status["dueAt"]), (&json!("Pending"), &Value::Null));
    assert!(condition(&status, "Succeeded")["message"].as_str().unwrap().contains("write cancel"));
    cluster.put(
        &path(),
        request("ForgetMe", &json!({ "cancellation": { "by": "anna", "reason": "wrong tenant" } }), status),
    );
    let status = reconcile_stored(&cluster, &context).await;
    assert_eq!(status["phase"], "Cancelled");
    assert_eq!(condition(&status, "Finished")["status"], "True");
    assert_eq!(condition(&status, "DeadlineAtRisk")["status"], "False");
}

#[tokio::test]
async fn without_its_tenant_only_what_has_hidden_nothing_can_be_cancelled() {
    let cancel = json!({ "cancellation": { "by": "anna", "reason": "the tenant is gone" } });
    for (operation, phase, cancelled) in [
        ("ForgetMe", "Validating", true),
        ("ForgetMe", "AwaitingApproval", true),
        ("ForgetMe", "Blocked", true),
        ("ExportMe", "Searching", true),
        ("ForgetMe", "Searching", false),
        ("ForgetMe", "Marked", false),
        ("ForgetMe", "Erasing", false),
        ("ForgetMe", "Completed", false),
    ] {
        let (cluster, context) = Cluster::start().await;
        cluster.0.lock().unwrap().objects.remove(&format!("{TENANTS}/acme"));
        let status = json!({ "phase": phase, "run": "1/forgetme.1", "dueAt": "2026-02-28T10:00:00Z" });
        cluster.put(&path(), request(operation, &cancel, status));
        let status = reconcile_stored(&cluster, &context).await;
        assert_eq!(status["phase"] == "Cancelled", cancelled, "{operation} {phase}");
        if cancelled {
            let message = condition(&status, "Succeeded")["message"].as_str().unwrap();
            assert!(
                message.contains("1/forgetme.1"),
                "{phase}: whoever serves the store must know: {message}"
            );
        } else {
            assert_eq!(status["dueAt"], "2026-02-28T10:00:00Z", "{phase}: it was asked for");
        }
    }
}

#[tokio::test]
async fn a_tenant_that_cannot_be_read_is_told_of_in_its_requests() {
    let (cluster, context) = Cluster::start().await;
    let tenant = json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "VoicemailTenant",
                         "metadata": { "name": "acme", "namespace": "n" }, "spec": "+441632960001" });
    cluster.put(&format!("{TENANTS}/acme"), tenant);
    cluster.put(&path(), request("ForgetMe", &json!({}), Value::Null));
    let status = reconcile_stored(&cluster, &context).await;
    let completed = condition(&status, "Succeeded");
    assert_eq!(completed["reason"], "TenantUnreadable");
    assert!(!completed["message"].as_str().unwrap().contains("1632960001"), "{completed}");
    assert!(!status["dueAt"].is_null(), "somebody was asked");
}

#[tokio::test]
async fn an_end_stays_what_it_is_while_its_core_cannot_be_asked_for_backups() {
    let (cluster, context) = Cluster::start().await;
    cluster.0.lock().unwrap().lookups = Some(http::StatusCode::SERVICE_UNAVAILABLE);
    let known = |type_: &str, status: &str, reason: &str| {
        json!({ "type": type_, "status": status, "reason": reason, "message": "m",
                "lastTransitionTime": "2026-01-31T10:00:00Z" })
    };
    let conditions =
        json!([known("Succeeded", "True", "Erased"), known("BackupsCleared", "False", "CopiesRemain")]);
    let status = json!({ "phase": "Completed", "run": "1/forgetme.1", "finishedAt": "2026-01-31T10:00:00Z",
                         "backupsClearAfter": "9000-01-01T00:00:00Z", "conditions": conditions });
    cluster.put(&path(), request("ForgetMe", &json!({}), status));
    let status = reconcile_stored(&cluster, &context).await;
    assert_eq!(condition(&status, "Succeeded")["status"], "True", "{status}");
    assert_eq!(condition(&status, "Ready")["status"], "True");
}
