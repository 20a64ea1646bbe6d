//! Who the caller is here, and what e-mails tell them.

use super::agents::private;
use super::extract::{Caller, JsonBody};
use super::{ApiError, App};
use axum::extract::State;
use axum::response::Response;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::config::{ClassOfService, EmailContent, Role};
use voicemail_engine::door::operations::{ReadOwnEmail, ReadSelf, SetOwnEmail};
use voicemail_engine::door::{Entry, OnTenant};
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{AuditSubject, EmailAddress, EmailChoice, User};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me)).routes(routes!(own_email, set_own_email))
}

/// The caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MeAnswer {
    /// The user whose mailboxes they open, as claims and histories of messages name them.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Their name in the audit log.
    subject: String,
    /// Their roles.
    #[schema(value_type = Vec<String>, example = json!(["agent"]))]
    roles: Vec<Role>,
    /// Until when what they called with counts, RFC 3339.
    ends_at: String,
}

/// Who the caller is
#[utoipa::path(
    get, path = "/me", tag = "agent",
    responses((status = 200, description = "The caller by token, password or session", body = MeAnswer)),
)]
async fn me(caller: Caller<ReadSelf>) -> Result<Response, ApiError> {
    let who = caller.0;
    Ok(private(MeAnswer {
        user: who.user.map(|user| user.to_string()),
        subject: who.subject,
        roles: who.roles.into_iter().collect(),
        ends_at: who.expires.rfc3339(),
    }))
}

/// The e-mails about new messages to the caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OwnEmail {
    /// Where they go, as provisioned; none are sent when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    address: Option<EmailAddress>,
    /// Whether the mail server has refused the address for good.
    refused: bool,
    /// The most that they may tell: `none`, `note`, `caller`, `link` or `audio`. Provisioning and the mailboxes' classes say it.
    #[schema(value_type = String)]
    allowed: EmailContent,
    /// How much they tell at most by the caller's own choice; as much as is allowed when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    content: Option<EmailContent>,
    /// Minutes that messages wait for others, so that they come as one mail, by the caller's own choice: 0 for each by itself,
    /// and as usual when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_minutes: Option<u16>,
    /// The longest that messages of the caller's mailboxes wait for others if nothing is chosen, as their classes say; 0 for
    /// each by itself.
    usual_digest_minutes: u64,
}

/// A choice for the e-mails to oneself; what is absent isn't chosen, and is as provisioned.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OwnEmailBody {
    /// How much they tell at most: `none`, `note`, `caller`, `link` or `audio`. More than is allowed has no effect.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    content: Option<EmailContent>,
    /// Minutes that messages wait for others, so that they come as one mail, 1 to 1440; 0 for each by itself, and as the
    /// mailboxes' classes say when absent. An urgent one waits for none.
    #[serde(default, deserialize_with = "read_minutes")]
    digest_minutes: Option<u16>,
}

/// What is said of more than a day.
pub(super) const DIGEST_REFUSED: &str = "digestMinutes: write 0 to 1440, or leave it out";

/// At most a day.
fn read_minutes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    match Option::<u16>::deserialize(deserializer)? {
        Some(minutes) if minutes > ClassOfService::LONGEST_DIGEST => Err(D::Error::custom(DIGEST_REFUSED)),
        minutes => Ok(minutes),
    }
}

/// Get what e-mails tell oneself
#[utoipa::path(
    get, path = "/me/email", tag = "agent",
    responses((status = 200, description = "The address, what is allowed, and what was chosen", body = OwnEmail)),
)]
async fn own_email(State(app): State<App>, caller: Caller<ReadOwnEmail>) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let reading = view_own_email(&entry);
    Ok(private(entry.act(AuditSubject::default(), reading).await?))
}

/// Choose what e-mails tell oneself
///
/// It can only be less than is allowed, and stays when the user is provisioned anew.
#[utoipa::path(
    put, path = "/me/email", tag = "agent", request_body = OwnEmailBody,
    responses((status = 200, description = "The e-mails as they are now", body = OwnEmail)),
)]
async fn set_own_email(
    State(app): State<App>,
    caller: Caller<SetOwnEmail>,
    JsonBody(body): JsonBody<OwnEmailBody>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let user = entry.user()?;
    let choose = |user: &User| {
        let choice = user.email_choice.clone();
        Some(EmailChoice { content: body.content, digest_minutes: body.digest_minutes, ..choice })
    };
    let choosing = entry.core().directory.choose_email(user, choose);
    entry.act(AuditSubject::user(user), choosing).await?;
    Ok(private(view_own_email(&entry).await?))
}

async fn view_own_email<O: OnTenant>(entry: &Entry<O>) -> Result<OwnEmail, ApiError> {
    let (directory, user) = (&entry.core().directory, entry.user()?);
    let state = match directory.get_user(user).await {
        Err(MailboxError::Unknown(_)) => Default::default(),
        found => found?,
    };
    let (allowed, usual) = directory.usual_email(user).await?;
    Ok(OwnEmail {
        refused: state.email_refused.is_some(),
        allowed,
        usual_digest_minutes: usual.as_secs() / 60,
        content: state.email_choice.content,
        digest_minutes: state.email_choice.digest_minutes,
        address: state.email,
    })
}
