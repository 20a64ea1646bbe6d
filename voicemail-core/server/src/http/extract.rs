//! Extractors of handlers: the caller with a role, names from the path, a JSON body.
//!
//! A body that doesn't parse is described by place, never by content, since it may hold numbers.

use super::admin::{CODE_REFUSED, MOMENT_REFUSED};
use super::me::DIGEST_REFUSED;
use super::page::{SESSION_COOKIE, check_page, cookie};
use super::rates::{check_refusals, limit_caller, limit_verifications, note_refusal, peer_of};
use super::{ApiError, App, ProblemKind};
use crate::auth::session::Sessions;
use crate::auth::ticket::{self, TicketPurpose};
use crate::auth::{self, AuthError};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::str::FromStr;
use voicemail_api::config::{Role, format_duration};
use voicemail_engine::door::{DoorError, Entry, OnMailbox, OnTenant, Operation};
use voicemail_engine::principal::{MailboxToken, Principal};
use voicemail_model::{InvalidId, MailboxId, MessageId, Time, UserId};

/// Which tickets a handler takes in the query where no header can be sent.
pub(super) trait Ticketing: Send + Sync + 'static {
    const TICKETS: Tickets;
}

/// Which tickets a handler takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tickets {
    /// None.
    Refused,
    /// Tickets for the event stream.
    Events,
    /// Tickets for the audio of the message in the path.
    Audio,
}

/// No ticket will do.
pub(super) struct NoTicket;
/// A ticket for the event stream will do.
pub(super) struct EventTicket;
/// A ticket for the audio of the message in the path will do.
pub(super) struct AudioTicket;

impl Ticketing for NoTicket {
    const TICKETS: Tickets = Tickets::Refused;
}

impl Ticketing for EventTicket {
    const TICKETS: Tickets = Tickets::Events;
}

impl Ticketing for AudioTicket {
    const TICKETS: Tickets = Tickets::Audio;
}

/// Name in a mailbox's history of somebody who opened it by its PIN.
const TELEPHONE: &str = "telephone";

/// The authenticated caller, in one of the roles that the operation takes.
pub(super) struct Caller<O, T = NoTicket>(pub(super) Principal, PhantomData<(O, T)>);

impl<O: Operation, T> Caller<O, T> {
    /// The user whose mailboxes these are.
    pub(super) fn user(&self) -> Result<&UserId, ApiError> {
        Ok(self.0.user.as_ref().ok_or(DoorError::NoUser)?)
    }

    /// The name for a mailbox's history: the user's, or `telephone` for whoever knows the mailbox's PIN.
    pub(super) fn actor(&self) -> Result<UserId, ApiError> {
        match &self.0.mailbox {
            Some(_) => Ok(TELEPHONE.parse()?),
            None => self.user().cloned(),
        }
    }
}

impl<O: OnTenant, T> Caller<O, T> {
    /// Through the engine's door.
    pub(super) fn enter(&self, app: &App) -> Result<Entry<O>, ApiError> {
        Ok(app.core()?.enter(&self.0)?)
    }
}

impl<O: OnMailbox, T> Caller<O, T> {
    /// Through the engine's door to a mailbox.
    pub(super) async fn enter_mailbox(&self, app: &App, mailbox: &MailboxId) -> Result<Entry<O>, ApiError> {
        Ok(app.core()?.enter_mailbox(&self.0, mailbox).await?)
    }

    /// Through the engine's door to a message.
    pub(super) async fn enter_message(
        &self,
        app: &App,
        mailbox: &MailboxId,
        id: MessageId,
    ) -> Result<(Entry<O>, voicemail_model::Entry), ApiError> {
        Ok(app.core()?.enter_message(&self.0, mailbox, id).await?)
    }
}

impl From<DoorError> for ApiError {
    fn from(error: DoorError) -> Self {
        match error {
            DoorError::Role(_) | DoorError::NoUser => Self::new(ProblemKind::RoleMissing, error.to_string()),
            DoorError::ReadOnly => Self::new(ProblemKind::ReadOnly, error.to_string()),
            DoorError::Mailbox(error) => error.into(),
        }
    }
}

impl<O: Operation, T: Ticketing> FromRequestParts<App> for Caller<O, T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if let Err(too_many_refusals) = check_refusals(app, &parts.extensions) {
            if !is_signed(&parts.headers) {
                return Err(too_many_refusals);
            }
            limit_verifications(app, &parts.extensions)?;
        }
        let caller = match identify(parts, app, T::TICKETS).await {
            Err(error) if is_refusal(&error, &parts.headers) => {
                // A client with too many wrong attempts is told so, whatever this attempt was.
                check_refusals(app, &parts.extensions)?;
                note_refusal(app, &parts.extensions);
                return Err(error);
            }
            other => other?,
        };
        let Identity { who: identity, signed_in } = caller;
        limit_caller(app, &identity)?;
        if identity.mailbox.is_some() || identity.has_any(&[Role::Telephony]) {
            app.metrics.count_telephone_request();
        }
        if !O::RULE.admits(&identity) {
            return Err(DoorError::Role(O::RULE.roles).into());
        }
        if O::RULE.fresh
            && let Some(signed_in) = signed_in
        {
            check_fresh(app, signed_in)?;
        }
        Ok(Self(identity, PhantomData))
    }
}

/// Whether the credentials carry a signature, which is verified here: nobody is asked, and no password is digested.
fn is_signed(headers: &HeaderMap) -> bool {
    authorization(headers).is_some_and(|(scheme, credentials)| {
        scheme.eq_ignore_ascii_case("bearer")
            && (MailboxToken::is_one(credentials) || auth::is_signed(credentials))
    })
}

