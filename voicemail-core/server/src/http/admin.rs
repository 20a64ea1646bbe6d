//! Administrators' operations: provisioning of mailboxes, users and groups. Not listening.

use super::conditions::{read_precondition, tagged};
use super::extract::{Admins, Caller, JsonBody, Name, Parameters};
use super::{ApiError, App};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::gdpr::Problem;
use voicemail_engine::mailbox::MailboxView;
use voicemail_model::{AuditAction, AuditSubject, Group, GroupId, MailboxId, User, UserId};

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
        (status = 412, description = "It isn't in the state that was named", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_mailbox(
    State(app): State<App>,
    _: Caller<Admins>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<MailboxBody>,
) -> Result<Response, ApiError> {
    let expected = read_precondition(&headers)?;
    let directory = &app.core()?.directory;
    let view = directory.put_mailbox_if(&mailbox, body.class_of_service, body.label, &expected).await?;
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
    _: Caller<Admins>,
    Name(mailbox): Name<MailboxId>,
) -> Result<Response, ApiError> {
    let directory = &app.core()?.directory;
    // The tag first: a change that comes between makes it the older one, which matches nothing.
    let tag = directory.mailbox_tag(&mailbox).await?;
    Ok(tagged(&tag, directory.get_mailbox(&mailbox).await?))
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
    caller: Caller<Admins>,
    Name(mailbox): Name<MailboxId>,
) -> Result<StatusCode, ApiError> {
    let core = app.core()?;
    core.directory.delete_mailbox(&mailbox).await?;
    let subject = AuditSubject::mailbox(&mailbox);
    core.context.audit().record(&caller.0, AuditAction::DeleteMailbox, subject).await?;
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
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self { mailboxes: user.mailboxes, groups: user.groups, read_only_groups: user.read_only_groups }
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
        (status = 412, description = "It isn't in the state that was named", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_user(
    State(app): State<App>,
    _: Caller<Admins>,
    Name(user): Name<UserId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<UserBody>,
) -> Result<Response, ApiError> {
    provision(&app, &user, &headers, body).await
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
        (status = 412, description = "It isn't in the state that was named", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_user_by_name(
    State(app): State<App>,
    _: Caller<Admins>,
    Parameters(query): Parameters<NameQuery>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<UserBody>,
) -> Result<Response, ApiError> {
    provision(&app, &query.name.parse()?, &headers, body).await
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
    _: Caller<Admins>,
    Parameters(query): Parameters<NameQuery>,
) -> Result<StatusCode, ApiError> {
    app.core()?.directory.delete_user(&query.name.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn provision(
    app: &App,
    user: &UserId,
    headers: &HeaderMap,
    body: UserBody,
) -> Result<Response, ApiError> {
    let expected = read_precondition(headers)?;
    let new = User {
        mailboxes: body.mailboxes,
        groups: body.groups,
        read_only_groups: body.read_only_groups,
        ..User::default()
    };
    let directory = &app.core()?.directory;
    let user_now = directory.put_user_if(user, new, &expected).await?;
    Ok(tagged(&directory.user_tag(user, &user_now), UserBody::from(user_now)))
}

/// Get a user
#[utoipa::path(
    get, path = "/users/{user}", tag = "admin", params(("user" = String, Path, description = "User")),
    responses((status = 200, description = "Mailboxes and groups, with an entity tag", body = UserBody)),
)]
async fn get_user(
    State(app): State<App>,
    _: Caller<Admins>,
    Name(user): Name<UserId>,
) -> Result<Response, ApiError> {
    let directory = &app.core()?.directory;
    let found = directory.get_user(&user).await?;
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
    _: Caller<Admins>,
    Name(user): Name<UserId>,
) -> Result<StatusCode, ApiError> {
    app.core()?.directory.delete_user(&user).await?;
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
        (status = 412, description = "It isn't in the state that was named", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_group(
    State(app): State<App>,
    _: Caller<Admins>,
    Name(group): Name<GroupId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<GroupBody>,
) -> Result<Response, ApiError> {
    let expected = read_precondition(&headers)?;
    let new = Group::sharing(body.mailbox);
    let directory = &app.core()?.directory;
    let group_now = directory.put_group_if(&group, new, &expected).await?;
    Ok(tagged(&directory.group_tag(&group, &group_now), GroupBody::from(group_now)))
}

/// Get a group
#[utoipa::path(
    get, path = "/groups/{group}", tag = "admin", params(("group" = String, Path, description = "Group")),
    responses((status = 200, description = "Its mailbox, with an entity tag", body = GroupBody)),
)]
async fn get_group(
    State(app): State<App>,
    _: Caller<Admins>,
    Name(group): Name<GroupId>,
) -> Result<Response, ApiError> {
    let directory = &app.core()?.directory;
    let found = directory.get_group(&group).await?;
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
    _: Caller<Admins>,
    Name(group): Name<GroupId>,
) -> Result<StatusCode, ApiError> {
    app.core()?.directory.delete_group(&group).await?;
    Ok(StatusCode::NO_CONTENT)
}
