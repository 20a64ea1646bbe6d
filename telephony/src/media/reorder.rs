//! Packets in their order: a window of 200 ms in which late ones find their place, and gaps as long as they were. Pure.
//!
//! A packet leaves when it is the next one, or when it has waited for the window's length; those that come after their
//! place was passed are dropped. Between two packets the timestamps tell how much was silent, so that a sender that stops
//! in pauses leaves a recording of the right length. Another source begins anew.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a packet waits for those before it.
pub const WINDOW: Duration = Duration::from_millis(200);
/// Packets that wait at most.
const MOST_HELD: usize = 64;
/// A step of timestamps that is longer is another clock, not a pause: 30 s of samples.
const LONGEST_GAP: u32 = 30 * 8_000;

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Samples.
    Audio(Bytes),
    /// So many samples of nothing.
    Gap(u32),
}

struct Held {
    timestamp: u32,
    /// None for what takes a number and no time, such as an event.
    audio: Option<Bytes>,
    arrived: Duration,
}

/// One stream's packets.
#[derive(Default)]
pub struct Reorder {
    ssrc: Option<u32>,
    /// The highest sequence number that was seen, counted on beyond 16 bits.
    newest: u64,
    next: Option<u64>,
    /// The timestamp that follows what came out.
    expected: Option<u32>,
    held: BTreeMap<u64, Held>,
    out: Vec<Piece>,
    /// Packets that never came, or too late.
    lost: u64,
}

impl Reorder {
    /// Takes a packet: its source, number and timestamp, and its samples if it has any.
    pub fn push(&mut self, ssrc: u32, sequence: u16, timestamp: u32, audio: Option<Bytes>, now: Duration) {
        if self.ssrc != Some(ssrc) {
            self.flush();
            (self.ssrc, self.next, self.expected) = (Some(ssrc), None, None);
            self.newest = 1 << 32 | u64::from(sequence);
        }
        let number = self.count_on(sequence);
        if self.next.is_some_and(|next| number < next) {
            return;
        }
        let held = Held { timestamp, audio, arrived: now };
        if self.held.is_empty() && self.next == Some(number) {
            // As nearly all do, it comes in its turn.
            return self.pass(number, held);
        }
        self.held.entry(number).or_insert(held);
        if self.held.len() > MOST_HELD {
            self.release_first();
        }
        self.release(now);
    }

    /// What is ready.
    pub fn take(&mut self, now: Duration) -> Vec<Piece> {
        self.release(now);
        std::mem::take(&mut self.out)
    }

    /// All that is there, at the end.
    pub fn finish(&mut self) -> Vec<Piece> {
        self.flush();
        std::mem::take(&mut self.out)
    }

