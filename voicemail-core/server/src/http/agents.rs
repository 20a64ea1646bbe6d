//! Agents' operations: lists, messages, audio, MWI, their own mailboxes.

use super::audio::{RawBytes, serve_audio};
use super::conditions::{read_precondition, tagged};
use super::converted::AudioQuery;
use super::extract::{AudioTicket, Caller, JsonBody, Name, Names, Parameters};
use super::range::knows;
use super::times::check_limit;
use super::{ApiError, App};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_engine::door::operations::{
    ChangeMessage, ClaimMessage, ListMessages, ListOwnMailboxes, Listen, ReadMessage, ReadMwi,
    ReleaseMessage, RestoreMessage, TrashMessage,
};
use voicemail_engine::mailbox::{ListedState, MessageFilter, MessagePage, MessageView, OwnMailbox};
use voicemail_model::{AuditSubject, MailboxId, MessageChange, MessageId, MessageState, Mwi};

const MOST_LISTED: u16 = 1_000;
const LISTED: u16 = 100;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(message, change, trash))
        .routes(routes!(restore))
        .routes(routes!(claim, release))
        .merge(super::forward::routes())
        .routes(routes!(mwi))
        .routes(routes!(own_mailboxes))
}

pub(super) fn downloads() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(audio))
}

/// Which messages to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only these, such as `read,saved`; all but the trash when absent.
    #[serde(default, deserialize_with = "read_states")]
    #[param(value_type = Vec<ListedState>, style = Form, explode = false, required = false)]
    state: Vec<ListedState>,
    /// `newest` or `oldest` first: the newest when absent. A cursor goes on in the order of its page.
    #[serde(default)]
    #[param(inline, required = false)]
    order: ListOrder,
    /// At most this many, 1 to 1000; 100 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Which messages come first.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ListOrder {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

/// Names of states, separated by commas.
fn read_states<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ListedState>, D::Error> {
    let text = String::deserialize(from)?;
    text.split(',').map(|name| ListedState::deserialize(name.into_deserializer())).collect()
}

/// List messages
///
/// With their callers.
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/messages", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"), ListQuery,
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "A page of messages, with an entity tag", body = MessagePage),
        (status = 304, description = "The mailbox is as the client knows it"),
    ),
)]
async fn list(
    State(app): State<App>,
    caller: Caller<ListMessages>,
    Name(mailbox): Name<MailboxId>,
    Parameters(query): Parameters<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let limit = check_limit(query.limit, LISTED, MOST_LISTED)?;
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let oldest_first = query.order == ListOrder::Oldest;
    let filter = MessageFilter { states: query.state, oldest_first, limit, cursor: query.cursor };
    let listing = entry.core().mailboxes.list_tagged(&mailbox, filter);
    let (page, tag) = entry.act(AuditSubject::mailbox(&mailbox), listing).await?;
    Ok(unless_known(&headers, &tag, page))
}

/// Personal data stays out of shared caches; a client asks again each time, and is told if nothing changed.
fn unless_known<T: Serialize>(headers: &HeaderMap, tag: &str, body: T) -> Response {
    let etag = format!("\"{tag}\"");
    let known = [(header::CACHE_CONTROL, "private, no-cache".to_owned()), (header::ETAG, etag.clone())];
    match knows(headers, &etag) {
        true => (StatusCode::NOT_MODIFIED, known).into_response(),
        false => (known, Json(body)).into_response(),
    }
}

/// Personal data stays out of caches.
pub(super) fn private<T: Serialize>(body: T) -> Response {
    ([(header::CACHE_CONTROL, "private, no-store")], Json(body)).into_response()
}

/// Get a message
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/messages/{id}", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "The message, with an entity tag", body = MessageView),
        (status = 304, description = "The message is as the client knows it"),
    ),
)]
async fn message(
    State(app): State<App>,
    caller: Caller<ReadMessage>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let mailboxes = &entry.core().mailboxes;
    let view = entry.act(AuditSubject::mailbox(&mailbox), mailboxes.message(&mailbox, id)).await?;
    Ok(unless_known(&headers, &mailboxes.message_tag(&view), view))
}

/// The states that an owner sets.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OwnState {
    New,
    Read,
    Saved,
}

/// The changes; absent fields stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    state: Option<OwnState>,
    urgent: Option<bool>,
    /// Somebody listened: a new message becomes read, one that was read or saved meanwhile stays so.
    #[serde(default)]
    heard: bool,
}

impl From<ChangeBody> for MessageChange {
    fn from(body: ChangeBody) -> Self {
        let state = body.state.map(|state| match state {
            OwnState::New => MessageState::New,
            OwnState::Read => MessageState::Read,
            OwnState::Saved => MessageState::Saved,
        });
        Self { state, urgent: body.urgent, heard: body.heard }
    }
}

