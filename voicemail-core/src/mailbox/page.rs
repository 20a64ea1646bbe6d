//! Pages of a list: which messages come next, newest first, and the cursor that says where to go on.
//!
//! Pure. Only what is shown gets sorted, so that a page of a full mailbox costs little more than one of an
//! empty one.

use super::MailboxError;
use crate::model::{Entry, MessageId, Time};
use std::cmp::Reverse;
use std::fmt;

/// Where a message stands among those of its mailbox; later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(pub(super) Time, pub(super) MessageId);

/// A message that may come onto the page.
pub(super) struct Candidate<'a> {
    pub(super) position: Position,
    pub(super) entry: &'a Entry,
}

impl Position {
    /// Reads a cursor.
    pub(super) fn parse(cursor: &str) -> Result<Self, MailboxError> {
        let invalid = || MailboxError::Invalid("cursor: use the value of next from the page before".into());
        let (time, id) = cursor.split_once('.').ok_or_else(invalid)?;
        let time = time.parse().map_err(|_| invalid())?;
        Ok(Self(Time(time), id.parse().map_err(|_| invalid())?))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.0, self.1)
    }
}

/// The newest `limit` of them, newest first, and the cursor of the next page if there is one.
pub(super) fn take_page(mut found: Vec<Candidate<'_>>, limit: usize) -> (Vec<Candidate<'_>>, Option<String>) {
    let more = found.len() > limit;
    if more {
        found.select_nth_unstable_by_key(limit, |listed| Reverse(listed.position));
        found.truncate(limit);
    }
    found.sort_unstable_by_key(|listed| Reverse(listed.position));
    let next = found.last().filter(|_| more).map(|last| last.position.to_string());
    (found, next)
}
