//! Cursors of a list: they name the last message shown, so that the next page goes on behind it.

use super::MailboxError;
use voicemail_model::{Position, Time};

/// Reads a cursor.
pub(super) fn parse_cursor(cursor: &str) -> Result<Position, MailboxError> {
    let invalid = || MailboxError::Invalid("cursor: use the value of next from the page before".into());
    let (time, id) = cursor.split_once('.').ok_or_else(invalid)?;
    let time = time.parse().map_err(|_| invalid())?;
    Ok(Position(Time(time), id.parse().map_err(|_| invalid())?))
}

/// Writes a cursor.
pub(super) fn write_cursor(position: Position) -> String {
    format!("{}.{}", position.0.0, position.1)
}
