//! The pages that a tenant's core serves below `/ui`, and their sessions. Nothing of them is there unless the
//! configuration has `web`.
//!
//! ```text
//! /ui, /ui/inbox/…    ─▶ one page, which shows what its address says
//! /ui/a/NAME-HASH.js  ─▶ what the page loads: compiled into the program, kept by browsers for a year
//! /ui/session…        ─▶ sign in, renew, sign out: sealed cookies, and no token in the page
//! /ui/embed/inbox…    ─▶ the same page, which the hosts of `embedIn` may show in a frame
//! /ui/mwi.js          ─▶ an element that shows a count on other pages
//! /ui/unsubscribe/…   ─▶ the one click that ends e-mails: sealed, without signing in
//! ```
//!
//! The page calls the API as any other client does, with its cookie in place of a token.

mod assets;
mod cookies;
mod headers;
mod issuers;
mod login;
mod session;
mod unsubscribe;

pub(crate) use issuers::watch;

use crate::http::{ApiError, App, ProblemKind};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The largest body of a request about a session.
const LARGEST_BODY: usize = 16 * 1024;

/// All routes, to be served beside the API.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/ui", get(assets::page))
        .route("/ui/", get(assets::page))
        .route("/ui/{*page}", get(assets::page))
        .route("/ui/a/{name}", get(assets::asset))
        .route("/ui/embed/inbox", get(assets::embedded))
        .route("/ui/embed/{*page}", get(assets::embedded))
        .route("/ui/mwi.js", get(assets::element))
        .merge(session::routes())
        .merge(login::routes())
        .merge(unsubscribe::routes())
        .route_layer(DefaultBodyLimit::max(LARGEST_BODY))
        .route_layer(from_fn(crate::http::limit_time))
        .route_layer(from_fn(require_web))
}

/// Without `web` there is nothing here.
async fn require_web(request: Request, next: Next) -> Response {
    let served = request.extensions().get::<App>().is_some_and(|app| app.config().web.is_some());
    if served {
        return next.run(request).await;
    }
    ApiError::new(ProblemKind::UnknownPath, "this tenant has no pages").into_response()
}

#[cfg(test)]
mod tests;
