//! Operations on a mailbox index, each a pure function of the index and the time.
//!
//! Flow: a service puts an [`IndexOp`] into a mailbox's queue; all that is queued is applied to one
//! revision and written in one conditional replacement; each service gets its [`IndexOutcome`]. An
//! operation may be applied twice (a lost reply, a leader that died), so each is idempotent.
//!
//! The order of the checks in [`insert`] is part of the protocol: presence first, then closed, then gone, then room. An
//! attempt that found no room is remembered: it is refused from then on.

use super::{AudioKey, CallerHash, Entry, Index, MessageId, MessageState, Room, RunId, Time, Trash};
use crate::fault_injection::{self, Broken};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

mod holds;
mod operations;
mod shared;

pub use operations::{IndexOp, IndexOutcome, MessageChange, NewEntry, PurgeItem};

impl Index {
    /// Applies one operation. The flag says whether the index changed and must be written.
    pub fn apply(&mut self, op: &IndexOp, now: Time) -> (bool, IndexOutcome) {
        match op {
            IndexOp::Insert(new) => self.insert(new, now),
            IndexOp::Flag { run, purge_at, messages } => self.flag(run, *purge_at, messages, now),
            IndexOp::ClearFlags { run } => self.clear_flags(run, now),
            IndexOp::Unflag { run, messages } => self.clear_flags_where(run, now, |id| messages.contains(id)),
            IndexOp::Refile { id, caller, audio, new_audio } => self.refile(*id, caller, audio, new_audio),
            IndexOp::BeginDelete { id, caller, audio, only_expired, only_visible } => {
                let allowed = |entry: &Entry| {
                    entry.legal_hold.is_none()
                        && (!only_expired || entry.is_expired(now))
                        && (!only_visible || (entry.is_visible() && !entry.is_held(now)))
                };
                self.begin_delete(*id, caller, audio, allowed)
            }
            IndexOp::FinishDelete { id, caller, audio } => self.finish_delete(*id, caller, audio, now),
            IndexOp::BeginPurge(items) => self.begin_purge(items),
            IndexOp::FinishPurge(items) => self.finish_purge(items, now),
            IndexOp::Change { id, only_if: Some(seen), .. } if !self.is_still(*id, seen) => {
                (false, IndexOutcome::Changed)
            }
            IndexOp::Change { id, change, by, .. } => self.change(*id, *change, by.as_ref(), now),
            IndexOp::Claim { id, by, take_over } => self.claim(*id, by, *take_over, now),
            IndexOp::Release { id, by } => self.release(*id, by),
            IndexOp::NoteForward { id, copy } => self.note_forward(*id, copy),
            IndexOp::MoveToTrash { id, keep } => self.move_to_trash(*id, *keep, now),
            IndexOp::Restore(id) => self.restore(*id),
            IndexOp::Hold { hold, until, messages } => self.hold(hold, *until, messages),
            IndexOp::PutLegalHold { id, hold } => self.put_legal_hold(*id, hold),
            IndexOp::EndLegalHold(id) => self.end_legal_hold(*id),
            IndexOp::Restamp { retention, messages } => self.restamp(*retention, messages),
            IndexOp::Close { generation } => self.close(*generation),
            IndexOp::Open { generation } => self.open(*generation),
        }
    }

    fn insert(&mut self, new: &NewEntry, now: Time) -> (bool, IndexOutcome) {
        if self.closed && fault_injection::is(Broken::ClosedBeforePresent) {
            return (false, IndexOutcome::Refused);
        }
        if let Some(entry) = self.entries.get(&new.id) {
            let ours = entry.caller_hash == new.entry.caller_hash && entry.digest == new.entry.digest;
            return (false, if ours { IndexOutcome::AlreadyThere } else { IndexOutcome::OtherMessage });
        }
        let gone = self.gone.contains_key(&new.id) && !fault_injection::is(Broken::NoPresenceCheck);
        if self.closed || self.generation != new.generation || gone {
            return (false, IndexOutcome::Refused);
        }
        let attempt = new.entry.audio.attempt();
        if self.refused.contains_key(attempt) && !fault_injection::is(Broken::RefusedAttemptForgotten) {
            return (false, IndexOutcome::NoRoom(Room::Full));
        }
        let asked = new.quota.filter(|_| !fault_injection::is(Broken::NoQuotaAtInsertion));
        match asked.map_or(Room::Free, |quota| self.room(&quota)) {
            Room::Free => {
                self.entries.insert(new.id, new.entry.clone());
                (true, IndexOutcome::Done)
            }
            none => {
                self.refused.retain(|_, until| *until > now);
                self.refused.insert(attempt.to_owned(), new.id.forgotten_after());
                (true, IndexOutcome::NoRoom(none))
            }
        }
    }

