//! Objects as the metrics count them: tenants by state, data-subject requests that haven't ended. Pure.

use jiff::Timestamp;
use std::collections::BTreeMap;
use voicemail_resources::conditions::{
    ACCESS_READY, CERTIFICATE_ENDS_SOON, CERTIFICATE_READY, Condition, ConditionStatus, EMAIL_READY,
    MONITORING_READY, PAUSED, POLICY_COMPLIANT, PULL_SECRETS_READY, READY, RECEIVERS_READY, RECONCILING,
    STALLED, STORAGE_READY, TELEPHONY_READY, WEB_READY, find_condition,
};
use voicemail_resources::{GdprRequest, VoicemailTenant};

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// Tenants by state: each in one.
    pub tenants: BTreeMap<&'static str, i64>,
    /// Requests that haven't ended, by phase.
    pub requests: BTreeMap<String, i64>,
    /// Age of the oldest of them, from receipt or creation.
    pub oldest_seconds: i64,
    /// How many of them are past their deadline.
    pub overdue: i64,
    /// Tenants with a problem, by condition and reason: a tenant counts for each condition that says one.
    pub problems: BTreeMap<(&'static str, String), i64>,
    /// Objects that can't be read, by kind.
    pub unreadable: BTreeMap<&'static str, i64>,
}

/// The one word for a tenant, the first that fits: `deleting`, `paused`, `stalled`, `reconciling`, `ready`, `unknown`.
pub fn state_of(tenant: &VoicemailTenant) -> &'static str {
    let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let holds = |type_: &str| {
        find_condition(conditions, type_).is_some_and(|found| found.status == ConditionStatus::True)
    };
    match () {
        () if tenant.metadata.deletion_timestamp.is_some() => "deleting",
        () if holds(PAUSED) => "paused",
        () if holds(STALLED) => "stalled",
        () if holds(RECONCILING) => "reconciling",
        () if holds(READY) => "ready",
        () => "unknown",
    }
}

/// Conditions that say a problem when they are false.
const TOLD: [&str; 11] = [
    READY,
    STORAGE_READY,
    CERTIFICATE_READY,
    ACCESS_READY,
    MONITORING_READY,
    PULL_SECRETS_READY,
    RECEIVERS_READY,
    EMAIL_READY,
    WEB_READY,
    TELEPHONY_READY,
    POLICY_COMPLIANT,
];

/// The problems of a tenant that isn't left alone on purpose and isn't going, as condition and reason.
fn find_problems(tenant: &VoicemailTenant) -> Vec<(&'static str, String)> {
    if ["paused", "deleting"].contains(&state_of(tenant)) {
        return Vec::new();
    }
    let conditions = tenant.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_problem =
        |found: &Condition| found.status == ConditionStatus::False || found.reason == CERTIFICATE_ENDS_SOON;
    let told = TOLD.into_iter().filter_map(|type_| Some((type_, find_condition(conditions, type_)?)));
    told.filter(|(_, found)| is_problem(found)).map(|(type_, found)| (type_, found.reason.clone())).collect()
}

impl Population {
    /// Counts a tenant.
    pub fn add_tenant(&mut self, tenant: &VoicemailTenant) {
        *self.tenants.entry(state_of(tenant)).or_default() += 1;
        for problem in find_problems(tenant) {
            *self.problems.entry(problem).or_default() += 1;
        }
    }

    /// Counts an object that can't be read.
    pub fn add_unreadable(&mut self, kind: &'static str) {
        *self.unreadable.entry(kind).or_default() += 1;
    }

