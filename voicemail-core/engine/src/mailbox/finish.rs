//! The end of a deposit: an envelope becomes an entry, checked against the caller's erasure marker.
//!
//! Used by deposits, and by the sweeper for deposits whose replica died. The mark is looked at before
//! the insertion (so that a covered message is never visible), after it (the handshake with a forget:
//! it writes the mark, then lists), and once more after flagging (an undo may have come between).

use super::{Deposited, MailboxError, Remover};
use crate::context::Context;
use std::collections::BTreeMap;
use voicemail_model::fault_injection::{self, Broken};
use voicemail_model::{
    CallerHash, Envelope, Forwarding, IndexOp, IndexOutcome, MailboxId, Mark, MarkState, MarkedRun,
    MessageId, MessageName, Mwi, NewEntry, Quota, RunId, Time,
};
use voicemail_store::retry_until_known::delete;
use voicemail_store::{Key, StoreError};

/// A message whose audio and envelope are stored.
pub(crate) struct Insertion {
    pub(crate) mailbox: MailboxId,
    pub(crate) id: MessageId,
    pub(crate) caller: CallerHash,
    pub(crate) envelope: Envelope,
}

/// Completes deposits.
pub(crate) struct Finisher<'a> {
    context: &'a Context,
}

impl<'a> Finisher<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// As [`finish_within`](Self::finish_within), for a message whose depositor died: what a caller left is kept, even
    /// if the mailbox has become full.
    ///
    /// # Errors
    /// As those of `finish_within`.
    pub(crate) async fn finish(&self, insertion: Insertion) -> Result<Deposited, MailboxError> {
        self.finish_within(insertion, None).await
    }

    /// Inserts the entry, if the mailbox has room, and settles it with the mark.
    ///
    /// # Errors
    /// `Gone` when a purge covers it, the id was deleted or the mailbox closed; `Full`, `FullOfSeconds`; `IdReused`; the
    /// store's.
    pub(crate) async fn finish_within(
        &self,
        insertion: Insertion,
        quota: Option<Quota>,
    ) -> Result<Deposited, MailboxError> {
        let mark = self.load_mark(&insertion).await?;
        self.finish_seen(insertion, quota, mark).await
    }

    /// As [`finish_within`](Self::finish_within), once somebody has looked at the mark. What it says since, the look after
    /// the insertion finds.
    ///
    /// # Errors
    /// As those of `finish_within`.
    pub(crate) async fn finish_seen(
        &self,
        insertion: Insertion,
        quota: Option<Quota>,
        mark: Mark,
    ) -> Result<Deposited, MailboxError> {
        let flags = self.look_before(&insertion, &mark).await?;
        self.note_copy(&insertion).await?;
        let entry =
            insertion.envelope.entry(insertion.caller.clone(), flags.clone(), self.context.world().now());
        let new = NewEntry { id: insertion.id, entry, generation: insertion.envelope.generation, quota };
        let op = IndexOp::Insert(Box::new(new));
        let applied = self.context.indexes().try_apply(&insertion.mailbox, op).await?;
        let outcome = applied.as_ref().map_or(IndexOutcome::Refused, |applied| applied.outcome);
        match outcome {
            IndexOutcome::Done | IndexOutcome::AlreadyThere => {}
            refused => {
                self.remove_own(&insertion).await?;
                return Err(match (refused, quota) {
                    (IndexOutcome::OtherMessage, _) => MailboxError::IdReused,
                    (IndexOutcome::NoRoom(room), Some(quota)) => MailboxError::of_room(room, &quota),
                    _ => MailboxError::Gone,
                });
            }
        }
        let mut mwi = applied.map(|applied| applied.mwi).unwrap_or_default();
        let mark = match fault_injection::is(Broken::LookBesideInsertion) {
            true => mark,
            false => self.load_mark(&insertion).await?,
        };
        self.look_after(&insertion, mark, (&flags, outcome == IndexOutcome::AlreadyThere), &mut mwi).await?;
        Ok(Deposited { id: insertion.id, mwi, created: outcome == IndexOutcome::Done })
    }

    /// Every mark that may cover the message, in one: its caller's; without a number its own; and for a copy
    /// those of all messages that it comes from, which may have been named.
    pub(crate) async fn load_mark(&self, insertion: &Insertion) -> Result<Mark, StoreError> {
        let Insertion { mailbox, id, caller, envelope } = insertion;
        let first = match caller.is_withheld() {
            true => Key::message_mark(&MessageName::new(mailbox, *id)),
            false => Key::mark(caller),
        };
        let mut mark: Mark = self.context.documents().load(&first).await?.unwrap_or_default();
        mark.runs = self.keep_covering(mark.runs, envelope).await?;
        if let Some(origin) =
            envelope.forwarded_from.as_ref().filter(|_| !fault_injection::is(Broken::NoLookAtOrigins))
        {
            for name in origin.ancestors() {
                let key = Key::message_mark(&name);
                mark.merge(self.context.documents().load(&key).await?.unwrap_or_default());
            }
        }
        Ok(mark)
    }

    /// Runs but for those that cover others who are filed under the same hash.
    async fn keep_covering(
        &self,
        runs: BTreeMap<RunId, MarkedRun>,
        envelope: &Envelope,
    ) -> Result<BTreeMap<RunId, MarkedRun>, StoreError> {
        let (mut kept, given) = (BTreeMap::new(), envelope.caller.as_ref());
        for (run, marked) in runs {
            let covers = match &marked.only {
                Some(only) => self.context.is_read_as(only, given, &only.callers).await?,
                None => true,
            };
            if covers {
                kept.insert(run, marked);
            }
        }
        Ok(kept)
    }

    /// A copy stands in its original's history before it is a message, so that whoever looks at the one sees the other.
    async fn note_copy(&self, insertion: &Insertion) -> Result<(), StoreError> {
        let Some(origin) = &insertion.envelope.forwarded_from else { return Ok(()) };
        let (mailbox, id) = (insertion.mailbox.clone(), insertion.id);
        let copy = Forwarding { mailbox, id, through: None, ..origin.clone() };
        let op = IndexOp::NoteForward { id: origin.id, copy };
        // An original that went meanwhile has no history any more.
        self.context.indexes().try_apply(&origin.mailbox, op).await.map(drop)
    }

    async fn look_before(
        &self,
        insertion: &Insertion,
        mark: &Mark,
    ) -> Result<BTreeMap<RunId, Time>, MailboxError> {
        let mut flags = BTreeMap::new();
        if fault_injection::is(Broken::NoFirstLook) {
            return Ok(flags);
        }
        for (run, marked) in mark.covering(insertion.envelope.received) {
            match marked.state {
                MarkState::Undone => {}
                MarkState::Marked => {
                    flags.insert(run.clone(), marked.purge_at);
                }
                MarkState::Purging | MarkState::Purged => return self.erase(insertion).await,
            }
        }
        Ok(flags)
    }

    async fn look_after(
        &self,
        insertion: &Insertion,
        mark: Mark,
        (flags, was_there): (&BTreeMap<RunId, Time>, bool),
        mwi: &mut Mwi,
    ) -> Result<(), MailboxError> {
        if fault_injection::is(Broken::NoLookAfterInsertion) {
            return Ok(());
        }
        for (run, marked) in mark.covering(insertion.envelope.received) {
            match marked.state {
                MarkState::Undone => *mwi = self.clear(insertion, run).await?,
                MarkState::Marked => {
                    if was_there || !flags.contains_key(run) {
                        *mwi = self.flag(insertion, run, marked.purge_at).await?;
                    }
                    self.look_again(insertion, run, mwi).await?;
                }
                MarkState::Purging | MarkState::Purged => return self.erase(insertion).await,
            }
        }
        Ok(())
    }

    /// After flagging: the run may have been undone or carried out meanwhile.
    async fn look_again(
        &self,
        insertion: &Insertion,
        run: &RunId,
        mwi: &mut Mwi,
    ) -> Result<(), MailboxError> {
        if fault_injection::is(Broken::NoLookAfterFlagging) {
            return Ok(());
        }
        let mark = self.load_mark(insertion).await?;
        match mark.runs.get(run).map(|marked| marked.state) {
            Some(MarkState::Undone) => *mwi = self.clear(insertion, run).await?,
            Some(MarkState::Purging | MarkState::Purged) => return self.erase(insertion).await,
            Some(MarkState::Marked) | None => {}
        }
        Ok(())
    }

    async fn flag(&self, insertion: &Insertion, run: &RunId, purge_at: Time) -> Result<Mwi, MailboxError> {
        let messages = BTreeMap::from([(insertion.id, insertion.caller.clone())]);
        let op = IndexOp::Flag { run: run.clone(), purge_at, messages };
        Ok(self.context.indexes().apply(&insertion.mailbox, op).await?.mwi)
    }

    async fn clear(&self, insertion: &Insertion, run: &RunId) -> Result<Mwi, MailboxError> {
        let op = IndexOp::ClearFlags { run: run.clone() };
        Ok(self.context.indexes().apply(&insertion.mailbox, op).await?.mwi)
    }

    /// A purge covers the message: it goes by X, and the depositor is told that it is gone.
    async fn erase<T>(&self, insertion: &Insertion) -> Result<T, MailboxError> {
        let Insertion { mailbox, id, caller, envelope } = insertion;
        let message = envelope.purge_item(*id, caller.clone());
        Remover::new(self.context).remove(mailbox, &message).await?;
        Err(MailboxError::Gone)
    }

    /// Refused by the index: our envelope first, **then** our audio, because the sweeper starts from audio.
    pub(crate) async fn remove_own(&self, insertion: &Insertion) -> Result<(), StoreError> {
        let (store, world) = (self.context.store(), self.context.world());
        let key = Key::envelope(&insertion.caller, &insertion.mailbox, insertion.id);
        let audio = Key::audio(&insertion.envelope.audio);
        let region = self.context.region(&insertion.envelope.region)?;
        if fault_injection::is(Broken::AudioBeforeEnvelope) {
            delete(region.as_ref(), world, &audio).await?;
        }
        if let Some(found) = store.get(&key).await?
            && super::deposit::decode_envelope(&found)?.audio == insertion.envelope.audio
        {
            delete(store, world, &key).await?;
        }
        delete(region.as_ref(), world, &audio).await
    }
}
