//! The subject of a run: callers by hash, and messages by name where a caller has none.
//!
//! Under some hashes strangers are filed, too: another rule set read a number at home as theirs, or the number may mean
//! two. Such a hash is doubtful: a message below it counts only if its caller as given is read as one of the run's by the
//! rule set that was in force when the run was made.

use crate::context::Context;
use std::collections::BTreeSet;
use voicemail_model::{ByRules, CallerHash, CallerId, MessageName, Run};
use voicemail_store::{Key, StoreError};

/// Callers and messages, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) callers: Vec<CallerHash>,
    pub(super) doubtful: Option<ByRules>,
    pub(super) messages: Vec<MessageName>,
}

impl Target {
    pub(super) fn of(run: &Run) -> Self {
        let Run { callers, doubtful, messages, .. } = run.clone();
        Self { callers, doubtful, messages }
    }

    /// Messages alone.
    pub(super) fn named(messages: impl IntoIterator<Item = MessageName>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    /// With what another one holds.
    pub(super) fn with(&self, other: &Self) -> Self {
        let callers: BTreeSet<_> = self.callers.iter().chain(&other.callers).cloned().collect();
        let messages: BTreeSet<_> = self.messages.iter().chain(&other.messages).cloned().collect();
        let doubtful = join(self.doubtful.as_ref(), other.doubtful.as_ref(), &callers);
        Self { callers: callers.into_iter().collect(), doubtful, messages: messages.into_iter().collect() }
    }

    /// Hashes under which strangers are filed, too.
    pub(super) fn doubtful(&self) -> &[CallerHash] {
        self.doubtful.as_ref().map_or(&[], |doubtful| &doubtful.callers)
    }

    /// Every hash under which the callers may be filed.
    pub(super) fn all_callers(&self) -> impl Iterator<Item = &CallerHash> {
        self.callers.iter().chain(self.doubtful())
    }

    /// The documents that tell depositors and forwarders of a run, each with those whom it covers alone.
    pub(super) fn marks(&self) -> impl Iterator<Item = (Key, Option<ByRules>)> {
        let only = |rules| ByRules::new(rules, self.callers.clone());
        let only = self.doubtful.as_ref().map(|doubtful| only(doubtful.rules));
        let sure = self.callers.iter().map(|caller| (Key::mark(caller), None));
        let doubtful = self.doubtful().iter().map(move |caller| (Key::mark(caller), only.clone()));
        sure.chain(doubtful).chain(self.messages.iter().map(|name| (Key::message_mark(name), None)))
    }

    /// Whether a message that is filed under a hash is one of the callers'.
    pub(super) async fn admits(
        &self,
        context: &Context,
        caller: &CallerHash,
        given: Option<&CallerId>,
    ) -> Result<bool, StoreError> {
        match &self.doubtful {
            _ if self.callers.contains(caller) => Ok(true),
            Some(doubtful) if doubtful.callers.contains(caller) => {
                context.is_read_as(doubtful, given, &self.callers).await
            }
            _ => Ok(false),
        }
    }

    /// As [`admits`](Self::admits), by the rule sets that a search has just read.
    pub(super) fn has(&self, context: &Context, caller: &CallerHash, given: Option<&CallerId>) -> bool {
        let doubtful = self.doubtful.as_ref().filter(|doubtful| doubtful.callers.contains(caller));
        let read = |by| context.is_known_as(by, given, &self.callers).unwrap_or(false);
        self.callers.contains(caller) || doubtful.is_some_and(read)
    }

    /// Whether all that the other one holds is in this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let knows = |caller| self.all_callers().any(|known| known == caller);
        other.callers.iter().all(|caller| self.callers.contains(caller))
            && other.doubtful().iter().all(knows)
            && other.messages.iter().all(|message| self.messages.contains(message))
    }

    /// Without anybody.
    pub(super) fn is_empty(&self) -> bool {
        self.callers.is_empty() && self.doubtful().is_empty() && self.messages.is_empty()
    }
}

/// Of both; what is sure isn't doubtful.
fn join(one: Option<&ByRules>, other: Option<&ByRules>, sure: &BTreeSet<CallerHash>) -> Option<ByRules> {
    let rules = one.or(other)?.rules;
    let both = one.into_iter().chain(other).flat_map(|doubtful| &doubtful.callers);
    let callers: BTreeSet<CallerHash> = both.filter(|caller| !sure.contains(*caller)).cloned().collect();
    Some(ByRules::new(rules, callers.into_iter().collect()))
}
