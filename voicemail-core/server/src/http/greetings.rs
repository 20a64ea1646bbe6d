//! Greetings: recorded by a mailbox's owners and by administrators, fetched by media servers.

use super::agents::private;
use super::audio::{RawBytes, serve_audio};
use super::converted::{AudioQuery, Wanted};
use super::extract::{Caller, Name, Names, Parameters};
use super::reception::view_greeting;
use super::upload::raw_audio;
use super::{ApiError, App, ProblemKind};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures::FutureExt;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::telephony::GreetingView;
use voicemail_audio::{AudioLimits, check_wav};
use voicemail_engine::core::Core;
use voicemail_engine::door::operations::{
    HearGreeting, HearTenantGreeting, ListGreetings, RemoveGreeting, RemoveTenantGreeting, SetGreeting,
    SetTenantGreeting,
};
use voicemail_engine::door::{Entry, Operation};
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{AuditSubject, GreetingPlace, MailboxGreeting, MailboxId, TenantGreeting};
use voicemail_store::BodyStream;
use voicemail_telemetry::carry;

/// Longest greeting.
const MOST_SECONDS: u32 = 300;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(remove)).routes(routes!(remove_tenants))
}

pub(super) fn streams() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(record, play)).routes(routes!(record_tenants, play_tenants))
}

/// The greetings that a mailbox has of its own.
#[derive(Serialize, ToSchema)]
struct GreetingList {
    /// The standard one first.
    greetings: Vec<GreetingView>,
}

/// List a mailbox's greetings
///
/// Those of its own: callers of a mailbox without any hear the tenant's default greeting.
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/greetings", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 200, description = "The greetings, with where their audio is", body = GreetingList)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller<ListGreetings>,
    Name(mailbox): Name<MailboxId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let listing = entry.core().directory.greetings(&mailbox);
    let found = entry.act(AuditSubject::mailbox(&mailbox), listing).await?;
    let view = |(kind, greeting)| view_greeting(&GreetingPlace::Mailbox(mailbox.clone(), kind), &greeting);
    Ok(private(GreetingList { greetings: found.into_iter().map(view).collect() }))
}

/// Record a greeting
///
/// Replaces the one that there was, as a whole: callers hear the one or the other. At most 300 s.
#[utoipa::path(
    put, path = "/mailboxes/{mailbox}/greetings/{greeting}", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("greeting" = String, Path, description = "standard, alternate or name"),
    ),
    request_body(content = RawBytes, content_type = "audio/wav", description = "WAV: PCM, float, A-law, µ-law, GSM 6.10 or ADPCM"),
    responses((status = 200, description = "In force", body = GreetingView)),
)]
async fn record(
    State(app): State<App>,
    caller: Caller<SetGreeting>,
    Names(mailbox, kind): Names<MailboxId, MailboxGreeting>,
    request: Request,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let subject = AuditSubject::mailbox(&mailbox);
    store(&app, entry, subject, GreetingPlace::Mailbox(mailbox, kind), raw_audio(request)?).await
}

/// Record the tenant's default greeting or disclaimer
///
/// The disclaimer is played before any greeting, the default one in mailboxes without a greeting of their own.
#[utoipa::path(
    put, path = "/greetings/{greeting}", tag = "admin",
    params(("greeting" = String, Path, description = "default or disclaimer")),
    request_body(content = RawBytes, content_type = "audio/wav", description = "WAV: PCM, float, A-law, µ-law, GSM 6.10 or ADPCM"),
    responses((status = 200, description = "In force", body = GreetingView)),
)]
async fn record_tenants(
    State(app): State<App>,
    caller: Caller<SetTenantGreeting>,
    Name(kind): Name<TenantGreeting>,
    request: Request,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    store(&app, entry, AuditSubject::default(), GreetingPlace::Tenant(kind), raw_audio(request)?).await
}

/// In a task of its own: whether a greeting comes into force must not depend on the connection's life.
async fn store<O: Operation>(
    app: &App,
    entry: Entry<O>,
    subject: AuditSubject,
    place: GreetingPlace,
    body: BodyStream,
) -> Result<Response, ApiError> {
    let recording = check_wav(body, AudioLimits::for_seconds(MOST_SECONDS));
    let task = app.uploads.spawn(carry(async move {
        let putting = entry.core().directory.put_greeting(&place, recording);
        let greeting = entry.act(subject, putting).await?;
        Ok::<_, MailboxError>(view_greeting(&place, &greeting))
    }));
    let view = task.await.map_err(|error| {
        ApiError::new(ProblemKind::Internal, "the recording stopped: repeat it").because(error)
    })?;
    Ok(private(view?))
}

