//! The machine of a GDPR run: which state follows which, when, and what is kept.
//!
//! Forget: opening → marking → marked → purging → purged, or marked → undoing → undone.
//! Export: collecting → ready → expired. Undo and purge contend on this one document, so exactly one
//! wins. Identifiers are sealed while a run needs them and destroyed at its end.

use super::{CallerHash, CaseId, MailboxId, PurgeItem, RunId, Time};
use crate::broken::{self, Broken};
use crate::gdpr_api::{Operation, RunState, RunView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// One run, `gdpr/<case>/<operation>.<number>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its case, as given.
    pub case: CaseId,
    /// Which right.
    pub operation: Operation,
    /// Where it stands.
    pub state: RunState,
    /// When it was accepted.
    pub created_at: Time,
    /// From the mark to the erasure.
    pub window: Duration,
    /// Set by F2.
    pub marked_at: Option<Time>,
    /// Messages received up to then are covered; set by F2.
    pub cutoff: Option<Time>,
    /// From then on covered messages count as erased; set by F2.
    pub purge_at: Option<Time>,
    /// All callers of the subject; emptied at the end.
    pub callers: Vec<CallerHash>,
    /// Tells one list of consumers from another without holding one.
    pub subject: String,
    /// The identifiers, sealed; destroyed at the end.
    pub sealed: Option<String>,
    /// The request that made it.
    pub request_key: Option<String>,
    /// The request that undid it.
    pub undo_key: Option<String>,
    /// Purge round whose manifest is written.
    pub round: u32,
    /// Purge round that is done.
    pub round_done: u32,
    /// Documents whose superseded revisions still have to go, by mailbox.
    pub touched: BTreeMap<MailboxId, u32>,
    /// Messages found.
    pub matched: u64,
    /// Messages erased.
    pub erased: u64,
    /// Messages held for the export.
    pub exported: u64,
    /// When the search was repeated without a find.
    pub erased_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Until when the export can be fetched.
    pub expires_at: Option<Time>,
    /// Late copies found by the passes after the end.
    pub late: u64,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What a new run starts with.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// Its id.
    pub id: RunId,
    /// Its case.
    pub case: CaseId,
    /// Which right.
    pub operation: Operation,
    /// Now.
    pub now: Time,
    /// From the mark to the erasure; for an export its lifetime.
    pub window: Duration,
    /// Callers of the subject.
    pub callers: Vec<CallerHash>,
    /// Digest of the subject.
    pub subject: String,
    /// Identifiers, sealed.
    pub sealed: String,
    /// The request's own key.
    pub request_key: Option<String>,
}

/// Margin of the cutoff: the clock difference that the guard allows.
pub(crate) const CUTOFF_MARGIN: Duration = Duration::from_secs(5);

impl Run {
    /// A run that has done nothing yet.
    pub fn start(start: StartRun) -> Self {
        let export = start.operation == Operation::ExportMe;
        Self {
            id: start.id,
            case: start.case,
            operation: start.operation,
            state: if export { RunState::Collecting } else { RunState::Opening },
            created_at: start.now,
            window: start.window,
            marked_at: None,
            cutoff: export.then_some(start.now),
            purge_at: None,
            callers: start.callers,
            subject: start.subject,
            sealed: Some(start.sealed),
            request_key: start.request_key,
            undo_key: None,
            round: 0,
            round_done: 0,
            touched: BTreeMap::new(),
            matched: 0,
            erased: 0,
            exported: 0,
            erased_at: None,
            ended_at: None,
            expires_at: export.then(|| start.now.plus(start.window)),
            late: 0,
            unknown: Map::new(),
        }
    }

    /// F2: opening → marking; sets the times. False if it is past that already.
    pub fn open(&mut self, now: Time) -> bool {
        if self.state != RunState::Opening {
            return false;
        }
        self.state = RunState::Marking;
        self.marked_at = Some(now);
        self.cutoff = Some(now.plus(CUTOFF_MARGIN));
        self.purge_at = Some(now.plus(self.window));
        true
    }

    /// F5: marking → marked.
    pub fn finish_marking(&mut self, matched: u64) -> bool {
        let marking = self.state == RunState::Marking;
        let grown = self.state == RunState::Marked && matched > self.matched;
        if marking {
            self.state = RunState::Marked;
        }
        if marking || grown {
            self.matched = matched;
        }
        marking || grown
    }

