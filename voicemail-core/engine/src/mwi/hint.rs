//! Hints from one replica to the others: "look at these again". Pure.
//!
//! A hint is one datagram: version, sender, sequence number, time, digests of what changed, and an HMAC over all
//! of it by a key derived from the tenant's. It carries no name and no count; a digest says something only to who
//! knows both the key and the name. Old, foreign and repeated datagrams are refused; what is lost is found by the
//! timer. The worst that an attacker on the network can do is to hold hints back.

use super::hub::Topic;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::collections::HashMap;
use std::time::Duration;
use voicemail_model::{TenantKey, Time};

const VERSION: u8 = 1;
const HEAD: usize = 25;
const SEAL: usize = 32;
/// One byte that tells mailboxes from memberships, and 128 bits of HMAC.
const DIGEST: usize = 17;
/// Topics of one datagram, so that none is split on its way.
pub(super) const MOST_TOPICS: usize = 64;
/// The longest datagram.
pub(super) const LONGEST: usize = HEAD + MOST_TOPICS * DIGEST + SEAL;
/// How far a sender's clock and ours may be apart, the way included.
const LIFE: Duration = Duration::from_secs(30);
/// Senders remembered; more than any tenant has replicas.
const MOST_SENDERS: usize = 1_024;

/// A keyed digest of a topic.
pub(super) type Digest = [u8; DIGEST];

/// Seals hints, and tells topics by their digests.
#[derive(Clone)]
pub(super) struct HintKey(TenantKey);

impl HintKey {
    /// Derived from the tenant's key; `None` never happens, since what is derived is long enough.
    pub(super) fn derive(key: &TenantKey) -> Option<Self> {
        TenantKey::new(&key.derive("mwi-hints", b"")).map(Self)
    }

    pub(super) fn digest(&self, topic: &Topic) -> Digest {
        let (kind, purpose, name) = match topic {
            Topic::Mailbox(mailbox) => (0, "mailbox", mailbox.as_str()),
            Topic::User(user) => (1, "user", user.as_str()),
            Topic::Group(group) => (1, "group", group.as_str()),
        };
        let tag = self.0.derive(purpose, name.as_bytes());
        let mut digest = [kind; DIGEST];
        digest.iter_mut().skip(1).zip(tag).for_each(|(to, from)| *to = from);
        digest
    }

    /// A datagram; of more than [`MOST_TOPICS`] digests the first ones.
    pub(super) fn seal(&self, sender: u64, sequence: u64, now: Time, digests: &[Digest]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(sender.to_be_bytes());
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(now.0.to_be_bytes());
        bytes.extend(digests.iter().take(MOST_TOPICS).flatten());
        let seal = self.0.derive("seal", &bytes);
        bytes.extend(seal);
        bytes
    }

    fn open<'a>(&self, datagram: &'a [u8]) -> Option<Opened<'a>> {
        let (bytes, seal) = datagram.split_at_checked(datagram.len().checked_sub(SEAL)?)?;
        verify_slices_are_equal(&self.0.derive("seal", bytes), seal).ok()?;
        let (head, digests) = bytes.split_at_checked(HEAD)?;
        let number = |from: usize| Some(u64::from_be_bytes(head.get(from..from + 8)?.try_into().ok()?));
        let known = head.first() == Some(&VERSION) && digests.len() % DIGEST == 0;
        let sent = Time(number(17)?.cast_signed());
        known.then_some(Opened { sender: number(1)?, sequence: number(9)?, sent, digests })
    }
}

struct Opened<'a> {
    sender: u64,
    sequence: u64,
    sent: Time,
    digests: &'a [u8],
}

/// Why a datagram isn't heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unheeded {
    /// This replica sent it itself.
    Own,
    /// Not sealed by this tenant's key, or of another version.
    Foreign,
    /// Too old or too new.
    OutOfTime,
    /// Seen before, or too late to tell.
    Repeated,
}

impl Unheeded {
    /// As the metric has it.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Foreign => "foreign",
            Self::OutOfTime => "outOfTime",
            Self::Repeated => "repeated",
        }
    }
}

/// The numbers received from one sender: the highest, and which of the 64 up to it.
struct Seen {
    highest: u64,
    bits: u64,
    at: Time,
}

impl Seen {
    fn accept(&mut self, sequence: u64) -> bool {
        if let Some(ahead) = sequence.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.bits =
                u32::try_from(ahead).ok().and_then(|ahead| self.bits.checked_shl(ahead)).unwrap_or(0) | 1;
            self.highest = sequence;
            return true;
        }
        let bit = u32::try_from(self.highest - sequence).ok().and_then(|back| 1u64.checked_shl(back));
        let new = bit.is_some_and(|bit| self.bits & bit == 0);
        self.bits |= bit.unwrap_or_default();
        new
    }
}

/// Reads hints.
pub(super) struct Inbox {
    key: HintKey,
    own: u64,
    seen: HashMap<u64, Seen>,
}

impl Inbox {
    /// Of the replica with that number.
    pub(super) fn new(key: HintKey, own: u64) -> Self {
        Self { key, own, seen: HashMap::new() }
    }

