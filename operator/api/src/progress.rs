//! The conditions by which tools that know nothing of data-subject requests read one: `Finished`, and `Ready`,
//! `Reconciling` and `Stalled` as kstatus, `kubectl wait` and Argo CD understand them. Pure.
//!
//! ```text
//!                            Finished  Succeeded  Ready  Reconciling  Stalled
//!  under way                 False     Unknown    False  True         False    also while a person is waited for: it ends by itself then
//!  done, taken back          True      True       True   False        False    nothing is left to do
//!  denied, cancelled         True      False      True   False        False    people chose that end
//!  failed                    True      False      False  False        True     a person must make another request
//!  answered by an earlier run True     Unknown    False  False        True     likewise
//!  something is missing      False     Unknown    False  False        True     a person may add it, and it goes on
//! ```
//!
//! They follow from the phase and from `Succeeded`, so they stand on every request in every phase.

use crate::conditions::{ConditionStatus, FINISHED, Finding, READY, RECONCILING, STALLED, SUCCEEDED};
use crate::gdpr_request::Phase;

/// The condition `Succeeded`: status, reason and message.
pub type End<'a> = (ConditionStatus, &'a str, &'a str);

/// The four conditions. `waits`: it hasn't ended, and nothing happens until a person adds what is missing.
pub fn find_progress(phase: Phase, (succeeded, reason, message): End<'_>, waits: bool) -> [Finding; 4] {
    let finished = phase.is_terminal();
    // A run of an earlier request answers nothing.
    let in_vain = finished && (phase == Phase::Failed || succeeded == ConditionStatus::Unknown);
    let stalled = waits && !finished || in_vain;
    let finding = |type_, holds: bool, quiet: &str| {
        let (reason, message) = if holds { (reason, message) } else { (quiet, "") };
        Finding::new(type_, holds, reason, message)
    };
    [
        finding(FINISHED, finished, "NotFinished"),
        Finding::new(READY, finished && !stalled, reason, message),
        finding(RECONCILING, !finished && !stalled, if stalled { "Stalled" } else { "UpToDate" }),
        finding(STALLED, stalled, "NotStalled"),
    ]
}

/// The end as these findings say it.
pub fn end_of(findings: &[Finding]) -> Option<End<'_>> {
    let succeeded = findings.iter().find(|finding| finding.type_ == SUCCEEDED)?;
    Some((succeeded.status, &succeeded.reason, &succeeded.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{Condition, find_condition, merge_conditions};
    use crate::gdpr_request::GdprRequestStatus;
    use jiff::Timestamp;
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

    fn conditions_of(phase: Phase, succeeded: ConditionStatus, waits: bool) -> Vec<Condition> {
        let findings = find_progress(phase, (succeeded, "R", "m"), waits);
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
        let open = open.map(|phase| (phase, Unknown, "InProgress"));
        let ended = [
            (Phase::Completed, True, "Current"),
            (Phase::Completed, Unknown, "Failed"),
            (Phase::Undone, True, "Current"),
            (Phase::Denied, False, "Current"),
            (Phase::Cancelled, False, "Current"),
            (Phase::Failed, False, "Failed"),
        ];
        for (phase, completed, expected) in open.into_iter().chain(ended) {
            let conditions = conditions_of(phase, completed, false);
            assert_eq!(kstatus(&conditions), expected, "{phase:?}");
            if !phase.is_terminal() {
                assert_eq!(kstatus(&conditions_of(phase, completed, true)), "Failed", "{phase:?}");
            }
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
            .join("../../examples/argo-cd/resource_customizations/voicemail.dev/GdprRequest/testdata");
        let mut phases = std::collections::BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let object: Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let status: GdprRequestStatus = serde_json::from_value(object["status"].clone()).unwrap();
            let Some(end) = find_condition(&status.conditions, SUCCEEDED) else { continue };
            let stalled = find_condition(&status.conditions, STALLED);
            let waits = stalled.is_some_and(|stalled| stalled.status == ConditionStatus::True);
            for finding in find_progress(status.phase, (end.status, &end.reason, &end.message), waits) {
                let found = find_condition(&status.conditions, finding.type_);
                let found = found.unwrap_or_else(|| panic!("{}: no {}", path.display(), finding.type_));
                let (expected, shown) = ((finding.status, &finding.message), (found.status, &found.message));
                assert_eq!(shown, expected, "{}: {}", path.display(), finding.type_);
            }
            phases.insert(status.phase);
        }
        assert_eq!(phases.len(), 15, "a phase has no case: {phases:?}");
    }
}
