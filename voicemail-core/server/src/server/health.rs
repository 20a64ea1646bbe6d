//! The metrics port: `/healthz` (the process runs), `/readyz` (it can serve; if not, why) and `/metrics`.
//!
//! Plain HTTP without a token, for the cluster alone; nothing here is personal.

use crate::http::{App, Stage};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::time::Duration;
use voicemail_api::readiness::Readiness;
use voicemail_mailer::State as MailState;

/// How long the store may take to answer: less than those who ask wait.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(app)
}

async fn readyz(State(app): State<App>) -> Response {
    let readiness = Readiness {
        email: word_of(app.mails.state()).map(str::to_owned),
        web: app.config().web.is_some().then(|| app.issuers.health()),
        ..judge(&app).await
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

fn word_of(mails: MailState) -> Option<&'static str> {
    match mails {
        MailState::Off => None,
        MailState::Unknown => Some("unknown"),
        MailState::Ready => Some("sending"),
        MailState::Failing(reason) => Some(reason),
    }
}

async fn judge(app: &App) -> Readiness {
    match app.stage() {
        Stage::Opening { reason, message } => Readiness::not(reason, message),
        Stage::Stopping(_) => Readiness::not(super::SHUTTING_DOWN, "this replica is being stopped"),
        Stage::Open(core) => match tokio::time::timeout(PATIENCE, core.readiness()).await {
            Ok(readiness) => readiness,
            Err(_) => Readiness::not("StorageUnavailable", "the store didn't answer within 3 s"),
        },
    }
}

async fn metrics(State(app): State<App>) -> Response {
    app.metrics.show_open(matches!(app.stage(), Stage::Open(_)));
    if let Stage::Open(core) = app.stage() {
        app.metrics.show_open_runs(&core.gdpr.measure());
        app.metrics.show_hindrances(&core.hindrances());
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.render()).into_response()
}