/// Mark a message read, saved, new or urgent
///
/// Playing a message doesn't mark it, so that one can be skipped; `heard`, and marking it read or saved, say who listened.
#[utoipa::path(
    patch, path = "/mailboxes/{mailbox}/messages/{id}", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message"),
        ("If-Match" = Option<String>, Header, description = "Entity tags: only if the message is in such a state"),
    ),
    request_body = ChangeBody,
    responses((status = 200, description = "The message as it is now, with an entity tag", body = MessageView)),
)]
async fn change(
    State(app): State<App>,
    caller: Caller<ChangeMessage>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ChangeBody>,
) -> Result<Response, ApiError> {
    let expected = read_precondition(&headers)?;
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let mailboxes = &entry.core().mailboxes;
    let changing = mailboxes.change_if(&mailbox, id, body.into(), caller.0.user.as_ref(), &expected);
    let view = entry.act(AuditSubject::message(&mailbox, id), changing).await?;
    Ok(tagged(&mailboxes.message_tag(&view), view))
}

/// Move a message to the trash
#[utoipa::path(
    delete, path = "/mailboxes/{mailbox}/messages/{id}", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message")),
    responses((status = 200, description = "The message, with the end of its time in the trash", body = MessageView)),
)]
async fn trash(
    State(app): State<App>,
    caller: Caller<TrashMessage>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let trashing = entry.core().mailboxes.trash(&mailbox, id);
    Ok(private(entry.act(AuditSubject::message(&mailbox, id), trashing).await?))
}

/// Take a message out of the trash
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/messages/{id}/restore", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message")),
    responses((status = 200, description = "The message as it was", body = MessageView)),
)]
async fn restore(
    State(app): State<App>,
    caller: Caller<RestoreMessage>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let restoring = entry.core().mailboxes.restore(&mailbox, id);
    Ok(private(entry.act(AuditSubject::message(&mailbox, id), restoring).await?))
}

/// How to claim.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClaimBody {
    /// Even if another member has claimed the message.
    #[serde(default)]
    take_over: bool,
}

/// Claim a message of a group
///
/// Tells the other members who deals with it, until it is released or taken over. It keeps nobody from playing, marking
/// or deleting the message.
#[utoipa::path(
    put, path = "/mailboxes/{mailbox}/messages/{id}/claim", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message")),
    request_body = ClaimBody,
    responses((status = 200, description = "The message, claimed by the caller", body = MessageView)),
)]
async fn claim(
    State(app): State<App>,
    caller: Caller<ClaimMessage>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
    JsonBody(body): JsonBody<ClaimBody>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let claiming = entry.core().mailboxes.claim(&mailbox, id, entry.user()?, body.take_over);
    Ok(private(entry.act(AuditSubject::message(&mailbox, id), claiming).await?))
}

/// Release a message of a group
#[utoipa::path(
    delete, path = "/mailboxes/{mailbox}/messages/{id}/claim", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message")),
    responses((status = 200, description = "The message, claimed by nobody", body = MessageView)),
)]
async fn release(
    State(app): State<App>,
    caller: Caller<ReleaseMessage>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let releasing = entry.core().mailboxes.release(&mailbox, id, entry.user()?);
    Ok(private(entry.act(AuditSubject::message(&mailbox, id), releasing).await?))
}

/// Get a mailbox's message waiting counts
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/mwi", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "Counts as in RFC 3842, with an entity tag", body = Mwi),
        (status = 304, description = "The mailbox is as the client knows it"),
    ),
)]
async fn mwi(
    State(app): State<App>,
    caller: Caller<ReadMwi>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let counting = entry.core().mailboxes.mwi_tagged(&mailbox);
    let (counts, tag) = entry.act(AuditSubject::mailbox(&mailbox), counting).await?;
    Ok(unless_known(&headers, &tag, counts))
}

/// The caller's mailboxes.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct OwnMailboxes {
    /// Personal ones first, then those of groups.
    pub mailboxes: Vec<OwnMailbox>,
}

/// List own mailboxes
///
/// Personal ones and those of own groups, with their counts.
#[utoipa::path(
    get, path = "/me/mailboxes", tag = "agent",
    responses((status = 200, description = "Mailboxes with counts", body = OwnMailboxes)),
)]
async fn own_mailboxes(
    State(app): State<App>,
    caller: Caller<ListOwnMailboxes>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let listing = entry.core().directory.mailboxes_of(entry.user()?);
    let mailboxes = entry.act(AuditSubject::default(), listing).await?;
    Ok(private(OwnMailboxes { mailboxes }))
}

/// Get a message's audio
///
/// As it was deposited, with sizes put right that its recorder left wrong; or in the form asked for. Serves one range of
/// bytes, and an entity tag: the SHA-256 of the whole, or what stands for it in the form asked for.
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/messages/{id}/audio", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message"),
        ("ticket" = Option<String>, Query, description = "A ticket for this message's audio, where no header can be sent"),
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
async fn audio(
    State(app): State<App>,
    caller: Caller<Listen, AudioTicket>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
    Parameters(form): Parameters<AudioQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = form.wanted(&headers)?;
    let (entry, found) = caller.enter_message(&app, &mailbox, id).await?;
    let (entry, mailbox, found) = (&entry, &mailbox, &found);
    let open = move |range| {
        let opened = async move {
            let opening = entry.core().mailboxes.audio_of(found, range);
            Ok(entry.act(AuditSubject::message(mailbox, id), opening).await?)
        };
        opened.boxed()
    };
    serve_audio(&headers, &found.digest.0, found.size, wanted, open).await
}
