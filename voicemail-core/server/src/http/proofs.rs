//! What the chains of receipts and of the audit log's seals are checked by, elsewhere.

use super::extract::Caller;
use super::{ApiError, App};
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::gdpr::ProofsView;
use voicemail_engine::door::operations::ReadProofs;
use voicemail_model::AuditSubject;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(proofs))
}

/// Get what receipts and audit log are proved by
///
/// The chain of receipts, the seals of the audit log, and what the store has of the sealed hours now; `gdpr verify --all` checks
/// it. Nothing in it is personal.
#[utoipa::path(
    get, path = "/gdpr/proofs", tag = "privacy",
    responses((status = 200, description = "Chains, heads and hours", body = ProofsView)),
)]
async fn proofs(State(app): State<App>, caller: Caller<ReadProofs>) -> Result<Json<ProofsView>, ApiError> {
    let entry = caller.enter(&app)?;
    let reading = entry.core().gdpr.proofs();
    Ok(Json(entry.act(AuditSubject::default(), reading).await?))
}
