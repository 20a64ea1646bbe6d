//! The conditions by which tools that know nothing of data-subject requests read one: `Finished`, and `Ready`,
//! `Reconciling` and `Stalled` as kstatus, `kubectl wait` and Argo CD understand them. Pure.
//!
//! ```text
//!                        Finished  Ready  Reconciling  Stalled
//!  under way              False     False  True         False     also while a person is waited for: it ends by itself then
//!  done, taken back,      True      True   False        False     nothing is left to do
//!  denied, cancelled
//!  failed, or answered    True      False  False        True      a person must make another request
//!  by an earlier run
//! ```
//!
//! They follow from the phase and from what `Completed` says, so they stand on every request in every phase.

use jiff::Timestamp;
use voicemail_resources::conditions::{
    COMPLETED, Condition, ConditionStatus, FINISHED, Finding, READY, RECONCILING, STALLED, find_condition,
    merge_conditions,
};
use voicemail_resources::gdpr_request::{GdprRequest, GdprRequestStatus, Phase};

/// The condition `Completed`: status, reason and message.
pub type End<'a> = (ConditionStatus, &'a str, &'a str);

/// The four conditions.
pub fn find_progress(phase: Phase, (completed, reason, message): End<'_>) -> [Finding; 4] {
    let finished = phase.is_terminal();
    // A run of an earlier request answers nothing.
    let stalled = finished && (phase == Phase::Failed || completed == ConditionStatus::Unknown);
    let finding = |type_, holds: bool, quiet: &str| {
        let (reason, message) = if holds { (reason, message) } else { (quiet, "") };
        Finding::new(type_, holds, reason, message)
    };
    [
        finding(FINISHED, finished, "NotFinished"),
        Finding::new(READY, finished && !stalled, reason, message),
        finding(RECONCILING, !finished, if stalled { "Stalled" } else { "UpToDate" }),
        finding(STALLED, stalled, "NotStalled"),
    ]
}

/// The end as these findings say it.
pub fn end_of(findings: &[Finding]) -> Option<End<'_>> {
    let completed = findings.iter().find(|finding| finding.type_ == COMPLETED)?;
    Some((completed.status, &completed.reason, &completed.message))
}

/// The status of a request that has ended under a release that didn't write these conditions; none if they stand.
pub fn add_progress(request: &GdprRequest, now: Timestamp) -> Option<GdprRequestStatus> {
    let mut status = request.status.clone()?;
    let lacks = find_condition(&status.conditions, FINISHED).is_none();
    if !lacks || !status.phase.is_terminal() {
        return None;
    }
    let end = find_condition(&status.conditions, COMPLETED)?;
    let findings = find_progress(status.phase, (end.status, &end.reason, &end.message));
    let new: Vec<Condition> = merge_conditions(&[], findings.into(), request.metadata.generation, now);
    status.conditions.extend(new);
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::Path;

    /// As kstatus reads an object whose generation was looked at: the first that fits.
    fn kstatus(conditions: &[Condition]) -> &'static str {
        let holds = |type_: &str| {
            find_condition(conditions, type_).is_some_and(|found| found.status == ConditionStatus::True)
        };
        match () {
            () if holds(RECONCILING) => "InProgress",
            () if holds(STALLED) => "Failed",
            () if holds(READY) => "Current",
            () => "InProgress",
        }
    }

    fn conditions_of(phase: Phase, completed: ConditionStatus) -> Vec<Condition> {
        let findings = find_progress(phase, (completed, "R", "m"));
        merge_conditions(&[], findings.into(), Some(1), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_phase_reads_as_what_it_is_and_never_as_two_things() {
        use ConditionStatus::{False, True, Unknown};
        let open = [
            Phase::Pending,
            Phase::Validating,
            Phase::AwaitingApproval,
            Phase::Searching,
            Phase::Marked,
            Phase::Undoing,
            Phase::Erasing,
            Phase::Verifying,
            Phase::Blocked,
            Phase::PartiallyFailed,
        ];
        let open = open.map(|phase| (phase, False, "InProgress"));
        let ended = [
            (Phase::Completed, True, "Current"),
            (Phase::Completed, Unknown, "Failed"),
            (Phase::Undone, False, "Current"),
            (Phase::Denied, False, "Current"),
            (Phase::Cancelled, False, "Current"),
            (Phase::Failed, False, "Failed"),
        ];
        for (phase, completed, expected) in open.into_iter().chain(ended) {
            let conditions = conditions_of(phase, completed);
            assert_eq!(kstatus(&conditions), expected, "{phase:?}");
            let finished = find_condition(&conditions, FINISHED).unwrap();
            assert_eq!(finished.status == True, phase.is_terminal(), "{phase:?}");
            let holding = [READY, RECONCILING, STALLED]
                .iter()
                .filter(|type_| find_condition(&conditions, type_).unwrap().status == True);
            assert_eq!(holding.count(), 1, "{phase:?}");
        }
    }

    /// The cases of Argo CD's health script are statuses that the operator writes.
    #[test]
    fn the_cases_of_argo_cds_health_script_have_these_conditions() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../examples/argo-cd/resource_customizations/voicemail.dev/GdprRequest/testdata");
        let mut phases = std::collections::BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let object: Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let status: GdprRequestStatus = serde_json::from_value(object["status"].clone()).unwrap();
            let Some(end) = find_condition(&status.conditions, COMPLETED) else { continue };
            for finding in find_progress(status.phase, (end.status, &end.reason, &end.message)) {
                let found = find_condition(&status.conditions, finding.type_);
                let found = found.unwrap_or_else(|| panic!("{}: no {}", path.display(), finding.type_));
                let (expected, shown) = ((finding.status, &finding.message), (found.status, &found.message));
                assert_eq!(shown, expected, "{}: {}", path.display(), finding.type_);
            }
            phases.insert(status.phase);
        }
        assert_eq!(phases.len(), 15, "a phase has no case: {phases:?}");
    }

    #[test]
    fn a_request_that_ended_under_a_former_release_gets_them_once() {
        let text = include_str!("../../../examples/gdpr/forget.yaml");
        let mut request: GdprRequest = serde_yaml::from_str(text).unwrap();
        request.status = serde_json::from_value(serde_json::json!({"phase": "Denied", "conditions": [{
            "type": "Completed", "status": "False", "reason": "Denied", "message": "m",
            "lastTransitionTime": "2026-01-31T10:00:00Z"}]}))
        .unwrap();
        let status = add_progress(&request, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((kstatus(&status.conditions), status.conditions.len()), ("Current", 5));
        request.status = Some(status);
        assert_eq!(add_progress(&request, Timestamp::UNIX_EPOCH), None);
    }
}
