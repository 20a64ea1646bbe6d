//! PINs: set by a mailbox's owners or an administrator, checked for a media server.

use super::extract::{Admins, Caller, JsonBody, Name, Owners, Telephony};
use super::mailbox_access::open_as_owner;
use super::{ApiError, App};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::gdpr::Problem;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{AuditAction, AuditSubject, MailboxId};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(set, remove)).routes(routes!(verify)).routes(routes!(unlock))
}

/// A PIN.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PinBody {
    /// 6 to 10 digits.
    #[schema(example = "739154")]
    pin: String,
}

/// A token that opens one mailbox for ten minutes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MailboxTokenAnswer {
    /// Bearer token with the role agent, for this mailbox alone.
    token: String,
    /// RFC 3339.
    expires_at: String,
}

/// Set a mailbox's PIN
///
/// The PIN must not be the mailbox's number, a sequence or a repetition. Failures before are forgotten.
#[utoipa::path(
    put, path = "/mailboxes/{mailbox}/pin", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox")), request_body = PinBody,
    responses((status = 204, description = "Set")),
)]
async fn set(
    State(app): State<App>,
    caller: Caller<Owners>,
    Name(mailbox): Name<MailboxId>,
    JsonBody(body): JsonBody<PinBody>,
) -> Result<StatusCode, ApiError> {
    let core = open_as_owner(&app, &caller, &mailbox).await?;
    core.directory.set_pin(&mailbox, &body.pin).await?;
    core.context.audit().record(&caller.0, AuditAction::SetPin, AuditSubject::mailbox(&mailbox)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a mailbox's PIN
///
/// It can't be opened by telephone then.
#[utoipa::path(
    delete, path = "/mailboxes/{mailbox}/pin", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 204, description = "Removed")),
)]
async fn remove(
    State(app): State<App>,
    caller: Caller<Owners>,
    Name(mailbox): Name<MailboxId>,
) -> Result<StatusCode, ApiError> {
    let core = open_as_owner(&app, &caller, &mailbox).await?;
    core.directory.remove_pin(&mailbox).await?;
    core.context.audit().record(&caller.0, AuditAction::RemovePin, AuditSubject::mailbox(&mailbox)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Check a PIN
///
/// A right one gives a token for this mailbox. Four wrong ones lock it for ten minutes, the next four for twenty, and so
/// on up to a day.
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/pin/verify", tag = "telephony",
    params(("mailbox" = String, Path, description = "Mailbox")), request_body = PinBody,
    responses(
        (status = 200, description = "The PIN is right", body = MailboxTokenAnswer),
        (status = 423, description = "Locked; Retry-After says for how many seconds", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn verify(
    State(app): State<App>,
    _: Caller<Telephony>,
    Name(mailbox): Name<MailboxId>,
    JsonBody(body): JsonBody<PinBody>,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    match core.directory.verify_pin(&mailbox, &body.pin).await {
        Ok((token, until)) => {
            app.metrics.count_access();
            let answer = MailboxTokenAnswer { token, expires_at: until.rfc3339() };
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
        }
        Err(error @ MailboxError::PinLocked { until }) => {
            let wait = until.since(core.context.world().now()).as_secs() + 1;
            let mut response = ApiError::from(error).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// Unlock a mailbox's PIN
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/pin/unlock", tag = "admin",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 204, description = "Failures are forgotten")),
)]
async fn unlock(
    State(app): State<App>,
    caller: Caller<Admins>,
    Name(mailbox): Name<MailboxId>,
) -> Result<StatusCode, ApiError> {
    let core = app.core()?;
    core.directory.unlock_pin(&mailbox).await?;
    core.context.audit().record(&caller.0, AuditAction::UnlockPin, AuditSubject::mailbox(&mailbox)).await?;
    Ok(StatusCode::NO_CONTENT)
}
