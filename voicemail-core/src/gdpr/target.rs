//! Whom a run is about: callers by hash, and messages by name where a caller has none.

use crate::model::{CallerHash, MessageName, Run};
use crate::store::Key;
use std::collections::BTreeSet;

/// Callers and messages, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) callers: Vec<CallerHash>,
    pub(super) messages: Vec<MessageName>,
}

impl Target {
    pub(super) fn of(run: &Run) -> Self {
        Self { callers: run.callers.clone(), messages: run.messages.clone() }
    }

    /// With what another one holds.
    pub(super) fn with(&self, other: &Self) -> Self {
        let callers: BTreeSet<_> = self.callers.iter().chain(&other.callers).cloned().collect();
        let messages: BTreeSet<_> = self.messages.iter().chain(&other.messages).cloned().collect();
        Self { callers: callers.into_iter().collect(), messages: messages.into_iter().collect() }
    }

    /// The documents that tell depositors and forwarders of a run.
    pub(super) fn marks(&self) -> impl Iterator<Item = Key> {
        self.callers.iter().map(Key::mark).chain(self.messages.iter().map(Key::message_mark))
    }

    /// Whether all that the other one holds is in this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.callers.iter().all(|caller| self.callers.contains(caller))
            && other.messages.iter().all(|message| self.messages.contains(message))
    }

    /// Without anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.callers.is_empty() && self.messages.is_empty()
    }
}
