//! Headers for browsers: which web pages may read answers (CORS), and those that keep answers from being framed,
//! sniffed or kept.

use super::page::has_session;
use super::{App, PREFIX};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

const PREFLIGHT_LIFE: Duration = Duration::from_secs(600);
const YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// On every answer that doesn't say otherwise.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// On an answer that hosts may frame which its own policy names: `X-Frame-Options` can't name them, and would refuse them.
#[derive(Clone, Copy)]
pub(crate) struct Framed;

/// Lets pages of the configured origins call the API, and no other.
pub(super) fn cors(app: App) -> CorsLayer {
    let known = move |origin: &HeaderValue, _: &Parts| {
        app.config().browser_origins.iter().any(|known| known.as_bytes() == origin.as_bytes())
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(known))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::RANGE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::CONTENT_RANGE,
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(PREFLIGHT_LIFE)
}

/// Adds the headers that an answer lacks.
pub(super) async fn add_headers(State(app): State<App>, request: Request, next: Next) -> Response {
    let of_session = request.uri().path().starts_with(PREFIX) && has_session(request.headers());
    let mut response = next.run(request).await;
    let framed = response.extensions().get::<Framed>().is_some();
    let headers = response.headers_mut();
    if of_session {
        // Whatever may be asked for again by its tag is put on disk by browsers: callers' numbers, too.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    for (name, value) in HEADERS.into_iter().filter(|(name, _)| !framed || *name != header::X_FRAME_OPTIONS) {
        headers.entry(name).or_insert(value);
    }
    if app.config().listen.tls.is_some() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, YEAR);
    }
    response
}
