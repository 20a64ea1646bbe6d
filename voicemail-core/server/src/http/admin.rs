//! Administrators' operations: provisioning of mailboxes, users and groups. Not listening.

use super::conditions::{read_precondition, tagged};
use super::extract::{Caller, JsonBody, Name, Parameters};
use super::{ApiError, App};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::config::EmailContent;
use voicemail_api::mailboxes::MailboxView;
use voicemail_engine::door::Entry;
use voicemail_engine::door::operations::{
    DeleteGroup, DeleteMailbox, DeleteUser, PutGroup, PutMailbox, PutUser, ReadGroup, ReadMailbox, ReadUser,
};
use voicemail_model::{
    AuditSubject, EmailAddress, EmailRefused, Group, GroupId, MailboxId, Time, User, UserId,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(put_mailbox, get_mailbox, delete_mailbox))
        .routes(routes!(put_user, get_user, delete_user))
        .routes(routes!(put_user_by_name, delete_user_by_name))
        .routes(routes!(put_group, get_group, delete_group))
}

/// Settings of a mailbox.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MailboxBody {
    /// One of the tenant's; `standard` when absent.
    class_of_service: Option<String>,
    /// The box's display name.
    label: Option<String>,
}

/// Make a mailbox or change its settings
#[utoipa::path(
    put, path = "/mailboxes/{mailbox}", tag = "admin",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("If-Match" = Option<String>, Header, description = "Entity tags; only if it is in such a state, or a star: only if it is there"),
        ("If-None-Match" = Option<String>, Header, description = "A star: only if it isn't there"),
    ),
    request_body = MailboxBody,
    responses(
        (status = 200, description = "The mailbox as it is now, with the entity tag of its settings", body = MailboxView),
    ),
)]
async fn put_mailbox(
    State(app): State<App>,
    caller: Caller<PutMailbox>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<MailboxBody>,
) -> Result<Response, ApiError> {
    let expected = read_precondition(&headers)?;
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let directory = &entry.core().directory;
    let putting = directory.put_mailbox_if(&mailbox, body.class_of_service, body.label, &expected);
    let view = entry.act(AuditSubject::mailbox(&mailbox), putting).await?;
    Ok(tagged(&directory.mailbox_tag(&mailbox).await?, view))
}

/// Get a mailbox
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}", tag = "admin",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 200, description = "Settings and use, with the entity tag of the settings", body = MailboxView)),
)]
async fn get_mailbox(
    State(app): State<App>,
    caller: Caller<ReadMailbox>,
    Name(mailbox): Name<MailboxId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let directory = &entry.core().directory;
    // The tag first: a change that comes between makes it the older one, which matches nothing.
    let tag = directory.mailbox_tag(&mailbox).await?;
    let reading = directory.get_mailbox(&mailbox);
    Ok(tagged(&tag, entry.act(AuditSubject::mailbox(&mailbox), reading).await?))
}

/// Delete a mailbox and its messages
///
/// Messages that an open erasure covers go when that is decided.
#[utoipa::path(
    delete, path = "/mailboxes/{mailbox}", tag = "admin",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses((status = 204, description = "Closed")),
)]
async fn delete_mailbox(
    State(app): State<App>,
    caller: Caller<DeleteMailbox>,
    Name(mailbox): Name<MailboxId>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    entry.act(AuditSubject::mailbox(&mailbox), entry.core().directory.delete_mailbox(&mailbox)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A user's mailboxes and groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserBody {
    /// Personal mailboxes, at most 10.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub mailboxes: Vec<MailboxId>,
    /// Groups that the user belongs to, at most 100.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub groups: Vec<GroupId>,
    /// The groups, out of these, whose mailbox the user may only look at and listen to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub read_only_groups: BTreeSet<GroupId>,
    /// Where e-mails about new messages go, as far as the mailboxes' classes allow any: one address in ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub email: Option<EmailAddress>,
    /// Language of e-mails, such as `de` or `de-AT`; English when absent, or when it is none of German, English, Spanish, French
    /// and Italian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How much e-mails tell at most: `none`, `note`, `caller`, `link` or `audio`. A mailbox's class may allow less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub email_content: Option<EmailContent>,
    /// How much e-mails tell at most by the user's own choice, `PUT /me/email`. Told, not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub email_chosen: Option<EmailContent>,
    /// When the mail server refused the address for good; nothing is sent to it until it is changed. Told, not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_refused: Option<EmailRefusedBody>,
}

/// An address that the mail server refused for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmailRefusedBody {
    /// When, RFC 3339.
    #[serde(deserialize_with = "read_moment")]
    pub at: String,
    /// The server's reply code, such as 550.
    #[serde(deserialize_with = "read_refusal")]
    pub code: u16,
}