/// Get a greeting's audio
///
/// As it was recorded, or in the form asked for. Serves one range of bytes, and an entity tag: the SHA-256 of the whole,
/// or what stands for it in the form asked for.
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/greetings/{greeting}", tag = "telephony",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("greeting" = String, Path, description = "standard, alternate or name"),
        ("codec" = Option<String>, Query, description = "pcm16, alaw or mulaw: converted to one channel, unless absent; Accept: audio/wav;codec=mulaw;rate=8000 asks so, too"),
        ("rate" = Option<u32>, Query, description = "Samples a second of the converted audio, 8000 to 48000; as stored when absent"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "The audio", content_type = "audio/wav", body = RawBytes),
        (status = 206, description = "The range", content_type = "audio/wav", body = RawBytes),
        (status = 304, description = "The client has it"),
    ),
)]
async fn play(
    State(app): State<App>,
    caller: Caller<HearGreeting>,
    Names(mailbox, kind): Names<MailboxId, MailboxGreeting>,
    Parameters(form): Parameters<AudioQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = form.wanted(&headers)?;
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    serve(entry.core(), &GreetingPlace::Mailbox(mailbox, kind), wanted, &headers).await
}

/// Get the audio of the tenant's default greeting or disclaimer
#[utoipa::path(
    get, path = "/greetings/{greeting}", tag = "telephony",
    params(
        ("greeting" = String, Path, description = "default or disclaimer"),
        ("codec" = Option<String>, Query, description = "pcm16, alaw or mulaw: converted to one channel, unless absent; Accept: audio/wav;codec=mulaw;rate=8000 asks so, too"),
        ("rate" = Option<u32>, Query, description = "Samples a second of the converted audio, 8000 to 48000; as stored when absent"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "The audio", content_type = "audio/wav", body = RawBytes),
        (status = 206, description = "The range", content_type = "audio/wav", body = RawBytes),
        (status = 304, description = "The client has it"),
    ),
)]
async fn play_tenants(
    State(app): State<App>,
    caller: Caller<HearTenantGreeting>,
    Name(kind): Name<TenantGreeting>,
    Parameters(form): Parameters<AudioQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = form.wanted(&headers)?;
    let entry = caller.enter(&app)?;
    serve(entry.core(), &GreetingPlace::Tenant(kind), wanted, &headers).await
}

async fn serve(
    core: &Core,
    place: &GreetingPlace,
    wanted: Option<Wanted>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let greeting = core.directory.greeting(place).await?;
    let found = &greeting;
    let open = move |range| async move { Ok(core.directory.greeting_audio(found, range).await?) }.boxed();
    serve_audio(headers, &greeting.digest.0, greeting.size, wanted, open).await
}

/// Remove a greeting
///
/// Callers hear the standard one instead of the alternate one, and the tenant's default instead of the standard one.
#[utoipa::path(
    delete, path = "/mailboxes/{mailbox}/greetings/{greeting}", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("greeting" = String, Path, description = "standard, alternate or name"),
    ),
    responses((status = 204, description = "Removed, or there was none")),
)]
async fn remove(
    State(app): State<App>,
    caller: Caller<RemoveGreeting>,
    Names(mailbox, kind): Names<MailboxId, MailboxGreeting>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let (subject, place) = (AuditSubject::mailbox(&mailbox), GreetingPlace::Mailbox(mailbox, kind));
    entry.act(subject, entry.core().directory.remove_greeting(&place)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the tenant's default greeting or disclaimer
#[utoipa::path(
    delete, path = "/greetings/{greeting}", tag = "admin",
    params(("greeting" = String, Path, description = "default or disclaimer")),
    responses((status = 204, description = "Removed, or there was none")),
)]
async fn remove_tenants(
    State(app): State<App>,
    caller: Caller<RemoveTenantGreeting>,
    Name(kind): Name<TenantGreeting>,
) -> Result<StatusCode, ApiError> {
    let (entry, place) = (caller.enter(&app)?, GreetingPlace::Tenant(kind));
    entry.act(AuditSubject::default(), entry.core().directory.remove_greeting(&place)).await?;
    Ok(StatusCode::NO_CONTENT)
}
