//! The machine of a GDPR run: which state follows which, when, and what is kept.
//!
//! Forget: opening (→ awaitingApproval → opening) → marking → marked → purging → purged, or marked → undoing →
//! undone. Export: collecting (→ awaitingApproval → collecting) → ready → expired. Before it is marked a run can be denied or cancelled. Undo and
//! purge contend on this one document, so exactly one wins. Identifiers are sealed while a run needs them and
//! destroyed at its end.

mod advance;
mod decisions;
mod handling;
mod progress;
mod receipt;
mod replay;
mod request_name;
mod view;

pub use advance::Advance;
pub use decisions::{Approver, DecisionError, Door};
pub use handling::{Approval, ApprovalReason, Denial, Extension, Handling, Verified};
pub use progress::{CopyKeeper, RegionProgress, Residual};
pub use receipt::{Receipt, SignedReceipt};
pub use request_name::RequestName;

use super::{ByRules, CallerHash, CaseId, MailboxId, MessageName, PurgeItem, RunId, Time};
use crate::fault_injection::{self, Broken};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use voicemail_api::gdpr::{Operation, RunState};

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
    /// Set when the run is opened.
    pub marked_at: Option<Time>,
    /// Messages received up to then are covered; set when the run is opened.
    pub cutoff: Option<Time>,
    /// From then on covered messages count as erased; set when the run is opened.
    pub purge_at: Option<Time>,
    /// All callers of the subject; emptied at the end.
    pub callers: Vec<CallerHash>,
    /// Hashes under which other rule sets may have filed the callers, beside strangers; emptied at the end. Runs of before
    /// such hashes were told apart have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubtful: Option<ByRules>,
    /// Messages of the subject that were named, and their copies; emptied at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageName>,
    /// Named messages that were gone when they were looked for, with nothing left to compare their copies with; emptied at
    /// the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MessageName>,
    /// Tells one list of consumers from another without holding one.
    pub subject: String,
    /// The same under this run's id, for everybody to see: two runs about one person show two of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_digest: Option<String>,
    /// The identifiers, sealed; destroyed at the end.
    pub sealed: Option<String>,
    /// The request that made it.
    pub request_key: Option<String>,
    /// The cluster whose operator opened it; none for any other sender. A key counts within one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_by: Option<String>,
    /// The request that undid it.
    pub undo_key: Option<String>,
    /// The cluster whose operator sent that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_recorded_by: Option<String>,
    /// Purge round whose manifest is written.
    pub round: u32,
    /// Purge round that is done.
    pub round_done: u32,
    /// Documents whose superseded revisions still have to go, by mailbox.
    pub touched: BTreeMap<MailboxId, u32>,
    /// When the last document that named the subject was replaced: states superseded up to then have to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Time>,
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
    /// Callers were named by number.
    #[serde(default = "yes")]
    pub by_number: bool,
    /// Messages were named.
    #[serde(default)]
    pub by_message: bool,
    /// People's requests and decisions.
    #[serde(default)]
    pub handling: Handling,
    /// How far each region is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, RegionProgress>,
    /// How many messages legal holds keep, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, u64>,
    /// Keepers of copies of what was erased, as found at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<Residual>,
    /// Mails that told of the messages erased.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub emailed: u64,
    /// Number of its receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<u64>,
    /// Its number in the ledger of erasures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The state in which it was last entered in the ledger as something that waits, or has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised: Option<RunState>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Runs of before messages could be named.
fn yes() -> bool {
    true
}

/// The initial values of a new run.
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
    /// Hashes under which other rule sets may have filed them.
    pub doubtful: Option<ByRules>,
    /// Messages that were named.
    pub messages: Vec<MessageName>,
    /// People's requests.
    pub handling: Handling,
    /// Digest of the subject.
    pub subject: String,
    /// The digest that is shown.
    pub subject_digest: Option<String>,
    /// Identifiers, sealed.
    pub sealed: String,
    /// The sender's name for the request.
    pub name: RequestName,
}

/// Margin of the cutoff: the clock difference that the guard allows.
pub const CUTOFF_MARGIN: Duration = Duration::from_secs(5);

