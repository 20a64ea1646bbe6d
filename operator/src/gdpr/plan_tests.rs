//! Steps and statuses for given runs and requests.

use super::*;
use crate::gdpr::decisions::{open_decisions, person};
use voicemail_api::gdpr::{ApprovalView, ResidualCopy, RunState};
use voicemail_cores::core_client::CoreDecision;
use voicemail_resources::conditions::{
    APPROVED, BACKUPS_CLEARED, ConditionStatus, DEADLINE_AT_RISK, STALLED, SUCCEEDED, VALIDATED, VERIFIED,
};
use voicemail_resources::gdpr_request::GdprOperation;

fn request(operation: &str, status: &str) -> GdprRequest {
    let consumers = if operation == "UndoForgetMe" { "" } else { ", consumers: {secretRef: {name: c}}" };
    serde_yaml::from_str(&format!(
        "{{apiVersion: voicemail.dev/v1beta1, kind: GdprRequest, \
          metadata: {{name: r, namespace: n, generation: 1, creationTimestamp: '2026-01-31T10:00:00Z'}}, \
          spec: {{tenantRef: {{name: acme}}, operation: {operation}, caseID: '1'{consumers}}}{status}}}"
    ))
    .unwrap()
}

fn run(state: RunState) -> RunView {
    RunView {
        id: "1/forgetme.1".into(),
        operation: voicemail_api::gdpr::Operation::ForgetMe,
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

fn decide_run(operation: &str, state: RunState) -> Conclusion {
    decide(
        &request(operation, ""),
        &Seen::Run(Box::new(run(state)), Subject::Compared(None), None),
        at("2026-01-31T10:00:02Z"),
    )
}

#[test]
fn each_state_of_a_run_has_its_phase() {
    use Phase as P;
    use RunState as S;
    let phases = |operation: &str, states: &[RunState]| {
        states.iter().map(|state| decide_run(operation, *state).status.phase).collect::<Vec<_>>()
    };
    let before = [S::Opening, S::AwaitingApproval, S::Marking, S::Marked, S::Denied, S::Cancelled];
    let expected = [P::Searching, P::AwaitingApproval, P::Searching, P::Marked, P::Denied, P::Cancelled];
    assert_eq!(phases("ForgetMe", &before), expected);
    let after = [S::Undoing, S::Undone, S::Purging, S::PartiallyFailed, S::Purged, S::DryRun];
    let expected = [P::Undoing, P::Undone, P::Erasing, P::PartiallyFailed, P::Completed, P::Completed];
    assert_eq!(phases("ForgetMe", &after), expected);
    let export = [S::Opening, S::Collecting, S::Ready, S::Expired];
    assert_eq!(phases("ExportMe", &export), [P::Searching, P::Searching, P::Completed, P::Completed]);
    let undo = [S::Marked, S::Undoing, S::Undone, S::Purging, S::Purged];
    assert_eq!(phases("UndoForgetMe", &undo), [P::Undoing, P::Undoing, P::Completed, P::Failed, P::Failed]);
}

#[test]
fn an_erasure_whose_messages_are_gone_is_verified_next() {
    let erased = RunView { erased: 2, held: 1, ..run(RunState::Purging) };
    let seen = Seen::Run(Box::new(erased), Subject::Compared(None), None);
    let status = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T10:00:02Z")).status;
    assert_eq!(status.phase, Phase::Verifying);
    assert_eq!(find_condition(&status.conditions, VERIFIED).unwrap().status, ConditionStatus::False);
}

#[test]
fn what_is_in_the_way_of_a_beginning_has_its_phase_and_condition() {
    let seen = |make: fn(String, String) -> Seen| make("R".into(), "m".into());
    let decided = |make| decide(&request("ForgetMe", ""), &seen(make), at("2026-01-31T10:00:02Z")).status;
    assert_eq!(decided(Seen::Pending).phase, Phase::Pending);
    assert_eq!(decided(Seen::Unreachable).phase, Phase::Pending);
    assert_eq!(decided(Seen::Blocked).phase, Phase::Blocked);
    let missing = decided(Seen::Missing);
    assert_eq!(missing.phase, Phase::Validating);
    assert_eq!(find_condition(&missing.conditions, VALIDATED).unwrap().reason, "R");
    let cancelled = decide(&request("ForgetMe", ""), &Seen::Withdrawn, at("2026-01-31T10:00:02Z")).status;
    assert!(cancelled.phase == Phase::Cancelled && cancelled.finished_at.is_some());
}

#[test]
fn a_deadline_is_at_risk_after_four_fifths_and_when_it_is_over_but_not_after_the_end() {
    let reason = |state, now: &str| {
        let run = RunView {
            received_at: Some("2026-01-01T00:00:00Z".into()),
            due_at: Some("2026-02-01T00:00:00Z".into()),
            ..run(state)
        };
        let seen = Seen::Run(Box::new(run), Subject::Compared(None), None);
        let status = decide(&request("ForgetMe", ""), &seen, at(now)).status;
        find_condition(&status.conditions, DEADLINE_AT_RISK).unwrap().reason.clone()
    };
    assert_eq!(reason(RunState::Marked, "2026-01-20T00:00:00Z"), "InTime");
    assert_eq!(reason(RunState::Marked, "2026-01-27T00:00:00Z"), "DueSoon");
    assert_eq!(reason(RunState::Purging, "2026-02-02T00:00:00Z"), "Overdue");
    assert_eq!(reason(RunState::Purged, "2026-02-02T00:00:00Z"), "InTime");
}

#[test]
fn an_end_is_looked_at_again_until_no_backup_holds_copies() {
    let run = RunView {
        backups_cleared: Some(false),
        backups_clear_after: Some("2026-03-08T10:00:00Z".into()),
        ..run(RunState::Purged)
    };
    let seen = Seen::Run(Box::new(run.clone()), Subject::Compared(None), None);
    let decided = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T10:01:00Z"));
    assert_eq!(decided.look_again, Some(BACKUPS));
    let ended = GdprRequest { status: Some(decided.status), ..request("ForgetMe", "") };
    assert_eq!(next_step(&ended), Step::Follow(run.id.clone()));
    let cleared = RunView { backups_cleared: Some(true), ..run };
    let decided = decide(
        &ended,
        &Seen::Run(Box::new(cleared), Subject::Compared(None), None),
        at("2026-03-09T10:00:00Z"),
    );
    let rests = GdprRequest { status: Some(decided.status), ..ended };
    assert_eq!((decided.look_again, next_step(&rests)), (None, Step::Rest));
}

#[test]
fn mails_that_cannot_be_recalled_are_told_apart_from_what_stores_keep() {
    let copy =
        |kind: &str, copies| ResidualCopy { region: "eu".into(), kind: kind.into(), days: None, copies };
    let run = RunView {
        backups_cleared: Some(true),
        residual_copies: vec![copy("backups", None), copy("email", Some(3))],
        ..run(RunState::Purged)
    };
    let seen = Seen::Run(Box::new(run), Subject::Compared(None), None);
    let status = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T10:01:00Z")).status;
    let cleared = find_condition(&status.conditions, BACKUPS_CLEARED).unwrap();
    assert_eq!((cleared.status, cleared.reason.as_str()), (ConditionStatus::True, "Cleared"));
    assert!(cleared.message.starts_with("3 e-mails told of the messages"), "{}", cleared.message);
}

#[test]
fn decisions_are_told_once_and_by_whom() {
    let decided = |decisions: &str| -> GdprRequest {
        let mut request = request("ForgetMe", "");
        let given: GdprRequest = serde_yaml::from_str(&format!(
            "{{apiVersion: voicemail.dev/v1beta1, kind: GdprRequest, metadata: {{name: r}}, \
              spec: {{tenantRef: {{name: acme}}, operation: ForgetMe, caseID: '1', {decisions}}}}}"
        ))
        .unwrap();
        request.spec = given.spec;
        request
    };
    let approval = decided("approval: {decision: Approve, by: 'bob@example.com'}");
    let decisions = open_decisions(&approval, &run(RunState::AwaitingApproval));
    let [CoreDecision::Approve(body)] = decisions.as_slice() else { panic!("{decisions:?}") };
    assert_eq!(body.on_behalf_of.as_deref(), Some(person("bob@example.com").as_str()));
    assert!(!person("bob@example.com").contains(|c: char| c == '@' || c.is_ascii_digit()));
    assert_eq!(open_decisions(&approval, &run(RunState::Marked)), []);
    let denial = decided(
        "approval: {decision: Deny, by: bob, ground: LegalClaims}, extension: {months: 2, by: b, reason: r}",
    );
    assert_eq!(open_decisions(&denial, &run(RunState::AwaitingApproval)).len(), 2);
    assert_eq!(open_decisions(&decided("cancellation: {by: b, reason: r}"), &run(RunState::Cancelled)), []);
    let given = ApprovalView { given: false, reason: "always".into(), by: None, at: None };
    let waiting = RunView { approval: Some(given), ..run(RunState::AwaitingApproval) };
    let seen = Seen::Run(
        Box::new(waiting),
        Subject::Compared(None),
        Some(("SecondPersonNeeded".into(), "m".into())),
    );
    let status = decide(&approval, &seen, at("2026-01-31T10:00:02Z")).status;
    let reason = |type_: &str| find_condition(&status.conditions, type_).unwrap().reason.clone();
    assert_eq!(
        (reason(APPROVED), reason("DecisionsTaken")),
        ("AwaitingApproval".into(), "SecondPersonNeeded".into())
    );
}

#[test]
fn an_object_that_shows_a_run_decides_nothing_and_says_so() {
    let mut shown = request("ForgetMe", "");
    (shown.spec.consumers, shown.spec.run) = (None, Some("1/forgetme.1".into()));
    let given = |field: &str| -> GdprRequest {
        let value: serde_json::Value = serde_yaml::from_str(field).unwrap();
        let mut spec = serde_json::to_value(&shown.spec).unwrap();
        spec.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        GdprRequest { spec: serde_json::from_value(spec).unwrap(), ..shown.clone() }
    };
    for decision in [
        "{approval: {decision: Approve, by: both}}",
        "{approval: {decision: Deny, by: both, ground: Other, reason: r}}",
        "{extension: {months: 1, reason: r, by: both}}",
        "{cancellation: {reason: r, by: both}}",
    ] {
        let seen = crate::gdpr::show_foreign(&given(decision), run(RunState::AwaitingApproval));
        let Seen::Run(_, _, Some((reason, words))) = &seen else { panic!("{decision}: {seen:?}") };
        assert!(reason == "DecideWhereAsked" && words.contains("1/forgetme.1"), "{words}");
        let status = decide(&given(decision), &seen, at("2026-01-31T10:00:02Z")).status;
        assert_eq!(find_condition(&status.conditions, "DecisionsTaken").unwrap().reason, *reason);
    }
    // What was taken before this object was written isn't refused.
    let taken = given("{approval: {decision: Approve, by: both}}");
    assert!(matches!(crate::gdpr::show_foreign(&taken, run(RunState::Marked)), Seen::Run(_, _, None)));
}

#[test]
fn a_request_that_does_not_say_who_asked_says_that_nobody_can_approve_it() {
    let needed = ApprovalView { given: false, reason: "always".into(), by: None, at: None };
    let waiting = RunView { approval: Some(needed), ..run(RunState::AwaitingApproval) };
    let said = |request: &GdprRequest| {
        let seen = Seen::Run(Box::new(waiting.clone()), Subject::Compared(None), None);
        let status = decide(request, &seen, at("2026-01-31T10:00:02Z")).status;
        find_condition(&status.conditions, APPROVED).unwrap().message.clone()
    };
    let mut known = request("ForgetMe", "");
    assert!(said(&known).contains("cancel or deny it"), "{}", said(&known));
    known.spec.requested_by = Some("anna".into());
    assert!(said(&known).contains("somebody else"), "{}", said(&known));
}

#[test]
fn a_mirror_looks_at_its_run_and_opens_none() {
    let mut mirror = request("ForgetMe", "");
    (mirror.spec.consumers, mirror.spec.run) = (None, Some("1/forgetme.1".into()));
    assert!(mirror.spec.is_mirror() && mirror.spec.operation == GdprOperation::ForgetMe);
    assert_eq!(next_step(&mirror), Step::Watch("1/forgetme.1".into()));
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
    assert_eq!(next_step(&known), Step::Open, "the core has not compared the subject yet");
    let compared = decide_run("ForgetMe", RunState::Marked).status;
    let compared = GdprRequest { status: Some(compared), ..request("ForgetMe", "") };
    assert_eq!(next_step(&compared), Step::Follow("1/forgetme.1".into()));
    let undo = request("UndoForgetMe", ", status: {phase: Undoing, run: 1/forgetme.1}");
    assert_eq!(next_step(&undo), Step::Follow("1/forgetme.1".into()), "an undo names nobody");
}

#[test]
fn a_run_that_was_found_by_its_name_alone_is_no_answer() {
    let ended = RunView { ended_at: Some("2026-01-30T08:00:00Z".into()), ..run(RunState::Purged) };
    let unknown = Subject::Unknown("ConsumersNotFound".into(), "there is no Secret c".into());
    let seen = Seen::Run(Box::new(ended), unknown, None);
    let status = decide(&request("ForgetMe", ""), &seen, at("2026-01-31T10:00:02Z")).status;
    let condition = |type_: &str| find_condition(&status.conditions, type_).unwrap();
    let completed = condition(SUCCEEDED);
    assert_eq!((completed.status, completed.reason.as_str()), (ConditionStatus::Unknown, "EndedBefore"));
    assert_eq!(condition(SUBJECT_VERIFIED).status, ConditionStatus::Unknown);
    assert_eq!(status.finished_at.map(|time| time.0), Some(at("2026-01-30T08:00:00Z")), "not ended now");
    assert_eq!(status.consumers_uid, None);
}

#[test]
fn a_marked_run_is_looked_at_right_after_its_deadline() {
    let seen = Seen::Run(Box::new(run(RunState::Marked)), Subject::Compared(None), None);
    let early = decide(&request("ForgetMe", ""), &seen, at("2026-01-31T10:00:02Z"));
    assert_eq!(early.look_again, Some(MARKED));
    let late = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T09:59:51.5Z"));
    assert_eq!(late.look_again, Some(Duration::from_millis(10_700)));
    let after = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T10:00:09Z"));
    assert_eq!(after.look_again, Some(Duration::from_millis(1200)));
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
    let decision =
        decide(&known, &Seen::Unreachable("CoreUnreachable".into(), "m".into()), at("2026-02-01T10:00:00Z"));
    assert_eq!((decision.status.phase, decision.status.matched), (Phase::Marked, Some(3)));
    assert_eq!(find_condition(&decision.status.conditions, SUCCEEDED).unwrap().reason, "CoreUnreachable");
}

#[test]
fn a_refusal_fails_the_request_with_its_reason() {
    let seen = Seen::Refused("CaseConflict".into(), "m".into());
    let decision = decide(&request("ForgetMe", ""), &seen, at("2026-02-01T10:00:00Z"));
    let failed = find_condition(&decision.status.conditions, STALLED).unwrap();
    assert_eq!((decision.status.phase, decision.look_again), (Phase::Failed, None));
    assert_eq!((failed.status, failed.reason.as_str()), (ConditionStatus::True, "CaseConflict"));
}

#[test]
fn deciding_twice_on_the_same_run_changes_nothing() {
    let first = decide_run("ForgetMe", RunState::Marked);
    let known = GdprRequest { status: Some(first.status.clone()), ..request("ForgetMe", "") };
    let second = decide(
        &known,
        &Seen::Run(Box::new(run(RunState::Marked)), Subject::Compared(None), None),
        at("2026-01-31T11:00:00Z"),
    );
    assert_eq!(second.status, first.status);
}
