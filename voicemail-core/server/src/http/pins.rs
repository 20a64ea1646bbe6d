//! PINs: set by a mailbox's owners or an administrator, checked for a media server.

use super::extract::{Caller, JsonBody, Name};
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
use voicemail_engine::door::operations::{RemovePin, RenewToken, SetPin, UnlockPin, VerifyPin};
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{AuditSubject, MailboxId, Time};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(set, remove))
        .routes(routes!(verify))
        .routes(routes!(renew))
        .routes(routes!(unlock))
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
    caller: Caller<SetPin>,
    Name(mailbox): Name<MailboxId>,
    JsonBody(body): JsonBody<PinBody>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let setting = entry.core().directory.set_pin(&mailbox, &body.pin);
    entry.act(AuditSubject::mailbox(&mailbox), setting).await?;
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
    caller: Caller<RemovePin>,
    Name(mailbox): Name<MailboxId>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    entry.act(AuditSubject::mailbox(&mailbox), entry.core().directory.remove_pin(&mailbox)).await?;
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
    caller: Caller<VerifyPin>,
    Name(mailbox): Name<MailboxId>,
    JsonBody(body): JsonBody<PinBody>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let core = entry.core();
    match core.directory.verify_pin(&mailbox, &body.pin).await {
        Ok((token, until)) => {
            app.metrics.count_access();
            Ok(answer_token(token, until))
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

fn answer_token(token: String, until: Time) -> Response {
    let answer = MailboxTokenAnswer { token, expires_at: until.rfc3339() };
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// Renew a token given for a PIN
///
/// By that token, before it expires, so that a long call needn't ask for the PIN again. Tokens are renewed until two hours after
/// the PIN was given; with a changed PIN none is.
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/pin/renew", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 200, description = "Another token; the one before counts until it expires", body = MailboxTokenAnswer)),
)]
async fn renew(
    State(app): State<App>,
    caller: Caller<RenewToken>,
    Name(mailbox): Name<MailboxId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let (token, until) = entry.core().directory.renew_token(entry.caller().mailbox.as_ref())?;
    Ok(answer_token(token, until))
}

/// Unlock a mailbox's PIN
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/pin/unlock", tag = "admin",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 204, description = "Failures are forgotten")),
)]
async fn unlock(
    State(app): State<App>,
    caller: Caller<UnlockPin>,
    Name(mailbox): Name<MailboxId>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    entry.act(AuditSubject::mailbox(&mailbox), entry.core().directory.unlock_pin(&mailbox)).await?;
    Ok(StatusCode::NO_CONTENT)
}