fn is_refusal(error: &ApiError, headers: &HeaderMap) -> bool {
    error.kind() == ProblemKind::Unauthenticated && headers.contains_key(header::AUTHORIZATION)
}

/// Who somebody is, and when they showed it, if a page's session has kept that since.
struct Identity {
    who: Principal,
    signed_in: Option<Time>,
}

impl From<Principal> for Identity {
    fn from(who: Principal) -> Self {
        Self { who, signed_in: None }
    }
}

/// What erases, and decisions, aren't left to whoever comes by an open page.
fn check_fresh(app: &App, signed_in: Time) -> Result<(), ApiError> {
    let fresh = app.config().web.as_ref().map(|web| web.fresh_login).unwrap_or_default();
    if app.core()?.context.world().now() < signed_in.plus(fresh) {
        return Ok(());
    }
    let detail = format!("sign in again: this takes a sign-in of the last {}", format_duration(fresh));
    Err(ApiError::new(ProblemKind::LoginNotFresh, detail))
}

/// The caller's identity, by the Authorization header; where there is none, by a ticket, or by a page's session.
async fn identify(parts: &mut Parts, app: &App, tickets: Tickets) -> Result<Identity, ApiError> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return Ok(authenticate(parts, app).await?.into());
    }
    let query = match tickets {
        Tickets::Refused => None,
        _ => Query::<TicketQuery>::from_request_parts(parts, app).await.ok(),
    };
    let Some(ticket) = query.and_then(|Query(query)| query.ticket) else { return by_session(parts, app) };
    let purpose = match tickets {
        Tickets::Audio => {
            let Names(mailbox, message) = Names::from_request_parts(parts, app).await?;
            TicketPurpose::Audio { mailbox, message }
        }
        _ => TicketPurpose::Events,
    };
    let core = app.core()?;
    Ok(ticket::read(core.context.key(), &ticket, &purpose, core.context.world().now())?.into())
}

/// The identity of who signed in on a page of ours, for that page's own requests.
fn by_session(parts: &Parts, app: &App) -> Result<Identity, ApiError> {
    let (config, core) = (app.config(), app.core());
    let session = config.web.as_ref().zip(cookie(&parts.headers, SESSION_COOKIE));
    let (web, cookie) = session.ok_or(AuthError::Missing)?;
    check_page(&parts.method, &parts.headers)?;
    let core = core?;
    let sessions = Sessions::new(core.context.key(), &web.session);
    let session = sessions.read(cookie, core.context.world().now())?;
    let signed_in = Some(session.signed_in);
    Ok(Identity { who: session.into(), signed_in })
}

#[derive(serde::Deserialize)]
struct TicketQuery {
    ticket: Option<String>,
}

/// The caller's identity, by the value of the Authorization header.
async fn authenticate(parts: &Parts, app: &App) -> Result<Principal, ApiError> {
    let (scheme, credentials) = authorization(&parts.headers).ok_or(AuthError::Missing)?;
    if scheme.eq_ignore_ascii_case("basic") {
        return Ok(app.authenticator().authenticate_basic(credentials, peer_of(&parts.extensions)).await?);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Missing.into());
    }
    match MailboxToken::is_one(credentials) {
        true => Ok(app.core()?.read_mailbox_token(credentials).map_err(AuthError::from)?),
        false => Ok(app.authenticator().authenticate(credentials).await?),
    }
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    Some((scheme, credentials.trim()))
}

/// One checked name from the path.
pub(super) struct Name<T>(pub(super) T);

/// Two checked names from the path.
pub(super) struct Names<A, B>(pub(super) A, pub(super) B);

fn not_a_path() -> ApiError {
    ApiError::new(ProblemKind::InvalidName, "the path has a part that isn't valid UTF-8")
}

impl<T: FromStr<Err = InvalidId>> FromRequestParts<App> for Name<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| not_a_path())?;
        Ok(Self(text.parse()?))
    }
}

impl<A: FromStr<Err = InvalidId>, B: FromStr<Err = InvalidId>> FromRequestParts<App> for Names<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let Path((first, second)) = path.map_err(|_| not_a_path())?;
        Ok(Self(first.parse()?, second.parse()?))
    }
}

/// Query parameters.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        let detail = "a query parameter isn't one that is known, or has another form";
        query.map(|Query(value)| Self(value)).map_err(|_| ApiError::invalid(detail))
    }
}

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::new(ProblemKind::WrongType, "send application/json"));
        }
        let bytes =
            Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    ApiError::new(ProblemKind::BodyTooLarge, "send at most 1 MiB")
                }
                _ => ApiError::new(ProblemKind::Interrupted, "the body stopped before its end"),
            })?;
        // A list of a struct's values without their names would do for serde.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(ApiError::new(ProblemKind::InvalidRequest, "send an object of named fields"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| describe(&error))
    }
}

/// The media type of a body, in small letters and without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = media_type(headers);
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// What is said of values that have the right form and aren't taken. Other words of the reader could repeat what was sent, and
/// reach nobody.
const REFUSALS: [&str; 3] = [DIGEST_REFUSED, MOMENT_REFUSED, CODE_REFUSED];

fn describe(error: &serde_json::Error) -> ApiError {
    let said = error.to_string();
    let what = match REFUSALS.into_iter().find(|refusal| said.starts_with(refusal)) {
        Some(refusal) => refusal,
        None if error.is_data() => "a field is missing, unknown or of another form",
        None => "it isn't JSON",
    };
    let detail = format!("the body can't be read: {what} (line {}, column {})", error.line(), error.column());
    ApiError::new(ProblemKind::InvalidRequest, detail)
}
