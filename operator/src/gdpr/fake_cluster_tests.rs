//! An API server and a core for tests of the controller's calls: objects in memory, and what happens between two calls.
//!
//! Flow: the test puts objects, says what is to happen at the nth call, and reconciles. Each call to the API server is
//! counted; what was planned for it happens before it is answered. The server keeps the rules that matter here: a patch
//! of another UID is a conflict, a deletion has preconditions.

use crate::settings::Settings;
use crate::tenant::context::Context;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use clap::Parser;
use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use voicemail_api::gdpr::{GdprAnswer, RunState, RunView};
use voicemail_cores::core_client::Core;
use voicemail_runtime::fence::Fence;
use voicemail_runtime::metrics::Metrics;

/// Paths of the API.
pub(super) const REQUESTS: &str = "/apis/voicemail.dev/v1beta1/namespaces/n/gdprrequests";
pub(super) const TENANTS: &str = "/apis/voicemail.dev/v1beta1/namespaces/n/voicemailtenants";
const SECRETS: &str = "/api/v1/namespaces/n/secrets";

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: Settings,
}

/// Something that happens before a call is answered.
type Event = Box<dyn FnOnce(&mut Stored) + Send>;

/// Stored objects, and what came of them.
#[derive(Default)]
pub(super) struct Stored {
    /// By path.
    pub(super) objects: BTreeMap<String, Value>,
    /// Calls to the API server.
    pub(super) calls: Vec<String>,
    /// Before which call something happens.
    pub(super) planned: Option<(usize, Event)>,
    /// The number of API calls before each opening at the core, and whether it was a dry run.
    pub(super) opened: Vec<(usize, bool)>,
    /// The core's answer to questions about cases; 200 when absent.
    pub(super) lookups: Option<StatusCode>,
    /// Runs of the core.
    pub(super) runs: Vec<RunView>,
}

/// Both, for one namespace.
#[derive(Clone, Default)]
pub(super) struct Cluster(pub(super) Arc<Mutex<Stored>>);

impl Cluster {
    /// With a tenant that serves and a labelled Secret `c`, and the context of a controller.
    pub(super) async fn start() -> (Self, Context) {
        let cluster = Self::default();
        let mut tenant: Value =
            serde_yaml::from_str(include_str!("../../../examples/volume-tenant.yaml")).unwrap();
        tenant["metadata"] = json!({ "name": "acme", "namespace": "n", "uid": "tenant" });
        cluster.put(&format!("{TENANTS}/acme"), tenant);
        let input = r#"{"caseid":"1","consumers":[{"phone":["+441632960001"]}]}"#;
        let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(json!({ "metadata": {
            "name": "c", "namespace": "n", "uid": "secret", "resourceVersion": "1",
            "labels": { "voicemail.dev/gdpr-consumers": "true" } } }))
        .unwrap();
        let bytes = k8s_openapi::ByteString(input.as_bytes().to_vec());
        let secret = k8s_openapi::api::core::v1::Secret {
            data: Some([("input.json".to_owned(), bytes)].into()),
            ..secret
        };
        cluster.put(&format!("{SECRETS}/c"), serde_json::to_value(secret).unwrap());
        let context = cluster.context();
        context.cores.keep("tenant", cluster.serve_core().await);
        (cluster, context)
    }

    fn context(&self) -> Context {
        let cluster = self.clone();
        let answer = move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { Ok::<_, std::convert::Infallible>(cluster.answer(request).await) }
        };
        let client = Client::new(tower::service_fn(answer), "n");
        let settings = Flags::parse_from(["test"]).settings;
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let metrics = Arc::new(Metrics::default());
        Context::new(client, http.build().unwrap(), settings, "here".into(), metrics, Fence::default())
    }

    /// Stores an object.
    pub(super) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    /// An object as it is stored.
    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// Whether the Secret is there.
    pub(super) fn has_secret(&self) -> bool {
        self.get(&format!("{SECRETS}/c")).is_some()
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut state = self.0.lock().unwrap();
        let number = state.calls.len();
        state.calls.push(format!("{} {}", parts.method, parts.uri.path()));
        if let Some((_, event)) = state.planned.take_if(|(planned, _)| *planned == number) {
            event(&mut state);
        }
        let (status, answer) = state.answer(&parts.method, parts.uri.path(), body);
        let bytes = serde_json::to_vec(&answer).unwrap();
        Response::builder().status(status).body(Body::from(bytes)).unwrap()
    }

    /// A connection to the core.
    pub(super) async fn serve_core(&self) -> Core {
        let routes = axum::Router::new().fallback(answer_as_core).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let fence = Fence::default();
        fence.open_until(Instant::now() + Duration::from_secs(3_600));
        Core::new(voicemail_client::Client::new(http, format!("http://{address}"), "Bearer t"), fence)
    }
}

