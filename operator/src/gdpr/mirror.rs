//! From a run to a request's status: phase, times, counts. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use voicemail_api::gdpr::{RegionView, RunState, RunView};
use voicemail_resources::conditions::whole_seconds;
use voicemail_resources::gdpr_request::{GdprOperation, GdprRequestStatus, Phase, RegionProgress};
use voicemail_resources::voicemail_tenant::RegionRole;

/// The phase that a run means for a request of that operation.
pub fn phase_of(operation: GdprOperation, run: &RunView) -> Phase {
    match operation {
        GdprOperation::UndoForgetMe => phase_of_undo(run.state),
        _ => phase_of_work(run),
    }
}

fn phase_of_undo(state: RunState) -> Phase {
    match state {
        RunState::Undone => Phase::Completed,
        RunState::Marking | RunState::Marked | RunState::Undoing => Phase::Undoing,
        RunState::Opening | RunState::AwaitingApproval => Phase::Searching,
        RunState::Denied | RunState::Cancelled => Phase::Failed,
        // Too late.
        _ => Phase::Failed,
    }
}

fn phase_of_work(run: &RunView) -> Phase {
    match run.state {
        RunState::AwaitingApproval => Phase::AwaitingApproval,
        RunState::Opening | RunState::Marking | RunState::Collecting => Phase::Searching,
        RunState::Marked => Phase::Marked,
        RunState::Undoing => Phase::Undoing,
        RunState::Undone => Phase::Undone,
        RunState::Purging if is_erased(run) => Phase::Verifying,
        RunState::Purging => Phase::Erasing,
        RunState::PartiallyFailed => Phase::PartiallyFailed,
        RunState::Purged | RunState::Ready | RunState::Expired | RunState::DryRun => Phase::Completed,
        RunState::Denied => Phase::Denied,
        RunState::Cancelled => Phase::Cancelled,
    }
}

/// Whether all that was found is erased, apart from what legal holds keep.
pub fn is_erased(run: &RunView) -> bool {
    run.erased + run.held >= run.matched && run.failed == 0
}

/// Copies what the run says.
pub fn mirror(status: &mut GdprRequestStatus, run: &RunView) {
    status.run = (run.state != RunState::DryRun).then(|| run.id.clone());
    status.subject_digest = run.subject_digest.clone();
    status.received_at = time(run.received_at.as_ref());
    status.due_at = time(run.due_at.as_ref()).or_else(|| status.due_at.take());
    status.approved_at = time(run.approval.as_ref().and_then(|approval| approval.at.as_ref()));
    status.marked_at = time(run.marked_at.as_ref());
    status.undo_deadline = time(run.purge_at.as_ref());
    status.erased_at = time(run.erased_at.as_ref());
    status.expires_at = time(run.expires_at.as_ref());
    status.backups_clear_after = time(run.backups_clear_after.as_ref());
    status.matched = count(run.matched);
    status.marked = count(run.marked);
    status.erased = count(run.erased);
    status.held = count(run.held);
    status.failed = count(run.failed);
    status.exported = count(run.exported);
    status.late = count(run.late);
    status.regions = run.regions.iter().map(progress).collect();
    status.receipt = run.receipt.clone();
    status.receipt_number = run.receipt_number.and_then(count);
}

fn progress(region: &RegionView) -> RegionProgress {
    RegionProgress {
        name: region.name.clone(),
        role: if region.master { RegionRole::Primary } else { RegionRole::Audio },
        matched: count(region.matched).unwrap_or_default(),
        erased: count(region.erased).unwrap_or_default(),
        blocked: region.blocked,
        attempts: region.attempts.into(),
        erased_at: time(region.erased_at.as_ref()),
        last_error: region.last_error.clone(),
    }
}

fn count(number: u64) -> Option<i64> {
    Some(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The API server keeps whole seconds.
pub fn time(text: Option<&String>) -> Option<Time> {
    Some(Time(whole_seconds(text?.parse().ok()?)))
}