    fn flag(
        &mut self,
        run: &RunId,
        purge_at: Time,
        messages: &BTreeMap<MessageId, CallerHash>,
        now: Time,
    ) -> (bool, IndexOutcome) {
        let mut touched = 0;
        for (id, caller) in messages {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            let ours = entry.caller_hash == *caller && entry.state != MessageState::Deleting;
            if ours && !entry.forget.contains_key(run) {
                entry.forget.insert(run.clone(), purge_at);
                entry.paused_at = entry.paused_at.or(Some(now));
                touched += 1;
            }
        }
        (touched > 0, IndexOutcome::Touched(touched))
    }

    fn clear_flags(&mut self, run: &RunId, now: Time) -> (bool, IndexOutcome) {
        self.clear_flags_where(run, now, |_| true)
    }

    fn clear_flags_where(
        &mut self,
        run: &RunId,
        now: Time,
        of: impl Fn(&MessageId) -> bool,
    ) -> (bool, IndexOutcome) {
        let mut touched = 0;
        for (_, entry) in self.entries.iter_mut().filter(|(id, _)| of(id)) {
            if entry.forget.remove(run).is_some() {
                touched += 1;
                if entry.forget.is_empty() {
                    restart_clocks(entry, now);
                }
            }
        }
        (touched > 0, IndexOutcome::Touched(touched))
    }

    /// A message that an erasure covers under its old hash stays: the erasure is about it until it is taken back.
    fn refile(
        &mut self,
        id: MessageId,
        caller: &CallerHash,
        audio: &AudioKey,
        new_audio: &AudioKey,
    ) -> (bool, IndexOutcome) {
        match self.entries.get_mut(&id) {
            Some(entry) if entry.audio == *new_audio => (false, IndexOutcome::Done),
            Some(entry) if entry.is(caller, audio) && entry.is_visible() => {
                entry.caller_hash = CallerHash::withheld();
                entry.caller = None;
                entry.audio = new_audio.clone();
                (true, IndexOutcome::Done)
            }
            _ => (false, IndexOutcome::NotFound),
        }
    }

