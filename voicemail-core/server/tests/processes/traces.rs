//! Spans at a collector: decoded as it would, and searched for what must not be in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use reqwest::{Client, Method, multipart};
use serde_json::{Value, json};
use served::{Process, Setup, speech};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const CALLER: &str = "+442079460123";
const NAME: &str = "Ada Lovelace";
// Not digits, which are in times, too.
const MAILBOX: &str = "northgate";
const UNKNOWN: &str = "southgate";

/// The spans that a collector was sent.
#[derive(Clone)]
struct Collector(Arc<watch::Sender<Vec<Bytes>>>);

impl Collector {
    /// Gives the collector and its address.
    async fn start() -> (Self, String) {
        let collector = Self(Arc::new(watch::Sender::new(Vec::new())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let take = |State(collector): State<Self>, body: Bytes| async move {
            collector.0.send_modify(|bodies| bodies.push(body));
            StatusCode::OK
        };
        let routes = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        (collector, address)
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.0.borrow().iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap()).collect()
    }

    async fn wait_for_spans(&self) {
        let mut bodies = self.0.subscribe();
        let some = bodies.wait_for(|bodies| !bodies.is_empty());
        timeout(Duration::from_secs(30), some).await.unwrap().unwrap();
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

fn start(setup: &Setup, telemetry: Option<Value>) -> Process {
    let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
    if let Some(telemetry) = telemetry {
        config["telemetry"] = telemetry;
    }
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
    let mut process = Process::start(setup);
    process.wait_for("open");
    process
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a AnyValue> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue::StringValue(value.into()))
}

/// Of a trace that the caller samples, or doesn't.
async fn put_mailbox(setup: &Setup, process: &Process, mailbox: &str, sampled: &str) {
    let url = format!("{}/api/v1/mailboxes/{mailbox}", process.api);
    let request = Client::new().request(Method::PUT, url).bearer_auth(setup.token()).json(&json!({}));
    let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-{sampled}"));
    assert!(request.send().await.unwrap().status().is_success());
}

async fn deposit(setup: &Setup, process: &Process, mailbox: &str) -> reqwest::StatusCode {
    let form = multipart::Form::new().text("caller", CALLER).text("callerName", NAME);
    let form = form.part("audio", multipart::Part::bytes(speech()));
    let url = format!("{}/api/v1/mailboxes/{mailbox}/messages", process.api);
    Client::new().post(url).bearer_auth(setup.token()).multipart(form).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_what_it_asks_of_the_store_reach_the_collector_without_personal_data() {
    let (collector, endpoint) = Collector::start().await;
    let setup = Setup::new();
    let process = start(&setup, Some(json!({ "otlp": { "endpoint": endpoint } })));
    put_mailbox(&setup, &process, MAILBOX, "01").await;
    assert_eq!(deposit(&setup, &process, MAILBOX).await, 201);
    assert_eq!(deposit(&setup, &process, UNKNOWN).await, 404);
    let find = json!({ "caller": CALLER });
    let url = format!("{}/api/v1/messages/search", process.api);
    let search = Client::new().post(url).bearer_auth(setup.token()).json(&find).send().await.unwrap();
    assert!(search.status().is_success());
    // Stopping sends what is left.
    process.stop();

    let spans = collector.spans();
    let server = |name: &str| {
        let found = spans.iter().find(|span| span.kind() == SpanKind::Server && span.name == name);
        found.unwrap_or_else(|| panic!("no {name} among {spans:#?}")).clone()
    };
    let put = server("PUT /api/v1/mailboxes/{mailbox}");
    assert_eq!((hex::encode(&put.trace_id), hex::encode(&put.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!(attribute(&put.attributes, "http.response.status_code"), Some(&AnyValue::IntValue(200)));
    assert_eq!(attribute(&put.attributes, "http.route").cloned(), text("/api/v1/mailboxes/{mailbox}"));
    assert!(put.end_time_unix_nano >= put.start_time_unix_nano && put.start_time_unix_nano > 0);

    // A deposit goes on in a task of its own, and its calls belong to it all the same.
    let name = "POST /api/v1/mailboxes/{mailbox}/messages";
    let created = spans.iter().find(|span| {
        let status = attribute(&span.attributes, "http.response.status_code");
        span.name == name && status == Some(&AnyValue::IntValue(201))
    });
    let created = created.unwrap();
    assert!(created.parent_span_id.iter().all(|byte| *byte == 0), "a trace that began here");
    let calls: Vec<&str> = spans
        .iter()
        .filter(|span| span.parent_span_id == created.span_id)
        .map(|span| span.name.as_str())
        .collect();
    for call in ["store load", "store put", "store create", "store replace"] {
        assert!(calls.contains(&call), "{call} isn't among {calls:?}");
    }
    let refused = spans.iter().find(|span| attribute(&span.attributes, "error.type").is_some()).unwrap();
    assert_eq!(attribute(&refused.attributes, "error.type").cloned(), text("unknown-mailbox"));

    let resource = collector.requests()[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name").cloned(), text("voicemail"));
    let words = format!("{:?}", collector.requests());
    for secret in ["9460123", "Ada", "Lovelace", "alice", "Bearer", "eyJ", MAILBOX, UNKNOWN] {
        assert!(!words.contains(secret), "{secret} is in a span");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_samples_is_not_exported_and_the_share_of_own_traces_is_configured() {
    let (collector, endpoint) = Collector::start().await;
    let setup = Setup::new();
    let process = start(&setup, Some(json!({ "otlp": { "endpoint": endpoint, "samplePercent": 0 } })));
    put_mailbox(&setup, &process, "1001", "00").await;
    assert_eq!(deposit(&setup, &process, "1001").await, 201);
    put_mailbox(&setup, &process, "1002", "01").await;
    process.stop();
    let traces: Vec<String> = collector.spans().iter().map(|span| hex::encode(&span.trace_id)).collect();
    assert!(!traces.is_empty() && traces.iter().all(|trace| trace == TRACE), "{traces:?}");
    let requests = collector.spans().iter().filter(|span| span.kind() == SpanKind::Server).count();
    assert_eq!(requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_keeps_no_request_from_being_answered() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let setup = Setup::new();
    let process = start(&setup, Some(json!({ "otlp": { "endpoint": endpoint } })));
    put_mailbox(&setup, &process, "1001", "01").await;
    assert_eq!(deposit(&setup, &process, "1001").await, 201);
    let log = process.stop();
    let said = log.iter().filter(|line| line["message"] == "spans can't be exported").count();
    assert_eq!(said, 1, "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exporting_begins_and_ends_with_the_configuration_and_without_one_there_is_none() {
    let (collector, endpoint) = Collector::start().await;
    let setup = Setup::new();
    let mut process = start(&setup, None);
    put_mailbox(&setup, &process, "1001", "01").await;
    let silent = std::fs::read_to_string(setup.config()).unwrap();
    let mut config: Value = serde_yaml::from_str(&silent).unwrap();
    config["telemetry"] = json!({ "otlp": { "endpoint": endpoint } });
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
    process.wait_for("the configuration was reloaded");
    put_mailbox(&setup, &process, "1002", "01").await;
    setup.write_config(&silent);
    process.wait_for("the configuration was reloaded");
    collector.wait_for_spans().await;
    put_mailbox(&setup, &process, "1003", "01").await;
    process.stop();
    let requests = collector.spans().iter().filter(|span| span.kind() == SpanKind::Server).count();
    assert_eq!(requests, 1);
}
