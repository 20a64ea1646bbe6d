//! `/healthz`, `/readyz` and `/metrics`, on a port that nobody outside reaches.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// Whether calls are taken.
#[derive(Debug, Default)]
pub struct Health(AtomicBool);

impl Health {
    /// Says so.
    pub fn set_ready(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    fn status(&self) -> StatusCode {
        if self.0.load(Ordering::Relaxed) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }
}

/// Serves until the process ends.
///
/// # Errors
/// The socket's.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> std::io::Result<()> {
    let text = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let routes = Router::new()
        .route("/healthz", get(|| async { StatusCode::OK }))
        .route("/readyz", get(move || async move { health.status() }))
        .route("/metrics", get(move || async move { (text, metrics()).into_response() }));
    axum::serve(listener, routes).await
}