    /// The digests of a datagram that is to be heeded.
    ///
    /// # Errors
    /// Why it isn't.
    pub(super) fn read(&mut self, datagram: &[u8], now: Time) -> Result<Vec<Digest>, Unheeded> {
        let opened = self.key.open(datagram).ok_or(Unheeded::Foreign)?;
        if opened.sender == self.own {
            return Err(Unheeded::Own);
        }
        if now.since(opened.sent).max(opened.sent.since(now)) > LIFE {
            return Err(Unheeded::OutOfTime);
        }
        if !self.is_new(&opened, now) {
            return Err(Unheeded::Repeated);
        }
        let digests = opened.digests.chunks_exact(DIGEST).filter_map(|digest| digest.try_into().ok());
        Ok(digests.collect())
    }

    fn is_new(&mut self, opened: &Opened<'_>, now: Time) -> bool {
        if self.seen.len() >= MOST_SENDERS {
            // Their earlier hints are too old by now to be accepted again.
            self.seen.retain(|_, seen| now.since(seen.at) <= LIFE * 2);
        }
        if self.seen.len() >= MOST_SENDERS && !self.seen.contains_key(&opened.sender) {
            return false;
        }
        let first = || Seen { highest: 0, bits: 0, at: now };
        let seen = self.seen.entry(opened.sender).or_insert_with(first);
        seen.at = now;
        seen.accept(opened.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Time = Time(1_790_000_000_000);

    fn key(byte: u8) -> HintKey {
        HintKey::derive(&TenantKey::new(&[byte; 32]).unwrap()).unwrap()
    }

    fn topics() -> Vec<Digest> {
        let key = key(1);
        let topics = [
            Topic::Mailbox("1001".parse().unwrap()),
            Topic::User("1001".parse().unwrap()),
            Topic::Group("1001".parse().unwrap()),
        ];
        topics.iter().map(|topic| key.digest(topic)).collect()
    }

    #[test]
    fn a_hint_is_read_back_once() {
        let mut inbox = Inbox::new(key(1), 7);
        let datagram = key(1).seal(8, 1, NOW, &topics());
        assert_eq!(inbox.read(&datagram, NOW), Ok(topics()));
        assert_eq!(inbox.read(&datagram, NOW), Err(Unheeded::Repeated));
        assert_eq!(inbox.read(&key(1).seal(7, 1, NOW, &topics()), NOW), Err(Unheeded::Own));
    }

    #[test]
    fn names_of_all_kinds_have_digests_of_their_own_and_none_shows() {
        let digests = topics();
        assert!(digests[0] != digests[1] && digests[1] != digests[2]);
        let datagram = key(1).seal(8, 1, NOW, &digests);
        assert!(!datagram.windows(4).any(|bytes| bytes == b"1001"));
    }

    #[test]
    fn what_another_tenant_sealed_is_refused_and_so_is_every_changed_byte() {
        let mut inbox = Inbox::new(key(1), 7);
        assert_eq!(inbox.read(&key(2).seal(8, 1, NOW, &topics()), NOW), Err(Unheeded::Foreign));
        let good = key(1).seal(8, 1, NOW, &topics());
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            assert_eq!(inbox.read(&bad, NOW), Err(Unheeded::Foreign), "byte {position}");
            assert_eq!(inbox.read(&good[..position], NOW), Err(Unheeded::Foreign), "{position} bytes");
        }
        assert!(inbox.read(&good, NOW).is_ok());
    }

    #[test]
    fn what_is_older_or_newer_than_half_a_minute_is_refused() {
        let mut inbox = Inbox::new(key(1), 7);
        for (sequence, sent) in [NOW.plus(LIFE * 2), NOW.minus(LIFE * 2)].into_iter().enumerate() {
            let datagram = key(1).seal(8, sequence as u64 + 1, sent, &topics());
            assert_eq!(inbox.read(&datagram, NOW), Err(Unheeded::OutOfTime));
        }
    }

    #[test]
    fn senders_without_end_fill_no_memory() {
        let mut inbox = Inbox::new(key(1), 0);
        for sender in 1..=MOST_SENDERS as u64 + 10 {
            let read = inbox.read(&key(1).seal(sender, 1, NOW, &[]), NOW);
            assert_eq!(read.is_ok(), sender <= MOST_SENDERS as u64);
        }
        let later = NOW.plus(LIFE * 3);
        assert!(inbox.read(&key(1).seal(9_999, 1, later, &[]), later).is_ok());
        assert_eq!(inbox.seen.len(), 1);
    }

    proptest! {
        #[test]
        fn no_number_is_accepted_twice_in_whatever_order(numbers in proptest::collection::vec(1u64..200, 0..300)) {
            let mut seen = Seen { highest: 0, bits: 0, at: NOW };
            let mut accepted = std::collections::BTreeSet::new();
            for number in numbers {
                let highest = accepted.last().copied().unwrap_or(0);
                let expected = !accepted.contains(&number) && number + 64 > highest;
                prop_assert_eq!(seen.accept(number), expected, "{} after {:?}", number, accepted);
                if expected {
                    accepted.insert(number);
                }
            }
        }
    }
}
