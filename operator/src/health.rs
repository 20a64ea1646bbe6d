//! `/healthz`, `/readyz` and `/metrics`, on a thread and runtime of their own, so that busy controllers never
//! starve a probe.
//!
//! Alive: the main runtime has shown a sign within a minute. Ready: the API server was reached once; a
//! replica that stands by is ready too.

use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SIGN_EVERY: Duration = Duration::from_secs(5);
const SILENT_FOR: u64 = 60;

/// State that the probes answer from.
pub struct Health {
    start: Instant,
    last_sign: AtomicU64,
    ready: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Health {
    /// Alive, not yet ready.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { start: Instant::now(), last_sign: AtomicU64::new(0), ready: AtomicBool::new(false), metrics }
    }

    /// The API server was reached.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Gives signs of life from the main runtime, for ever.
    pub async fn give_signs(&self) {
        loop {
            self.last_sign.store(self.start.elapsed().as_secs(), Ordering::Relaxed);
            tokio::time::sleep(SIGN_EVERY).await;
        }
    }

    fn is_alive(&self) -> bool {
        self.start.elapsed().as_secs().saturating_sub(self.last_sign.load(Ordering::Relaxed)) < SILENT_FOR
    }
}

/// Answers on `address` until the process ends.
///
/// # Errors
/// The address can't be had.
pub fn serve(address: SocketAddr, health: Arc<Health>) -> std::io::Result<()> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer =
        async move { axum::serve(tokio::net::TcpListener::from_std(listener)?, routes(health)).await };
    std::thread::Builder::new().name("health".into()).spawn(move || {
        if let Err(error) = runtime.block_on(answer) {
            tracing::error!(%error, "the health server ended");
        }
    })?;
    Ok(())
}

fn routes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(answer_healthz))
        .route("/readyz", get(answer_readyz))
        .route("/metrics", get(answer_metrics))
        .with_state(health)
}

fn answer(holds: bool) -> (StatusCode, &'static str) {
    if holds { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not yet\n") }
}

async fn answer_healthz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    answer(health.is_alive())
}

async fn answer_readyz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    answer(health.ready.load(Ordering::Relaxed))
}

async fn answer_metrics(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], health.metrics.render())
}
