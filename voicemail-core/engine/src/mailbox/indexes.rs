//! Group commit: writers to one mailbox's index in one process share replacements.
//!
//! One replacement is in flight at a time; what queues meanwhile is merged into the next. Whoever gets
//! the turn applies everything that waits and hands out the answers. A leader that is dropped half-way
//! leaves its followers without an answer; they queue again, which is safe because operations are
//! idempotent. An operation whose caller is gone is not applied: a late flag would have nobody to look
//! at the mark again after it.

use super::MailboxError;
use crate::context::{Context, Memory};
use crate::mwi::{Hub, Topic};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use voicemail_model::{
    Entry, Index, IndexOp, IndexOutcome, MailboxId, MessageId, MessageState, Mwi, PurgeItem,
};
use voicemail_store::documents::{Cache, Decision, Documents};
use voicemail_store::{Key, Revision, StoreError};
use voicemail_telemetry::Metrics;

/// The outcome of an operation, and the counts and the message in the very revision that holds it.
#[derive(Clone, Debug)]
pub struct Applied {
    pub(crate) outcome: IndexOutcome,
    pub(crate) mwi: Mwi,
    /// The message that the owner changed, if they see it and the mailbox is open.
    pub(crate) entry: Option<Box<Entry>>,
    /// The messages of an erasure that stay as they are, since a legal hold keeps them.
    pub(crate) held: BTreeSet<MessageId>,
}

/// Entries of indexes kept decoded: some megabytes.
const MOST_ENTRIES: usize = 20_000;

/// `None`: there is no such mailbox.
type Answer = Result<Option<Applied>, StoreError>;

struct Waiting {
    op: IndexOp,
    reply: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

/// The one way to read and to change an index.
pub struct Indexes {
    documents: Documents,
    known: Cache<Index>,
    queues: Mutex<HashMap<MailboxId, Arc<Queue>>>,
    mwi: Arc<Hub>,
}

/// Queues nobody uses are dropped when there are more than this.
const MOST_QUEUES: usize = 10_000;

impl Memory for Indexes {
    fn begin(context: &Context) -> Self {
        Self::new(context.documents().clone(), context.mwi())
    }
}

impl Context {
    /// Mailboxes' indexes, read and changed by all services alike.
    pub fn indexes(&self) -> Arc<Indexes> {
        self.memory()
    }
}

impl Indexes {
    /// Tells the hub of every change.
    pub(crate) fn new(documents: Documents, mwi: Arc<Hub>) -> Self {
        let weigh = |index: &Index| 1 + index.entries.len() + index.gone.len() / 8;
        Self { documents, known: Cache::new(MOST_ENTRIES, weigh), queues: Mutex::default(), mwi }
    }

    /// A mailbox's index as it is in the store now.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn load(&self, mailbox: &MailboxId) -> Result<Option<Arc<Index>>, StoreError> {
        Ok(self.load_revision(mailbox).await?.map(|(index, _)| index))
    }

