//! Reads a request: who it is about, by when it is due, who asked, and whether a second person must approve.
//!
//! Pure but for the configuration and the clock. Nothing that is refused here has touched the store.

use super::subject::Subject;
use super::{GdprError, forget::LONGEST_WINDOW};
use crate::context::Context;
use serde_json::Map;
use std::collections::BTreeSet;
use std::time::Duration;
use voicemail_api::config::{ApprovalRule, parse_duration};
use voicemail_api::gdpr::{GdprBody, MessageRef, Operation, Verification};
use voicemail_model::{
    Approval, ApprovalReason, CaseId, Handling, MessageName, RequestName, Run, StatementError, Time,
    Verified, check_name, check_statement, looks_personal,
};

/// Messages that one request may name.
const MOST_MESSAGES: usize = 1_000;
/// A request may be said to be received a little later than now by this clock.
const AHEAD: Duration = Duration::from_secs(300);

/// The content of a request, apart from the case's history.
pub(super) struct Wanted {
    pub(super) case: CaseId,
    pub(super) operation: Operation,
    pub(super) subject: Subject,
    pub(super) window: Duration,
    pub(super) name: RequestName,
    pub(super) handling: Handling,
}

impl Wanted {
    /// Reads and checks a forget or an export.
    pub(super) fn read(context: &Context, body: &GdprBody, operation: Operation) -> Result<Self, GdprError> {
        let case = check_request(context, body)?;
        let subject = read_subject(body)?.require()?;
        let handling = read_handling(context, body, operation)?;
        let window = read_window(context, body, operation)?;
        let wanted = Self { case, operation, subject, window, name: read_name(body)?, handling };
        wanted.check_deadline(context.world().now(), context.config().gdpr.least_undo_window)?;
        Ok(wanted)
    }

    /// An erasure must not fall past its deadline. A request that is late already may be erased as soon as anybody may ask for.
    fn check_deadline(&self, now: Time, least: Duration) -> Result<(), GdprError> {
        let due = self.handling.received_at.unwrap_or(now).plus_months(1);
        let in_time = now.plus(self.window) <= due || self.window <= least;
        if self.operation != Operation::ForgetMe || in_time { Ok(()) } else { Err(GdprError::WindowPastDue) }
    }
}

/// Longest key of a request: a namespace, a slash and a name fit.
const LONGEST_KEY: usize = 512;

/// The sender's name for a request of any kind.
pub(super) fn read_name(body: &GdprBody) -> Result<RequestName, GdprError> {
    let key = body.request_key.clone();
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
        return Err(GdprError::InvalidField("requestKey", "write 1 to 512 bytes, or leave it out".into()));
    }
    Ok(RequestName { key, recorded_by: body.recorded_by.clone(), requester: body.requester.clone() })
}

/// Case and tenant of any request.
pub(super) fn check_request(context: &Context, body: &GdprBody) -> Result<CaseId, GdprError> {
    let case = body.caseid.parse().map_err(|_| GdprError::InvalidCase)?;
    let tenant = &context.config().tenant_id;
    match &body.ccid {
        Some(ccid) if ccid != tenant => Err(GdprError::OtherTenant),
        _ => Ok(case),
    }
}

/// Consumers and messages of any request.
pub(super) fn read_subject(body: &GdprBody) -> Result<Subject, GdprError> {
    let mut subject = Subject::parse(&body.consumers)?;
    if body.messages.len() > MOST_MESSAGES {
        return Err(GdprError::InvalidMessages("name at most 1000 messages in one request"));
    }
    let read = |given: &MessageRef| {
        let mailbox =
            given.mailbox.parse().map_err(|_| GdprError::InvalidMessages("mailbox isn't a name of one"));
        let id = given.id.parse().map_err(|_| GdprError::InvalidMessages("id isn't a message's id"));
        Ok(MessageName { mailbox: mailbox?, id: id? })
    };
    let names: Result<BTreeSet<MessageName>, GdprError> = body.messages.iter().map(read).collect();
    subject.messages = names?.into_iter().collect();
    Ok(subject)
}

