//! Holds: of exports, which keep a message from retention and trash for a while; and legal ones, which keep it from
//! everything, an erasure too, until somebody ends them.

use super::IndexOutcome;
use crate::{CallerHash, Index, LegalHold, MessageId, MessageState, Time};
use std::collections::BTreeMap;

impl Index {
    pub(super) fn hold(
        &mut self,
        hold: &str,
        until: Time,
        messages: &BTreeMap<MessageId, CallerHash>,
    ) -> (bool, IndexOutcome) {
        let mut touched = 0;
        for (id, caller) in messages {
            let entry = self.entries.get_mut(id).filter(|e| e.is_visible() && e.caller_hash == *caller);
            if let Some(entry) = entry
                && entry.holds.insert(hold.to_owned(), until) != Some(until)
            {
                touched += 1;
            }
        }
        (touched > 0, IndexOutcome::Touched(touched))
    }

    /// A message that is being deleted can't be kept any more.
    pub(super) fn put_legal_hold(&mut self, id: MessageId, hold: &LegalHold) -> (bool, IndexOutcome) {
        let entry = self.entries.get_mut(&id).filter(|entry| entry.state != MessageState::Deleting);
        let Some(entry) = entry else { return (false, IndexOutcome::NotFound) };
        match &mut entry.legal_hold {
            Some(known) if known.reason == hold.reason => (false, IndexOutcome::Done),
            Some(known) => {
                (known.reason, known.by) = (hold.reason.clone(), hold.by.clone());
                (true, IndexOutcome::Done)
            }
            none => {
                *none = Some(hold.clone());
                (true, IndexOutcome::Done)
            }
        }
    }

    pub(super) fn end_legal_hold(&mut self, id: MessageId) -> (bool, IndexOutcome) {
        match self.entries.get_mut(&id) {
            Some(entry) => (entry.legal_hold.take().is_some(), IndexOutcome::Done),
            None => (false, IndexOutcome::NotFound),
        }
    }
}
