//! When a mailbox's alternate greeting is played: set by its owners and by administrators.

use super::conditions::{read_precondition, tagged};
use super::extract::{Caller, JsonBody, Name};
use super::{ApiError, App};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use voicemail_engine::door::operations::{ReadSchedule, SetSchedule};
use voicemail_model::{AuditSubject, DateRange, Day, MailboxId, Schedule, WeeklyWindow};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(schedule, set_schedule, remove_schedule))
}

/// When an alternate greeting is played, by the mailbox's own clock: in any of the windows or on any of the days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleBody {
    /// Windows of each week, at most 100.
    #[serde(default)]
    weekly: Vec<WindowBody>,
    /// Whole days, such as holidays, at most 100 ranges.
    #[serde(default)]
    dates: Vec<DatesBody>,
}

/// From a time of these days to another; an end that isn't later than the beginning is on the next day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WindowBody {
    /// The days on which it begins.
    #[schema(value_type = Vec<Day>)]
    days: BTreeSet<Day>,
    /// Its beginning.
    #[schema(value_type = String, example = "18:00:00")]
    from: jiff::civil::Time,
    /// Its end, not counted.
    #[schema(value_type = String, example = "08:00:00")]
    to: jiff::civil::Time,
}

/// Days from one to another, both counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DatesBody {
    /// First day.
    #[schema(value_type = String, example = "2026-12-24")]
    from: jiff::civil::Date,
    /// Last day.
    #[schema(value_type = String, example = "2026-12-26")]
    to: jiff::civil::Date,
}

impl From<ScheduleBody> for Schedule {
    fn from(body: ScheduleBody) -> Self {
        let window = |WindowBody { days, from, to }| WeeklyWindow { days, from, to, unknown: Map::new() };
        let range = |DatesBody { from, to }| DateRange { from, to, unknown: Map::new() };
        Self {
            weekly: body.weekly.into_iter().map(window).collect(),
            dates: body.dates.into_iter().map(range).collect(),
            unknown: Map::new(),
        }
    }
}

impl From<Schedule> for ScheduleBody {
    fn from(schedule: Schedule) -> Self {
        let window = |WeeklyWindow { days, from, to, .. }| WindowBody { days, from, to };
        let range = |DateRange { from, to, .. }| DatesBody { from, to };
        Self {
            weekly: schedule.weekly.into_iter().map(window).collect(),
            dates: schedule.dates.into_iter().map(range).collect(),
        }
    }
}

/// Get when the alternate greeting is played
#[utoipa::path(
    get, path = "/mailboxes/{mailbox}/greetings/alternate/schedule", tag = "agent",
    params(("mailbox" = String, Path, description = "Mailbox")),
    responses(
        (status = 200, description = "The schedule, with its entity tag", body = ScheduleBody),
        (status = 204, description = "There is none: the alternate greeting is played as long as it is there"),
    ),
)]
async fn schedule(
    State(app): State<App>,
    caller: Caller<ReadSchedule>,
    Name(mailbox): Name<MailboxId>,
) -> Result<Response, ApiError> {
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let directory = &entry.core().directory;
    Ok(match entry.act(AuditSubject::mailbox(&mailbox), directory.schedule(&mailbox)).await? {
        Some(schedule) => tagged(&directory.schedule_tag(&mailbox, &schedule), ScheduleBody::from(schedule)),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Set when the alternate greeting is played
///
/// Times are those of the mailbox's time zone.
#[utoipa::path(
    put, path = "/mailboxes/{mailbox}/greetings/alternate/schedule", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("If-Match" = Option<String>, Header, description = "Entity tags; only if it is in such a state, or a star: only if it is there"),
        ("If-None-Match" = Option<String>, Header, description = "A star: only if it isn't there"),
    ),
    request_body = ScheduleBody,
    responses((status = 200, description = "The schedule as it is now, with its entity tag", body = ScheduleBody)),
)]
async fn set_schedule(
    State(app): State<App>,
    caller: Caller<SetSchedule>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ScheduleBody>,
) -> Result<Response, ApiError> {
    let expected = read_precondition(&headers)?;
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let (directory, schedule) = (&entry.core().directory, Schedule::from(body.clone()));
    let tag = directory.schedule_tag(&mailbox, &schedule);
    let setting = directory.set_schedule(&mailbox, Some(schedule), &expected);
    entry.act(AuditSubject::mailbox(&mailbox), setting).await?;
    Ok(tagged(&tag, body))
}

/// Play the alternate greeting as long as it is there
#[utoipa::path(
    delete, path = "/mailboxes/{mailbox}/greetings/alternate/schedule", tag = "agent",
    params(
        ("mailbox" = String, Path, description = "Mailbox"),
        ("If-Match" = Option<String>, Header, description = "Entity tags; only if it is in such a state, or a star: only if it is there"),
    ),
    responses((status = 204, description = "There is no schedule")),
)]
async fn remove_schedule(
    State(app): State<App>,
    caller: Caller<SetSchedule>,
    Name(mailbox): Name<MailboxId>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let expected = read_precondition(&headers)?;
    let entry = caller.enter_mailbox(&app, &mailbox).await?;
    let setting = entry.core().directory.set_schedule(&mailbox, None, &expected);
    entry.act(AuditSubject::mailbox(&mailbox), setting).await?;
    Ok(StatusCode::NO_CONTENT)
}
