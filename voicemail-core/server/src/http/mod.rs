//! The HTTP API, `/api/v1`: routes by audience, one place for errors, and the OpenAPI document.
//!
//! ```text
//! request ─▶ access log + metrics ─▶ CORS ─▶ rate ─▶ route ─▶ role (extractor) ─▶ names, body ─▶ service ─▶ answer
//!                                             └──────────── any failure ──▶ problem document
//! ```
//!
//! Every handler takes a `Caller` first, which names the roles that may call it. Uploads
//! and downloads have no time limit as a whole, only one between two chunks; all else has 30 s.
//!
//! No caller's number ever stands in a URL; no URI, header or body is ever logged.

mod access;
mod admin;
mod agents;
mod app;
mod audio;
mod audit;
mod browser;
mod cases;
mod conditions;
mod converted;
mod decoration;
mod directory;
mod document;
mod doubled;
mod drain;
mod events;
mod extract;
mod form;
mod forward;
mod fronts;
mod gate;
mod greetings;
mod listing;
mod me;
mod page;
mod pins;
mod privacy;
mod problem;
mod proofs;
mod range;
mod rates;
mod reception;
mod schedules;
mod search;
mod senders;
mod stall;
mod telephony;
mod tickets;
mod times;
mod upload;

pub(crate) use access::limit_time;
pub use admin::{GroupBody, UserBody};
pub use agents::OwnMailboxes;
pub use app::{App, Stage};
pub(crate) use browser::Framed;
pub use document::openapi;
pub(crate) use extract::{JsonBody, Parameters};
pub use form::Note;
pub(crate) use page::{SESSION_COOKIE, check_page, cookie};
pub use problem::{ApiError, ProblemKind};
pub(crate) use rates::{check_refusals, client_of, note_refusal, peer_of};
pub use telephony::DepositAnswer;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa_axum::router::OpenApiRouter;

/// Where the API begins.
pub const PREFIX: &str = "/api/v1";

/// The largest JSON body.
const LARGEST_BODY: usize = 1024 * 1024;

/// The API over an app; needs no port.
pub fn router(app: App) -> Router {
    router_beside(app, Router::new())
}

/// The API, and other routes that are logged, counted, limited and given headers as its are.
pub fn router_beside(app: App, others: Router<App>) -> Router {
    let (routes, _) = routes().split_for_parts();
    routes
        .merge(others)
        .fallback(problem::unknown_path)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(from_fn_with_state(app.clone(), rates::limit_address))
        .layer(from_fn(doubled::refuse_doubled))
        .layer(from_fn(drain::read_rest_of_refused))
        .layer(browser::cors(app.clone()))
        .layer(from_fn_with_state(app.clone(), browser::add_headers))
        .layer(from_fn_with_state(app.clone(), access::record))
        .layer(axum::Extension(app.clone()))
        .with_state(app)
}

/// All routes with their documentation.
fn routes() -> OpenApiRouter<App> {
    let short = OpenApiRouter::new()
        .merge(agents::routes())
        .merge(admin::routes())
        .merge(listing::routes())
        .merge(directory::routes())
        .merge(pins::routes())
        .merge(reception::routes())
        .merge(greetings::routes())
        .merge(schedules::routes())
        .merge(privacy::routes())
        .merge(proofs::routes())
        .merge(tickets::routes())
        .merge(events::watches())
        .merge(fronts::routes())
        .merge(search::routes())
        .merge(me::routes())
        .merge(audit::routes())
        .route_layer(from_fn(access::limit_time))
        .route_layer(DefaultBodyLimit::max(LARGEST_BODY));
    let long = OpenApiRouter::new()
        .merge(telephony::uploads())
        .merge(agents::downloads())
        .merge(greetings::streams())
        .merge(events::routes())
        .merge(privacy::downloads())
        .route_layer(DefaultBodyLimit::disable());
    OpenApiRouter::new().nest(PREFIX, short.merge(long))
}

#[cfg(test)]
pub(crate) mod tests;
