//! The operator's requests to the API server, from the audit log.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::{AuditLog, Cluster};

const CHANGING: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];
const MARKER_WITHIN: Duration = Duration::from_secs(10);

/// Whether a record is a request of that user that could change something; its lease doesn't count.
pub fn is_mutation(record: &Value, username: &str) -> bool {
    record["user"]["username"] == username
        && record["verb"].as_str().is_some_and(|verb| CHANGING.contains(&verb))
        && record["objectRef"]["resource"] != "leases"
}

/// A request in short: `patch services/acme-voicemail 200`.
pub fn describe(record: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &record["objectRef"];
    let part = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
    let (verb, resource, name) = (text(&record["verb"]), text(&object["resource"]), text(&object["name"]));
    format!("{verb} {resource}/{name}{part} {}", record["responseStatus"]["code"])
}

/// The user's mutating requests so far, in short.
pub fn mutations(log: &AuditLog, username: &str) -> Result<Vec<String>> {
    Ok(log.records()?.iter().filter(|record| is_mutation(record, username)).map(describe).collect())
}

/// All of the user's requests so far, in short; without those by which it watches and holds its lease, and reviews of tokens and rights.
pub fn requests(log: &AuditLog, username: &str) -> Result<Vec<String>> {
    let of_work = |record: &&Value| {
        let resource = record["objectRef"]["resource"].as_str().unwrap_or_default();
        let standing = ["leases", "tokenreviews", "subjectaccessreviews"].contains(&resource);
        record["user"]["username"] == username
            && record["verb"] != "watch"
            && !resource.is_empty()
            && !standing
    };
    Ok(log.records()?.iter().filter(of_work).map(describe).collect())
}

/// Waits until everything that was answered before now is in the log.
pub async fn settle(cluster: &Cluster, log: &AuditLog, namespace: &str) -> Result<()> {
    let marker = format!("marker-{}", uuid::Uuid::new_v4().simple());
    cluster.run_kubectl(&["get", "configmap", &marker, "-n", namespace, "--ignore-not-found"])?;
    let seen = |record: &Value| record["objectRef"]["name"] == marker.as_str();
    log.wait_for("the marker", MARKER_WITHIN, seen).await.map(drop)
}
