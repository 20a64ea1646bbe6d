//! `/healthz`, `/readyz` and `/metrics`, on a thread and runtime of their own, so that busy controllers never
//! starve a probe.
//!
//! Alive: the main runtime has shown a sign within a minute. Ready: the API server was reached once; a
//! replica that stands by is ready too.

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use voicemail_runtime::metrics::Metrics;

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
    let listener = voicemail_api::listen::bind(address)?;
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

/// The older form, for readers that don't ask for OpenMetrics: a counter is named as its samples are, and nothing marks the end.
fn as_plain(text: &str) -> String {
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut plain = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(&name) => {
                plain.push_str(&format!("# {kind} {name}_total {rest}\n"));
            }
            _ => {
                plain.push_str(line);
                plain.push('\n');
            }
        }
    }
    plain
}

async fn answer_metrics(State(health): State<Arc<Health>>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    let text = health.metrics.render();
    match accepted.contains("application/openmetrics-text") {
        true => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text),
        false => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], as_plain(&text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_names_counters_as_their_samples() {
        let text = "# HELP a Things.\n# TYPE a counter\na_total 1\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 2\n# EOF\n";
        let plain = "# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n# TYPE b_seconds gauge\nb_seconds 2\n";
        assert_eq!(as_plain(text), plain);
    }
}
