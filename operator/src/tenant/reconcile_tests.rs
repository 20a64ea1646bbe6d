//! A reconcile as a whole, on an API server that refuses: what is remembered and how large it is.

use super::children::Children;
use super::failures::Failures;
use super::kinds::MissingKinds;
use super::ledger::Ledgers;
use super::looks::Looks;
use super::met::Met;
use super::orphans::Orphans;
use super::reconcile;
use super::rollout::RolloutBudget;
use super::tests::{settings, tenant};
use super::words::Words;
use crate::gdpr::core_client::Cores;
use crate::metrics::Metrics;
use crate::runtime::Context;
use kube::Client;
use kube::client::Body;
use kube::runtime::events::{Recorder, Reporter};
use serde_json::json;
use std::sync::Arc;

fn context() -> Context {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let refuse = tower::service_fn(|_: http::Request<Body>| async {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                            "message": "no", "code": 403});
        let body = Body::from(status.to_string().into_bytes());
        Ok::<_, std::convert::Infallible>(http::Response::builder().status(403).body(body).unwrap())
    });
    let client = Client::new(refuse, "voice");
    Context {
        recorder: Recorder::new(client.clone(), Reporter { controller: "test".into(), instance: None }),
        http: reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap(),
        client,
        settings: settings(),
        cluster: "cluster-1".into(),
        metrics: Arc::new(Metrics::default()),
        cores: Cores::default(),
        kinds: MissingKinds::default(),
        looks: Looks::default(),
        ledgers: Ledgers::default(),
        failures: Failures::default(),
        met: Met::default(),
        words: Words::default(),
        children: Children::default(),
        orphans: Orphans::default(),
        rollouts: RolloutBudget::new(1),
    }
}

#[tokio::test]
async fn a_reconcile_fits_well_into_a_workers_stack() {
    let (context, tenant) = (context(), tenant(|_| {}));
    let reconcile = reconcile(&tenant, &context);
    let size = size_of_val(&reconcile);
    assert!(size < 32 * 1024, "{size} bytes");
    assert!(reconcile.await.is_err(), "the API server refuses");
}

#[tokio::test]
async fn of_a_tenant_that_went_or_lost_its_name_to_another_nothing_is_remembered() {
    let context = context();
    let paused =
        |context: &Context| context.metrics.render().lines().any(|line| line.ends_with("paused_tenants 1"));
    let old = tenant(|_| {});
    context.meet_tenant(&old);
    context.metrics.set_paused("uid-1", true);
    assert!(paused(&context), "{}", context.metrics.render());
    let new = tenant(|object| object["metadata"]["uid"] = json!("uid-2"));
    context.meet_tenant(&new);
    assert!(!paused(&context), "another tenant has the name: the alert would fire until a restart");
    context.metrics.set_paused("uid-2", true);
    // Without a finalizer, or with its namespace: all that is left is that it isn't there.
    context.forget_tenant("voice", "acme");
    assert!(!paused(&context));
}
