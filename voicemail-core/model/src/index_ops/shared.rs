//! Operations of several people on the messages of one mailbox: marking, listening, claiming, forwarding.
//!
//! A claim is a note to the other members, not a lock: whoever opens the mailbox may still play, mark and delete the
//! message. It stays until it is released or taken over, since nobody but a person knows whether a call was made.

use super::{IndexOutcome, MessageChange};
use crate::{Claim, Entry, Forwarding, Index, MessageId, MessageState, Time, UserId};

impl Index {
    fn visible_mut(&mut self, id: MessageId) -> Option<&mut Entry> {
        self.entries.get_mut(&id).filter(|entry| entry.is_visible())
    }

    /// Whether the owner sees the message as it was seen; one that is gone hasn't changed but isn't found.
    pub(super) fn is_still(&self, id: MessageId, seen: &Entry) -> bool {
        self.visible(id).is_none_or(|entry| entry == seen)
    }

    pub(super) fn change(
        &mut self,
        id: MessageId,
        change: MessageChange,
        by: Option<&UserId>,
        now: Time,
    ) -> (bool, IndexOutcome) {
        let Some(entry) = self.visible_mut(id) else { return (false, IndexOutcome::NotFound) };
        let before = (entry.state, entry.urgent, entry.heard.len());
        let is_first_heard = change.heard && entry.state == MessageState::New;
        entry.state = change.state.unwrap_or(if is_first_heard { MessageState::Read } else { entry.state });
        entry.urgent = change.urgent.unwrap_or(entry.urgent);
        let listened = change.heard || matches!(change.state, Some(MessageState::Read | MessageState::Saved));
        if let Some(user) = by.filter(|_| listened) {
            entry.heard.entry(user.clone()).or_insert(now);
        }
        ((entry.state, entry.urgent, entry.heard.len()) != before, IndexOutcome::Done)
    }

    pub(super) fn claim(
        &mut self,
        id: MessageId,
        by: &UserId,
        take_over: bool,
        now: Time,
    ) -> (bool, IndexOutcome) {
        let Some(entry) = self.visible_mut(id) else { return (false, IndexOutcome::NotFound) };
        match &entry.claim {
            Some(claim) if claim.by == *by => (false, IndexOutcome::Done),
            Some(_) if !take_over => (false, IndexOutcome::Claimed),
            _ => {
                entry.claim = Some(Claim { by: by.clone(), at: now, unknown: serde_json::Map::new() });
                (true, IndexOutcome::Done)
            }
        }
    }

    pub(super) fn release(&mut self, id: MessageId, by: &UserId) -> (bool, IndexOutcome) {
        let Some(entry) = self.visible_mut(id) else { return (false, IndexOutcome::NotFound) };
        match &entry.claim {
            Some(claim) if claim.by != *by => (false, IndexOutcome::Claimed),
            _ => (entry.claim.take().is_some(), IndexOutcome::Done),
        }
    }

