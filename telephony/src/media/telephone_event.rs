//! Keys as RTP carries them (RFC 4733): an event is many packets of one timestamp, and one press. Pure.
//!
//! The first packet that arrives acts, whatever it is: a lost beginning or an end alone is a press, and the three ends
//! count once. Packets of the last presses that come late are known by their timestamps.

use std::collections::VecDeque;
use std::time::Duration;

/// A key of a telephone. Its `Debug` form doesn't say which, since keys make PINs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(char);

impl Key {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub fn new(c: char) -> Option<Self> {
        matches!(c, '0'..='9' | '*' | '#' | 'A'..='D').then_some(Self(c))
    }

    /// As people write it.
    pub const fn char(self) -> char {
        self.0
    }

    /// The event's number in RFC 4733.
    fn of_event(event: u8) -> Option<Self> {
        "0123456789*#ABCD".chars().nth(usize::from(event)).map(Self)
    }

    /// What an INFO of type `application/dtmf-relay` or `application/dtmf` presses.
    pub fn of_info(content_type: &str, body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let signal = match kind.as_str() {
            "application/dtmf" => text.trim(),
            "application/dtmf-relay" => text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
            })?,
            _ => return None,
        };
        match signal {
            "10" => Some(Self('*')),
            "11" => Some(Self('#')),
            _ => {
                let mut chars = signal.chars();
                Self::new(chars.next()?.to_ascii_uppercase()).filter(|_| chars.next().is_none())
            }
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key")
    }
}

/// Events that are remembered, so that their late packets aren't new ones.
const REMEMBERED: usize = 16;

/// The presses of one stream.
#[derive(Debug, Default)]
pub struct Events {
    seen: VecDeque<(u32, u32)>,
}

impl Events {
    /// The key, if this packet is the first of its event.
    pub fn take(&mut self, ssrc: u32, timestamp: u32, payload: &[u8]) -> Option<Key> {
        if payload.len() < 4 || self.seen.contains(&(ssrc, timestamp)) {
            return None;
        }
        let key = Key::of_event(payload[0])?;
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back((ssrc, timestamp));
        Some(key)
    }
}

/// Keys that count within a second of a call: no hand and no dialler presses faster, and what waits for a core that is slow stays small.
const KEYS_A_SECOND: u32 = 30;

/// How fast keys come.
#[derive(Debug, Default)]
pub struct Presses {
    /// Since when they are counted, in the call's time.
    since: Duration,
    count: u32,
}

impl Presses {
    /// Whether one more counts.
    pub fn take(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) >= Duration::from_secs(1) {
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= KEYS_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_storm_of_keys_thirty_a_second_count_and_later_ones_again() {
        let mut presses = Presses::default();
        let millis = Duration::from_millis;
        let counted = (0..900).filter(|at| presses.take(millis(*at))).count();
        assert_eq!(counted, 30);
        assert!(presses.take(millis(1_000)));
    }

    const BEGIN: [u8; 4] = [5, 10, 0, 160];
    const END: [u8; 4] = [5, 0x8a, 3, 32];

    #[test]
    fn an_event_of_many_packets_is_one_press() {
        let mut events = Events::default();
        assert_eq!(events.take(1, 100, &BEGIN), Key::new('5'));
        for packet in [BEGIN, END, END, END] {
            assert_eq!(events.take(1, 100, &packet), None);
        }
        assert_eq!(events.take(1, 900, &BEGIN), Key::new('5'));
        // An end of the first that was overtaken.
        assert_eq!(events.take(1, 100, &END), None);
    }

    #[test]
    fn an_end_alone_is_a_press_and_what_is_no_key_is_none() {
        let mut events = Events::default();
        assert_eq!(events.take(1, 100, &END), Key::new('5'));
        assert_eq!(events.take(1, 200, &[16, 0, 0, 0]), None);
        assert_eq!(events.take(1, 300, &[5, 0]), None);
        assert_eq!(events.take(2, 100, &[11, 0, 0, 0]), Key::new('#'));
    }

    #[test]
    fn both_forms_of_info_press_keys() {
        let relay = "application/dtmf-relay";
        assert_eq!(Key::of_info(relay, b"Signal= 7\r\nDuration= 160\r\n"), Key::new('7'));
        assert_eq!(Key::of_info(relay, b"Signal=11\r\n"), Key::new('#'));
        assert_eq!(Key::of_info("application/dtmf", b"*"), Key::new('*'));
        assert_eq!(Key::of_info("application/dtmf", b"12"), None);
        assert_eq!(Key::of_info("text/plain", b"1"), None);
    }

    #[test]
    fn a_key_is_not_told_by_its_debug_form() {
        assert_eq!(format!("{:?}", Key::new('7')), "Some(Key)");
    }
}