    /// Packets that never came in time, since the last time this was asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    fn count_on(&mut self, sequence: u16) -> u64 {
        let newest = self.newest;
        #[allow(clippy::cast_possible_truncation, reason = "the low 16 bits are meant")]
        let step = sequence.wrapping_sub(newest as u16);
        #[allow(clippy::cast_possible_wrap, reason = "a step back is meant")]
        let number = newest.wrapping_add_signed(i64::from(step as i16));
        self.newest = newest.max(number);
        number
    }

    fn release(&mut self, now: Duration) {
        while let Some((number, first)) = self.held.first_key_value() {
            let due = self.next == Some(*number) || first.arrived + WINDOW <= now;
            if !due {
                return;
            }
            self.release_first();
        }
    }

    fn flush(&mut self) {
        while !self.held.is_empty() {
            self.release_first();
        }
    }

    fn release_first(&mut self) {
        if let Some((number, held)) = self.held.pop_first() {
            self.pass(number, held);
        }
    }

    fn pass(&mut self, number: u64, held: Held) {
        self.lost += self.next.map_or(0, |next| number.saturating_sub(next));
        self.next = Some(number + 1);
        let Some(audio) = held.audio else { return };
        if let Some(gap) = self.expected.map(|expected| held.timestamp.wrapping_sub(expected))
            && (1..=LONGEST_GAP).contains(&gap)
        {
            self.out.push(Piece::Gap(gap));
        }
        let length = u32::try_from(audio.len()).unwrap_or(u32::MAX);
        self.expected = Some(held.timestamp.wrapping_add(length));
        self.out.push(Piece::Audio(audio));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACKET: u32 = 160;

    fn audio(number: u32) -> Option<Bytes> {
        Some(Bytes::from(vec![u8::try_from(number % 251).unwrap(); PACKET as usize]))
    }

    fn heard(pieces: &[Piece]) -> Vec<u8> {
        pieces.iter().fold(Vec::new(), |mut all, piece| {
            match piece {
                Piece::Audio(bytes) => all.extend_from_slice(bytes),
                Piece::Gap(samples) => all.resize(all.len() + *samples as usize, 0xff),
            }
            all
        })
    }

    fn push(reorder: &mut Reorder, number: u32, now: Duration) {
        #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
        let sequence = 65_530_u32.wrapping_add(number) as u16;
        reorder.push(7, sequence, (u32::MAX - 500).wrapping_add(number * PACKET), audio(number), now);
    }

    fn in_order(count: u32) -> Vec<u8> {
        (0..count).flat_map(|number| audio(number).unwrap()).collect()
    }

    #[test]
    fn lost_packets_and_pauses_leave_gaps_of_their_length() {
        let mut reorder = Reorder::default();
        for number in [0, 1, 3] {
            push(&mut reorder, number, Duration::ZERO);
        }
        let pieces = reorder.finish();
        assert_eq!(heard(&pieces).len(), 4 * PACKET as usize);
        assert!(pieces.contains(&Piece::Gap(PACKET)));
        assert_eq!(reorder.take_lost(), 1);
        // A pause: numbers go on, time jumps.
        let mut reorder = Reorder::default();
        reorder.push(1, 10, 1_000, audio(1), Duration::ZERO);
        reorder.push(1, 11, 1_160 + 8_000, audio(2), Duration::ZERO);
        assert_eq!(heard(&reorder.finish()).len(), 2 * PACKET as usize + 8_000);
        assert_eq!(reorder.take_lost(), 0);
    }

    #[test]
    fn another_source_and_another_clock_begin_anew() {
        let mut reorder = Reorder::default();
        reorder.push(1, 10, 1_000, audio(1), Duration::ZERO);
        reorder.push(2, 9_000, 77, audio(2), Duration::ZERO);
        reorder.push(2, 9_001, 2_000_000_000, audio(3), Duration::ZERO);
        assert_eq!(heard(&reorder.finish()).len(), 3 * PACKET as usize);
    }

    #[test]
    fn events_take_numbers_and_no_time() {
        let mut reorder = Reorder::default();
        reorder.push(1, 10, 1_000, audio(1), Duration::ZERO);
        reorder.push(1, 11, 1_160, None, Duration::ZERO);
        reorder.push(1, 12, 1_160, None, Duration::ZERO);
        reorder.push(1, 13, 1_480, audio(2), Duration::ZERO);
        assert_eq!(heard(&reorder.finish()).len(), 2 * PACKET as usize + 320);
        assert_eq!(reorder.take_lost(), 0);
    }

    #[test]
    fn a_packet_waits_for_the_window_and_no_longer() {
        let mut reorder = Reorder::default();
        push(&mut reorder, 0, Duration::ZERO);
        assert!(reorder.take(WINDOW / 2).is_empty());
        assert_eq!(heard(&reorder.take(WINDOW)), in_order(1));
        push(&mut reorder, 2, WINDOW);
        assert!(reorder.take(WINDOW + WINDOW / 2).is_empty());
        push(&mut reorder, 1, WINDOW + WINDOW / 2);
        assert_eq!(heard(&reorder.take(WINDOW + WINDOW / 2)).len(), 2 * PACKET as usize);
        push(&mut reorder, 1, WINDOW * 2);
        assert!(reorder.finish().is_empty());
    }

    proptest! {
        #[test]
        fn any_order_within_the_window_gives_one_recording(
            (count, order) in (2_u32..30).prop_flat_map(|count| {
                (Just(count), Just((0..count).collect::<Vec<_>>()).prop_shuffle())
            }),
            twice in any::<bool>(),
        ) {
            let mut reorder = Reorder::default();
            for number in &order {
                push(&mut reorder, *number, Duration::ZERO);
                if twice {
                    push(&mut reorder, *number, Duration::ZERO);
                }
            }
            prop_assert_eq!(heard(&reorder.finish()), in_order(count));
            prop_assert_eq!(reorder.take_lost(), 0);
        }
    }
}