fn read_window(context: &Context, body: &GdprBody, operation: Operation) -> Result<Duration, GdprError> {
    let config = context.config();
    let window = match &body.undo_window {
        _ if operation == Operation::ExportMe => config.gdpr.export_lifetime,
        Some(text) => parse_duration(text).map_err(|_| GdprError::InvalidWindow)?,
        None => config.gdpr.undo_window,
    };
    let window = match operation {
        Operation::ForgetMe => window.max(config.gdpr.least_undo_window),
        Operation::ExportMe | Operation::UndoForget => window,
    };
    let too_long = operation == Operation::ForgetMe && window > LONGEST_WINDOW;
    if too_long { Err(GdprError::InvalidWindow) } else { Ok(window) }
}

fn read_handling(context: &Context, body: &GdprBody, operation: Operation) -> Result<Handling, GdprError> {
    let now = context.world().now();
    let received_at = read_time(body.received_at.as_deref(), "receivedAt")?;
    if received_at.is_some_and(|at| at > now.plus(AHEAD)) {
        return Err(GdprError::InvalidField("receivedAt", "it lies ahead".into()));
    }
    Ok(Handling {
        received_at,
        requested_by: person(body.requested_by.as_deref(), "requestedBy")?,
        requester: body.requester.clone(),
        authority: body.authority.clone(),
        verification: body
            .verification
            .as_ref()
            .map(|given| read_verification(context, given))
            .transpose()?,
        approval: read_approval(context, body, operation)?,
        ..Handling::default()
    })
}

fn read_time(text: Option<&str>, field: &'static str) -> Result<Option<Time>, GdprError> {
    let invalid = || GdprError::InvalidField(field, "write a time such as 2026-01-31T12:00:00Z".into());
    text.map(|text| Time::from_rfc3339(text).ok_or_else(invalid)).transpose()
}

/// Words about the subject that go into receipts and registers.
pub(super) fn statement(
    context: &Context,
    text: Option<&str>,
    field: &'static str,
) -> Result<Option<String>, GdprError> {
    let Some(text) = text else { return Ok(None) };
    let rules = context.rules_in_force()?;
    check_statement(&rules, text).map(Some).map_err(|error| GdprError::InvalidField(field, error.to_string()))
}

/// The name of somebody who acts.
fn person(text: Option<&str>, field: &'static str) -> Result<Option<String>, GdprError> {
    let invalid = |error: StatementError| GdprError::InvalidField(field, error.to_string());
    text.map(|text| check_name(text).map_err(invalid)).transpose()
}

/// A new case isn't named by what names its subject: its id stands in paths, keys and objects. One that a former release
/// took under such a name goes on.
pub(super) fn check_new_case(context: &Context, case: &CaseId, runs: &[Run]) -> Result<(), GdprError> {
    if !looks_personal(&context.rules_in_force()?, case.as_str()) || !runs.is_empty() {
        return Ok(());
    }
    Err(GdprError::InvalidField("caseid", StatementError::Personal.to_string()))
}

fn read_verification(context: &Context, given: &Verification) -> Result<Verified, GdprError> {
    Ok(Verified {
        method: statement(context, Some(&given.method), "verification.method")?.unwrap_or_default(),
        verifier: person(given.verifier.as_deref(), "verification.verifier")?,
        at: read_time(given.at.as_deref(), "verification.at")?,
        unknown: Map::new(),
    })
}

fn read_approval(
    context: &Context,
    body: &GdprBody,
    operation: Operation,
) -> Result<Option<Approval>, GdprError> {
    let rule = context.config().gdpr.approval;
    let required = match operation {
        Operation::ForgetMe => rule.required,
        Operation::ExportMe => rule.exports,
        Operation::UndoForget if body.require_approval => {
            return Err(GdprError::InvalidField("requireApproval", "an undo isn't approved".into()));
        }
        Operation::UndoForget => return Ok(None),
    };
    Ok(match required {
        _ if body.require_approval => Some(Approval::needed(ApprovalReason::Requested, 0)),
        ApprovalRule::Always => Some(Approval::needed(ApprovalReason::Always, 0)),
        ApprovalRule::Large => Some(Approval::needed(ApprovalReason::Large, u64::from(rule.large_matches))),
        ApprovalRule::Never => None,
    })
}
