//! A reconcile as a whole, on an API server of its own that refuses or takes everything: what is remembered and how large it is.

use super::fake_cluster::{Cluster, core, deployment};
use super::memory::TenantKey;
use super::reconcile;
use super::tests::{settings, tenant};
use crate::tenant::context::Context;
use futures::future::try_join_all;
use http::Method;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::Arc;
use voicemail_runtime::calls::{Classified, ErrorClass};
use voicemail_runtime::fence::Fence;
use voicemail_runtime::metrics::Metrics;

type Answer = fn(&Method, &str, Value) -> (u16, Value);

fn failure(reason: &str, code: u16) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
                        "message": "no", "code": code});
    (code, status)
}

/// Refuses everything.
fn refuse(_: &Method, _: &str, _: Value) -> (u16, Value) {
    failure("Forbidden", 403)
}

/// An empty cluster that takes whatever it is given.
fn accept(method: &Method, path: &str, mut body: Value) -> (u16, Value) {
    let of_tenant = path.contains("/voicemailtenants/");
    match *method {
        Method::GET if of_tenant => (200, serde_json::to_value(tenant(|_| {})).unwrap()),
        Method::GET if path.ends_with("/namespaces/voice") => (200, json!({"metadata": {"name": "voice"}})),
        Method::GET if path.ends_with("/pods") || path.ends_with("/voicemailtenants") => {
            (200, json!({"metadata": {}, "items": []}))
        }
        Method::GET => failure("NotFound", 404),
        _ if of_tenant => (200, serde_json::to_value(tenant(|_| {})).unwrap()),
        _ => {
            body["metadata"]["uid"] = json!("made");
            body["metadata"]["resourceVersion"] = json!("1");
            (200, body)
        }
    }
}

fn context(answer: Answer) -> Context {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let serve = tower::service_fn(move |request: http::Request<Body>| async move {
        let (parts, body) = request.into_parts();
        let bytes = body.collect_bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        let (code, value) = answer(&parts.method, parts.uri.path(), body);
        let body = Body::from(value.to_string().into_bytes());
        Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
    });
    let client = Client::new(serve, "voice");
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let metrics = Arc::new(Metrics::default());
    Context::new(client, http, settings(), "cluster-1".into(), metrics, Fence::default())
}

#[tokio::test]
async fn a_reconcile_fits_well_into_a_workers_stack() {
    let (refusing, accepting, tenant) = (context(refuse), context(accept), tenant(|_| {}));
    let refused = reconcile(&tenant, &refusing);
    let size = size_of_val(&refused);
    assert!(size < 32 * 1024, "{size} bytes");
    assert!(refused.await.is_err());
    // A test's thread has as much as a worker: 2 MiB.
    reconcile(&tenant, &accepting).await.unwrap();
}

#[tokio::test]
async fn of_a_tenant_that_went_or_lost_its_name_to_another_nothing_is_remembered() {
    let context = context(refuse);
    let paused =
        |context: &Context| context.metrics.render().lines().any(|line| line.ends_with("paused_tenants 1"));
    let key = |uid: &str| TenantKey { uid: uid.into(), ..TenantKey::of(&tenant(|_| {})) };
    context.memories.meet(&key("uid-1"), true);
    assert!(paused(&context), "{}", context.metrics.render());
    context.memories.meet(&key("uid-2"), false);
    assert!(!paused(&context), "another tenant has the name: the alert would fire until a restart");
    context.memories.meet(&key("uid-2"), true);
    // Without a finalizer, or with its namespace: all that is left is that it isn't there.
    context.memories.forget("voice", "acme");
    assert!(!paused(&context) && context.memories.count() == 0);
}

#[tokio::test]
async fn a_claim_of_a_new_tenant_is_told_of_only_when_it_stays_pending() {
    let (cluster, context) = Cluster::start(&tenant(|_| {}));
    for _ in 0..3 {
        cluster.reconcile(&context).await.unwrap();
    }
    assert_eq!(cluster.condition("Ready").unwrap().1, "ClaimPending");
    assert_eq!(cluster.lock().events, [""; 0], "each healthy creation would have a warning");
    cluster.change_tenant(|tenant| {
        let conditions = tenant["status"]["conditions"].as_array_mut().unwrap();
        conditions.iter_mut().for_each(|c| c["lastTransitionTime"] = json!("2026-01-31T10:00:00Z"));
    });
    for _ in 0..3 {
        cluster.reconcile(&context).await.unwrap();
    }
    assert_eq!(cluster.lock().events, ["ClaimPending"], "once");
    // One whose store is known has lost something.
    let (cluster, context) = Cluster::start(&tenant(|tenant| tenant["status"] = json!({"storeID": "s"})));
    let claim = json!({"metadata": {"name": "acme-voicemail", "labels": {"voicemail.dev/tenant": "acme"}},
                       "spec": {"accessModes": ["ReadWriteMany"]}, "status": {"phase": "Pending"}});
    cluster.put(&core("persistentvolumeclaims", "acme-voicemail"), claim);
    let bytes = k8s_openapi::ByteString(vec![7; 32]);
    let data = json!({"data": {"tenant.key": bytes, "receipt.key": bytes}, "metadata": {"name": "keys"}});
    cluster.put(&core("secrets", "acme-voicemail-keys"), data);
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(cluster.lock().events, ["ClaimPending"]);
}

