//! Decides the next step for a data-subject request, and its status. Pure: a state machine without a clock.
//!
//! ```text
//!  Pending ─▶ Validating ─▶ Searching ─▶ Marked ─▶ Erasing ─▶ Verifying ─▶ Completed    ForgetMe
//!                  │            ▲           └────▶ Undoing ─▶ Undone                     … taken back
//!                  └▶ AwaitingApproval ─▶ Denied, Cancelled                              … decided
//!  Pending ─▶ Searching ─▶ Completed                                                     ExportMe, dryRun
//!  Pending ─▶ Undoing ─▶ Completed                                                       UndoForgetMe
//! ```
//!
//! A region that is away holds a request as Blocked; past the deadline an erasure is PartiallyFailed until the region
//! is back. The core is the truth; this is its mirror. A request finds its own run again by its key, so one that was
//! deleted and recreated, or whose status was lost, erases nothing twice. A key says nothing of the data subjects:
//! the core compares those of the Secret with the run's, and until it has, nothing counts as completed.

use super::findings::find_all;
use super::mirror::{mirror, phase_of, time};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;
use voicemail_api::gdpr::RunView;
use voicemail_resources::conditions::{
    BACKUPS_CLEARED, Condition, ConditionStatus, SUBJECT_VERIFIED, find_condition, merge_conditions,
    whole_seconds,
};
use voicemail_resources::gdpr_request::{GdprRequest, GdprRequestStatus, Phase};

/// A run that is worked on is looked at that often.
const WORKING: Duration = Duration::from_secs(2);
/// A marked run: somebody may take it back through the API or the `gdpr` command.
const MARKED: Duration = Duration::from_secs(60);
/// Somebody may decide through the API or the `gdpr` command.
const DECIDING: Duration = Duration::from_secs(10);
/// Something is missing that a person may add.
const WAITING: Duration = Duration::from_secs(5);
/// The core can't be reached.
const UNREACHABLE: Duration = Duration::from_secs(5);
/// Backups go after weeks; until then late copies may be found.
const BACKUPS: Duration = Duration::from_secs(12 * 3600);

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing but what follows an end.
    Rest,
    /// Ask the core to open the run, or to compare the one that this request opened before.
    Open,
    /// Look at that run, and open it if it is lost.
    Follow(String),
    /// Look at a run that the API or the `gdpr` command opened.
    Watch(String),
}

/// The result of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The run, what was compared, and a decision that wasn't taken: (reason, message).
    Run(Box<RunView>, Subject, Option<(String, String)>),
    /// The tenant isn't there: message.
    NoTenant(String),
    /// The tenant can't be read: (reason, message).
    Pending(String, String),
    /// Nothing has been done yet, since something is missing: (reason, message).
    Missing(String, String),
    /// Nothing has been done yet, since a region is away: (reason, message).
    Blocked(String, String),
    /// The core can't be reached, or is in trouble; what is known stays known: (reason, message).
    Unreachable(String, String),
    /// The core refuses for good: (reason, message).
    Refused(String, String),
    /// Cancelled before there was a run.
    Withdrawn,
}

/// How far it is known whom a run is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// The request names nobody: an undo, or a run that the API or the `gdpr` command opened.
    NotNamed,
    /// The core compared it; with the UID of the Secret that was read, if there is one.
    Compared(Option<String>),
    /// It was compared at an earlier look, and the run is still the same.
    AsBefore,
    /// The Secret couldn't be read, so that the run was found by its key alone: (reason, message).
    Unknown(String, String),
}

/// The status that follows, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// The new status.
    pub status: GdprRequestStatus,
    /// `None`: never.
    pub look_again: Option<Duration>,
}

/// Decides what to do.
pub fn next_step(request: &GdprRequest) -> Step {
    let status = request.status.clone().unwrap_or_default();
    if status.phase.is_terminal() && !waits_for_backups(&status) {
        return Step::Rest;
    }
    match (&request.spec.run, status.run) {
        (Some(run), _) if request.spec.is_mirror() => Step::Watch(run.clone()),
        (_, Some(run)) if !names_subject(request) || is_verified(&status.conditions) => Step::Follow(run),
        _ => Step::Open,
    }
}

/// Whether the request names data subjects or messages, which the core compares with the run's.
pub fn names_subject(request: &GdprRequest) -> bool {
    request.spec.consumers.is_some() || request.spec.messages.is_some()
}

