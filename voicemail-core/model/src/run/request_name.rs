//! The name under which a request finds its own run again: the key that its sender chose, and who that was.
//!
//! A key alone doesn't say what a request is about. A look-up of a run by its key compares the operation and the
//! subject, too. Keys of an operator are apart from everybody else's, and one cluster's from another's, so that
//! nobody can occupy one beforehand.

use super::Run;
use voicemail_api::gdpr::Operation;

/// A sender's name for its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestName {
    /// The sender's key, such as a resource's namespace and name; none for a request that is never found again.
    pub key: Option<String>,
    /// The cluster whose operator sent it; none for any other sender.
    pub recorded_by: Option<String>,
    /// The sender, as authenticated. Runs of before the clusters were recorded have nothing else.
    pub requester: Option<String>,
}

impl RequestName {
    /// Whether a request of this name opened the run, whatever it was about.
    pub fn opened(&self, run: &Run) -> bool {
        let same = self.key.is_some() && self.key == run.request_key;
        same && match &run.recorded_by {
            Some(_) => self.recorded_by == run.recorded_by,
            None => self.recorded_by.is_none() || self.requester == run.handling.requester,
        }
    }

    /// Whether a request of this name took the run back.
    pub fn undid(&self, run: &Run) -> bool {
        let same = self.key.is_some() && self.key == run.undo_key;
        same && (run.undo_recorded_by.is_none() || run.undo_recorded_by == self.recorded_by)
    }

    /// Whether a request of this name did something else to the run than this operation.
    pub fn is_taken(&self, run: &Run, operation: Operation) -> bool {
        let undo = operation == Operation::UndoForget;
        (self.opened(run) && (undo || run.operation != operation)) || (self.undid(run) && !undo)
    }
}
