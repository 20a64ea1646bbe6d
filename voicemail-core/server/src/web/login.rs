//! The way to an issuer and back: two addresses that the browser is sent to.
//!
//! The way back comes from another site, so that no cookie of the session is sent with it: what was begun is in a cookie of
//! its own (`SameSite=Lax`), sealed, for ten minutes and one answer.

use super::cookies::{self, LOGIN_COOKIE};
use super::session::{Desk, without_login};
use crate::auth::login::{Attempt, LoginError, Returned, SignedIn};
use crate::auth::session::Origin;
use crate::http::{ApiError, App, ProblemKind, cookie};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use voicemail_api::config::LoginConfig;
use voicemail_model::AuditAction;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/ui/session/login", get(begin)).route("/ui/session/callback/{provider}", get(finish))
}

#[derive(Deserialize)]
struct Begin {
    provider: usize,
    to: Option<String>,
}

async fn begin(State(app): State<App>, Query(query): Query<Begin>) -> Result<Response, ApiError> {
    let desk = Desk::open(&app)?;
    let login = find(&desk, query.provider)?;
    let to = query.to.filter(|to| is_own_page(to)).unwrap_or_else(|| "/ui".into());
    let (world, redirect) = (desk.core.context.world(), redirect(&desk, query.provider));
    let begun = app.authenticator();
    let begun = begun.begin_login(&login, &redirect, (to, desk.web.session.lifetime), world).await;
    let (url, attempt) = match begun {
        Ok(begun) => begun,
        Err(error) => return Ok(back("/ui", Some(report(&error)))),
    };
    let mut response = back(url.as_str(), None);
    let sealed = desk.sessions().seal_attempt(world, &attempt)?;
    if let Some(value) = cookies::login(&sealed) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

async fn finish(
    State(app): State<App>,
    Path(provider): Path<usize>,
    Query(returned): Query<Returned>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let desk = Desk::open(&app)?;
    let login = find(&desk, provider)?;
    let attempt = cookie(&headers, LOGIN_COOKIE).and_then(|text| desk.sessions().read_attempt(text).ok());
    let answered = match &attempt {
        Some(attempt) => {
            let authenticator = app.authenticator();
            let redirect = redirect(&desk, provider);
            authenticator.finish_login(&login, &redirect, (attempt, &returned), desk.now()).await
        }
        None => Err(LoginError::Foreign),
    };
    let response = match (answered, attempt) {
        (Ok(signed_in), Some(attempt)) => enter(&desk, login, signed_in, &attempt).await,
        (Err(error), _) => back("/ui", Some(report(&error))),
        (Ok(_), None) => back("/ui", Some("sign-in-failed")),
    };
    Ok(without_login(response))
}

async fn enter(desk: &Desk, login: LoginConfig, signed_in: SignedIn, attempt: &Attempt) -> Response {
    let SignedIn { who, at, refresh } = signed_in;
    let origin =
        refresh.map(|refresh| Origin::OpenId { issuer: login.issuer, subject: who.subject.clone(), refresh });
    let admitted = match desk.admit(&who, origin, at) {
        Ok(admitted) => desk.record(&who, AuditAction::SignIn).await.map(|()| admitted).map_err(Into::into),
        Err(error) => Err(error),
    };
    match admitted {
        Ok((_, set)) => {
            let mut response = back(&attempt.to, None);
            for value in set {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            response
        }
        Err(error) if error.kind() == ProblemKind::RoleMissing => back("/ui", Some("role-missing")),
        Err(_) => back("/ui", Some("sign-in-failed")),
    }
}

fn find(desk: &Desk, provider: usize) -> Result<LoginConfig, ApiError> {
    let found = desk.web.login.get(provider).cloned();
    found
        .ok_or_else(|| ApiError::new(ProblemKind::UnknownPath, "there is no such login: load the page again"))
}

/// What the page tells, in one word of ours. The log has the rule, and nothing of who it was.
fn report(error: &LoginError) -> &'static str {
    tracing::warn!(cause = %error, "a sign-in at an issuer didn't succeed");
    match error.class() {
        voicemail_store::ErrorClass::Transient => "issuer-unavailable",
        _ => "sign-in-failed",
    }
}

/// Sends the browser somewhere: to an issuer, or to a page of ours with what went wrong.
fn back(to: &str, problem: Option<&str>) -> Response {
    let to = problem.map_or_else(|| to.to_owned(), |problem| format!("{to}?problem={problem}"));
    match HeaderValue::from_str(&to) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => ApiError::new(ProblemKind::Internal, "the address can't be sent").into_response(),
    }
}

fn redirect(desk: &Desk, provider: usize) -> String {
    let host = desk.web.host.as_deref().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let scheme = if matches!(name, "localhost" | "127.0.0.1" | "[::1]") { "http" } else { "https" };
    format!("{scheme}://{host}/ui/session/callback/{provider}")
}

/// A page of ours: never another host, whatever browsers make of slashes.
fn is_own_page(to: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_~".contains(&b);
    let ours = to == "/ui" || to.starts_with("/ui/");
    ours && to.len() <= 512 && to.bytes().all(plain) && !to.contains("//") && !to.starts_with("/ui/session")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_ours_are_gone_to() {
        for own in ["/ui", "/ui/inbox", "/ui/inbox/1001/01996a10-1111-7abc-8def-0123456789ab"] {
            assert!(is_own_page(own), "{own}");
        }
        for other in [
            "",
            "/",
            "/api/v1/me",
            "//evil.example",
            "https://evil.example",
            "/ui//evil.example",
            "/ui/../..//evil.example",
            "/ui/session/logout",
            "/ui\\@evil.example",
            "/uix",
            "/ui/%2e%2e",
            "/ui/a\r\nb",
            "/ui?x=https://evil.example",
            "/ui@evil.example",
            "/ui/..",
        ] {
            assert!(!is_own_page(other), "{other}");
        }
    }
}
