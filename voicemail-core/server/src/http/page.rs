//! Requests of the pages below `/ui`, which come with a cookie and without a token.
//!
//! A browser adds the cookie of whatever page the request comes from. So it counts only for a request that
//! the browser itself marks as one of the same origin (`Sec-Fetch-Site`, which no page can set), and one that changes
//! something must have a header, too, that no form can send and no page of another origin may (CORS doesn't
//! allow it).

use super::{ApiError, ProblemKind};
use axum::http::{HeaderMap, Method, header};

/// Name of the session's cookie. Browsers take it over HTTPS alone, for the whole host and no other, and give no
/// script access to it.
pub(crate) const SESSION_COOKIE: &str = "__Host-Http-vm";

/// The header of requests of a page that change something.
const PAGE: &str = "x-voicemail-page";

/// Whether a request comes from a page of the same origin.
///
/// # Errors
/// `ForeignPage` when it doesn't, or can't be told.
pub(crate) fn check_page(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let is =
        |name: &str, value: &str| headers.get(name).is_some_and(|given| given.as_bytes() == value.as_bytes());
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    if is("sec-fetch-site", "same-origin") && (!changes || is(PAGE, "1")) {
        return Ok(());
    }
    let detail = "a session counts for requests of this tenant's own pages alone: call with a bearer token";
    Err(ApiError::new(ProblemKind::ForeignPage, detail))
}

/// A cookie's value.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (given, value) = pair.trim().split_once('=')?;
        (given == name).then_some(value)
    })
}

/// Whether the request would be one of a session.
pub(super) fn has_session(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::AUTHORIZATION) && cookie(headers, SESSION_COOKIE).is_some()
}
