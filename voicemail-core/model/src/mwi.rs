//! Message waiting counts (RFC 3842): new and old, and of each the urgent ones.
//!
//! Always computed from one revision of a mailbox index, never kept apart, so that an MWI state can't drift.

use super::{Index, MessageState};
use serde::{Deserialize, Serialize};

/// Counts as RFC 3842 writes them: `new/old (urgent new/urgent old)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mwi {
    /// Messages nobody has listened to, urgent ones included.
    pub new: u32,
    /// Messages that were listened to or saved, urgent ones included.
    pub old: u32,
    /// Urgent messages among the new.
    pub urgent_new: u32,
    /// Urgent messages among the old.
    pub urgent_old: u32,
}

impl Mwi {
    /// Counts the visible entries of an index.
    pub fn count(index: &Index) -> Self {
        let mut counts = Self::default();
        for entry in index.entries.values().filter(|entry| entry.is_listed()) {
            let urgent = u32::from(entry.urgent);
            match entry.state {
                MessageState::New => {
                    (counts.new, counts.urgent_new) = (counts.new + 1, counts.urgent_new + urgent)
                }
                _ => (counts.old, counts.urgent_old) = (counts.old + 1, counts.urgent_old + urgent),
            }
        }
        counts
    }

    /// Whether new messages wait: the message waiting indicator is on.
    pub fn has_new(&self) -> bool {
        self.new > 0
    }
}
