//! Progress of a long command in a pod: `/readyz` answers 503 with a reason and a message, in the form in which a
//! serving core says why it isn't ready.
//!
//! Plain HTTP without a token, for the cluster alone; nothing here is personal.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use voicemail_api::readiness::Readiness;
use voicemail_api::reasons::ASKING_STORE;

/// The present step of a command.
#[derive(Clone, Debug)]
pub struct Progress(watch::Sender<Readiness>);

impl Progress {
    /// A progress that nobody can ask for.
    pub fn silent() -> Self {
        let begun = "the store is being looked at".to_owned();
        Self(watch::Sender::new(Readiness::not(ASKING_STORE, begun)))
    }

    /// Answers at that address for as long as the process runs.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn serve(address: SocketAddr) -> std::io::Result<Self> {
        let progress = Self::silent();
        let listener = TcpListener::bind(address).await?;
        let routes = Router::new().route("/readyz", get(answer)).with_state(progress.clone());
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "a listener failed");
            }
        });
        Ok(progress)
    }

    /// Says it from now on.
    pub fn tell(&self, reason: &str, message: String) {
        self.0.send_replace(Readiness::not(reason, message));
    }

    /// The published readiness.
    #[cfg(test)]
    pub(super) fn seen(&self) -> Readiness {
        self.0.borrow().clone()
    }
}

async fn answer(State(progress): State<Progress>) -> Response {
    let seen = progress.0.borrow().clone();
    (StatusCode::SERVICE_UNAVAILABLE, Json(seen)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_learns_what_the_command_is_at() {
        let progress = Progress::silent();
        progress.tell("LegalHold", "one message".into());
        let response = answer(State(progress)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&seen["reason"], &seen["message"]), (&"LegalHold".into(), &"one message".into()));
    }
}
