//! Forwarding a message to other mailboxes, one by one; each target takes its copy or says why not.

use super::agents::private;
use super::extract::{Caller, JsonBody, Names};
use super::telephony::IdempotencyKey;
use super::{ApiError, App};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::gdpr::Problem;
use voicemail_engine::core::Core;
use voicemail_engine::door::operations::ForwardMessage;
use voicemail_engine::mailbox::{ForwardRequest, MailboxError};
use voicemail_model::{AuditSubject, MailboxId, MessageId};
use voicemail_store::ErrorClass;

/// Mailboxes that one request may name.
const MOST_TARGETS: usize = 20;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(forward))
}

/// Where to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForwardBody {
    /// Mailboxes, 1 to 20.
    #[schema(value_type = Vec<String>)]
    to: Vec<MailboxId>,
}

/// The outcome of a forward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct ForwardAnswer {
    /// The copies that were made.
    forwarded: Vec<ForwardedCopy>,
    /// Mailboxes that took none, and why.
    refused: Vec<RefusedCopy>,
}

/// A copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct ForwardedCopy {
    /// Its mailbox.
    #[schema(value_type = String)]
    mailbox: MailboxId,
    /// Its id there.
    #[schema(value_type = String)]
    id: MessageId,
}

/// A mailbox that took no copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct RefusedCopy {
    /// The mailbox.
    #[schema(value_type = String)]
    mailbox: MailboxId,
    /// Why.
    problem: Problem,
}

/// Forward a message
///
/// Puts a copy into one or several mailboxes of the tenant. A copy keeps the caller and the time of the original, and
/// so expires by its age; a request to forget the caller covers it. Repeat the request with the same
/// Idempotency-Key until it is answered: each mailbox gets one copy.
#[utoipa::path(
    post, path = "/mailboxes/{mailbox}/messages/{id}/forward", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"), ("id" = String, Path, description = "Message"),
        ("Idempotency-Key" = Option<String>, Header, description = "One for each time that somebody forwards, 1 to 255 visible characters; made if absent"),
    ),
    request_body = ForwardBody,
    responses((status = 200, description = "Which mailboxes took a copy, and which didn't", body = ForwardAnswer)),
)]
async fn forward(
    State(app): State<App>,
    caller: Caller<ForwardMessage>,
    Names(mailbox, id): Names<MailboxId, MessageId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ForwardBody>,
) -> Result<Response, ApiError> {
    if body.to.is_empty() || body.to.len() > MOST_TARGETS || body.to.contains(&mailbox) {
        let detail = "to: name 1 to 20 mailboxes, and not the message's own";
        return Err(ApiError::invalid(detail));
    }
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let core = entry.core();
    core.mailboxes.message(&mailbox, id).await?;
    let key = match IdempotencyKey::read(&headers)? {
        Some(key) => key.id(core, (&format!("forward {id}"), &mailbox, &caller.0.subject), None).await?,
        None => core.mailboxes.new_id(),
    };
    let mut answer = ForwardAnswer { forwarded: Vec::new(), refused: Vec::new() };
    for to in body.to {
        let by = caller.actor()?;
        let request = ForwardRequest { from: mailbox.clone(), id, to, key, by };
        let subject =
            AuditSubject { mailboxes: vec![request.to.clone()], ..AuditSubject::message(&mailbox, id) };
        // Each copy by itself: if the next one fails, this one was made.
        entry.act(subject, forward_one(core, request, &mut answer)).await?;
    }
    Ok(private(answer))
}

/// Forwards to one mailbox. An error that a repetition may mend ends the request; a refusal by this mailbox alone
/// doesn't.
async fn forward_one(
    core: &Core,
    request: ForwardRequest,
    answer: &mut ForwardAnswer,
) -> Result<(), ApiError> {
    match core.mailboxes.forward(&request).await {
        Ok(copy) => answer.forwarded.push(ForwardedCopy { mailbox: request.to, id: copy.id }),
        Err(error @ (MailboxError::UnknownMessage | MailboxError::IdOutOfTime)) => return Err(error.into()),
        Err(error) if error.class() == ErrorClass::Permanent => {
            let problem = ApiError::from(error).document();
            answer.refused.push(RefusedCopy { mailbox: request.to, problem });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
