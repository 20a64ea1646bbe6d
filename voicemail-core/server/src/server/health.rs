//! The metrics port: `/healthz` (the process runs), `/readyz` (it can serve; if not, why) and `/metrics`.
//!
//! Plain HTTP without a token, for the cluster alone; nothing here is personal.

use crate::auth::Said;
use crate::http::{App, Stage};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::time::Duration;
use voicemail_engine::core::Readiness;
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
    let readiness = judge(&app).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Answer { readiness, email: word_of(app.mails.state()), web: said_of(&app) }))
        .into_response()
}

/// What the replica says of itself.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    readiness: Readiness,
    /// Whether e-mails go out; a replica whose mails wait serves nevertheless.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'static str>,
    /// Whether people can sign in to the pages; a replica whose issuers are away serves those who have.
    #[serde(skip_serializing_if = "Option::is_none")]
    web: Option<Said>,
}

fn said_of(app: &App) -> Option<Said> {
    app.config().web.is_some().then(|| app.issuers.said())
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