    /// Undo: marked → undoing, only before `purge_at`. `None` when it is refused.
    pub fn begin_undo(&mut self, key: Option<&str>, now: Time) -> Option<bool> {
        match self.state {
            RunState::Undoing | RunState::Undone => Some(false),
            RunState::Marked if self.purge_at.is_some_and(|at| now < at) || broken::is(Broken::LateUndo) => {
                self.state = RunState::Undoing;
                self.undo_key = key.map(str::to_owned);
                Some(true)
            }
            _ => None,
        }
    }

    /// undoing → undone.
    pub fn finish_undo(&mut self, now: Time) -> bool {
        self.end(RunState::Undoing, RunState::Undone, now)
    }

    /// Purge: marked → purging, only from `purge_at`. True if the purge may go on.
    pub fn begin_purge(&mut self, now: Time) -> (bool, bool) {
        match self.state {
            RunState::Purging => (false, true),
            RunState::Marked if self.purge_at.is_some_and(|at| now >= at) => {
                self.state = RunState::Purging;
                (true, true)
            }
            _ => (false, false),
        }
    }

    /// purging → purged.
    pub fn finish_purge(&mut self, now: Time) -> bool {
        let ended = self.end(RunState::Purging, RunState::Purged, now);
        if ended {
            self.erased_at = Some(now);
        }
        ended
    }

    /// ready → expired.
    pub fn expire(&mut self, now: Time) -> bool {
        self.end(RunState::Ready, RunState::Expired, now)
    }

    /// An export whose messages have been erased ends early.
    pub fn cut_short(&mut self, now: Time) -> bool {
        self.end(RunState::Ready, RunState::Expired, now)
            || self.end(RunState::Collecting, RunState::Expired, now)
    }

    /// collecting → ready.
    pub fn finish_collecting(&mut self, exported: u64) -> bool {
        let collecting = self.state == RunState::Collecting;
        if collecting {
            self.state = RunState::Ready;
            (self.matched, self.exported) = (exported, exported);
        }
        collecting
    }

    /// opening → undone: nothing was done, and nobody repeated the request.
    pub fn abandon(&mut self, now: Time) -> bool {
        self.end(RunState::Opening, RunState::Undone, now)
    }

    fn end(&mut self, from: RunState, to: RunState, now: Time) -> bool {
        if self.state != from {
            return false;
        }
        self.state = to;
        self.ended_at = Some(now);
        self.sealed = None;
        self.callers.clear();
        self.touched.clear();
        true
    }

    /// Whether nothing more will happen to it but the passes after the end.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, RunState::Undone | RunState::Purged | RunState::Expired)
    }

    /// What the API shows.
    pub fn view(&self) -> RunView {
        let text = |time: Option<Time>| time.map(Time::rfc3339);
        let purged = self.state == RunState::Purged;
        RunView {
            id: self.id.as_str().into(),
            operation: self.operation,
            state: self.state,
            created_at: self.created_at.rfc3339(),
            marked_at: text(self.marked_at),
            purge_at: text(self.purge_at),
            erased_at: text(self.erased_at),
            ended_at: text(self.ended_at),
            expires_at: text(self.expires_at),
            matched: self.matched,
            erased: self.erased,
            exported: self.exported,
            receipt: purged.then(|| format!("gdpr/{}.receipt", self.id)),
        }
    }
}

/// What a purge round removes, written before its first deletion: `gdpr/<run>.manifest.<round>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// By mailbox.
    pub items: BTreeMap<MailboxId, Vec<PurgeItem>>,
}

/// Proof of an erasure, without personal data: `gdpr/<run>.receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this shape.
    pub schema: u32,
    /// The tenant.
    pub tenant: String,
    /// The store.
    pub store_id: String,
    /// The case, as given.
    pub case: String,
    /// The run.
    pub run: RunId,
    /// Keyed digest of the identifiers.
    pub subject: String,
    /// When the messages were hidden.
    pub marked_at: String,
    /// From when they counted as erased.
    pub purge_at: String,
    /// When the last trace was gone and the search found nothing.
    pub erased_at: String,
    /// Messages found.
    pub matched: u64,
    /// Messages erased.
    pub erased: u64,
    /// Rounds of search and erasure.
    pub rounds: u32,
    /// Rule sets of number normalisation that were searched.
    pub rule_sets: Vec<u32>,
    /// Messages of callers without a number can't be found by number, and say so.
    pub withheld_not_searched: bool,
    /// Version of the program.
    pub version: String,
}

/// A receipt and its Ed25519 signature over the exact bytes of `receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedReceipt {
    /// The receipt as JSON text: these bytes are signed.
    pub receipt: String,
    /// Signature, base64.
    pub signature: String,
    /// Public key, base64, raw 32 bytes.
    pub public_key: String,
}
