//! A run that a restored store doesn't know, or knows in an earlier state, is carried out again.

use super::{Handling, RequestName, Run, StartRun};
use crate::{ByRules, CallerHash, CaseId, MessageName, RunId, Time};
use std::time::Duration;
use voicemail_api::gdpr::{Operation, RunState};

impl Run {
    /// A run of which only the ledger tells.
    pub fn unknown(id: &RunId, case: &CaseId, at: Time) -> Self {
        Self::start(StartRun {
            id: id.clone(),
            case: case.clone(),
            operation: Operation::ForgetMe,
            now: at,
            window: Duration::ZERO,
            callers: Vec::new(),
            doubtful: None,
            messages: Vec::new(),
            handling: Handling::default(),
            subject: String::new(),
            subject_digest: None,
            sealed: String::new(),
            name: RequestName::default(),
        })
    }

    /// Purging, whatever it was: the ledger says that it was carried out. True if that changed anything.
    pub fn replay(
        &mut self,
        callers: &[CallerHash],
        doubtful: Option<&ByRules>,
        messages: &[MessageName],
        cutoff: Time,
        epoch: u64,
        now: Time,
    ) -> bool {
        if self.state == RunState::Purged || (self.handling.replayed && self.state == RunState::Purging) {
            return false;
        }
        self.state = RunState::Purging;
        (self.callers, self.messages) = (callers.to_vec(), messages.to_vec());
        self.doubtful = doubtful.cloned();
        (self.by_number, self.by_message) = (!callers.is_empty(), !messages.is_empty());
        self.sealed = None;
        self.cutoff = Some(cutoff);
        self.marked_at = self.marked_at.or(Some(now));
        self.purge_at = Some(self.purge_at.map_or(now, |at| at.min(now)));
        (self.ended_at, self.epoch, self.handling.replayed) = (None, Some(epoch), true);
        true
    }
}