impl Run {
    /// A run that has done nothing yet.
    pub fn start(start: StartRun) -> Self {
        let export = start.operation == Operation::ExportMe;
        let (by_number, by_message) = (!start.callers.is_empty(), !start.messages.is_empty());
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
            doubtful: start.doubtful,
            messages: start.messages,
            missing: Vec::new(),
            subject: start.subject,
            subject_digest: start.subject_digest,
            sealed: Some(start.sealed),
            request_key: start.name.key,
            recorded_by: start.name.recorded_by,
            undo_key: None,
            undo_recorded_by: None,
            round: 0,
            round_done: 0,
            touched: BTreeMap::new(),
            settled_at: None,
            matched: 0,
            erased: 0,
            exported: 0,
            erased_at: None,
            ended_at: None,
            expires_at: export.then(|| start.now.plus(start.window)),
            late: 0,
            by_number,
            by_message,
            handling: start.handling,
            regions: BTreeMap::new(),
            kept: BTreeMap::new(),
            residual: None,
            emailed: 0,
            receipt: None,
            epoch: None,
            promised: None,
            unknown: Map::new(),
        }
    }

    /// Opens the run: opening → marking; sets the times. False if it is past that already, or waits for a second
    /// person.
    ///
    /// An approval may have taken long: the erasure is never put off beyond the deadline for it.
    pub fn open(&mut self, now: Time) -> bool {
        if self.state != RunState::Opening || !self.handling.is_cleared() {
            return false;
        }
        let latest = self.due_at().max(now);
        self.state = RunState::Marking;
        self.marked_at = Some(now);
        self.cutoff = Some(now.plus(CUTOFF_MARGIN));
        self.purge_at = Some(now.plus(self.window).min(latest));
        true
    }

    /// Ends the marking: marking → marked.
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
    pub fn begin_undo(&mut self, by: &RequestName, now: Time) -> Option<bool> {
        match self.state {
            RunState::Undoing | RunState::Undone => Some(false),
            RunState::Marked
                if self.purge_at.is_some_and(|at| now < at) || fault_injection::is(Broken::LateUndo) =>
            {
                self.state = RunState::Undoing;
                (self.undo_key, self.undo_recorded_by) = (by.key.clone(), by.recorded_by.clone());
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

    /// ready → expired; or once the export's time is over without an approval.
    pub fn expire(&mut self, now: Time) -> bool {
        let over = self.expires_at.is_some_and(|until| now >= until);
        let waiting = over
            && self.operation == Operation::ExportMe
            && self.end(RunState::AwaitingApproval, RunState::Expired, now);
        waiting || self.end(RunState::Ready, RunState::Expired, now)
    }

    /// An export whose messages have been erased ends early.
    pub fn cut_short(&mut self, now: Time) -> bool {
        let waiting = self.operation == Operation::ExportMe
            && self.end(RunState::AwaitingApproval, RunState::Expired, now);
        waiting
            || self.end(RunState::Ready, RunState::Expired, now)
            || self.end(RunState::Collecting, RunState::Expired, now)
    }

    /// collecting → ready.
    pub fn finish_collecting(&mut self, exported: u64) -> bool {
        let collecting = self.state == RunState::Collecting && self.handling.is_cleared();
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
        self.forget_subject();
        self.touched.clear();
        true
    }

    /// From now on nothing in it says whom it was about.
    pub fn forget_subject(&mut self) {
        self.sealed = None;
        self.callers.clear();
        self.messages.clear();
        self.missing.clear();
        if let Some(doubtful) = &mut self.doubtful {
            doubtful.callers.clear();
        }
    }

    /// Whether it still says whom it is about.
    pub fn remembers(&self) -> bool {
        let doubtful = self.doubtful.as_ref().is_some_and(|doubtful| !doubtful.callers.is_empty());
        self.sealed.is_some() || !self.callers.is_empty() || !self.messages.is_empty() || doubtful
    }

    /// Whether nothing more will happen to it but the passes after the end.
    pub fn has_ended(&self) -> bool {
        use RunState::{Cancelled, Denied, Expired, Purged, Undone};
        matches!(self.state, Undone | Purged | Expired | Denied | Cancelled)
    }
}

/// The messages that a purge round removes, written before its first deletion: `gdpr/<run>.manifest.<round>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// By mailbox.
    pub items: BTreeMap<MailboxId, Vec<PurgeItem>>,
}