    /// Counts a request, if it hasn't ended.
    pub fn add_request(&mut self, request: &GdprRequest, now: Timestamp) {
        let status = request.status.clone().unwrap_or_default();
        if status.phase.is_terminal() {
            return;
        }
        *self.requests.entry(format!("{:?}", status.phase)).or_default() += 1;
        let received = status.received_at.as_ref().or(request.spec.received_at.as_ref());
        if let Some(begin) = received.or(request.metadata.creation_timestamp.as_ref()) {
            self.oldest_seconds = self.oldest_seconds.max(now.duration_since(begin.0).as_secs());
        }
        self.overdue += i64::from(status.due_at.is_some_and(|due| now >= due.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voicemail_resources::conditions::{Finding, merge_conditions};

    fn tenant(holding: &[&'static str]) -> VoicemailTenant {
        let mut tenant: VoicemailTenant =
            serde_yaml::from_str(include_str!("../../../examples/volume-tenant.yaml")).unwrap();
        let findings = holding.iter().map(|type_| Finding::new(type_, true, "R", "")).collect();
        tenant.status.get_or_insert_default().conditions =
            merge_conditions(&[], findings, None, Timestamp::UNIX_EPOCH);
        tenant
    }

    #[test]
    fn a_tenant_has_one_state_and_the_worst_wins() {
        assert_eq!(state_of(&tenant(&[])), "unknown");
        assert_eq!(state_of(&tenant(&[READY])), "ready");
        assert_eq!(state_of(&tenant(&[READY, RECONCILING])), "reconciling");
        assert_eq!(state_of(&tenant(&[STALLED, PAUSED])), "paused");
    }

    #[test]
    fn a_tenant_counts_for_each_problem_that_it_has_unless_it_is_left_alone() {
        let with = |findings: Vec<Finding>| {
            let mut tenant = tenant(&[]);
            tenant.status.get_or_insert_default().conditions =
                merge_conditions(&[], findings, None, Timestamp::UNIX_EPOCH);
            tenant
        };
        let storage = || Finding::new(STORAGE_READY, false, "RestoreDetected", "");
        let ends = || Finding::new(CERTIFICATE_READY, true, CERTIFICATE_ENDS_SOON, "");
        let mut population = Population::default();
        population.add_tenant(&with(vec![Finding::new(READY, true, "Available", ""), storage(), ends()]));
        population.add_tenant(&with(vec![Finding::new(READY, false, "PodsRefused", ""), storage()]));
        population.add_tenant(&with(vec![Finding::new(PAUSED, true, "PausedByAnnotation", ""), storage()]));
        population.add_tenant(&with(vec![Finding::new(
            TELEPHONY_READY,
            false,
            "TelephonySecretNotFound",
            "",
        )]));
        let expected = [
            ((CERTIFICATE_READY, CERTIFICATE_ENDS_SOON.to_owned()), 1),
            ((READY, "PodsRefused".to_owned()), 1),
            ((STORAGE_READY, "RestoreDetected".to_owned()), 2),
            ((TELEPHONY_READY, "TelephonySecretNotFound".to_owned()), 1),
        ];
        assert_eq!(population.problems, BTreeMap::from(expected));
    }

    #[test]
    fn only_requests_that_have_not_ended_count_and_the_oldest_is_known() {
        let request = |phase: &str, received: &str, due: &str| -> GdprRequest {
            let text = include_str!("../../../examples/gdpr/forget.yaml");
            let status = format!("status: {{phase: {phase}, receivedAt: {received}, dueAt: {due}}}");
            serde_yaml::from_str(&format!("{text}\n{status}\n")).unwrap()
        };
        let mut population = Population::default();
        let now = "2026-03-10T00:00:00Z".parse().unwrap();
        for (phase, received, due) in [
            ("Marked", "2026-03-09T00:00:00Z", "2026-04-09T00:00:00Z"),
            ("Blocked", "2026-02-08T00:00:00Z", "2026-03-08T00:00:00Z"),
            ("Completed", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ] {
            population.add_request(&request(phase, received, due), now);
        }
        assert_eq!(population.requests, BTreeMap::from([("Blocked".into(), 1), ("Marked".into(), 1)]));
        assert_eq!((population.oldest_seconds, population.overdue), (30 * 86_400, 1));
    }
}