fn refuse(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
                         "message": reason, "code": code.as_u16() });
    (code, status)
}

impl Stored {
    fn answer(&mut self, method: &Method, path: &str, body: Value) -> (StatusCode, Value) {
        if path.contains("/events") {
            return (StatusCode::CREATED, body);
        }
        match *method {
            Method::GET if path == REQUESTS => (StatusCode::OK, self.list(path)),
            Method::PATCH => self.patch(path, &body),
            Method::DELETE => self.delete(path, &body),
            _ => match self.objects.get(path) {
                Some(object) => (StatusCode::OK, object.clone()),
                None => refuse(StatusCode::NOT_FOUND, "NotFound"),
            },
        }
    }

    fn list(&self, path: &str) -> Value {
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(name, _)| name.starts_with(path))
            .map(|(_, object)| object)
            .collect();
        json!({ "apiVersion": "voicemail.dev/v1beta1", "kind": "GdprRequestList", "metadata": {}, "items": items })
    }

    /// Of a status.
    fn patch(&mut self, path: &str, body: &Value) -> (StatusCode, Value) {
        let path = path.trim_end_matches("/status");
        let Some(object) = self.objects.get_mut(path) else {
            return refuse(StatusCode::NOT_FOUND, "NotFound");
        };
        let uid = &body["metadata"]["uid"];
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            return refuse(StatusCode::CONFLICT, "Conflict");
        }
        object["status"] = body["status"].clone();
        (StatusCode::OK, object.clone())
    }

    fn delete(&mut self, path: &str, body: &Value) -> (StatusCode, Value) {
        let Some(object) = self.objects.get(path) else { return refuse(StatusCode::NOT_FOUND, "NotFound") };
        let wanted = &body["preconditions"];
        let differs = |field: &str| !wanted[field].is_null() && wanted[field] != object["metadata"][field];
        if differs("uid") || differs("resourceVersion") {
            return refuse(StatusCode::CONFLICT, "Conflict");
        }
        self.objects.remove(path);
        (StatusCode::OK, json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }))
    }
}

/// Opens a run for each request but a dry one, or shows the case's.
async fn answer_as_core(
    State(cluster): State<Cluster>,
    uri: Uri,
    body: axum::body::Bytes,
) -> (StatusCode, Json<Value>) {
    let mut state = cluster.0.lock().unwrap();
    if let (true, Some(code)) = (uri.path().starts_with("/gdpr/cases"), state.lookups) {
        let problem =
            json!({ "type": "/problems/invalid-name", "title": "t", "status": code.as_u16(), "detail": "d" });
        return (code, Json(problem));
    }
    if uri.path().starts_with("/gdpr/cases") {
        return (StatusCode::OK, Json(json!({ "caseid": "1", "runs": state.runs })));
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let dry = body["dryRun"] == true;
    let calls = state.calls.len();
    state.opened.push((calls, dry));
    let run = RunView {
        id: "1/forgetme.1".into(),
        state: if dry { RunState::DryRun } else { RunState::Marked },
        created_at: "2026-01-31T10:00:00Z".into(),
        request_key: body["requestKey"].as_str().map(str::to_owned),
        recorded_by: Some("here".into()),
        ..RunView::default()
    };
    if !dry {
        state.runs = vec![run.clone()];
    }
    let consumers = serde_json::Map::new();
    let answer = GdprAnswer { caseid: "1".into(), consumers, messages: Vec::new(), not_applicable: 0, run };
    (StatusCode::OK, Json(serde_json::to_value(answer).unwrap()))
}
