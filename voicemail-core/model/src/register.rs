//! The register of requests (Art. 5(2), 30): what is left of a run for ever, without personal data.

use super::{Run, RunId, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use voicemail_api::gdpr::{DenialGround, Operation, RunState};

/// A run's entry, `register/<yyyymm>/<run>`: outlives the case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterEntry {
    /// The case, as given.
    pub case: String,
    /// The run.
    #[schema(value_type = String)]
    pub run: RunId,
    /// Which right.
    pub operation: Operation,
    /// How far it is, or how it ended.
    pub outcome: RunState,
    /// When the person's request was received, RFC 3339.
    pub received_at: String,
    /// Until when it had to be carried out.
    pub due_at: String,
    /// By how many months the deadline was extended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_months: Option<u8>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_because: Option<String>,
    /// How the person was identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
    /// The person who approved it, as authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<String>,
    /// Ground of a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<DenialGround>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Messages found.
    pub matched: u64,
    /// Messages erased.
    pub erased: u64,
    /// Messages exported.
    pub exported: u64,
    /// Messages that legal holds kept.
    pub held: u64,
    /// Number of its receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_number: Option<u64>,
    /// Fields of newer versions.
    #[serde(flatten)]
    #[schema(ignore)]
    pub unknown: Map<String, Value>,
}

impl RegisterEntry {
    /// The register's entry for a run.
    pub fn of(run: &Run, now: Time) -> Self {
        let handling = &run.handling;
        Self {
            case: run.case.as_str().into(),
            run: run.id.clone(),
            operation: run.operation,
            outcome: run.state_at(now),
            received_at: run.received_at().rfc3339(),
            due_at: run.due_at().rfc3339(),
            extended_months: handling.extension.as_ref().map(|extension| extension.months),
            extended_because: handling.extension.as_ref().map(|extension| extension.reason.clone()),
            verified_by: handling.verification.as_ref().map(|verified| verified.method.clone()),
            approver: handling.approval.as_ref().and_then(|approval| approval.by.clone()),
            denial: handling.denial.as_ref().and_then(|denial| denial.ground),
            ended_at: run.ended_at.map(Time::rfc3339),
            matched: run.matched,
            erased: run.erased,
            exported: run.exported,
            held: run.held(),
            receipt_number: run.receipt,
            unknown: Map::new(),
        }
    }

    /// Whether this is older than what is known: an ended run's entry isn't replaced by one from before.
    pub fn is_behind(&self, known: &Self) -> bool {
        known.ended_at.is_some() && self.ended_at.is_none()
    }
}
