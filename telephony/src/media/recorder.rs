//! A recording while it is made: pieces of sound into a file or memory, and when it is over.

use super::reorder::Piece;
use super::telephone_event::Key;
use crate::g711::{RATE, loudness, silence};
use crate::spool::{SpoolError, Writer};
use std::time::Duration;
use voicemail_api::telephony::Law;

/// When a recording ends by itself.
#[derive(Clone, Debug)]
pub struct RecordRules {
    /// Longest.
    pub longest: Duration,
    /// So long nothing was said.
    pub silence: Duration,
    /// Keys that end it.
    pub keys: Vec<Key>,
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// A key.
    Key,
    /// Nothing was said any more.
    Silence,
    /// It is as long as it may be.
    Longest,
    /// The caller hung up, or something else was done.
    Cut,
    /// The place where it is kept failed.
    Failed,
}

impl RecordEnd {
    /// For metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Silence => "silence",
            Self::Longest => "longest",
            Self::Cut => "hangup",
            Self::Failed => "failed",
        }
    }
}

/// Where it goes.
#[derive(Debug)]
pub enum Sink {
    /// A message.
    Spool(Writer),
    /// Something short that is sent while the caller waits, such as a greeting.
    Memory(Vec<u8>),
}

impl Sink {
    fn write(&mut self, samples: &[u8]) -> Result<(), SpoolError> {
        match self {
            Self::Spool(writer) => writer.write(samples),
            Self::Memory(bytes) => {
                bytes.extend_from_slice(samples);
                Ok(())
            }
        }
    }
}

/// A recording that is over.
#[derive(Debug)]
pub struct Take {
    /// What was written.
    pub sink: Sink,
    /// Its length.
    pub length: Duration,
    /// Why it is over.
    pub end: RecordEnd,
}

/// Louder than this is a voice: some −45 dB.
const VOICE: u32 = 180;

/// A recording in progress. Times are the call's.
#[derive(Debug)]
pub(super) struct Recorder {
    sink: Sink,
    rules: RecordRules,
    law: Law,
    samples: u64,
    voice: Duration,
}

impl Recorder {
    pub(super) fn new(sink: Sink, rules: RecordRules, law: Law, now: Duration) -> Self {
        Self { sink, rules, law, samples: 0, voice: now }
    }

    /// Whether a key ends it.
    pub(super) fn ends_by(&self, key: Key) -> bool {
        self.rules.keys.contains(&key)
    }

    /// Time that is on hold counts for nothing.
    pub(super) fn wait_until(&mut self, now: Duration) {
        self.voice = now;
    }

    /// Takes what came.
    pub(super) fn take(&mut self, pieces: Vec<Piece>, now: Duration) -> Option<RecordEnd> {
        for piece in pieces {
            let written = match piece {
                Piece::Audio(bytes) => {
                    if self.voice != now && loudness(&bytes, self.law) > VOICE {
                        self.voice = now;
                    }
                    self.write(&bytes)
                }
                Piece::Gap(samples) => self.write(&vec![silence(self.law); samples as usize]),
            };
            if written.is_err() {
                return Some(RecordEnd::Failed);
            }
            if self.length() >= self.rules.longest {
                return Some(RecordEnd::Longest);
            }
        }
        (now.saturating_sub(self.voice) >= self.rules.silence).then_some(RecordEnd::Silence)
    }

    pub(super) fn finish(self, end: RecordEnd) -> Take {
        Take { length: self.length(), sink: self.sink, end }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let left = self.rules.longest.as_millis() * u128::from(RATE) / 1_000;
        let left = left.saturating_sub(u128::from(self.samples));
        let bytes = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        self.samples += bytes.len() as u64;
        self.sink.write(bytes)
    }

    fn length(&self) -> Duration {
        Duration::from_millis(self.samples * 1_000 / u64::from(RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn recorder() -> Recorder {
        let keys = vec![Key::new('#').unwrap()];
        let rules = RecordRules { longest: Duration::from_secs(2), silence: Duration::from_secs(5), keys };
        Recorder::new(Sink::Memory(Vec::new()), rules, Law::Mulaw, Duration::ZERO)
    }

    fn sound(sample: u8, samples: usize) -> Vec<Piece> {
        vec![Piece::Audio(Bytes::from(vec![sample; samples]))]
    }

    #[test]
    fn nothing_longer_than_allowed_is_kept() {
        let mut recorder = recorder();
        assert_eq!(recorder.take(sound(0, 8_000), Duration::ZERO), None);
        assert_eq!(recorder.take(sound(0, 12_000), Duration::ZERO), Some(RecordEnd::Longest));
        let take = recorder.finish(RecordEnd::Longest);
        assert_eq!(take.length, Duration::from_secs(2));
        assert!(matches!(take.sink, Sink::Memory(bytes) if bytes.len() == 16_000));
    }

    #[test]
    fn silence_ends_it_whether_packets_come_or_not() {
        let mut recorder = recorder();
        let at = Duration::from_millis;
        assert_eq!(recorder.take(sound(0, 160), at(4_000)), None);
        assert_eq!(recorder.take(sound(0xff, 160), at(8_000)), None);
        assert_eq!(recorder.take(Vec::new(), at(9_000)), Some(RecordEnd::Silence));
        recorder.wait_until(at(9_000));
        assert_eq!(recorder.take(Vec::new(), at(9_100)), None);
        assert!(recorder.ends_by(Key::new('#').unwrap()) && !recorder.ends_by(Key::new('1').unwrap()));
    }
}
