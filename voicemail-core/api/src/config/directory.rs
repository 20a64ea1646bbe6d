//! Who finds mailboxes by their names.

use serde::{Deserialize, Serialize};

/// Whether agents find mailboxes that aren't theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DirectoryAccess {
    /// They forward to mailboxes whose names they know.
    #[default]
    Closed,
    /// They find number and label of every mailbox of the tenant by the beginning of its name.
    Open,
}

impl DirectoryAccess {
    /// Cores of before can read what says nothing of it.
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::Closed
    }
}
