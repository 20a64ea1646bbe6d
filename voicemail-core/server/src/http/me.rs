//! Who the caller is here.

use super::agents::private;
use super::extract::Caller;
use super::{ApiError, App};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::config::Role;
use voicemail_engine::door::operations::ReadSelf;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me))
}

/// The caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MeAnswer {
    /// The user whose mailboxes they open, as claims and histories of messages name them.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Their name in the audit log.
    subject: String,
    /// Their roles.
    #[schema(value_type = Vec<String>, example = json!(["agent"]))]
    roles: Vec<Role>,
    /// Until when what they called with counts, RFC 3339.
    ends_at: String,
}

/// Who the caller is
#[utoipa::path(
    get, path = "/me", tag = "agent",
    responses((status = 200, description = "The caller by token, password or session", body = MeAnswer)),
)]
async fn me(caller: Caller<ReadSelf>) -> Result<Response, ApiError> {
    let who = caller.0;
    Ok(private(MeAnswer {
        user: who.user.map(|user| user.to_string()),
        subject: who.subject,
        roles: who.roles.into_iter().collect(),
        ends_at: who.expires.rfc3339(),
    }))
}
