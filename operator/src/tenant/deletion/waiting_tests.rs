//! Deletions that wait, over whole reconciles: whatever holds them and however they are deleted, the tenant serves and is
//! maintained as any other, and goes once nothing holds it.

use super::retire::is_still_wanted;
use crate::tenant::context::Context;
use crate::tenant::fake_cluster::{Cluster, core, of_group};
use crate::tenant::steps::apply::sweep;
use crate::tenant::tests::tenant;
use jiff::Timestamp;
use serde_json::{Value, json};
use voicemail_resources::conditions::DELETION_BLOCKED;

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

const GDPR: &str = "/apis/voicemail.dev/v1beta1/namespaces/voice/gdprrequests/case";
const EARLIER: &str = "2026-01-01T00:00:00Z";

/// Causes that hold up a deletion.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Obstacle {
    /// A request that hasn't ended.
    Request,
    /// Nobody has confirmed it.
    Unconfirmed,
    /// The confirmation stood in the manifest.
    ConfirmedBefore,
    /// The command in the Job's pod reports this about the store.
    Said(&'static str),
    /// The command fails.
    Failing,
    /// No node takes the Job's pod.
    Unschedulable,
    /// A Job of somebody else has the name.
    NameTaken,
    /// The tenant's keys are gone, so that there is no plan.
    KeysLost,
}

/// Each reason of `DeletionBlocked` on docs/conditions.md, and two that other conditions have, too.
const OBSTACLES: [(Obstacle, &str); 11] = [
    (Obstacle::Request, "OpenGdprRequests"),
    (Obstacle::Unconfirmed, "ConfirmationMissing"),
    (Obstacle::ConfirmedBefore, "ConfirmationTooEarly"),
    (Obstacle::Said("OpenGdprRuns"), "OpenGdprRuns"),
    (Obstacle::Said("LegalHold"), "LegalHold"),
    (Obstacle::Said("OtherClusters"), "OtherClusters"),
    (Obstacle::Said("OtherTenant"), "OtherTenant"),
    (Obstacle::Failing, "StoreNotReached"),
    (Obstacle::Unschedulable, "RetireJobCannotStart"),
    (Obstacle::NameTaken, "NameTaken"),
    (Obstacle::KeysLost, "KeysSecretLost"),
];

fn job() -> String {
    of_group("batch/v1", "jobs", "acme-voicemail-retire-check")
}

/// Writes the annotation that confirms the deletion, with the API server's record of when.
fn confirm(cluster: &Cluster, at: &str) {
    cluster.change_tenant(|tenant| {
        let annotation = "voicemail.dev/confirm-deletion";
        tenant["metadata"]["annotations"] = json!({ annotation: "acme" });
        tenant["metadata"]["managedFields"] = json!([{
            "manager": "kubectl", "operation": "Update", "time": at,
            "fieldsV1": {"f:metadata": {"f:annotations": {format!("f:{annotation}"): {}}}},
        }]);
    });
}

fn later() -> String {
    Timestamp::from_second(Timestamp::now().as_second() + 5).unwrap().to_string()
}

/// A tenant that has served, on a store that is known.
async fn serve(scaled: bool) -> (Cluster, Context) {
    let acme = tenant(|object| {
        object["spec"]["deletionPolicy"] = json!("Delete");
        if scaled {
            object["spec"]["autoscaling"] = json!({"minReplicas": 2, "maxReplicas": 5});
        }
    });
    let (cluster, context) = Cluster::start(&acme);
    for _ in 0..2 {
        cluster.reconcile(&context).await.unwrap();
        cluster.let_pods_serve();
    }
    cluster.change_tenant(|tenant| tenant["status"]["storeID"] = json!("s"));
    (cluster, context)
}

impl Obstacle {
    /// Before the deletion begins.
    fn prepare(self, cluster: &Cluster) {
        match self {
            Self::Request => cluster
                .put(GDPR, json!({"metadata": {"name": "case"}, "spec": {"tenantRef": { "name": "acme" }}})),
            Self::ConfirmedBefore => confirm(cluster, EARLIER),
            Self::NameTaken => {
                cluster.put(&job(), json!({"metadata": {"name": "acme-voicemail-retire-check"}}))
            }
            _ => {}
        }
    }

    /// Once it has begun.
    fn begin(self, cluster: &Cluster) {
        if !matches!(self, Self::Unconfirmed | Self::ConfirmedBefore) {
            confirm(cluster, &later());
        }
        if self == Self::KeysLost {
            cluster.lock().objects.remove(&core("secrets", "acme-voicemail-keys"));
        }
    }

