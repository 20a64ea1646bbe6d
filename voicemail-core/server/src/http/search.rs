//! "My caller left a message, where is it?": for administrators and privacy officers, who see where and when, and
//! neither the caller nor the audio.

use super::agents::private;
use super::extract::{Caller, JsonBody};
use super::times::{check_limit, check_range, parse_time};
use super::{ApiError, App};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_engine::door::operations::SearchMessages;
use voicemail_engine::gdpr::find_caller;
use voicemail_engine::search::{FoundPage, MessageSearch, SearchBy};
use voicemail_model::{AuditSubject, CallerId, MailboxId};

const LONGEST: Duration = Duration::from_secs(7 * 86_400);
const LISTED: u16 = 100;
const MOST_LISTED: u16 = 500;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(search))
}

/// The criterion of the search: a caller, or a range of time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchBody {
    /// The caller's number, in any spelling.
    #[schema(example = "+44 20 7946 0123")]
    caller: Option<String>,
    /// When the call began at the earliest, RFC 3339.
    #[schema(example = "2026-09-21T14:00:00Z")]
    from: Option<String>,
    /// When it began at the latest, RFC 3339; at most seven days after `from`.
    #[schema(example = "2026-09-21T15:00:00Z")]
    to: Option<String>,
    /// In this mailbox alone.
    #[schema(value_type = Option<String>, example = "1001")]
    mailbox: Option<MailboxId>,
    /// At most this many, 1 to 500; 100 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Search messages
///
/// By `caller`, or by `from` and `to`; never both. Messages that an erasure covers aren't found. Every search is
/// recorded, without the number.
#[utoipa::path(
    post, path = "/messages/search", tag = "admin", request_body = SearchBody,
    responses((status = 200, description = "A page of metadata", body = FoundPage)),
)]
async fn search(
    State(app): State<App>,
    caller: Caller<SearchMessages>,
    JsonBody(body): JsonBody<SearchBody>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let core = entry.core();
    let limit = check_limit(body.limit, LISTED, MOST_LISTED)?;
    let (name, by) = match (&body.caller, &body.from, &body.to) {
        (Some(number), None, None) => {
            let short = number.len() <= CallerId::MAX_BYTES && !number.trim().is_empty();
            let invalid = || ApiError::invalid("caller: write 1 to 6144 bytes");
            let number = Some(number).filter(|_| short).ok_or_else(invalid)?;
            ("caller", SearchBy::Caller(find_caller(&core.context, number).await?))
        }
        (None, Some(from), Some(to)) => {
            let (from, to) = (parse_time("from", from)?, parse_time("to", to)?);
            check_range(from, to, LONGEST)?;
            ("time", SearchBy::Time { from, to })
        }
        _ => {
            let detail = "write either caller, or both from and to";
            return Err(ApiError::invalid(detail));
        }
    };
    let asked = MessageSearch { by, mailbox: body.mailbox.clone(), limit, cursor: body.cursor };
    let about = |page: &FoundPage| {
        let messages = u32::try_from(page.messages.len()).ok();
        AuditSubject { mailbox: body.mailbox, by: Some(name.into()), messages, ..AuditSubject::default() }
    };
    let page = entry.act_on(core.mailboxes.search(asked), about).await?;
    Ok(private(page))
}
