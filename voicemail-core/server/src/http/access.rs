//! The access log of every request: method, route template, status, time and a request id. Nothing else.

#![allow(clippy::disallowed_methods, reason = "how long a request took, and its name, are the machine's own")]

use super::problem::FailureNote;
use super::stall::{Progress, while_answering};
use super::{ApiError, App, ProblemKind};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use tracing::Instrument;
use voicemail_telemetry::{AnsweredRequest, Place, TRACEPARENT};

/// How long a request that is neither upload nor download may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Says which log line a response belongs to.
const REQUEST_ID: &str = "x-request-id";

/// Answers a request, logs and counts it. A handler that panics is answered too.
pub(super) async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = name_of(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id = request_id(request.headers());
    let place = continue_trace(&app, &request);
    let trace = place.context.id();
    let span = tracing::info_span!("request", request = %id, trace = %trace);
    let handled = place.scope(next.run(request)).instrument(span.clone());
    let answer = AssertUnwindSafe(handled).catch_unwind().await;
    let _entered = span.enter();
    let mut response = answer.unwrap_or_else(|_| {
        let problem = ApiError::new(ProblemKind::Internal, "the service's log has more under the request id");
        problem.because("the handler panicked").into_response()
    });
    let route = route.as_ref().map_or("none", |route| route.as_str());
    let status = response.status().as_u16();
    let took = started.elapsed();
    app.metrics.count_request(method, route, status, took);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(method, route, status, ms, request = %id, %trace, "request");
    note_failure(&app, &response, &id);
    let problem = response.extensions().get::<FailureNote>().and_then(|note| note.kind);
    place.end_request(AnsweredRequest { method, route: route.to_owned(), status, took, problem });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Our place in the caller's trace, or in one that begins here.
fn continue_trace(app: &App, request: &Request) -> Place {
    let given = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    Place::receive(&app.exports, given)
}

/// The sender's id for the request, if it is a plain one; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    // A number could be a caller's.
    let telling = |id: &&str| id.bytes().any(|b| b.is_ascii_alphabetic());
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain).filter(telling);
    given.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned)
}

fn note_failure(app: &App, response: &Response, id: &str) {
    let Some(note) = response.extensions().get::<FailureNote>() else { return };
    if let Some(kind) = note.kind {
        app.metrics.count_rejection(kind);
    }
    if let Some(reason) = note.store {
        app.metrics.count_store_error(reason);
    }
    if let Some(cause) = &note.cause {
        tracing::warn!(request = %id, %cause, "request failed");
    }
}

/// Gives up on a request that takes too long, or that a silent store keeps waiting; services tolerate being dropped at
/// any point.
pub(crate) async fn limit_time(request: Request, next: Next) -> Response {
    let Some(app) = request.extensions().get::<App>().cloned() else { return next.run(request).await };
    let progress = Progress::begin();
    let answering = while_answering(&app, &progress, next.run(request));
    match tokio::time::timeout(TIME_LIMIT, answering).await {
        Ok(response) => response.unwrap_or_else(IntoResponse::into_response),
        Err(_) => ApiError::new(
            ProblemKind::Timeout,
            "it took longer than 30 s: the same request is safe to repeat",
        )
        .into_response(),
    }
}

/// A method's name from a fixed set, since labels must not grow.
fn name_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}