/// Whether the core has compared the subject.
pub fn is_verified(conditions: &[Condition]) -> bool {
    find_condition(conditions, SUBJECT_VERIFIED).is_some_and(|known| known.status == ConditionStatus::True)
}

/// Whether the core is still asked whether backups hold copies.
pub fn waits_for_backups(status: &GdprRequestStatus) -> bool {
    let cleared = find_condition(&status.conditions, BACKUPS_CLEARED);
    let remains = cleared.is_some_and(|condition| condition.status == ConditionStatus::False);
    remains && status.backups_clear_after.is_some()
}

/// Decides what it means.
pub fn decide(request: &GdprRequest, seen: &Seen, now: Timestamp) -> Conclusion {
    let mut status = request.status.clone().unwrap_or_default();
    let before = status.phase;
    status.due_at =
        if asks_nobody(&status, seen) { None } else { status.due_at.take().or_else(|| due_at(request)) };
    if !status.phase.is_terminal() {
        status.phase = phase_after(request, status.phase, status.run.is_some(), seen);
    }
    if let Seen::Run(run, subject, _) = seen {
        mirror(&mut status, run);
        if let Subject::Compared(Some(secret)) = subject {
            status.consumers_uid = Some(secret.clone());
        }
    }
    if status.phase.is_terminal() && status.finished_at.is_none() {
        status.finished_at = Some(end_of(before, seen).unwrap_or(Time(whole_seconds(now))));
    }
    let findings = find_all(request, &status, seen, now);
    status.observed_generation = request.metadata.generation;
    status.conditions = merge_conditions(&status.conditions, findings, request.metadata.generation, now);
    let look_again = pause(&status, seen, now);
    Conclusion { status, look_again }
}

/// Whether nobody was asked for anything yet, so that no deadline runs: there is no such tenant, and no run of it.
pub fn asks_nobody(status: &GdprRequestStatus, seen: &Seen) -> bool {
    let gone = matches!(seen, Seen::NoTenant(_)) || (*seen == Seen::Withdrawn && status.due_at.is_none());
    gone && status.run.is_none()
}

/// When a run ended that had done so before this request was looked at for the first time.
fn end_of(before: Phase, seen: &Seen) -> Option<Time> {
    match seen {
        Seen::Run(run, ..) if before == Phase::default() => time(run.ended_at.as_ref()),
        _ => None,
    }
}

fn phase_after(request: &GdprRequest, phase: Phase, begun: bool, seen: &Seen) -> Phase {
    match seen {
        Seen::Run(run, ..) => phase_of(request.spec.operation, run),
        Seen::Refused(..) => Phase::Failed,
        Seen::Withdrawn => Phase::Cancelled,
        _ if begun => phase,
        Seen::Missing(..) => Phase::Validating,
        Seen::Blocked(..) => Phase::Blocked,
        Seen::NoTenant(_) | Seen::Pending(..) | Seen::Unreachable(..) => Phase::Pending,
    }
}

/// One calendar month after receipt (Art. 12(3)), or after the object's creation, until the core says when.
pub fn due_at(request: &GdprRequest) -> Option<Time> {
    let received = request.spec.received_at.as_ref().or(request.metadata.creation_timestamp.as_ref())?;
    let due = received.0.to_zoned(TimeZone::UTC).checked_add(1.month()).ok()?;
    Some(Time(whole_seconds(due.timestamp())))
}

fn pause(status: &GdprRequestStatus, seen: &Seen, now: Timestamp) -> Option<Duration> {
    if status.phase.is_terminal() {
        return waits_for_backups(status)
            .then(|| until(status.backups_clear_after.as_ref(), now).min(BACKUPS));
    }
    match (seen, status.phase) {
        (Seen::Unreachable(..), _) => Some(UNREACHABLE),
        (Seen::Run(..), Phase::Marked) => Some(until(status.undo_deadline.as_ref(), now).min(MARKED)),
        (Seen::Run(..), Phase::AwaitingApproval) => Some(DECIDING),
        (Seen::Run(..), Phase::PartiallyFailed) => Some(MARKED),
        (Seen::Run(..), _) => Some(WORKING),
        _ => Some(WAITING),
    }
}

/// Until just after then, and at least a second.
fn until(time: Option<&Time>, now: Timestamp) -> Duration {
    let left = time.and_then(|time| Duration::try_from(time.0.duration_since(now)).ok()).unwrap_or_default();
    (left + Duration::from_millis(1200)).max(Duration::from_secs(1))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
