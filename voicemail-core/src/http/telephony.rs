//! What media servers call: the deposit.

use super::extract::{Caller, Name, Telephony};
use super::upload::Upload;
use super::{ApiError, App, PREFIX, ProblemKind};
use crate::audio::{AudioLimits, check_wav};
use crate::core::Core;
use crate::mailbox::{DepositRequest, Deposited, MailboxError, Recording};
use crate::model::{MailboxId, MessageId, Mwi};
use crate::store::ErrorClass;
use crate::telemetry::carry;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn uploads() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(deposit))
}

/// A deposit's fields, in this order; `audio` is the last.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "documentation only: the body is read as a stream")]
struct DepositForm {
    /// The caller's number or address, at most 256 bytes; empty or absent when withheld.
    caller: Option<String>,
    /// The caller's display name, at most 256 bytes.
    caller_name: Option<String>,
    /// `true` or `false`.
    urgent: Option<bool>,
    /// WAV: PCM 16-bit, A-law or µ-law; mono or stereo; 8 to 48 kHz.
    #[schema(value_type = String, format = Binary)]
    audio: Vec<u8>,
}

/// The acknowledgement of a deposit: the message is stored, listed and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DepositAnswer {
    /// The message's id: the Idempotency-Key.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// False when an earlier attempt with the same key had stored it already.
    pub created: bool,
    /// The mailbox's counts with the message.
    pub mwi: Mwi,
}

/// Deposit a message
///
/// Repeat it with the same Idempotency-Key until it is answered: it is stored once.
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/messages", tag = "telephony",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("Idempotency-Key" = Option<String>, Header, description = "UUIDv7, one for each call leg; becomes the message's id; made if absent"),
    ),
    request_body(content = DepositForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Stored, listed and counted", body = DepositAnswer,
        headers(("Location" = String, description = "Path of the message")))),
)]
async fn deposit(
    State(app): State<App>,
    _: Caller<Telephony>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let core = app.core()?;
    let id = read_key(&headers)?.unwrap_or_else(|| core.mailboxes.new_id());
    let upload = Upload::begin(request).await?;
    // A task of its own: whether the message is stored must not depend on the connection's life.
    let task = app.uploads.spawn(carry(store(app.clone(), core, mailbox.clone(), id, upload)));
    let result = task.await.map_err(|error| {
        ApiError::new(ProblemKind::Internal, "the deposit stopped: repeat it with the same key")
            .because(error)
    })?;
    let Deposited { id, mwi, created } = result?;
    let location = format!("{PREFIX}/mailboxes/{mailbox}/messages/{id}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(DepositAnswer { id, created, mwi }))
        .into_response())
}

async fn store(
    app: App,
    core: Arc<Core>,
    mailbox: MailboxId,
    id: MessageId,
    mut upload: Upload,
) -> Result<Deposited, MailboxError> {
    let form = std::mem::take(&mut upload.form);
    let request = DepositRequest {
        mailbox,
        id,
        caller: form.caller,
        caller_name: form.caller_name,
        urgent: form.urgent,
    };
    let result = admit_and_store(&core, request, &upload).await;
    count(&app, &result);
    let (deposited, bytes) = result?;
    if deposited.created {
        app.metrics.add_deposited_bytes(bytes);
    }
    Ok(deposited)
}

async fn admit_and_store(
    core: &Core,
    request: DepositRequest,
    upload: &Upload,
) -> Result<(Deposited, u64), MailboxError> {
    let admitted = core.mailboxes.admit(request).await?;
    let limits = AudioLimits::for_seconds(admitted.max_seconds);
    let recording: Recording = check_wav(upload.audio(), limits);
    let info = Arc::clone(&recording.info);
    let deposited = core.mailboxes.deposit(admitted, recording).await?;
    Ok((deposited, info.get().map_or(0, |info| info.size)))
}

/// The Idempotency-Key, with or without the quotes of a structured field.
pub(super) fn read_key(headers: &HeaderMap) -> Result<Option<MessageId>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    let invalid =
        |_| ApiError::new(ProblemKind::InvalidName, "Idempotency-Key: use a UUIDv7 in its hyphenated form");
    text.parse().map(Some).map_err(invalid)
}

fn count(app: &App, result: &Result<(Deposited, u64), MailboxError>) {
    app.metrics.count_deposit(match result {
        Ok((deposited, _)) if deposited.created => "created",
        Ok(_) => "repeated",
        Err(error) if error.class() == ErrorClass::Permanent => "refused",
        Err(_) => "failed",
    });
}
