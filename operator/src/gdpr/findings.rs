//! The conditions of a data-subject request, each with a reason and a sentence. Pure.
//!
//! All of them stand on every request from the first look; one of which nothing is known, or that isn't about this kind of
//! request, is Unknown.

use super::mirror::is_erased;
use super::plan::{Seen, Subject, asks_nobody};
use jiff::Timestamp;
use voicemail_api::gdpr::{ResidualCopy, RunState, RunView};
use voicemail_resources::conditions::{
    APPROVED, BACKUPS_CLEARED, ConditionStatus, DEADLINE_AT_RISK, DECISIONS_TAKEN, ERASED, FOUND, Finding,
    MARKED, OF_REQUESTS, REGIONS_READY, SUBJECT_VERIFIED, SUCCEEDED, VALIDATED, VERIFIED, complete,
};
use voicemail_resources::gdpr_request::{GdprOperation, GdprRequest, GdprRequestStatus, Phase};
use voicemail_resources::progress::{end_of, find_progress};

/// Of the time until a deadline, how much may pass before it is at risk.
const AT_RISK: f64 = 0.8;

/// All findings, in the order in which a request passes through its conditions.
pub fn find_all(
    request: &GdprRequest,
    status: &GdprRequestStatus,
    seen: &Seen,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = match seen {
        Seen::Run(run, subject, refused) => of_run(request, status, run, subject, refused.as_ref()),
        Seen::NoTenant(message) => before(status, VALIDATED, "TenantNotFound", message),
        Seen::Missing(reason, message) | Seen::Pending(reason, message) => {
            before(status, VALIDATED, reason, message)
        }
        Seen::Blocked(reason, message) => before(status, REGIONS_READY, reason, message),
        Seen::Unreachable(reason, message) => trouble(status, reason, message),
        Seen::Refused(reason, message) => refusal(reason, message),
        Seen::Withdrawn => vec![truth(SUCCEEDED, false, "Cancelled", withdrawn(status))],
    };
    findings.push(match asks_nobody(status, seen) {
        true => truth(DEADLINE_AT_RISK, false, "TenantNotFound", "no deadline runs while nobody is asked"),
        false => deadline(status, now),
    });
    let waits = !status.phase.is_terminal() && matches!(seen, Seen::NoTenant(_) | Seen::Missing(..));
    let end = end_of(&findings).map(|end| find_progress(status.phase, end, waits));
    findings.extend(end.into_iter().flatten());
    complete(&mut findings, &OF_REQUESTS);
    findings
}

fn truth(type_: &'static str, holds: bool, reason: &str, message: impl Into<String>) -> Finding {
    Finding::new(type_, holds, reason, message)
}

/// The end is still to come.
fn open(reason: &str, message: impl Into<String>) -> Finding {
    Finding::new(SUCCEEDED, ConditionStatus::Unknown, reason, message)
}

fn withdrawn(status: &GdprRequestStatus) -> String {
    match &status.run {
        None => "it was cancelled before it began".to_owned(),
        Some(run) => format!(
            "it was cancelled before anything was hidden, and the tenant is gone: if its store still has run {run}, cancel \
             that through the API or the gdpr command of the cluster that serves the store"
        ),
    }
}

/// Nothing has been done yet.
fn before(status: &GdprRequestStatus, type_: &'static str, reason: &str, message: &str) -> Vec<Finding> {
    let mut findings = trouble(status, reason, message);
    findings.retain(|finding| finding.type_ != type_);
    findings.push(truth(type_, false, reason, message));
    findings
}

/// A condition that is true stays so; only the end that is still to come reports the failure.
fn trouble(status: &GdprRequestStatus, reason: &str, message: &str) -> Vec<Finding> {
    let kept = [
        VALIDATED,
        SUBJECT_VERIFIED,
        REGIONS_READY,
        APPROVED,
        FOUND,
        MARKED,
        ERASED,
        VERIFIED,
        DECISIONS_TAKEN,
        BACKUPS_CLEARED,
        SUCCEEDED,
    ];
    let mut findings: Vec<Finding> = kept
        .into_iter()
        .filter(|type_| status.phase.is_terminal() || *type_ != SUCCEEDED)
        .filter_map(|type_| Finding::known(type_, &status.conditions))
        .collect();
    if !status.phase.is_terminal() {
        findings.push(open(reason, message));
    }
    findings
}

