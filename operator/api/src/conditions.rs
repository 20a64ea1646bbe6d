//! Conditions of both resources: the types' names, and how a list of them changes.
//!
//! Pure. A condition keeps its `lastTransitionTime` until its `status` flips, so that a reconcile which
//! finds nothing new yields the very same list, and no write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The tenant serves with all its replicas.
pub const READY: &str = "Ready";
/// Work is under way that needs no person.
pub const RECONCILING: &str = "Reconciling";
/// Nothing will happen until a person changes something.
pub const STALLED: &str = "Stalled";
/// The store answers and is this tenant's.
pub const STORAGE_READY: &str = "StorageReady";
/// The Secrets that say who may call are there.
pub const ACCESS_READY: &str = "AccessReady";
/// The Secrets of the receivers of MWI states are there.
pub const RECEIVERS_READY: &str = "ReceiversReady";
/// The Secret and authority of the mail server are there.
pub const EMAIL_READY: &str = "EmailReady";
/// The Secrets for private registries are there.
pub const PULL_SECRETS_READY: &str = "PullSecretsReady";
/// The serving certificate can be used: chain, key pair, dates, names.
pub const CERTIFICATE_READY: &str = "CertificateReady";
/// Monitors and alert rules are as the spec says.
pub const MONITORING_READY: &str = "MonitoringReady";
/// The telephone's pods take calls.
pub const TELEPHONY_READY: &str = "TelephonyReady";
/// People can sign in to the pages.
pub const WEB_READY: &str = "WebReady";
/// A tenant that is being deleted waits for something.
pub const DELETION_BLOCKED: &str = "DeletionBlocked";
/// An annotation that confirms a deletion stands before there is one, and doesn't count.
pub const CONFIRMED_EARLY: &str = "ConfirmedEarly";
/// The operator keeps its hands off a tenant's children.
pub const PAUSED: &str = "Paused";
/// A newer image of the core waits for its turn.
pub const UPDATE_PENDING: &str = "UpdatePending";
/// The tenant is as the platform team's policies want it.
pub const POLICY_COMPLIANT: &str = "PolicyCompliant";
/// Whether the volume stays when its claim goes.
pub const DATA_KEPT: &str = "DataKept";
/// A data-subject request has ended, in whatever way.
pub const FINISHED: &str = "Finished";
/// A data-subject request that ended was done, or taken back as was asked for.
pub const SUCCEEDED: &str = "Succeeded";
/// The store of a region answers.
pub const REACHABLE: &str = "Reachable";

/// Everything that a data-subject request needs is there and can be used.
pub const VALIDATED: &str = "Validated";
/// All regions answer a data-subject request.
pub const REGIONS_READY: &str = "RegionsReady";
/// A second person has approved a data-subject request that needs it.
pub const APPROVED: &str = "Approved";
/// The run is about the data subjects that the request's Secret names, as the core has compared.
pub const SUBJECT_VERIFIED: &str = "SubjectVerified";
/// The search of a data-subject request is over.
pub const FOUND: &str = "Found";
/// The messages are hidden.
pub const MARKED: &str = "Marked";
/// The messages are erased.
pub const ERASED: &str = "Erased";
/// The search was repeated without a find.
pub const VERIFIED: &str = "Verified";
/// No backup or deleted copy can hold the messages any more.
pub const BACKUPS_CLEARED: &str = "BackupsCleared";
/// The decisions in the spec were carried out.
pub const DECISIONS_TAKEN: &str = "DecisionsTaken";
/// The answer to a data subject is overdue, or soon will be.
pub const DEADLINE_AT_RISK: &str = "DeadlineAtRisk";

/// Conditions that usually are False.
const UNUSUAL: [&str; 6] =
    [UPDATE_PENDING, PAUSED, CONFIRMED_EARLY, DELETION_BLOCKED, STALLED, DEADLINE_AT_RISK];
/// All conditions of a tenant, in the order in which they are told.
pub const OF_TENANTS: [&str; 15] = [
    READY,
    RECONCILING,
    STALLED,
    STORAGE_READY,
    ACCESS_READY,
    CERTIFICATE_READY,
    MONITORING_READY,
    TELEPHONY_READY,
    WEB_READY,
    POLICY_COMPLIANT,
    DATA_KEPT,
    UPDATE_PENDING,
    PAUSED,
    CONFIRMED_EARLY,
    DELETION_BLOCKED,
];
/// All conditions of a request, in the order in which they are told.
pub const OF_REQUESTS: [&str; 16] = [
    READY,
    FINISHED,
    SUCCEEDED,
    RECONCILING,
    STALLED,
    VALIDATED,
    SUBJECT_VERIFIED,
    REGIONS_READY,
    APPROVED,
    FOUND,
    MARKED,
    ERASED,
    VERIFIED,
    BACKUPS_CLEARED,
    DECISIONS_TAKEN,
    DEADLINE_AT_RISK,
];

