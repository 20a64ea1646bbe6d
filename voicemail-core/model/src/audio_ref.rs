//! References to audio: the digest that identifies a recording, and the key that one attempt writes.
//!
//! `au/<yyyymmddHH of msgid>/<mailbox>/<msgid>.<H>.<attempt>`: the name is used by one attempt alone, so
//! it is never written twice; the sweeper reads from it all that it needs to find the envelope. An
//! attempt is named by its start, in hex milliseconds, and a random number: ids may be days old, and
//! the sweeper must know how old the audio itself is.

use super::{CallerHash, MailboxId, MessageId, Time};
use serde::{Deserialize, Serialize};

/// SHA-256 of the audio as it is played, in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AudioDigest(pub String);

/// Bytes of a recording that its recorder left wrong, as they are played: its size fields. Nothing moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mend {
    /// Where in the file.
    pub at: u64,
    /// The patched bytes as they are played, in hex.
    pub bytes: String,
}

impl Mend {
    /// These bytes at that place.
    pub fn new(at: u64, bytes: &[u8]) -> Self {
        Self { at, bytes: hex::encode(bytes) }
    }

    /// Puts its bytes into a piece of the file that begins at `start`, as far as they fall into it.
    pub fn apply(&self, start: u64, piece: &mut [u8]) {
        let Ok(bytes) = hex::decode(&self.bytes) else { return };
        for (at, byte) in (self.at..).zip(bytes) {
            let place = at.checked_sub(start).and_then(|place| usize::try_from(place).ok());
            if let Some(place) = place.and_then(|place| piece.get_mut(place)) {
                *place = byte;
            }
        }
    }

    /// Whether it falls into a piece of that place and length.
    pub fn touches(&self, start: u64, length: u64) -> bool {
        let size = self.bytes.len() as u64 / 2;
        self.at < start.saturating_add(length) && self.at.saturating_add(size) > start
    }
}

/// How the samples of a recording are coded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioForm {
    /// The codec, as manifests name it.
    pub codec: String,
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
}

/// Key of one attempt's audio.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AudioKey(String);

/// The parts of an audio key.
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
    /// The prefix of all audio keys.
    pub const PREFIX: &'static str = "au/";

    /// The key for the attempt that begins then; `random` makes it the only one of its name.
    pub fn new(mailbox: &MailboxId, id: MessageId, caller: &CallerHash, begun: Time, random: &str) -> Self {
        let mailbox = mailbox.key();
        Self(format!("{}{}/{mailbox}/{id}.{caller}.{:x}-{random}", Self::PREFIX, id.time().hour(), begun.0))
    }

    /// The key below the tenant's prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The attempt that wrote it: its start and a random number, which say nothing of the caller.
    pub fn attempt(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }

    /// Reads a listed key back. `None` for a name that isn't ours.
    pub fn parse(key: &str) -> Option<(Self, AudioParts)> {
        let mut parts = key.strip_prefix(Self::PREFIX)?.split('/');
        let (_, mailbox, name) = (parts.next()?, parts.next()?, parts.next()?);
        let mut fields = name.splitn(3, '.');
        let (id, caller, attempt) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?);
        let caller = serde_json::from_value(caller.into()).ok()?;
        let begun = Time(i64::from_str_radix(attempt.split_once('-')?.0, 16).ok()?);
        Some((Self(key.to_owned()), AudioParts { mailbox: MailboxId::of_key(mailbox)?, id, caller, begun }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mend_falls_into_the_pieces_that_it_touches() {
        let mend = Mend::new(4, &[1, 2, 3, 4]);
        for (start, length) in [(0, 20), (0, 5), (5, 2), (7, 10), (0, 4), (8, 4)] {
            let mut piece = vec![0; length];
            mend.apply(start, &mut piece);
            let whole = [0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let at = usize::try_from(start).unwrap();
            assert_eq!(piece, whole[at..at + length]);
            assert_eq!(mend.touches(start, length as u64), piece.iter().any(|byte| *byte != 0));
        }
    }

    #[test]
    fn a_listed_key_is_read_back() {
        let id = MessageId::new(Time(1_790_000_000_000), &[3; 10]);
        for name in ["1001", "1001@default"] {
            let mailbox: MailboxId = name.parse().unwrap();
            let (caller, begun) = (CallerHash::withheld(), Time(1_790_000_400_000));
            let key = AudioKey::new(&mailbox, id, &caller, begun, "a1");
            let parts = AudioParts { mailbox, id, caller, begun };
            assert_eq!(AudioKey::parse(key.as_str()), Some((key.clone(), parts)));
        }
        assert_eq!(AudioKey::parse("au/2026092113/1001/readme.txt"), None);
    }
}
