//! The record of who did what, for privacy officers. Administrators don't read it: it is about them, too.

use super::agents::private;
use super::extract::{Caller, Parameters};
use super::times::{check_limit, check_range, parse_time};
use super::{ApiError, App};
use axum::extract::State;
use axum::response::Response;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_engine::audit::AuditQuery;
use voicemail_engine::door::operations::ReadAudit;
use voicemail_model::{AuditAction, AuditEvent, AuditFilter, AuditSubject};

const DAY: Duration = Duration::from_secs(86_400);
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
const LISTED: u16 = 100;
const MOST_LISTED: u16 = 1_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which events to read.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// From then on, RFC 3339; a day before `to` when absent.
    from: Option<String>,
    /// Up to then, RFC 3339, at most 31 days later; now when absent.
    to: Option<String>,
    /// At most this many, 1 to 1000; 100 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Only these acts, separated by commas, such as `listen,forget`.
    #[serde(default, deserialize_with = "read_actions")]
    #[param(value_type = Vec<AuditAction>, style = Form, explode = false, required = false)]
    action: Vec<AuditAction>,
    /// Only what they did, as the record names them; who is asked for by `GET /me` finds it there as `subject`.
    actor: Option<String>,
    /// Only what was done by who acted as this user, or to the user.
    user: Option<String>,
    /// Only what was done to this mailbox.
    mailbox: Option<String>,
    /// Only what was done in this case.
    case: Option<String>,
}

/// Names of acts, separated by commas.
fn read_actions<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<AuditAction>, D::Error> {
    let text = String::deserialize(from)?;
    text.split(',').map(|name| AuditAction::deserialize(name.into_deserializer())).collect()
}

impl ListQuery {
    fn filter(&mut self) -> Result<AuditFilter, ApiError> {
        Ok(AuditFilter {
            actions: std::mem::take(&mut self.action),
            actor: self.actor.take(),
            user: self.user.take().map(|text| text.parse()).transpose()?,
            mailbox: self.mailbox.take().map(|text| text.parse()).transpose()?,
            case: self.case.take().map(|text| text.parse()).transpose()?,
        })
    }
}

/// Something that somebody did.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditEventView {
    /// When, RFC 3339.
    at: String,
    /// A service account's name, a digest of issuer and subject, or whom the operator decided for; `telephone` for the
    /// holder of a PIN.
    actor: String,
    /// The user whose mailboxes they opened, if they act as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The act.
    action: AuditAction,
    /// To what.
    subject: AuditSubject,
}

impl From<AuditEvent> for AuditEventView {
    fn from(event: AuditEvent) -> Self {
        let user = event.user.map(|user| user.to_string());
        Self {
            at: event.at.rfc3339(),
            actor: event.actor,
            user,
            action: event.action,
            subject: event.subject,
        }
    }
}

/// A page of the record.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// Oldest first. With a filter a page may have fewer than its limit, or none, and another behind it.
    events: Vec<AuditEventView>,
    /// Gives the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Read who listened, searched, exported and erased
///
/// Oldest first. Reading it is recorded, too. A page looks at as many events as its limit says and shows those that pass the
/// filter: follow `next` until it is absent.
#[utoipa::path(
    get, path = "/audit", tag = "privacy", params(ListQuery),
    responses((status = 200, description = "A page of events, without numbers", body = AuditPage)),
)]
async fn list(
    State(app): State<App>,
    caller: Caller<ReadAudit>,
    Parameters(mut query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let context = &entry.core().context;
    let limit = check_limit(query.limit, LISTED, MOST_LISTED)?;
    let to = query.to.as_deref().map(|text| parse_time("to", text)).transpose()?;
    let to = to.unwrap_or_else(|| context.world().now());
    let from = query.from.as_deref().map(|text| parse_time("from", text)).transpose()?;
    let from = from.unwrap_or_else(|| to.minus(DAY));
    check_range(from, to, LONGEST)?;
    let filter = query.filter()?;
    let asked = AuditQuery { from, to, cursor: query.cursor, limit };
    let page = entry.act(AuditSubject::default(), context.audit().page(asked)).await?;
    let events = page.events.into_iter().filter(|event| event.passes(&filter)).map(Into::into).collect();
    Ok(private(AuditPage { events, next: page.next }))
}