/// Reason of [`CERTIFICATE_READY`], which holds, in the last two weeks of a certificate.
pub const CERTIFICATE_ENDS_SOON: &str = "CertificateEndsSoon";
/// Reason of a condition of which nothing is known yet.
pub const NOT_KNOWN: &str = "NotKnown";
/// Reason of a condition that is usually False and has nothing to tell.
pub const AS_USUAL: &str = "AsUsual";
const LONGEST_MESSAGE: usize = 1024;

/// One condition: metav1.Condition to the letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which condition.
    #[serde(rename = "type")]
    #[schemars(
        length(max = 316),
        regex(
            pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
        )
    )]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Stable word for the cause.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"))]
    pub reason: String,
    /// The cause in a sentence, and what to do about it.
    #[schemars(length(max = 32768))]
    pub message: String,
    /// Generation of the spec that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    pub last_transition_time: Time,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// The condition holds.
    True,
    /// The condition doesn't hold.
    False,
    /// The operator can't tell whether it holds.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// A condition's type, status, reason and message, without its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which condition.
    pub type_: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Stable word for the cause.
    pub reason: String,
    /// The cause in a sentence.
    pub message: String,
}

impl Finding {
    /// A finding of that type.
    pub fn new(
        type_: &'static str,
        status: impl Into<ConditionStatus>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status: status.into(), reason: reason.into(), message: message.into() }
    }

    /// The finding that a condition of that type tells of; none if there is no such condition.
    pub fn known(type_: &'static str, conditions: &[Condition]) -> Option<Self> {
        let known = find_condition(conditions, type_)?;
        Some(Self::new(type_, known.status, known.reason.clone(), known.message.clone()))
    }
}

/// Adds what isn't known yet: all conditions of a kind stand on it from the first look.
pub fn complete(findings: &mut Vec<Finding>, types: &[&'static str]) {
    for type_ in types {
        if findings.iter().all(|finding| finding.type_ != *type_) {
            findings.push(match UNUSUAL.contains(type_) {
                true => Finding::new(type_, false, AS_USUAL, ""),
                false => Finding::new(type_, ConditionStatus::Unknown, NOT_KNOWN, ""),
            });
        }
    }
    let place = |finding: &Finding| types.iter().position(|type_| *type_ == finding.type_);
    findings.sort_by_key(|finding| place(finding).unwrap_or(types.len()));
}

/// The conditions that follow from `findings`, with times kept from `previous` where the status is the same.
pub fn merge_conditions(
    previous: &[Condition],
    findings: Vec<Finding>,
    generation: Option<i64>,
    now: jiff::Timestamp,
) -> Vec<Condition> {
    let kept = |finding: &Finding| {
        let same = |c: &&Condition| c.type_ == finding.type_ && c.status == finding.status;
        previous.iter().find(same).map(|condition| condition.last_transition_time.clone())
    };
    let with_time = |finding: Finding| Condition {
        last_transition_time: kept(&finding).unwrap_or_else(|| Time(whole_seconds(now))),
        type_: finding.type_.into(),
        status: finding.status,
        reason: finding.reason,
        message: finding.message.chars().take(LONGEST_MESSAGE).collect(),
        observed_generation: generation,
    };
    findings.into_iter().map(with_time).collect()
}

/// Kubernetes keeps times in whole seconds; a fraction would differ from what is read back.
pub fn whole_seconds(time: jiff::Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The condition of that type.
pub fn find_condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).unwrap()
    }

    fn ready(status: bool, reason: &str) -> Vec<Finding> {
        vec![Finding::new(READY, status, reason, "m")]
    }

    #[test]
    fn transition_time_is_kept_while_the_status_is_the_same() {
        let first = merge_conditions(&[], ready(false, "A"), Some(1), at(10));
        let second = merge_conditions(&first, ready(false, "B"), Some(2), at(20));
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        assert_eq!(second[0].reason, "B");
    }

    #[test]
    fn transition_time_moves_when_the_status_flips() {
        let first = merge_conditions(&[], ready(false, "A"), Some(1), at(10));
        let second = merge_conditions(&first, ready(true, "A"), Some(1), at(20));
        assert_eq!(second[0].last_transition_time, Time(at(20)));
    }
}