#[tokio::test]
async fn a_volume_that_may_not_be_read_is_asked_for_once() {
    let (cluster, context) = Cluster::start(&tenant(|_| {}));
    cluster.reconcile(&context).await.unwrap();
    cluster.change(&core("persistentvolumeclaims", "acme-voicemail"), |claim| {
        claim["spec"]["volumeName"] = json!("pv-1");
        claim["status"] = json!({"phase": "Bound"});
    });
    for _ in 0..3 {
        cluster.reconcile(&context).await.unwrap();
    }
    assert_eq!(cluster.condition("DataKept").unwrap().1, "ReclaimPolicyForbidden");
    let asked = cluster.lock().forbidden;
    assert_eq!(asked, 1, "each refusal is a line in the audit log");
}

#[tokio::test]
async fn another_mail_server_and_another_endpoint_are_told_of_once() {
    let email = |host: &str| json!({"smtp": {"host": host}, "from": "v@example.com"});
    let edited = |value: &mut Value| value["spec"]["email"] = email("mail.example");
    let (cluster, context) = Cluster::start(&tenant(edited));
    let told = |cluster: &Cluster| {
        let events = cluster.lock().events.clone();
        events.iter().filter(|reason| *reason == "DestinationChanged").count()
    };
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(told(&cluster), 0, "a new tenant sends nothing elsewhere than before");
    cluster.change_tenant(|tenant| tenant["spec"]["email"] = email("other.example"));
    for _ in 0..2 {
        cluster.reconcile(&context).await.unwrap();
    }
    assert_eq!(told(&cluster), 1);
}

#[tokio::test]
async fn looks_at_the_same_time_list_all_tenants_and_all_policies_once() {
    let one = tenant(|_| {});
    let (cluster, context) = Cluster::start(&one);
    try_join_all((0..8).map(|_| context.choose_image(&one))).await.unwrap();
    assert_eq!(cluster.lock().lists_of_all, 1);
    try_join_all((0..8).map(|_| context.policies.bind(&context.client, &one))).await.unwrap();
    assert_eq!(cluster.lock().lists_of_all, 2);
}

#[tokio::test]
async fn an_object_that_somebody_else_has_under_a_childs_name_is_never_touched() {
    let (cluster, context) = Cluster::start(&tenant(|_| {}));
    let path = core("services", "acme-voicemail");
    cluster.put(&path, json!({"metadata": {"name": "acme-voicemail"}, "spec": {"ports": []}}));
    let theirs = cluster.get(&path);
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(cluster.condition("Ready").unwrap().1, "NameTaken");
    assert_eq!(cluster.get(&path), theirs);
}

#[tokio::test]
async fn secrets_that_were_just_made_are_not_looked_for_again_until_the_tenant_changes() {
    let (cluster, context) = Cluster::start(&tenant(|_| {}));
    cluster.reconcile(&context).await.unwrap();
    let keys = core("secrets", "acme-voicemail-keys");
    cluster.lock().objects.remove(&keys).unwrap();
    cluster.reconcile(&context).await.unwrap();
    assert_eq!(cluster.get(&keys), None, "they were made a moment ago");
    cluster.change_tenant(|tenant| tenant["metadata"]["labels"] = json!({"look": "again"}));
    cluster.reconcile(&context).await.unwrap();
    assert!(cluster.get(&keys).is_some());
}

#[tokio::test]
async fn keys_and_an_authority_that_a_former_tenant_of_the_name_has_left_are_found_though_the_first_look_reads_none()
 {
    for left in ["acme-voicemail-keys", "acme-voicemail-ca", "acme-voicemail-tls"] {
        let (former, context) = Cluster::start(&tenant(|_| {}));
        former.reconcile(&context).await.unwrap();
        let kept = former.get(&core("secrets", left)).unwrap();
        let (cluster, context) = Cluster::start(&tenant(|_| {}));
        cluster.put(&core("secrets", left), kept.clone());
        let first = cluster.reconcile(&context).await;
        assert_eq!(first.unwrap_err().class(), ErrorClass::Conflict, "{left}");
        assert_eq!(cluster.get(&core("secrets", left)).unwrap()["data"], kept["data"], "{left}");
        cluster.reconcile(&context).await.unwrap();
        let now = cluster.get(&core("secrets", left)).unwrap();
        let is_kept = now["data"] == kept["data"];
        // A certificate that is by no authority of this tenant is made anew, once it was looked at.
        assert_eq!(is_kept, left != "acme-voicemail-tls", "{left}");
        assert!(cluster.get(&deployment()).is_some(), "{left}");
    }
}

#[tokio::test]
async fn a_range_of_users_that_a_new_namespace_gets_late_is_seen() {
    let namespace = "/api/v1/namespaces/voice";
    for (made, seen) in [(jiff::Timestamp::now().to_string(), true), ("2026-01-31T10:00:00Z".into(), false)] {
        let (cluster, context) = Cluster::start(&tenant(|_| {}));
        cluster.change(namespace, |namespace| namespace["metadata"]["creationTimestamp"] = json!(made));
        cluster.reconcile(&context).await.unwrap();
        cluster.change(namespace, |namespace| {
            namespace["metadata"]["annotations"] = json!({"openshift.io/sa.scc.uid-range": "1000/10000"});
        });
        cluster.reconcile(&context).await.unwrap();
        let known = context.memories.user_range(&cluster.tenant().unwrap());
        assert_eq!(
            known,
            Some(seen),
            "of one that is old enough it would have been there; asked again in a minute"
        );
    }
}
