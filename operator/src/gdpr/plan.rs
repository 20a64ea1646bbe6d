//! What to do about a data-subject request, and what its status says. Pure: a state machine without a clock.
//!
//! ```text
//!  Pending ─▶ Searching ─▶ Marked ─▶ Erasing ─▶ Completed      ForgetMe
//!                             └────▶ Undoing ─▶ Undone          … taken back
//!  Pending ─▶ Searching ─▶ Completed                            ExportMe
//!  Pending ─▶ Undoing ─▶ Completed                              UndoForgetMe
//! ```
//!
//! The core is the truth; this is its mirror. Opening a run is idempotent by its request key, so a request that
//! was deleted and recreated, or whose status was lost, finds its own run again and erases nothing twice.

use crate::api::conditions::{COMPLETED, FAILED, Finding, merge_conditions, whole_seconds};
use crate::api::gdpr_request::{GdprOperation, GdprRequest, GdprRequestStatus, Phase};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;
use voicemail_core::gdpr_api::{RunState, RunView};

/// A run that is worked on is looked at that often.
const WORKING: Duration = Duration::from_secs(2);
/// A marked run: somebody may take it back through another door.
const MARKED: Duration = Duration::from_secs(60);
/// Something is missing that a person may add.
const WAITING: Duration = Duration::from_secs(5);
/// The core can't be reached.
const UNREACHABLE: Duration = Duration::from_secs(5);

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, for ever.
    Rest,
    /// Ask the core to open the run, or for the one that this request opened before.
    Open,
    /// Look at that run.
    Follow(String),
}

/// What doing it showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The run.
    Run(Box<RunView>),
    /// Nothing has been done yet, since something is missing: (reason, message).
    Missing(String, String),
    /// The core can't be reached, or is in trouble; what is known stays known: (reason, message).
    Unreachable(String, String),
    /// The core refuses for good: (reason, message).
    Refused(String, String),
}

/// The status that follows, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The new status.
    pub status: GdprRequestStatus,
    /// `None`: never.
    pub look_again: Option<Duration>,
}

/// Decides what to do.
pub fn next_step(request: &GdprRequest) -> Step {
    let Some(status) = &request.status else { return Step::Open };
    match &status.run {
        _ if status.phase.is_terminal() => Step::Rest,
        Some(run) => Step::Follow(run.clone()),
        None => Step::Open,
    }
}

/// Decides what it means.
pub fn decide(request: &GdprRequest, seen: &Seen, now: Timestamp) -> Decision {
    let mut status = request.status.clone().unwrap_or_default();
    let (findings, look_again) = match seen {
        Seen::Run(run) => {
            mirror(&mut status, run);
            status.phase = phase_of(request.spec.operation, run.state);
            (describe(request.spec.operation, status.phase, run), pause(status.phase, run, now))
        }
        Seen::Missing(reason, message) => (waiting(reason, message), Some(WAITING)),
        Seen::Unreachable(reason, message) => (waiting(reason, message), Some(UNREACHABLE)),
        Seen::Refused(reason, message) => {
            status.phase = Phase::Failed;
            (findings((false, reason, message), (true, reason, message)), None)
        }
    };
    status.due_at = due_at(request);
    status.observed_generation = request.metadata.generation;
    status.conditions = merge_conditions(&status.conditions, findings, request.metadata.generation, now);
    Decision { status, look_again }
}

/// One calendar month after receipt (Art. 12(3)), or after the object's creation.
pub fn due_at(request: &GdprRequest) -> Option<Time> {
    let received = request.spec.received_at.as_ref().or(request.metadata.creation_timestamp.as_ref())?;
    let due = received.0.to_zoned(TimeZone::UTC).checked_add(1.month()).ok()?;
    Some(Time(whole_seconds(due.timestamp())))
}

fn phase_of(operation: GdprOperation, state: RunState) -> Phase {
    let undo = operation == GdprOperation::UndoForgetMe;
    match state {
        RunState::Undone if undo => Phase::Completed,
        RunState::Undone => Phase::Undone,
        RunState::Purging | RunState::PartiallyFailed | RunState::Purged if undo => Phase::Failed,
        RunState::Opening
        | RunState::AwaitingApproval
        | RunState::Marking
        | RunState::Marked
        | RunState::Undoing
            if undo =>
        {
            Phase::Undoing
        }
        RunState::Opening | RunState::AwaitingApproval | RunState::Marking | RunState::Collecting => {
            Phase::Searching
        }
        RunState::Marked => Phase::Marked,
        RunState::Undoing => Phase::Undoing,
        RunState::Purging | RunState::PartiallyFailed => Phase::Erasing,
        RunState::Purged | RunState::Ready | RunState::Expired | RunState::DryRun => Phase::Completed,
        RunState::Denied | RunState::Cancelled => Phase::Failed,
    }
}