    fn begin_delete(
        &mut self,
        id: MessageId,
        caller: &CallerHash,
        audio: &AudioKey,
        allowed: impl Fn(&Entry) -> bool,
    ) -> (bool, IndexOutcome) {
        let any = fault_injection::is(Broken::DeleteAnyEntry);
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| any || entry.is(caller, audio)) else {
            return (false, IndexOutcome::Done);
        };
        // Already `Deleting`: an earlier attempt succeeded and its reply was lost; the deletion goes on.
        if entry.state == MessageState::Deleting {
            let refuse = fault_injection::is(Broken::RefuseDeleting);
            return (false, if refuse { IndexOutcome::NotFound } else { IndexOutcome::Done });
        }
        if !allowed(entry) {
            return (false, IndexOutcome::NotFound);
        }
        entry.state = MessageState::Deleting;
        (true, IndexOutcome::Done)
    }

    fn finish_delete(
        &mut self,
        id: MessageId,
        caller: &CallerHash,
        audio: &AudioKey,
        now: Time,
    ) -> (bool, IndexOutcome) {
        match self.entries.get(&id) {
            Some(entry) if !entry.is(caller, audio) && !fault_injection::is(Broken::DeleteAnyEntry) => {
                return (false, IndexOutcome::Done);
            }
            None if self.gone.contains_key(&id) => return (false, IndexOutcome::Done),
            _ => {}
        }
        self.entries.remove(&id);
        self.remember(id, now);
        (true, IndexOutcome::Done)
    }

    fn begin_purge(&mut self, items: &[PurgeItem]) -> (bool, IndexOutcome) {
        let mut touched = 0;
        for item in items {
            match self.entries.get_mut(&item.id) {
                // A message under a legal hold stays as it is, and what it is made of too.
                Some(entry) if entry.caller_hash == item.caller && entry.legal_hold.is_none() => {
                    touched += u32::from(entry.state != MessageState::Deleting);
                    entry.state = MessageState::Deleting;
                }
                Some(_) => {}
                None => {
                    let fresh = self.gone.insert(item.id, item.id.forgotten_after()).is_none();
                    touched += u32::from(fresh);
                }
            }
        }
        (touched > 0, IndexOutcome::Touched(touched))
    }

    fn finish_purge(&mut self, items: &[PurgeItem], now: Time) -> (bool, IndexOutcome) {
        let (mut touched, mut changed) = (0, false);
        for item in items {
            let deleting =
                |entry: &Entry| entry.caller_hash == item.caller && entry.state == MessageState::Deleting;
            if self.entries.get(&item.id).is_some_and(deleting) {
                self.entries.remove(&item.id);
                touched += 1;
            }
            if !self.entries.contains_key(&item.id) && !self.gone.contains_key(&item.id) {
                self.remember(item.id, now);
                changed = true;
            }
        }
        (changed || touched > 0, IndexOutcome::Touched(touched))
    }

    fn move_to_trash(&mut self, id: MessageId, keep: Duration, now: Time) -> (bool, IndexOutcome) {
        match self.entries.get_mut(&id).filter(|entry| entry.is_visible()) {
            None => (false, IndexOutcome::NotFound),
            Some(entry) if entry.trash.is_some() => (false, IndexOutcome::Done),
            Some(entry) => {
                entry.trash = Some(Trash::until(now.plus(keep)));
                (true, IndexOutcome::Done)
            }
        }
    }

    fn restore(&mut self, id: MessageId) -> (bool, IndexOutcome) {
        match self.entries.get_mut(&id).filter(|entry| entry.is_visible()) {
            None => (false, IndexOutcome::NotFound),
            Some(entry) => (entry.trash.take().is_some(), IndexOutcome::Done),
        }
    }

    fn restamp(&mut self, retention: Duration, messages: &BTreeSet<MessageId>) -> (bool, IndexOutcome) {
        let mut touched = 0;
        for (id, entry) in self.entries.iter_mut() {
            let expires = entry.expires_under(retention);
            let wanted = messages.contains(id) && entry.state != MessageState::Deleting;
            if wanted && entry.expires != expires {
                entry.expires = expires;
                touched += 1;
            }
        }
        (touched > 0, IndexOutcome::Touched(touched))
    }

    /// A mailbox that was opened again meanwhile is another mailbox.
    fn close(&mut self, generation: u32) -> (bool, IndexOutcome) {
        if self.closed || self.generation != generation {
            return (false, IndexOutcome::Done);
        }
        (self.closed, self.bound) = (true, true);
        (true, IndexOutcome::Done)
    }

    /// The generation is the one that the settings were written for. It is never one of before.
    fn open(&mut self, generation: u32) -> (bool, IndexOutcome) {
        if self.generation > 0 && !self.closed {
            return (false, IndexOutcome::Done);
        }
        if !self.entries.is_empty() {
            return (false, IndexOutcome::StillClosing);
        }
        if generation <= self.generation {
            return (false, IndexOutcome::Changed);
        }
        self.bound |= self.generation > 0;
        (self.closed, self.generation) = (false, generation);
        (true, IndexOutcome::Done)
    }

    fn remember(&mut self, id: MessageId, now: Time) {
        self.gone.insert(id, id.forgotten_after());
        self.gone.retain(|_, until| *until > now);
    }
}

/// Retention and trash go on where they stood when the first flag was set.
fn restart_clocks(entry: &mut Entry, now: Time) {
    let Some(since) = entry.paused_at.take() else { return };
    let pause = now.since(since);
    entry.expires = entry.expires.plus(pause);
    entry.paused_ms = entry.paused_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    if let Some(trash) = &mut entry.trash {
        trash.until = trash.until.plus(pause);
    }
}

#[cfg(test)]
pub(super) mod tests;
