//! Deletions that wait, over whole reconciles: whatever holds them and however they are deleted, the tenant serves and is
//! maintained as any other, and goes once nothing holds it.

use super::retire::is_still_wanted;
use crate::tenant::fake_cluster::Cluster;
use crate::tenant::steps::apply::sweep;
use crate::tenant::tests::tenant;
use serde_json::json;

#[tokio::test]
async fn a_tenant_that_cannot_be_read_is_there_and_is_compared_by_its_metadata() {
    let acme = tenant(|_| {});
    let (cluster, context) = Cluster::start(&acme);
    cluster.put(
        "/api/v1/namespaces/voice/services/acme-voicemail",
        json!({"metadata": {"name": "acme-voicemail", "namespace": "voice",
                            "labels": {"voicemail.dev/tenant": "acme", "voicemail.dev/tenant-uid": "uid-1"}}}),
    );
    cluster.change_tenant(|object| object["status"] = json!({"replicas": "of another version"}));
    sweep(&context.client, "voice", "acme").await.unwrap();
    assert_eq!(cluster.lock().writes, [""; 0], "its children are given to nobody");
    assert!(is_still_wanted(&acme, &context).await.unwrap());
    cluster.change_tenant(|object| object["spec"]["regions"] = json!("of another version"));
    assert!(!is_still_wanted(&acme, &context).await.unwrap(), "its spec has changed");
}
