//! Signing in by a form, renewing a session, signing out.
//!
//! What can go wrong: whatever it is, the cookies stay as they are, except that a renewal which is refused for good
//! ends the session.

use super::cookies::{self, RENEWAL_COOKIE};
use crate::auth::AuthError;
use crate::auth::login::LoginError;
use crate::auth::session::{Origin, Renewal, Session, Sessions};
use crate::http::{
    ApiError, App, JsonBody, Parameters, ProblemKind, SESSION_COOKIE, check_page, check_refusals, cookie,
    note_refusal, peer_of,
};
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use voicemail_api::config::{LoginConfig, MaskCallers, Role, WebConfig};
use voicemail_engine::core::Core;
use voicemail_engine::principal::Principal;
use voicemail_model::{AuditAction, AuditSubject, Time};
use voicemail_store::StoreError;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/ui/session", get(show))
        .route("/ui/session/password", post(sign_in))
        .route("/ui/session/renew", post(renew))
        .route("/ui/session/logout", post(sign_out))
        .route_layer(from_fn(require_page))
}

/// Only our own page asks about sessions, begins, renews or ends them.
async fn require_page(request: Request, next: Next) -> Response {
    match check_page(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Who has signed in, and how one can.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionView>,
    /// Whether a session can be renewed, or begun again without signing in.
    renewable: bool,
    /// Whether there is a form for name and password.
    passwords: bool,
    /// Names of the issuers where one can sign in, by their numbers.
    providers: Vec<String>,
    /// Whether this is a demonstration, and no service.
    demonstration: bool,
    /// Origins of the pages that may show the Inbox in a frame.
    embed_in: Vec<String>,
    /// After how many seconds without a key, a click or a touch a page shows counts alone.
    idle_seconds: u64,
    /// What pages mask of callers until it is asked for.
    mask_callers: MaskCallers,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionView {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    subject: String,
    roles: Vec<Role>,
    /// When they signed in, RFC 3339.
    signed_in_at: String,
    /// When the session ends unless it is renewed, RFC 3339.
    ends_at: String,
    /// In how many seconds that is, by this core's clock.
    seconds_left: u64,
}

impl SessionView {
    fn new(session: &Session, now: Time) -> Self {
        Self {
            user: session.user.as_ref().map(ToString::to_string),
            subject: session.subject.clone(),
            roles: session.roles.iter().copied().collect(),
            signed_in_at: session.signed_in.rfc3339(),
            ends_at: session.ends.rfc3339(),
            seconds_left: session.ends.since(now).as_secs(),
        }
    }
}

/// What the handlers here work with.
pub(super) struct Desk {
    pub(super) core: Arc<Core>,
    pub(super) web: WebConfig,
    demonstration: bool,
}

impl Desk {
    pub(super) fn open(app: &App) -> Result<Self, ApiError> {
        let nothing = || ApiError::new(ProblemKind::UnknownPath, "this tenant has no pages");
        let web = app.config().web.clone().ok_or_else(nothing)?;
        Ok(Self { core: app.core()?, web, demonstration: app.is_demonstration() })
    }

    pub(super) fn sessions(&self) -> Sessions<'_> {
        Sessions::new(self.core.context.key(), &self.web.session)
    }

    pub(super) fn now(&self) -> Time {
        self.core.context.world().now()
    }

    fn answer(&self, session: Option<&Session>, renewable: bool) -> Json<SessionAnswer> {
        let session = session.map(|session| SessionView::new(session, self.now()));
        let WebConfig { passwords, login, mask_callers, .. } = &self.web;
        let providers = login.iter().map(|login| login.label.clone()).collect();
        let demonstration = self.demonstration;
        let embed_in = self.web.embed_in.clone();
        Json(SessionAnswer {
            session,
            renewable,
            passwords: *passwords,
            providers,
            demonstration,
            embed_in,
            idle_seconds: self.web.session.idle.as_secs(),
            mask_callers: *mask_callers,
        })
    }

    /// Begins a session, or goes on with one: the session and its cookies. Without an origin it can't be renewed.
    pub(super) fn admit(
        &self,
        who: &Principal,
        origin: Option<Origin>,
        signed_in: Time,
    ) -> Result<(Session, Vec<HeaderValue>), ApiError> {
        let (sessions, world) = (self.sessions(), self.core.context.world());
        // An issuer's refresh token may be longer than a cookie.
        let renewal =
            origin.and_then(|origin| sessions.seal_renewal(world, &sessions.renewal(origin, signed_in)).ok());
        let begun = sessions.begin(who, signed_in, renewal.is_some(), self.now());
        let session = begun.map_err(|error| match error {
            AuthError::Claims => {
                ApiError::new(ProblemKind::RoleMissing, "nothing here is for the roles of this account")
            }
            other => other.into(),
        })?;
        let set = [
            cookies::session(&sessions.seal(world, &session)?),
            renewal.and_then(|text| cookies::renewal(&text)),
        ];
        Ok((session, set.into_iter().flatten().collect()))
    }

    /// As [`admit`](Self::admit), answered.
    fn admitted(&self, who: &Principal, origin: Origin, signed_in: Time) -> Result<Response, ApiError> {
        let (session, set) = self.admit(who, Some(origin), signed_in)?;
        let mut response = self.answer(Some(&session), set.len() > 1).into_response();
        for value in set {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        Ok(response)
    }

    /// Who it is now, by what the session is renewed by, and what it is renewed by next.
    async fn ask_again(&self, app: &App, origin: Origin) -> Result<(Principal, Origin), ApiError> {
        let authenticator = app.authenticator();
        match origin {
            Origin::Password(_) if !self.web.passwords => Err(AuthError::Missing.into()),
            Origin::Password(proof) => Ok((authenticator.still(&proof).await?, Origin::Password(proof))),
            Origin::OpenId { issuer, subject, refresh } => {
                let login = self.login_at(&issuer).ok_or(AuthError::Missing)?;
                let asked = authenticator.renew_login(login, &refresh, &subject).await;
                let (who, next) = asked.map_err(|error| match error {
                    LoginError::Unavailable(cause) => AuthError::LookupUnavailable(cause),
                    LoginError::Token(error) => error,
                    _ => AuthError::Inactive,
                })?;
                Ok((who, Origin::OpenId { issuer, subject, refresh: next.unwrap_or(refresh) }))
            }
        }
    }

    /// Records that somebody signed in or out.
    pub(super) async fn record(&self, who: &Principal, action: AuditAction) -> Result<(), StoreError> {
        self.core.context.audit().record(who, action, AuditSubject::default()).await
    }

    fn login_at(&self, issuer: &str) -> Option<&LoginConfig> {
        self.web.login.iter().find(|login| login.issuer == issuer)
    }
}

async fn show(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let desk = Desk::open(&app)?;
    let (sessions, now) = (desk.sessions(), desk.now());
    let found = cookie(&headers, SESSION_COOKIE).and_then(|text| sessions.read(text, now).ok());
    let renewal = cookie(&headers, RENEWAL_COOKIE).and_then(|text| sessions.read_renewal(text, now).ok());
    Ok(desk.answer(found.as_ref(), renewal.is_some()).into_response())
}

/// A name and a password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    name: String,
    password: String,
}

async fn sign_in(
    State(app): State<App>,
    extensions: Extensions,
    JsonBody(body): JsonBody<PasswordBody>,
) -> Result<Response, ApiError> {
    let desk = Desk::open(&app)?;
    if !desk.web.passwords {
        return Err(ApiError::new(ProblemKind::UnknownPath, "nobody signs in by a password here"));
    }
    check_refusals(&app, &extensions)?;
    let known = app.authenticator().sign_in(&body.name, &body.password, peer_of(&extensions)).await;
    let (who, proof) = known.map_err(|error| {
        let error = ApiError::from(error);
        if error.kind() == ProblemKind::Unauthenticated {
            note_refusal(&app, &extensions);
        }
        error
    })?;
    let admitted = desk.admitted(&who, Origin::Password(proof), desk.now())?;
    desk.record(&who, AuditAction::SignIn).await?;
    Ok(admitted)
}

/// How a session is renewed.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RenewQuery {
    /// Nobody has used the page for a while: it goes on to count messages, and has no other role than agent.
    idle: bool,
}