fn refusal(reason: &str, message: &str) -> Vec<Finding> {
    vec![truth(VALIDATED, false, reason, message), truth(SUCCEEDED, false, reason, message)]
}

fn of_run(
    request: &GdprRequest,
    status: &GdprRequestStatus,
    run: &RunView,
    subject: &Subject,
    refused: Option<&(String, String)>,
) -> Vec<Finding> {
    let mut findings = vec![truth(VALIDATED, true, "Accepted", ""), regions(run)];
    findings.extend(verification(status, subject));
    findings.extend(approval(request, run));
    findings.extend(work(run));
    findings.extend(backups(run));
    if let Some((reason, message)) = refused {
        findings.push(truth(DECISIONS_TAKEN, false, reason, message.as_str()));
    } else if run.extension.is_some()
        || run.denial.is_some()
        || run.approval.as_ref().is_some_and(|a| a.given)
    {
        findings.push(truth(DECISIONS_TAKEN, true, "Taken", ""));
    }
    let (reason, message) = end(request.spec.operation, status.phase, run);
    findings.push(match (status.phase, subject) {
        (Phase::Completed, Subject::Unknown(..)) => unproven_end(run),
        (phase, _) if !phase.is_terminal() => open(reason, message),
        (phase, _) => truth(SUCCEEDED, matches!(phase, Phase::Completed | Phase::Undone), reason, message),
    });
    findings
}

/// Whether the run is about the people whom the request names.
fn verification(status: &GdprRequestStatus, subject: &Subject) -> Option<Finding> {
    match subject {
        Subject::NotNamed => None,
        Subject::Compared(_) => Some(truth(SUBJECT_VERIFIED, true, "Compared", "")),
        Subject::AsBefore => Finding::known(SUBJECT_VERIFIED, &status.conditions),
        Subject::Unknown(reason, message) => {
            let words = format!(
                "{message}, so whether the run is about the people whom this request means can't be compared"
            );
            Some(Finding::new(SUBJECT_VERIFIED, ConditionStatus::Unknown, reason.clone(), words))
        }
    }
}

/// The end of a run that may be about other people than this request.
fn unproven_end(run: &RunView) -> Finding {
    let ended = run.ended_at.as_deref().or(run.erased_at.as_deref()).unwrap_or("an earlier time");
    let message = format!(
        "nothing was done now: run {} of an earlier request of this name ended at {ended}; for a new request write \
         one under another name, with its Secret",
        run.id
    );
    Finding::new(SUCCEEDED, ConditionStatus::Unknown, "EndedBefore", message)
}

fn regions(run: &RunView) -> Finding {
    let away: Vec<&str> =
        run.regions.iter().filter(|region| region.blocked).map(|region| region.name.as_str()).collect();
    match away.is_empty() {
        true => truth(REGIONS_READY, true, "AllAnswer", ""),
        false => truth(REGIONS_READY, false, "RegionDown", format!("tried again: {}", away.join(", "))),
    }
}

fn approval(request: &GdprRequest, run: &RunView) -> Option<Finding> {
    let approval = run.approval.as_ref()?;
    let anonymous = !request.spec.is_mirror() && request.spec.requested_by.is_none();
    let who = match anonymous {
        true => {
            "requestedBy doesn't say who asked, so nobody can approve: cancel or deny it, and make another request, under \
             another name"
        }
        false => "somebody else than who asked must approve",
    };
    Some(match (approval.given, run.state) {
        (true, _) => truth(APPROVED, true, "Approved", ""),
        (false, RunState::Denied) => truth(APPROVED, false, "Denied", "a second person denied it"),
        (false, RunState::Cancelled) => truth(APPROVED, false, "Cancelled", "it was cancelled"),
        _ => {
            truth(APPROVED, false, "AwaitingApproval", format!("{} messages were found; {who}", run.matched))
        }
    })
}

