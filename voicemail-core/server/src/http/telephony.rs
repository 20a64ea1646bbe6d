//! Media servers' operation: the deposit.

use super::extract::{Caller, Name};
use super::form::Note;
use super::stall::{Progress, answered_in_time};
use super::upload::Upload;
use super::{ApiError, App, PREFIX, ProblemKind};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_audio::Recording;
use voicemail_audio::{AudioLimits, check_wav};
use voicemail_engine::core::Core;
use voicemail_engine::door::operations::Deposit;
use voicemail_engine::mailbox::{DepositRequest, Deposited, KeyUse, MailboxError};
use voicemail_model::{MailboxId, MessageId, Mwi, Time};
use voicemail_store::{BodyStream, ErrorClass};
use voicemail_telemetry::carry;

pub(super) fn uploads() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(deposit))
}

/// A deposit's fields; `audio` is the last. Names of fields ignore case, and fields that aren't known are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "documentation only: the body is read as a stream")]
struct DepositForm {
    /// The caller's number or address, at most 2048 bytes and never cut; empty or absent when withheld. Bytes that
    /// aren't text are kept as percent escapes. `callerId`, `caller_id`, `ani` and `from` mean the same; two that
    /// differ are refused.
    caller: Option<String>,
    /// The caller's display name, of which at most 256 bytes are kept.
    caller_name: Option<String>,
    /// `true` or `false`.
    urgent: Option<bool>,
    /// When the message was left, RFC 3339, for a deposit that is repeated later: at most six days back and not ahead.
    /// The message counts as received then; now when absent.
    left: Option<String>,
    /// WAV: PCM of 8 to 32 bits, float, A-law, µ-law, GSM 6.10 or ADPCM; mono or stereo; 8 to 48 kHz.
    #[schema(value_type = String, format = Binary)]
    audio: Vec<u8>,
}

/// The acknowledgement of a deposit: the message is stored, listed and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DepositAnswer {
    /// The message's id: the Idempotency-Key, if that is a UUIDv7.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// False when an earlier attempt with the same key had stored it already.
    pub created: bool,
    /// The mailbox's counts with the message.
    pub mwi: Mwi,
    /// Fields that were left out or changed, though the recording was stored.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// Deposit a message
///
/// Repeat it with the same Idempotency-Key until it is answered: it is stored once. A recording isn't refused for what
/// decorates it: `notes` tells what was left out or changed.
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/messages", tag = "telephony",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("Idempotency-Key" = Option<String>, Header, description = "One for each call leg, 1 to 255 visible characters. A UUIDv7 becomes the message's id; any other is remembered for seven days, a mailbox and account; made if absent"),
    ),
    request_body(content = DepositForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Stored, listed and counted", body = DepositAnswer,
        headers(("Location" = String, description = "Path of the message")))),
)]
async fn deposit(
    State(app): State<App>,
    caller: Caller<Deposit>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let core = Arc::clone(caller.enter_mailbox(&app, &mailbox).await?.core());
    let key = IdempotencyKey::read(&headers)?;
    let upload = Upload::begin(request).await?;
    let left = upload.form.left();
    let id = match key {
        Some(key) => key.id(&core, ("deposit", &mailbox, &caller.0.subject), left).await?,
        None => core.mailboxes.new_id(),
    };
    let request = read_request(&core, mailbox.clone(), id, &upload)?;
    if app.senders().never_named(&caller.0.subject, upload.form.has_caller()) {
        app.metrics.count_deposit_without_caller();
    }
    // A task of its own: whether the message is stored must not depend on the connection's life.
    let progress = Progress::begin();
    let storing = store(app.clone(), core, request, upload, progress.clone());
    let task = app.uploads.spawn(carry(storing));
    let result = answered_in_time(&app, &progress, task).await?.map_err(|error| {
        ApiError::new(ProblemKind::Internal, "the deposit stopped: repeat it with the same key")
            .because(error)
    })?;
    let (Deposited { id, mwi, created }, notes) = result?;
    let location = format!("{PREFIX}/mailboxes/{}/messages/{id}", mailbox.in_path());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(DepositAnswer { id, created, mwi, notes }))
        .into_response())
}

/// Reads the request from the fields.
fn read_request(
    core: &Core,
    mailbox: MailboxId,
    id: MessageId,
    upload: &Upload,
) -> Result<DepositRequest, ApiError> {
    let form = &upload.form;
    Ok(DepositRequest {
        mailbox,
        id,
        caller: form.caller(&core.context)?,
        caller_name: form.caller_name(),
        urgent: form.urgent(),
        left: form.left(),
    })
}

async fn store(
    app: App,
    core: Arc<Core>,
    request: DepositRequest,
    upload: Upload,
    progress: Progress,
) -> Result<(Deposited, Vec<Note>), MailboxError> {
    let result = admit_and_store(&core, request, progress.watch(upload.audio())).await;
    count(&app, &result);
    let (deposited, bytes) = result?;
    if deposited.created {
        app.metrics.add_deposited_bytes(bytes);
    }
    Ok((deposited, upload.notes()))
}

async fn admit_and_store(
    core: &Core,
    request: DepositRequest,
    audio: BodyStream,
) -> Result<(Deposited, u64), MailboxError> {
    let admitted = core.mailboxes.admit(request).await?;
    let limits = AudioLimits::for_seconds(admitted.max_seconds);
    let recording: Recording = check_wav(audio, limits);
    let info = Arc::clone(&recording.info);
    let deposited = core.mailboxes.deposit(admitted, recording).await?;
    Ok((deposited, info.get().map_or(0, |info| info.size)))
}

/// A client's name for a request, by which a repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdempotencyKey {
    /// An id of its own making.
    Id(MessageId),
    /// Anything else.
    Other(String),
}

impl IdempotencyKey {
    /// The header, with or without the quotes of a structured field.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
        let text = value.to_str().unwrap_or_default().trim();
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let text = quoted.filter(|text| !text.is_empty()).unwrap_or(text);
        if let Ok(id) = text.parse() {
            return Ok(Some(Self::Id(id)));
        }
        let good = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let rule = "Idempotency-Key: use a UUIDv7, or 1 to 255 visible ASCII characters without spaces";
        good.then(|| Some(Self::Other(text.to_owned())))
            .ok_or_else(|| ApiError::new(ProblemKind::InvalidName, rule))
    }

    /// The id that the key stands for.
    pub(super) async fn id(
        &self,
        core: &Core,
        (purpose, mailbox, account): (&str, &MailboxId, &str),
        left: Option<Time>,
    ) -> Result<MessageId, ApiError> {
        match self {
            Self::Id(id) => Ok(*id),
            Self::Other(key) => {
                Ok(core.mailboxes.id_of_key(KeyUse { purpose, mailbox, account, key }, left).await?)
            }
        }
    }
}

fn count(app: &App, result: &Result<(Deposited, u64), MailboxError>) {
    app.metrics.count_deposit(match result {
        Ok((deposited, _)) if deposited.created => "created",
        Ok(_) => "repeated",
        Err(error) if error.class() == ErrorClass::Permanent => "refused",
        Err(_) => "failed",
    });
}