async fn renew(
    State(app): State<App>,
    headers: HeaderMap,
    Parameters(query): Parameters<RenewQuery>,
) -> Result<Response, ApiError> {
    let desk = Desk::open(&app)?;
    let text = cookie(&headers, RENEWAL_COOKIE).ok_or(AuthError::Missing)?;
    let renewed = match desk.sessions().read_renewal(text, desk.now()) {
        Ok(Renewal { origin, signed_in, .. }) => {
            let asked = desk.ask_again(&app, origin).await;
            asked.and_then(|(mut who, origin)| {
                who.roles.retain(|role| !query.idle || *role == Role::Agent);
                desk.admitted(&who, origin, signed_in)
            })
        }
        Err(error) => Err(error.into()),
    };
    match renewed {
        Err(error) if error.kind() == ProblemKind::Unauthenticated => {
            Ok(without_cookies(error.into_response()))
        }
        other => other,
    }
}

/// Where to sign out at the issuer, too.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignedOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    end_session: Option<String>,
}

/// The cache of this host alone is cleared: `cookies` would take those of the whole domain with them.
async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    // Nobody is kept signed in because it can't be recorded.
    if let Some(Err(error)) = record_sign_out(&app, &headers).await {
        tracing::warn!(cause = %error, "a sign-out isn't in the audit log");
    }
    let end_session = end_at_issuer(&app, &headers).await;
    let mut response = without_cookies(Json(SignedOut { end_session }).into_response());
    let clear = HeaderValue::from_static("\"cache\"");
    response.headers_mut().insert(HeaderName::from_static("clear-site-data"), clear);
    response
}

/// `None` without a session that is still read: it has ended by itself.
async fn record_sign_out(app: &App, headers: &HeaderMap) -> Option<Result<(), StoreError>> {
    let desk = Desk::open(app).ok()?;
    let session = desk.sessions().read(cookie(headers, SESSION_COOKIE)?, desk.now()).ok()?;
    Some(desk.record(&session.into(), AuditAction::SignOut).await)
}

/// An issuer that can't be asked keeps nobody signed in here.
async fn end_at_issuer(app: &App, headers: &HeaderMap) -> Option<String> {
    let desk = Desk::open(app).ok()?;
    let renewal = desk.sessions().read_renewal(cookie(headers, RENEWAL_COOKIE)?, desk.now()).ok()?;
    let Origin::OpenId { issuer, .. } = renewal.origin else { return None };
    let end = app.authenticator().end_of_login(desk.login_at(&issuer)?).await.ok()?;
    end.map(String::from)
}

fn without_cookies(mut response: Response) -> Response {
    for value in cookies::none() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

/// A sign-in at an issuer is answered once.
pub(super) fn without_login(mut response: Response) -> Response {
    if let Some(value) = cookies::no_login() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
