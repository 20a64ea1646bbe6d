//! A reconcile as a whole, on an API server of its own that refuses or takes everything: what is remembered and how large it is.

use super::memory::TenantKey;
use super::reconcile;
use super::tests::{settings, tenant};
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::tenant::context::Context;
use http::Method;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::sync::Arc;

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