    pub(super) fn note_forward(&mut self, id: MessageId, copy: &Forwarding) -> (bool, IndexOutcome) {
        // Also of one that is hidden: who erases or restores it must find its copies.
        let entry = self.entries.get_mut(&id).filter(|entry| entry.state != MessageState::Deleting);
        let Some(entry) = entry else { return (false, IndexOutcome::NotFound) };
        let is_known = entry.forwarded_to.iter().any(|known| known.id == copy.id);
        if !is_known {
            entry.forwarded_to.push(copy.clone());
        }
        (!is_known, IndexOutcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_ops::tests::{envelope, id};
    use crate::{IndexOp, RunId};
    use std::collections::BTreeMap;

    const NOW: Time = Time(1_000);

    fn user(name: &str) -> UserId {
        name.parse().unwrap()
    }

    fn mailbox() -> Index {
        let entry = envelope(1).entry(crate::CallerHash::withheld(), BTreeMap::new(), NOW);
        Index { entries: BTreeMap::from([(id(1), entry)]).into(), ..Index::default() }
    }

    fn claim(index: &mut Index, by: &str, take_over: bool) -> (bool, IndexOutcome) {
        index.apply(&IndexOp::Claim { id: id(1), by: user(by), take_over }, NOW)
    }

    #[test]
    fn of_two_members_one_claims_and_the_other_may_take_over() {
        let mut index = mailbox();
        assert_eq!(claim(&mut index, "ann", false), (true, IndexOutcome::Done));
        assert_eq!(claim(&mut index, "ann", false), (false, IndexOutcome::Done));
        assert_eq!(claim(&mut index, "ben", false), (false, IndexOutcome::Claimed));
        assert_eq!(claim(&mut index, "ben", true), (true, IndexOutcome::Done));
        let release = |by: &str| IndexOp::Release { id: id(1), by: user(by) };
        assert_eq!(index.apply(&release("ann"), NOW), (false, IndexOutcome::Claimed));
        assert_eq!(index.apply(&release("ben"), NOW), (true, IndexOutcome::Done));
        assert_eq!(index.apply(&release("ben"), NOW), (false, IndexOutcome::Done));
    }

    #[test]
    fn who_listens_takes_nothing_back_in_whatever_order_it_arrives() {
        let op = |change: MessageChange| IndexOp::Change {
            id: id(1),
            change,
            by: Some(user("ann")),
            only_if: None,
        };
        let to = |state| op(MessageChange { state: Some(state), ..MessageChange::default() });
        let heard = || op(MessageChange { heard: true, ..MessageChange::default() });
        for (ops, right) in [
            (vec![heard()], MessageState::Read),
            (vec![to(MessageState::Saved), heard()], MessageState::Saved),
            (vec![heard(), to(MessageState::Saved)], MessageState::Saved),
            (vec![to(MessageState::Read), heard()], MessageState::Read),
        ] {
            let mut index = mailbox();
            for op in &ops {
                index.apply(op, NOW);
            }
            let entry = &index.entries[&id(1)];
            assert_eq!(entry.state, right, "{ops:?}");
            assert!(entry.heard.contains_key(&user("ann")), "{ops:?}");
        }
        let mut index = mailbox();
        let both = MessageChange { state: Some(MessageState::New), heard: true, urgent: None };
        index.apply(&op(both), NOW);
        assert_eq!(index.entries[&id(1)].state, MessageState::New, "a state that is named is meant");
    }

    #[test]
    fn the_first_time_that_somebody_listened_is_kept() {
        let mut index = mailbox();
        let mark = |state, by: &str| IndexOp::Change {
            id: id(1),
            change: MessageChange { state: Some(state), ..MessageChange::default() },
            by: Some(user(by)),
            only_if: None,
        };
        index.apply(&mark(MessageState::New, "ann"), Time(1));
        index.apply(&mark(MessageState::Read, "ann"), Time(2));
        index.apply(&mark(MessageState::Saved, "ann"), Time(3));
        assert!(
            index.apply(&mark(MessageState::Saved, "ben"), Time(4)).0,
            "who listened is a change of its own"
        );
        assert_eq!(
            index.entries[&id(1)].heard,
            BTreeMap::from([(user("ann"), Time(2)), (user("ben"), Time(4))])
        );
    }

    #[test]
    fn a_message_that_is_hidden_can_be_claimed_by_nobody_and_keeps_its_claim() {
        let mut index = mailbox();
        claim(&mut index, "ann", false);
        let run: RunId = serde_json::from_value("case/forgetme.1".into()).unwrap();
        let messages = BTreeMap::from([(id(1), crate::CallerHash::withheld())]);
        index.apply(&IndexOp::Flag { run: run.clone(), purge_at: NOW, messages }, NOW);
        assert_eq!(claim(&mut index, "ben", true), (false, IndexOutcome::NotFound));
        index.apply(&IndexOp::ClearFlags { run }, NOW);
        assert_eq!(index.entries[&id(1)].claim.as_ref().unwrap().by, user("ann"));
    }
}
