//! Tickets for browsers, which can't send a header with an event stream or an audio element.

use super::extract::{Caller, JsonBody};
use super::{ApiError, App};
use crate::auth::ticket::{TicketPurpose, issue};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_engine::door::operations::{MakeAudioTicket, MakeEventTicket};
use voicemail_model::{MailboxId, MessageId};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(make))
}

/// The purpose of a ticket.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "purpose", rename_all = "camelCase", deny_unknown_fields)]
enum TicketBody {
    /// `GET /mwi/events`.
    Events {},
    /// `GET …/audio` of one message.
    Audio {
        /// Its mailbox.
        #[schema(value_type = String, example = "1001")]
        mailbox: MailboxId,
        /// Its id.
        #[schema(value_type = String, example = "01996a10-1111-7abc-8def-0123456789ab")]
        message: MessageId,
    },
}

/// A ticket.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TicketAnswer {
    /// Goes into the query as `ticket`.
    ticket: String,
    /// Until when it can be used, RFC 3339.
    expires_at: String,
}

/// Make a ticket for a browser
///
/// For a minute it opens, as `?ticket=…` and without a header, the caller's event stream or one message's audio, and
/// nothing else. A stream opened in time goes on afterwards.
#[utoipa::path(
    post, path = "/tickets", tag = "agent", request_body = TicketBody,
    responses((status = 201, description = "A ticket", body = TicketAnswer)),
)]
async fn make(
    State(app): State<App>,
    caller: Caller<MakeEventTicket>,
    JsonBody(body): JsonBody<TicketBody>,
) -> Result<Response, ApiError> {
    let (core, purpose) = match body {
        TicketBody::Events {} => {
            let entry = caller.enter(&app)?;
            entry.user()?;
            (Arc::clone(entry.core()), TicketPurpose::Events)
        }
        TicketBody::Audio { mailbox, message } => {
            let entry = app.core()?.enter_mailbox::<MakeAudioTicket>(&caller.0, &mailbox).await?;
            entry.core().mailboxes.message(&mailbox, message).await?;
            (Arc::clone(entry.core()), TicketPurpose::Audio { mailbox, message })
        }
    };
    let (ticket, until) = issue(core.context.key(), core.context.world(), &caller.0, purpose)?;
    let answer = TicketAnswer { ticket, expires_at: until.rfc3339() };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
