//! The sources of spans: a request to us, our calls to a store, and our requests to other services.
//!
//! Each is made when it is over, for a place in a trace that is sampled; anywhere else these do nothing.

use super::export::Finished;
use super::trace::{Place, TraceContext};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use std::time::{Duration, Instant};

/// A request that was answered.
pub struct AnsweredRequest {
    /// From a fixed set.
    pub method: &'static str,
    /// The route's template.
    pub route: String,
    /// HTTP status.
    pub status: u16,
    /// From header to answer.
    pub took: Duration,
    /// The kind of problem.
    pub problem: Option<&'static str>,
}

impl Place {
    /// The span of the request that this place was made for.
    pub fn end_request(&self, answered: AnsweredRequest) {
        let AnsweredRequest { method, route, status, took, problem } = answered;
        self.end(|| {
            let mut attributes = vec![
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.response.status_code", i64::from(status)),
                KeyValue::new("http.route", route.clone()),
            ];
            attributes.extend(problem.map(|kind| KeyValue::new("error.type", kind)));
            let failed = (status >= 500).then_some(problem.unwrap_or("failed"));
            Finished { name: format!("{method} {route}"), kind: SpanKind::Server, took, attributes, failed }
        });
    }
}

/// The span of a call to a store that has just ended; the reason if it failed.
pub fn note_store_call(region: &str, operation: &'static str, took: Duration, failed: Option<&'static str>) {
    let Some(place) = Place::within() else { return };
    place.end(|| Finished {
        name: format!("store {operation}"),
        kind: SpanKind::Client,
        took,
        attributes: vec![
            KeyValue::new("voicemail.store.operation", operation),
            KeyValue::new("voicemail.store.region", region.to_owned()),
        ],
        failed,
    });
}

/// A request to somebody else.
pub struct Outgoing {
    place: Place,
    begun: Instant,
}

impl Outgoing {
    /// Of the trace that it is made for, or of one that begins with it.
    pub fn begin() -> Self {
        let place = Place::within().unwrap_or_else(|| Place::of(TraceContext::begin()));
        Self { place, begun: Instant::now() }
    }

    /// The header to send.
    pub fn traceparent(&self) -> String {
        self.place.context.to_string()
    }

    /// It was answered, or not.
    pub fn end(self, method: &'static str, status: Option<u16>) {
        let took = self.begun.elapsed();
        self.place.end(|| {
            let mut attributes = vec![KeyValue::new("http.request.method", method)];
            attributes.extend(status.map(|code| KeyValue::new("http.response.status_code", i64::from(code))));
            let failed = status.is_none_or(|code| code >= 400).then_some("failed");
            Finished { name: method.to_owned(), kind: SpanKind::Client, took, attributes, failed }
        });
    }
}
