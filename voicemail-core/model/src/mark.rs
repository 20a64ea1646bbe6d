//! The mark of a caller, `mark/<h2>/<H>`: which forget runs cover them, and the ledger afterwards. A message that
//! was named has one of its own, `mark/message/<mailbox>/<id>`.
//!
//! The handshake of the protocol: a depositor writes, then looks at the mark; a forget writes the mark,
//! then lists the envelopes. One of the two always sees the other.

use super::{ByRules, RunId, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Forget runs of one caller.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// By run; an undone run stays as undone, so that a worker frozen for hours does no harm.
    pub runs: BTreeMap<RunId, MarkedRun>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// One forget run's cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedRun {
    /// Messages received up to then are covered.
    pub cutoff: Time,
    /// From then on they count as erased.
    pub purge_at: Time,
    /// Where the run stands.
    pub state: MarkState,
    /// When the entry may be dropped, once the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Time>,
    /// Covers a message only if its caller as given is read as one of these. Others were filed under the same hash by
    /// other rule sets, or may mean it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<ByRules>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Where a run stands, as a depositor needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkState {
    /// Covered messages are hidden.
    Marked,
    /// Taken back.
    Undone,
    /// Covered messages are being erased.
    Purging,
    /// Covered messages are erased: the ledger entry.
    Purged,
}

/// Least time that a mark outlives the end of its run: ids are accepted for 6 days, audio is swept for 8.
pub const MARK_MINIMUM: Duration = Duration::from_secs(9 * 86_400);

impl Mark {
    /// Runs that cover a message received then.
    pub fn covering(&self, received: Time) -> impl Iterator<Item = (&RunId, &MarkedRun)> {
        self.runs.iter().filter(move |(_, run)| received <= run.cutoff)
    }

    /// Takes over what another mark says; of one run the later state counts.
    pub fn merge(&mut self, other: Self) {
        for (run, marked) in other.runs {
            match self.runs.get(&run) {
                Some(known) if known.state >= marked.state => {}
                _ => drop(self.runs.insert(run, marked)),
            }
        }
    }

    /// Adds a run; adding one that is there changes nothing but for whom it covers, whatever its state.
    pub fn add(&mut self, run: &RunId, cutoff: Time, purge_at: Time, only: Option<&ByRules>) -> bool {
        if let Some(marked) = self.runs.get_mut(run) {
            let differs = marked.only.as_ref() != only;
            marked.only = only.cloned();
            return differs;
        }
        let marked = MarkedRun {
            cutoff,
            purge_at,
            state: MarkState::Marked,
            keep_until: None,
            only: only.cloned(),
            unknown: Map::new(),
        };
        self.runs.insert(run.clone(), marked);
        true
    }

    /// Moves a run on. A purged run stays purged; an unknown one is no change.
    pub fn set(&mut self, run: &RunId, state: MarkState, keep_until: Option<Time>) -> bool {
        match self.runs.get_mut(run) {
            Some(marked) if marked.state != state && marked.state != MarkState::Purged => {
                marked.state = state;
                marked.keep_until = keep_until;
                true
            }
            _ => false,
        }
    }

    /// Drops entries whose time is over; true if any was.
    pub fn expire(&mut self, now: Time) -> bool {
        let before = self.runs.len();
        self.runs.retain(|_, run| run.keep_until.is_none_or(|until| until > now));
        self.runs.len() != before
    }
}