fn work(run: &RunView) -> Vec<Finding> {
    use RunState as S;
    let searching = matches!(run.state, S::Opening | S::Marking | S::Collecting | S::Denied | S::Cancelled);
    let mut findings = Vec::new();
    if !searching || run.state == S::AwaitingApproval {
        findings.push(truth(FOUND, true, "Searched", format!("{} messages were found", run.matched)));
    }
    if run.marked_at.is_some() {
        let hidden = matches!(run.state, S::Marked | S::Purging | S::PartiallyFailed | S::Purged);
        let (reason, words) =
            if hidden { ("Hidden", "hidden everywhere") } else { ("Undone", "there again") };
        findings.push(truth(MARKED, hidden, reason, format!("{} messages are {words}", run.matched)));
    }
    if matches!(run.state, S::Purging | S::PartiallyFailed | S::Purged) {
        let message = format!("{} of {} are erased, legal holds keep {}", run.erased, run.matched, run.held);
        let erased = is_erased(run);
        findings.push(truth(ERASED, erased, if erased { "Erased" } else { "Erasing" }, message));
        let verified = run.state == S::Purged;
        findings.push(truth(VERIFIED, verified, if verified { "SearchedAgain" } else { "Pending" }, ""));
    }
    findings
}

fn backups(run: &RunView) -> Option<Finding> {
    let cleared = run.backups_cleared?;
    let (mails, kept): (Vec<_>, Vec<_>) =
        run.residual_copies.iter().partition(|copy| copy.kind == ResidualCopy::MAILS);
    let kinds: Vec<String> = kept.iter().map(|copy| format!("{} in {}", copy.kind, copy.region)).collect();
    let mut finding = match (cleared, &run.backups_clear_after) {
        (true, _) => truth(BACKUPS_CLEARED, true, "Cleared", ""),
        (false, Some(after)) => truth(
            BACKUPS_CLEARED,
            false,
            "CopiesRemain",
            format!("until {after} copies may be in {}", kinds.join(", ")),
        ),
        (false, None) => Finding::new(
            BACKUPS_CLEARED,
            ConditionStatus::Unknown,
            "RetentionUnknown",
            format!("ask the administrator of the store: {}", kinds.join(", ")),
        ),
    };
    let sent: u64 = mails.iter().filter_map(|copy| copy.copies).sum();
    if sent > 0 {
        let words =
            format!("{sent} e-mails told of the messages and can't be recalled: tell who got them (Art. 19)");
        finding.message = [finding.message, words]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
    }
    Some(finding)
}

fn end(operation: GdprOperation, phase: Phase, run: &RunView) -> (&'static str, String) {
    let until = super::mirror::time(run.purge_at.as_ref()).map(|time| time.0.to_string()).unwrap_or_default();
    let matched = run.matched;
    match (phase, operation) {
        _ if run.state == RunState::DryRun => {
            ("DryRun", format!("{matched} messages would be found; nothing was changed"))
        }
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
        (Phase::Verifying, _) => {
            ("Verifying", format!("{} messages are erased; the search is repeated", run.erased))
        }
        (Phase::PartiallyFailed, _) => {
            ("PartiallyFailed", format!("{} messages wait for a region that is away", run.failed))
        }
        (Phase::Undoing, _) => ("Undoing", "the erasure is being taken back".into()),
        (Phase::AwaitingApproval, _) => ("AwaitingApproval", "somebody else must approve".into()),
        (Phase::Denied, _) => ("Denied", "it was denied before anything was hidden".into()),
        (Phase::Cancelled, _) => ("Cancelled", "it was cancelled before anything was hidden".into()),
        (Phase::Failed, _) => {
            ("TooLate", "the messages count as erased already: nothing can be taken back".into())
        }
        _ => ("Searching", "messages are being found".into()),
    }
}

/// A request that has ended is at no risk, whenever it ended.
fn deadline(status: &GdprRequestStatus, now: Timestamp) -> Finding {
    let (Some(due), false) = (&status.due_at, status.phase.is_terminal()) else {
        return truth(DEADLINE_AT_RISK, false, "InTime", "");
    };
    if now >= due.0 {
        return truth(DEADLINE_AT_RISK, true, "Overdue", format!("the answer was due at {}", due.0));
    }
    let received = status.received_at.as_ref().map_or(now, |received| received.0);
    let (gone, whole) =
        (now.duration_since(received).as_secs_f64(), due.0.duration_since(received).as_secs_f64());
    match gone > whole * AT_RISK {
        true => truth(DEADLINE_AT_RISK, true, "DueSoon", format!("the answer is due at {}", due.0)),
        false => truth(DEADLINE_AT_RISK, false, "InTime", ""),
    }
}