    /// With its revision, which changes with every change.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn load_revision(
        &self,
        mailbox: &MailboxId,
    ) -> Result<Option<(Arc<Index>, Revision)>, StoreError> {
        self.documents.load_known(&self.known, &Key::index(mailbox)).await
    }

    /// Sees to it that the next change needs no read before it.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn freshen(&self, mailbox: &MailboxId) -> Result<(), StoreError> {
        self.documents.freshen(&self.known, &Key::index(mailbox)).await
    }

    /// Applies an operation.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn apply(&self, mailbox: &MailboxId, op: IndexOp) -> Result<Applied, MailboxError> {
        self.try_apply(mailbox, op).await?.ok_or(MailboxError::UnknownMailbox)
    }

    /// Applies an operation; `None` when there is no such mailbox.
    pub async fn try_apply(&self, mailbox: &MailboxId, op: IndexOp) -> Answer {
        let queue = self.queue(mailbox);
        loop {
            let mut reply = queue.enter(op.clone());
            let answer = tokio::select! {
                biased;
                answer = &mut reply => answer.ok(),
                turn = queue.turn.lock() => {
                    if reply.is_empty() && !reply.is_terminated() {
                        self.lead(mailbox, &queue).await;
                    }
                    drop(turn);
                    reply.try_recv().ok()
                }
            };
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    fn queue(&self, mailbox: &MailboxId) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() > MOST_QUEUES {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        Arc::clone(queues.entry(mailbox.clone()).or_default())
    }

    async fn lead(&self, mailbox: &MailboxId, queue: &Queue) {
        let mut batch = queue.take();
        batch.retain(|waiting| !waiting.reply.is_closed());
        let ops: Vec<IndexOp> = batch.iter().map(|waiting| waiting.op.clone()).collect();
        let result = self.write(mailbox, &ops).await;
        for (position, waiting) in batch.into_iter().enumerate() {
            let answer = match &result {
                Ok(applied) => Ok(applied.as_ref().and_then(|all| all.get(position).cloned())),
                Err(error) => Err(error.clone()),
            };
            // A caller who is gone needs no answer.
            let _ = waiting.reply.send(answer);
        }
    }

    async fn write(&self, mailbox: &MailboxId, ops: &[IndexOp]) -> Result<Option<Vec<Applied>>, StoreError> {
        let mut wrote_any = false;
        let (mut runs, mut tally) = (0, Tally::default());
        let change = |index: Option<Index>, now| {
            let opens = ops.iter().any(|op| matches!(op, IndexOp::Open { .. }));
            let Some(mut index) = index.or_else(|| opens.then(Index::default)) else {
                return Decision::Keep(None);
            };
            (runs, tally) = (runs + 1, Tally::default());
            let mut changed = false;
            let mut outcomes = Vec::with_capacity(ops.len());
            for op in ops {
                let removed = tally.weigh(&index, op);
                let (wrote, outcome) = index.apply(op, now);
                if wrote {
                    tally.note(op, outcome, removed);
                }
                changed |= wrote;
                outcomes.push(outcome);
            }
            let mwi = Mwi::count(&index);
            let show = |(op, outcome): (&IndexOp, _)| {
                let (entry, held) = (find_entry(&index, op), find_held(&index, op));
                Applied { outcome, mwi, entry, held }
            };
            let applied = ops.iter().zip(outcomes).map(show).collect();
            wrote_any |= changed;
            if changed { Decision::Write(index, Some(applied)) } else { Decision::Keep(Some(applied)) }
        };
        let result = self.documents.update_known(&self.known, &Key::index(mailbox), change).await;
        if let Some(metrics) = self.mwi.metrics().filter(|_| wrote_any) {
            metrics.count_commit(ops.len(), runs - 1);
            if result.is_ok() {
                tally.count(metrics);
            }
        }
        // After a failure, too: the write may have been applied.
        if wrote_any {
            self.mwi.note(&Topic::Mailbox(mailbox.clone()));
        }
        result
    }
}

/// Messages and bytes that a replacement adds and removes.
#[derive(Clone, Copy, Default)]
struct Tally {
    added: (u64, u64),
    removed: (u64, u64),
}

impl Tally {
    /// Size of the message that the operation would remove.
    fn weigh(&self, index: &Index, op: &IndexOp) -> Option<u64> {
        let IndexOp::FinishDelete { id, .. } = op else { return None };
        index.entries.get(id).map(|entry| entry.size)
    }

    fn note(&mut self, op: &IndexOp, outcome: IndexOutcome, removed: Option<u64>) {
        match (op, removed) {
            (IndexOp::Insert(new), _) if outcome == IndexOutcome::Done => {
                add(&mut self.added, new.entry.size)
            }
            (_, Some(size)) => add(&mut self.removed, size),
            _ => {}
        }
    }

    fn count(self, metrics: &Metrics) {
        for (change, (messages, bytes)) in [("added", self.added), ("removed", self.removed)] {
            if messages > 0 {
                metrics.count_messages(change, messages, bytes);
            }
        }
    }
}

fn add(sum: &mut (u64, u64), size: u64) {
    *sum = (sum.0 + 1, sum.1.saturating_add(size));
}

fn find_entry(index: &Index, op: &IndexOp) -> Option<Box<Entry>> {
    let id = op.owners_message().filter(|_| !index.closed)?;
    index.visible(id).cloned().map(Box::new)
}

fn find_held(index: &Index, op: &IndexOp) -> BTreeSet<MessageId> {
    let IndexOp::BeginPurge(items) = op else { return BTreeSet::new() };
    let stands = |item: &&PurgeItem| {
        let entry = index.entries.get(&item.id).filter(|entry| entry.caller_hash == item.caller);
        entry.is_some_and(|entry| entry.state != MessageState::Deleting)
    };
    items.iter().filter(stands).map(|item| item.id).collect()
}

impl Queue {
    fn enter(&self, op: IndexOp) -> oneshot::Receiver<Answer> {
        let (reply, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { op, reply });
        receiver
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