/// What is said of a text that is no moment, and of a reply code that refuses nothing.
pub(super) const MOMENT_REFUSED: &str = "at: write a time of RFC 3339, such as 2026-01-31T10:00:00Z";
pub(super) const CODE_REFUSED: &str = "code: write a reply code from 400 to 599";

/// A moment, as it was written.
fn read_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Time::from_rfc3339(&text) {
        Some(_) => Ok(text),
        None => Err(D::Error::custom(MOMENT_REFUSED)),
    }
}

/// A reply code that refuses (RFC 5321, 4.2.1).
fn read_refusal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let code = u16::deserialize(deserializer)?;
    match code {
        400..=599 => Ok(code),
        _ => Err(D::Error::custom(CODE_REFUSED)),
    }
}

impl From<EmailRefused> for EmailRefusedBody {
    fn from(refused: EmailRefused) -> Self {
        Self { at: refused.at.rfc3339(), code: refused.code }
    }
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            mailboxes: user.mailboxes,
            groups: user.groups,
            read_only_groups: user.read_only_groups,
            email: user.email,
            language: user.language,
            email_content: user.email_content,
            email_chosen: user.email_choice.content,
            email_refused: user.email_refused.map(EmailRefusedBody::from),
        }
    }
}

/// Make or replace a user
#[utoipa::path(
    put, path = "/users/{user}", tag = "admin",
    params(
        ("user" = String, Path, description = "User, as the token's user claim names them"),
        ("If-Match" = Option<String>, Header, description = "Entity tags; only if it is in such a state, or a star: only if it is there"),
        ("If-None-Match" = Option<String>, Header, description = "A star: only if it isn't there"),
    ),
    request_body = UserBody,
    responses(
        (status = 200, description = "The user as it is now, with an entity tag", body = UserBody),
    ),
)]
async fn put_user(
    State(app): State<App>,
    caller: Caller<PutUser>,
    Name(user): Name<UserId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<UserBody>,
) -> Result<Response, ApiError> {
    provision(&caller.enter(&app)?, &user, &headers, body).await
}

/// Which user.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// The user, as the token's user claim names them.
    name: String,
}

/// Make or replace a user, named in the query
///
/// For names with a slash: some proxies decode it in a path.
#[utoipa::path(
    put, path = "/users", tag = "admin",
    params(
        NameQuery,
        ("If-Match" = Option<String>, Header, description = "Entity tags; only if it is in such a state, or a star: only if it is there"),
        ("If-None-Match" = Option<String>, Header, description = "A star: only if it isn't there"),
    ),
    request_body = UserBody,
    responses(
        (status = 200, description = "The user as it is now, with an entity tag", body = UserBody),
    ),
)]
async fn put_user_by_name(
    State(app): State<App>,
    caller: Caller<PutUser>,
    Parameters(query): Parameters<NameQuery>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<UserBody>,
) -> Result<Response, ApiError> {
    provision(&caller.enter(&app)?, &query.name.parse()?, &headers, body).await
}

