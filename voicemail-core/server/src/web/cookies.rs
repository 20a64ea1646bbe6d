//! The cookies of a session. Scripts can't read them, other sites' requests don't carry them, and none is kept when the
//! browser is closed.

use crate::http::SESSION_COOKIE;
use axum::http::HeaderValue;

/// Name of the cookie by which a session is renewed: sent to `/ui/session` alone.
pub(super) const RENEWAL_COOKIE: &str = "__Secure-Http-vm-refresh";
const RENEWAL_PATH: &str = "/ui/session";

/// Name of the cookie of a sign-in that was begun at an issuer: it comes along when the issuer sends the browser back.
pub(super) const LOGIN_COOKIE: &str = "__Host-Http-vm-login";
const LOGIN_LIFE: u32 = 600;

/// Sets a sign-in that was begun.
pub(super) fn login(value: &str) -> Option<HeaderValue> {
    make(LOGIN_COOKIE, value, "/", "Lax", Some(LOGIN_LIFE))
}

/// Takes it away.
pub(super) fn no_login() -> Option<HeaderValue> {
    make(LOGIN_COOKIE, "", "/", "Lax", Some(0))
}

/// Sets the session.
pub(super) fn session(value: &str) -> Option<HeaderValue> {
    make(SESSION_COOKIE, value, "/", "Strict", None)
}

/// Sets what it is renewed by.
pub(super) fn renewal(value: &str) -> Option<HeaderValue> {
    make(RENEWAL_COOKIE, value, RENEWAL_PATH, "Strict", None)
}

/// Takes all of them away.
pub(super) fn none() -> impl Iterator<Item = HeaderValue> {
    let gone = Some(0);
    [make(SESSION_COOKIE, "", "/", "Strict", gone), make(RENEWAL_COOKIE, "", RENEWAL_PATH, "Strict", gone)]
        .into_iter()
        .flatten()
}

/// `None` never happens: what is sealed has no characters that a header couldn't have.
fn make(name: &str, value: &str, path: &str, same_site: &str, life: Option<u32>) -> Option<HeaderValue> {
    let life = life.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let text = format!("{name}={value}; Path={path}; Secure; HttpOnly; SameSite={same_site}{life}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
