//! `/healthz`, `/readyz` and `/metrics`, on a port that nobody outside reaches.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use voicemail_api::readiness::Readiness;

/// Word of `/readyz` for prompts of the tenant's own that can't be used.
const PROMPTS_INCOMPLETE: &str = "PromptsIncomplete";

/// Whether calls are taken.
#[derive(Debug, Default)]
pub struct Health(AtomicBool);

impl Health {
    /// Says so.
    pub fn set_ready(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// The answer of `/readyz`, in the form in which cores answer. A fault of prompts keeps no call away.
    fn answer(&self, prompts: Option<String>) -> impl IntoResponse + use<> {
        let ready = self.0.load(Ordering::Relaxed);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let reason = prompts.as_ref().map(|_| PROMPTS_INCOMPLETE.to_owned());
        (status, Json(Readiness { ready, reason, message: prompts, ..Readiness::default() }))
    }
}

/// Serves until the process ends; `prompts` tells what of them can't be used.
///
/// # Errors
/// The socket's.
pub async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    prompts: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
    metrics: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> std::io::Result<()> {
    let text = [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    let routes = Router::new()
        .route("/healthz", get(|| async { StatusCode::OK }))
        .route("/readyz", get(move || async move { health.answer(prompts()) }))
        .route("/metrics", get(move || async move { (text, metrics()).into_response() }));
    axum::serve(listener, routes).await
}