fn mirror(status: &mut GdprRequestStatus, run: &RunView) {
    let count = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
    let time = |text: &Option<String>| Some(Time(whole_seconds(text.as_ref()?.parse().ok()?)));
    status.run = Some(run.id.clone());
    status.marked_at = time(&run.marked_at);
    status.undo_deadline = time(&run.purge_at);
    status.erased_at = time(&run.erased_at);
    status.matched = count(run.matched);
    status.erased = count(run.erased);
    status.exported = count(run.exported);
}

fn pause(phase: Phase, run: &RunView, now: Timestamp) -> Option<Duration> {
    if phase.is_terminal() {
        return None;
    }
    if phase != Phase::Marked {
        return Some(WORKING);
    }
    let deadline = run.purge_at.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
    let left = deadline.map_or(Duration::ZERO, |deadline| {
        Duration::try_from(deadline.duration_since(now)).unwrap_or_default()
    });
    Some((left + Duration::from_millis(200)).clamp(Duration::from_secs(1), MARKED))
}

type Truth<'a> = (bool, &'a str, &'a str);

fn findings(completed: Truth<'_>, failed: Truth<'_>) -> Vec<Finding> {
    let finding = |type_, (holds, reason, message): Truth<'_>| Finding::new(type_, holds, reason, message);
    vec![finding(COMPLETED, completed), finding(FAILED, failed)]
}

fn waiting(reason: &str, message: &str) -> Vec<Finding> {
    findings((false, reason, message), (false, "NotFailed", ""))
}

