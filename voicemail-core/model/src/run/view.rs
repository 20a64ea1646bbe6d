//! A run as the API shows it: without callers, identifiers and messages.

use super::{CopyKeeper, Run, handling};
use crate::Time;
use voicemail_api::gdpr::{
    ApprovalView, DenialView, ExtensionView, KeptView, Operation, RegionView, RunState, RunView, Verification,
};

fn text(time: Option<Time>) -> Option<String> {
    time.map(Time::rfc3339)
}

impl Run {
    /// The run as the API shows it now. `master` is the region that holds the metadata.
    pub fn view(&self, now: Time, master: &str) -> RunView {
        // An export has no copies that are cleared: it tells what wasn't in it.
        let erases = self.operation == Operation::ForgetMe;
        let cleared = self.residual.as_ref().filter(|_| erases).map(|residual| {
            residual.copies.is_empty() || residual.clear_after.is_some_and(|after| after <= now)
        });
        RunView {
            id: self.id.as_str().into(),
            operation: self.operation,
            state: self.state_at(now),
            created_at: self.created_at.rfc3339(),
            received_at: Some(self.received_at().rfc3339()),
            due_at: Some(self.due_at().rfc3339()),
            marked_at: text(self.marked_at),
            purge_at: text(self.purge_at),
            erased_at: text(self.erased_at),
            ended_at: text(self.ended_at),
            expires_at: text(self.expires_at),
            matched: self.matched,
            marked: if self.is_hiding() { self.matched } else { 0 },
            erased: self.erased_so_far(),
            held: self.held(),
            failed: self.regions.values().map(|progress| progress.waiting).sum(),
            exported: self.exported,
            late: self.late,
            kept: self.kept_view(),
            regions: self.region_views(master),
            request_key: self.request_key.clone(),
            recorded_by: self.recorded_by.clone(),
            subject_digest: self.subject_digest.clone(),
            requested_by: self.handling.requested_by.clone(),
            verification: self.handling.verification.as_ref().map(show_verification),
            approval: self.handling.approval.as_ref().filter(|approval| !approval.waived).map(show_approval),
            extension: self.handling.extension.as_ref().map(show_extension),
            denial: self.handling.denial.as_ref().map(show_denial),
            backups_cleared: cleared,
            backups_clear_after: self.residual.as_ref().and_then(|residual| text(residual.clear_after)),
            residual_copies: self
                .residual
                .iter()
                .flat_map(|residual| &residual.copies)
                .map(CopyKeeper::view)
                .collect(),
            receipt: self.has_receipt().then(|| format!("gdpr/{}.receipt", self.id)),
            receipt_number: self.receipt,
        }
    }

    /// The state, and past the deadline with a region away that it failed there.
    pub fn state_at(&self, now: Time) -> RunState {
        let failed = self.state == RunState::Purging && now >= self.due_at() && !self.blocked().is_empty();
        if failed { RunState::PartiallyFailed } else { self.state }
    }

    /// Runs of before the chain have no number, and a receipt once purged.
    fn has_receipt(&self) -> bool {
        self.receipt.is_some() || self.state == RunState::Purged
    }

    fn is_hiding(&self) -> bool {
        matches!(self.state, RunState::Marked | RunState::Purging | RunState::Purged)
    }

    /// Messages that legal holds keep.
    pub fn held(&self) -> u64 {
        self.kept.values().sum()
    }

    /// The same by reason.
    pub fn kept_view(&self) -> Vec<KeptView> {
        let view =
            |(reason, messages): (&String, &u64)| KeptView { reason: reason.clone(), messages: *messages };
        self.kept.iter().map(view).collect()
    }

    /// How far each region is, the master first.
    pub fn region_views(&self, master: &str) -> Vec<RegionView> {
        let mut views: Vec<RegionView> = self
            .regions
            .iter()
            .map(|(name, progress)| RegionView {
                name: name.clone(),
                master: name == master,
                matched: progress.matched,
                erased: progress.erased + progress.gone,
                blocked: progress.last_error.is_some(),
                attempts: progress.attempts,
                erased_at: text(progress.erased_at),
                last_error: progress.last_error.clone(),
            })
            .collect();
        views.sort_by_key(|view| !view.master);
        views
    }
}

fn show_verification(verified: &handling::Verified) -> Verification {
    Verification {
        method: verified.method.clone(),
        verifier: verified.verifier.clone(),
        at: text(verified.at),
    }
}

fn show_approval(approval: &handling::Approval) -> ApprovalView {
    ApprovalView {
        given: approval.at.is_some(),
        reason: approval.reason.name().into(),
        by: approval.by.clone(),
        at: text(approval.at),
    }
}

fn show_extension(extension: &handling::Extension) -> ExtensionView {
    ExtensionView {
        months: extension.months,
        reason: extension.reason.clone(),
        by: extension.by.clone(),
        at: extension.at.rfc3339(),
    }
}

fn show_denial(denial: &handling::Denial) -> DenialView {
    DenialView {
        ground: denial.ground,
        text: denial.text.clone(),
        by: denial.by.clone(),
        at: denial.at.rfc3339(),
    }
}
