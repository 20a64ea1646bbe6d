//! Mailboxes by the beginning of their names, for agents who forward: where the tenant allows it.

use super::agents::private;
use super::extract::{Caller, Parameters};
use super::times::check_limit;
use super::{ApiError, App, ProblemKind};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::config::DirectoryAccess;
use voicemail_engine::door::operations::FindMailboxes;
use voicemail_engine::mailbox::{FoundMailbox, Sought};
use voicemail_model::{AuditSubject, MailboxId};

const FOUND: u16 = 10;
const MOST_FOUND: u16 = 50;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find))
}

/// Which mailboxes to find.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FindQuery {
    /// What their names begin with, in upper or lower case; all when absent.
    #[serde(default)]
    #[param(required = false)]
    prefix: String,
    /// At most this many, 1 to 50; 10 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of mailboxes.
#[derive(Serialize, ToSchema)]
struct FoundList {
    /// By name.
    mailboxes: Vec<FoundMailbox>,
    /// Gives the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Find mailboxes by the beginning of their names
///
/// For agents who forward a message, where the tenant's `directory` is open. A mailbox that was just made may be found after a
/// minute.
#[utoipa::path(
    get, path = "/directory", tag = "agent", params(FindQuery),
    responses((status = 200, description = "A page of names and labels", body = FoundList)),
)]
async fn find(
    State(app): State<App>,
    caller: Caller<FindMailboxes>,
    Parameters(query): Parameters<FindQuery>,
) -> Result<Response, ApiError> {
    let limit = check_limit(query.limit, FOUND, MOST_FOUND)?;
    let after: Option<MailboxId> = query.cursor.as_deref().map(str::parse).transpose()?;
    let entry = caller.enter(&app)?;
    entry.user()?;
    if entry.core().context.config().directory == DirectoryAccess::Closed {
        let detail = "the tenant's directory is closed: name mailboxes that you know, or ask its administrator to set directory: open";
        return Err(ApiError::new(ProblemKind::DirectoryClosed, detail));
    }
    let sought = Sought { prefix: &query.prefix, after: after.as_ref(), limit };
    let page = entry.act(AuditSubject::default(), entry.core().directory.find_mailboxes(sought)).await?;
    Ok(private(FoundList { mailboxes: page.items, next: page.next }))
}