    /// Plays the life of the Job's pod, once there is one.
    fn work(self, cluster: &Cluster) {
        let Some(job) = cluster.get(&job()) else { return };
        let status = match self {
            Self::Said(_) => json!({"podIP": "10.0.0.7", "containerStatuses": [{
                "name": "voicemail", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"running": {}}}]}),
            Self::Failing => json!({"containerStatuses": [{
                "name": "voicemail", "image": "i", "imageID": "", "ready": false, "restartCount": 4,
                "lastState": {"terminated": {"exitCode": 2}}}]}),
            Self::Unschedulable => json!({"conditions": [{
                "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}),
            _ => return,
        };
        let labels = json!({"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]});
        let metadata = json!({"name": "check", "namespace": "voice", "labels": labels});
        cluster.put(&core("pods", "check"), json!({"metadata": metadata, "status": status}));
    }

    async fn lift(self, cluster: &Cluster, context: &Context) {
        match self {
            Self::Request => {
                cluster.change(GDPR, |request| request["status"] = json!({"phase": "Completed"}))
            }
            Self::Unconfirmed => confirm(cluster, &later()),
            Self::ConfirmedBefore => {
                cluster.change_tenant(|tenant| tenant["metadata"]["annotations"] = json!({}));
                cluster.reconcile(context).await.unwrap();
                confirm(cluster, &later());
            }
            Self::NameTaken => drop(cluster.lock().objects.remove(&job())),
            Self::KeysLost => {
                let bytes = k8s_openapi::ByteString(vec![7; 32]);
                let data = json!({"tenant.key": bytes, "receipt.key": bytes});
                let labels = json!({"voicemail.dev/tenant": "acme", "voicemail.dev/tenant-uid": "uid-1",
                                    "app.kubernetes.io/managed-by": "voicemail-operator"});
                let metadata = json!({"name": "acme-voicemail-keys", "labels": labels});
                cluster.put(
                    &core("secrets", "acme-voicemail-keys"),
                    json!({"metadata": metadata, "data": data}),
                );
            }
            Self::Said(_) | Self::Failing | Self::Unschedulable => {}
        }
    }
}

/// A client to whom each pod says this.
async fn listen_to(reason: &'static str) -> reqwest::Client {
    let said = json!({"ready": false, "reason": reason, "message": "words of the command"});
    let routes = axum::Router::new().fallback(move || {
        let said = said.clone();
        async move { axum::Json(said) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let proxy = reqwest::Proxy::http(format!("http://{address}")).unwrap();
    reqwest::Client::builder().proxy(proxy).tls_certs_only([]).build().unwrap()
}

/// Paths of all that must stay, with UID and, of the Deployment, the replicas.
fn serving(cluster: &Cluster) -> Vec<(String, Value, Value)> {
    let of_tenant = |path: &&String| path.contains("acme-voicemail") && !path.contains("/jobs/");
    let objects = cluster.lock().objects.clone();
    let all = objects.iter().filter(|(path, _)| of_tenant(path));
    all.map(|(path, object)| {
        let owners = object["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len);
        assert_eq!(owners, 0, "{path} would go with a deletion in the foreground");
        assert!(object["metadata"]["deletionTimestamp"].is_null(), "{path} goes");
        (path.clone(), object["metadata"]["uid"].clone(), object["spec"]["replicas"].clone())
    })
    .collect()
}

async fn check(obstacle: Obstacle, reason: &str, policy: &str, scaled: bool) {
    let what = format!("{obstacle:?}, {policy}, scaled: {scaled}");
    let (cluster, mut context) = serve(scaled).await;
    if let Obstacle::Said(reason) = obstacle {
        context.http = listen_to(reason).await;
    }
    obstacle.prepare(&cluster);
    cluster.reconcile(&context).await.unwrap();
    cluster.delete_tenant(policy);
    obstacle.begin(&cluster);
    let before = serving(&cluster);
    for _ in 0..4 {
        cluster.reconcile(&context).await.unwrap();
        obstacle.work(&cluster);
    }
    let (status, found, message) = cluster.condition(DELETION_BLOCKED).unwrap();
    assert_eq!((status.as_str(), found.as_str()), ("True", reason), "{what}: {message}");
    assert_eq!(serving(&cluster), before, "{what}");
    let config = core("configmaps", "acme-voicemail");
    let replaced = cluster.lock().objects.remove(&config).unwrap();
    cluster.reconcile(&context).await.unwrap();
    match obstacle {
        // Without a plan nothing can be made, and what serves is left as it is.
        Obstacle::KeysLost => cluster.put(&config, replaced),
        _ => assert_eq!(cluster.get(&config).unwrap()["data"], replaced["data"], "{what}: it is maintained"),
    }
    obstacle.lift(&cluster, &context).await;
    end(&cluster, &context, &what).await;
}

/// The Jobs do their work, and the tenant goes with all that goes with it.
async fn end(cluster: &Cluster, context: &Context, what: &str) {
    for _ in 0..12 {
        if cluster.tenant().is_none() {
            break;
        }
        cluster.reconcile(context).await.unwrap();
        cluster.lock().objects.remove(&core("pods", "check"));
        let jobs: Vec<String> =
            cluster.lock().objects.keys().filter(|path| path.contains("/jobs/")).cloned().collect();
        jobs.iter().for_each(|path| cluster.change(path, |job| job["status"] = json!({"succeeded": 1})));
    }
    assert!(cluster.tenant().is_none(), "{what}: the tenant stays");
    assert_eq!(cluster.lock().unnamed, [""; 0], "{what}: the API server's record says `unknown`");
    let left: Vec<String> =
        cluster.lock().objects.keys().filter(|path| path.contains("acme-voicemail")).cloned().collect();
    assert_eq!(left, [""; 0], "{what}");
}

#[tokio::test]
async fn whatever_holds_a_deletion_the_tenant_serves_and_is_maintained_and_then_goes() {
    for (obstacle, reason) in OBSTACLES {
        for policy in ["Background", "Foreground", "Orphan"] {
            for scaled in [false, true] {
                check(obstacle, reason, policy, scaled).await;
            }
        }
    }
}

#[test]
fn every_reason_that_can_hold_a_deletion_is_tried() {
    let page = include_str!("../../../../docs/conditions.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `DeletionBlocked` | `"));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert!(listed.len() >= 9, "{listed:?}");
    for reason in listed {
        assert!(OBSTACLES.iter().any(|(_, tried)| *tried == reason), "{reason} is never tried");
    }
}
