//! Lists of what is provisioned, for administrators.

use super::agents::private;
use super::conditions::tagged;
use super::extract::{Caller, Parameters};
use super::times::check_limit;
use super::{ApiError, App, ProblemKind};
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_api::mailboxes::MailboxList;
use voicemail_engine::door::operations::ListProvisioning;
use voicemail_engine::mailbox::MailboxError;
use voicemail_model::{AuditSubject, Group, GroupId, MailboxId, User, UserId};

const LISTED: u16 = 50;
const MOST_LISTED: u16 = 200;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(mailboxes)).routes(routes!(users)).routes(routes!(groups))
}

/// Which page to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A user with their name.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListedUser {
    /// The user.
    user: String,
    /// Personal mailboxes.
    mailboxes: Vec<MailboxId>,
    /// Groups that the user belongs to.
    groups: Vec<GroupId>,
    /// The groups, out of these, whose mailbox the user may only look at and listen to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<GroupId>)]
    read_only_groups: BTreeSet<GroupId>,
}

/// A page of users.
#[derive(Serialize, ToSchema)]
struct UserList {
    /// In an order of their own.
    users: Vec<ListedUser>,
    /// Gives the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A group with its name.
#[derive(Serialize, ToSchema)]
struct ListedGroup {
    /// The group.
    group: String,
    /// Its mailbox.
    mailbox: MailboxId,
}

/// A page of groups.
#[derive(Serialize, ToSchema)]
struct GroupList {
    /// By name.
    groups: Vec<ListedGroup>,
    /// Gives the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List mailboxes
#[utoipa::path(
    get, path = "/mailboxes", tag = "admin", params(PageQuery),
    responses((status = 200, description = "A page of settings and use", body = MailboxList)),
)]
async fn mailboxes(
    State(app): State<App>,
    caller: Caller<ListProvisioning>,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Response, ApiError> {
    let limit = check_limit(query.limit, LISTED, MOST_LISTED)?;
    let after: Option<MailboxId> = query.cursor.as_deref().map(str::parse).transpose()?;
    let entry = caller.enter(&app)?;
    let listing = entry.core().directory.list_mailboxes(after.as_ref(), limit);
    let page = entry.act(AuditSubject::default(), listing).await?;
    Ok(private(MailboxList { mailboxes: page.items, next: page.next }))
}

/// Which users to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UserQuery {
    /// At most this many, 1 to 200; 50 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Only the user of this name, byte for byte.
    name: Option<String>,
}

/// List users, or find one by name
///
/// With a name the list has that user or nobody; the answer's entity tag is the user's then.
#[utoipa::path(
    get, path = "/users", tag = "admin", params(UserQuery),
    responses((status = 200, description = "A page of users with their mailboxes and groups", body = UserList)),
)]
async fn users(
    State(app): State<App>,
    caller: Caller<ListProvisioning>,
    Parameters(query): Parameters<UserQuery>,
) -> Result<Response, ApiError> {
    let limit = check_limit(query.limit, LISTED, MOST_LISTED)?;
    let entry = caller.enter(&app)?;
    let directory = &entry.core().directory;
    if let Some(name) = query.name {
        let name: UserId = name.parse()?;
        return match entry.act(AuditSubject::user(&name), directory.get_user(&name)).await {
            Ok(user) => {
                let tag = directory.user_tag(&name, &user);
                Ok(tagged(&tag, UserList { users: vec![listed((name, user))], next: None }))
            }
            Err(MailboxError::Unknown(_)) => Ok(private(UserList { users: Vec::new(), next: None })),
            Err(error) => Err(error.into()),
        };
    }
    if query.cursor.as_deref().is_some_and(|cursor| !UserId::is_key(cursor)) {
        return Err(ApiError::new(ProblemKind::InvalidName, "cursor: use `next` of the page before"));
    }
    let listing = directory.list_users(query.cursor.as_deref(), limit);
    let page = entry.act(AuditSubject::default(), listing).await?;
    Ok(private(UserList { users: page.items.into_iter().map(listed).collect(), next: page.next }))
}

fn listed((user, of): (UserId, User)) -> ListedUser {
    ListedUser {
        user: user.to_string(),
        mailboxes: of.mailboxes,
        groups: of.groups,
        read_only_groups: of.read_only_groups,
    }
}

/// List groups
#[utoipa::path(
    get, path = "/groups", tag = "admin", params(PageQuery),
    responses((status = 200, description = "A page of groups with their mailboxes", body = GroupList)),
)]
async fn groups(
    State(app): State<App>,
    caller: Caller<ListProvisioning>,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Response, ApiError> {
    let limit = check_limit(query.limit, LISTED, MOST_LISTED)?;
    let after: Option<GroupId> = query.cursor.as_deref().map(str::parse).transpose()?;
    let entry = caller.enter(&app)?;
    let listing = entry.core().directory.list_groups(after.as_ref(), limit);
    let page = entry.act(AuditSubject::default(), listing).await?;
    let named = |(group, of): (GroupId, Group)| ListedGroup { group: group.to_string(), mailbox: of.mailbox };
    Ok(private(GroupList { groups: page.items.into_iter().map(named).collect(), next: page.next }))
}
