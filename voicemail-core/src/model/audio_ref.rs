//! References to audio: the digest that identifies a recording, and the key that one attempt writes.
//!
//! `au/<yyyymmddHH of msgid>/<mailbox>/<msgid>.<H>.<attempt>`: the name is used by one attempt alone, so
//! it is never written twice; the sweeper reads from it all that it needs to find the envelope. An
//! attempt is named by its start, in hex milliseconds, and a random number: ids may be days old, and
//! the sweeper must know how old the audio itself is.

use super::{CallerHash, MailboxId, MessageId, Time};
use serde::{Deserialize, Serialize};

/// SHA-256 of the audio as received, in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AudioDigest(pub String);

/// Key of one attempt's audio.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AudioKey(String);

/// What an audio key says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioParts {
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Its message.
    pub id: MessageId,
    /// The message's caller.
    pub caller: CallerHash,
    /// When the attempt that wrote it began.
    pub begun: Time,
}

impl AudioKey {
    /// The key for the attempt that begins then; `random` makes it the only one of its name.
    pub fn new(mailbox: &MailboxId, id: MessageId, caller: &CallerHash, begun: Time, random: &str) -> Self {
        Self(format!("au/{}/{mailbox}/{id}.{caller}.{:x}-{random}", id.time().hour(), begun.0))
    }

    /// The key below the tenant's prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a listed key back. `None` for a name that isn't ours.
    pub fn parse(key: &str) -> Option<(Self, AudioParts)> {
        let mut parts = key.strip_prefix("au/")?.split('/');
        let (_, mailbox, name) = (parts.next()?, parts.next()?, parts.next()?);
        let mut fields = name.splitn(3, '.');
        let (id, caller, attempt) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?);
        let caller = serde_json::from_value(caller.into()).ok()?;
        let begun = Time(i64::from_str_radix(attempt.split_once('-')?.0, 16).ok()?);
        Some((Self(key.to_owned()), AudioParts { mailbox: mailbox.parse().ok()?, id, caller, begun }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_key_is_read_back() {
        let id = MessageId::new(Time(1_790_000_000_000), &[3; 10]);
        let mailbox: MailboxId = "1001".parse().unwrap();
        let (caller, begun) = (CallerHash::withheld(), Time(1_790_000_400_000));
        let key = AudioKey::new(&mailbox, id, &caller, begun, "a1");
        let parts = AudioParts { mailbox, id, caller, begun };
        assert_eq!(AudioKey::parse(key.as_str()), Some((key.clone(), parts)));
        assert_eq!(AudioKey::parse("au/2026092113/1001/readme.txt"), None);
    }
}