fn describe(operation: GdprOperation, phase: Phase, run: &RunView) -> Vec<Finding> {
    let until = run.purge_at.as_ref().and_then(|text| text.parse().ok()).map(whole_seconds);
    let (matched, until) = (run.matched, until.map(|time| time.to_string()).unwrap_or_default());
    let (reason, message) = match (phase, operation) {
        (Phase::Completed, GdprOperation::ForgetMe) => {
            ("Erased", format!("{} messages are erased", run.erased))
        }
        (Phase::Completed, GdprOperation::ExportMe) => {
            ("Exported", format!("{} messages can be fetched", run.exported))
        }
        (Phase::Completed, GdprOperation::UndoForgetMe) => ("Undone", format!("{matched} messages are back")),
        (Phase::Undone, _) => {
            ("Undone", format!("the erasure was taken back; {matched} messages are there again"))
        }
        (Phase::Marked, _) => {
            ("Marked", format!("{matched} messages are hidden; they are erased from {until} on"))
        }
        (Phase::Erasing, _) => ("Erasing", format!("{matched} messages are being erased")),
        (Phase::Undoing, _) => ("Undoing", "the erasure is being taken back".into()),
        (Phase::Failed, _) => {
            ("TooLate", "the messages count as erased already: nothing can be taken back".into())
        }
        (Phase::Pending | Phase::Searching, _) => ("Searching", "messages are being found".into()),
    };
    let failed =
        if phase == Phase::Failed { (true, reason, message.as_str()) } else { (false, "NotFailed", "") };
    findings((phase == Phase::Completed, reason, &message), failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::{ConditionStatus, find_condition};

    fn request(operation: &str, status: &str) -> GdprRequest {
        let consumers = if operation == "UndoForgetMe" { "" } else { ", consumers: {secret: {name: c}}" };
        serde_yaml::from_str(&format!(
            "{{apiVersion: voicemail.dev/v1alpha1, kind: GdprRequest, \
              metadata: {{name: r, namespace: n, generation: 1, creationTimestamp: '2026-01-31T10:00:00Z'}}, \
              spec: {{tenant: acme, operation: {operation}, caseId: '1'{consumers}}}{status}}}"
        ))
        .unwrap()
    }

    fn run(state: RunState) -> RunView {
        RunView {
            id: "1/forgetme.1".into(),
            operation: voicemail_core::gdpr_api::Operation::ForgetMe,
            state,
            created_at: "2026-01-31T10:00:00Z".into(),
            marked_at: Some("2026-01-31T10:00:01.5Z".into()),
            purge_at: Some("2026-02-01T10:00:01.5Z".into()),
            matched: 3,
            exported: 2,
            ..RunView::default()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn decide_run(operation: &str, state: RunState) -> Decision {
        decide(&request(operation, ""), &Seen::Run(Box::new(run(state))), at("2026-01-31T10:00:02Z"))
    }

    #[test]
    fn each_state_of_a_run_has_its_phase() {
        use RunState as S;
        let forget = [S::Opening, S::Marking, S::Marked, S::Undoing, S::Undone, S::Purging, S::Purged];
        let phases = forget.map(|state| decide_run("ForgetMe", state).status.phase);
        use Phase as P;
        assert_eq!(
            phases,
            [P::Searching, P::Searching, P::Marked, P::Undoing, P::Undone, P::Erasing, P::Completed]
        );
        let export = [S::Opening, S::Collecting, S::Ready, S::Expired];
        let phases = export.map(|state| decide_run("ExportMe", state).status.phase);
        assert_eq!(phases, [P::Searching, P::Searching, P::Completed, P::Completed]);
        let undo = [S::Marked, S::Undoing, S::Undone, S::Purging, S::Purged];
        let phases = undo.map(|state| decide_run("UndoForgetMe", state).status.phase);
        assert_eq!(phases, [P::Undoing, P::Undoing, P::Completed, P::Failed, P::Failed]);
    }

    #[test]
    fn an_ended_request_is_never_looked_at_again() {
        let decision = decide_run("ForgetMe", RunState::Purged);
        assert_eq!(decision.look_again, None);
        let ended = GdprRequest { status: Some(decision.status), ..request("ForgetMe", "") };
        assert_eq!(next_step(&ended), Step::Rest);
    }

    #[test]
    fn a_request_without_a_known_run_opens_it_and_then_follows_it() {
        assert_eq!(next_step(&request("ForgetMe", "")), Step::Open);
        assert_eq!(next_step(&request("ForgetMe", ", status: {phase: Pending}")), Step::Open);
        let known = request("ForgetMe", ", status: {phase: Marked, run: 1/forgetme.1}");
        assert_eq!(next_step(&known), Step::Follow("1/forgetme.1".into()));
    }

    #[test]
    fn a_marked_run_is_looked_at_right_after_its_deadline() {
        let seen = Seen::Run(Box::new(run(RunState::Marked)));
        let early = decide(&request("ForgetMe", ""), &seen, at("2026-01-31T10:00:02Z"));
        assert_eq!(early.look_again, Some(MARKED));
        let late = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T09:59:51.5Z"));
        assert_eq!(late.look_again, Some(Duration::from_millis(10_200)));
        let after = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T10:00:09Z"));
        assert_eq!(after.look_again, Some(Duration::from_secs(1)));
    }

    #[test]
    fn an_answer_is_due_one_calendar_month_after_receipt() {
        let due = |request: &GdprRequest| due_at(request).unwrap().0;
        assert_eq!(due(&request("ForgetMe", "")), at("2026-02-28T10:00:00Z"));
        let mut early = request("ForgetMe", "");
        early.spec.received_at = Some(Time(at("2025-12-15T08:00:00Z")));
        assert_eq!(due(&early), at("2026-01-15T08:00:00Z"));
    }

    #[test]
    fn trouble_keeps_what_is_known() {
        let known = request("ForgetMe", ", status: {phase: Marked, run: 1/forgetme.1, matched: 3}");
        let decision = decide(
            &known,
            &Seen::Unreachable("CoreUnreachable".into(), "m".into()),
            at("2026-02-01T10:00:00Z"),
        );
        assert_eq!((decision.status.phase, decision.status.matched), (Phase::Marked, Some(3)));
        assert_eq!(find_condition(&decision.status.conditions, COMPLETED).unwrap().reason, "CoreUnreachable");
    }

    #[test]
    fn a_refusal_fails_the_request_with_its_reason() {
        let seen = Seen::Refused("CaseConflict".into(), "m".into());
        let decision = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T10:00:00Z"));
        let failed = find_condition(&decision.status.conditions, FAILED).unwrap();
        assert_eq!((decision.status.phase, decision.look_again), (Phase::Failed, None));
        assert_eq!((failed.status, failed.reason.as_str()), (ConditionStatus::True, "CaseConflict"));
    }

    #[test]
    fn deciding_twice_on_the_same_run_changes_nothing() {
        let first = decide_run("ForgetMe", RunState::Marked);
        let known = GdprRequest { status: Some(first.status.clone()), ..request("ForgetMe", "") };
        let second = decide(&known, &Seen::Run(Box::new(run(RunState::Marked))), at("2026-01-31T11:00:00Z"));
        assert_eq!(second.status, first.status);
    }
}