/// Remove a user, named in the query
///
/// Their mailboxes stay.
#[utoipa::path(
    delete, path = "/users", tag = "admin", params(NameQuery),
    responses((status = 204, description = "Removed")),
)]
async fn delete_user_by_name(
    State(app): State<App>,
    caller: Caller<DeleteUser>,
    Parameters(query): Parameters<NameQuery>,
) -> Result<StatusCode, ApiError> {
    remove(&caller.enter(&app)?, &query.name.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(entry: &Entry<DeleteUser>, user: &UserId) -> Result<(), ApiError> {
    Ok(entry.act(AuditSubject::user(user), entry.core().directory.delete_user(user)).await?)
}

async fn provision(
    entry: &Entry<PutUser>,
    user: &UserId,
    headers: &HeaderMap,
    body: UserBody,
) -> Result<Response, ApiError> {
    let expected = read_precondition(headers)?;
    let new = User {
        mailboxes: body.mailboxes,
        groups: body.groups,
        read_only_groups: body.read_only_groups,
        email: body.email,
        language: body.language,
        email_content: body.email_content,
        ..User::default()
    };
    let directory = &entry.core().directory;
    let subject = AuditSubject {
        mailboxes: new.mailboxes.clone(),
        groups: new.groups.clone(),
        ..AuditSubject::user(user)
    };
    let user_now = entry.act(subject, directory.put_user_if(user, new, &expected)).await?;
    Ok(tagged(&directory.user_tag(user, &user_now), UserBody::from(user_now)))
}

/// Get a user
#[utoipa::path(
    get, path = "/users/{user}", tag = "admin", params(("user" = String, Path, description = "User")),
    responses((status = 200, description = "Mailboxes and groups, with an entity tag", body = UserBody)),
)]
async fn get_user(
    State(app): State<App>,
    caller: Caller<ReadUser>,
    Name(user): Name<UserId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let directory = &entry.core().directory;
    let found = entry.act(AuditSubject::user(&user), directory.get_user(&user)).await?;
    Ok(tagged(&directory.user_tag(&user, &found), UserBody::from(found)))
}

/// Remove a user
///
/// Their mailboxes stay.
#[utoipa::path(
    delete, path = "/users/{user}", tag = "admin", params(("user" = String, Path, description = "User")),
    responses((status = 204, description = "Removed")),
)]
async fn delete_user(
    State(app): State<App>,
    caller: Caller<DeleteUser>,
    Name(user): Name<UserId>,
) -> Result<StatusCode, ApiError> {
    remove(&caller.enter(&app)?, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A group's mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupBody {
    /// The mailbox that the members share.
    #[schema(value_type = String)]
    pub mailbox: MailboxId,
}

impl From<Group> for GroupBody {
    fn from(group: Group) -> Self {
        Self { mailbox: group.mailbox }
    }
}

/// Make or replace a group
#[utoipa::path(
    put, path = "/groups/{group}", tag = "admin",
    params(
        ("group" = String, Path, description = "Group"),
        ("If-Match" = Option<String>, Header, description = "Entity tags; only if it is in such a state, or a star: only if it is there"),
        ("If-None-Match" = Option<String>, Header, description = "A star: only if it isn't there"),
    ),
    request_body = GroupBody,
    responses(
        (status = 200, description = "The group as it is now, with an entity tag", body = GroupBody),
    ),
)]
async fn put_group(
    State(app): State<App>,
    caller: Caller<PutGroup>,
    Name(group): Name<GroupId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<GroupBody>,
) -> Result<Response, ApiError> {
    let expected = read_precondition(&headers)?;
    let new = Group::sharing(body.mailbox);
    let entry = caller.enter(&app)?;
    let directory = &entry.core().directory;
    let subject = AuditSubject { mailbox: Some(new.mailbox.clone()), ..AuditSubject::group(&group) };
    let group_now = entry.act(subject, directory.put_group_if(&group, new, &expected)).await?;
    Ok(tagged(&directory.group_tag(&group, &group_now), GroupBody::from(group_now)))
}

/// Get a group
#[utoipa::path(
    get, path = "/groups/{group}", tag = "admin", params(("group" = String, Path, description = "Group")),
    responses((status = 200, description = "Its mailbox, with an entity tag", body = GroupBody)),
)]
async fn get_group(
    State(app): State<App>,
    caller: Caller<ReadGroup>,
    Name(group): Name<GroupId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter(&app)?;
    let directory = &entry.core().directory;
    let found = entry.act(AuditSubject::group(&group), directory.get_group(&group)).await?;
    Ok(tagged(&directory.group_tag(&group, &found), GroupBody::from(found)))
}

/// Remove a group
///
/// Its mailbox stays.
#[utoipa::path(
    delete, path = "/groups/{group}", tag = "admin", params(("group" = String, Path, description = "Group")),
    responses((status = 204, description = "Removed")),
)]
async fn delete_group(
    State(app): State<App>,
    caller: Caller<DeleteGroup>,
    Name(group): Name<GroupId>,
) -> Result<StatusCode, ApiError> {
    let entry = caller.enter(&app)?;
    entry.act(AuditSubject::group(&group), entry.core().directory.delete_group(&group)).await?;
    Ok(StatusCode::NO_CONTENT)
}
