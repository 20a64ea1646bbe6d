//! Mailboxes that wait for their turn in this replica, each once. Pure.

use std::collections::BTreeMap;
use std::time::Duration;
use voicemail_model::MailboxId;

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// A mailbox that waits. Times are those of a clock that only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    since: Duration,
    due: Duration,
    failures: u32,
    /// Only for readers whose own server said "later".
    deferred: bool,
    /// Only for further messages, which readers want in one mail.
    resting: bool,
}

/// Mailboxes that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting(BTreeMap<MailboxId, Place>);

/// How long to wait after that many failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

impl Waiting {
    /// A mailbox may be owed something. One that failed keeps its pause.
    pub(crate) fn add(&mut self, mailbox: MailboxId, now: Duration) {
        let new = Place { since: now, due: now, failures: 0, deferred: false, resting: false };
        let place = self.0.entry(mailbox).or_insert(new);
        if place.resting {
            *place = new;
        }
    }

    /// What is owed waits that long for further messages, and for nothing else.
    pub(crate) fn rest(&mut self, mailbox: &MailboxId, now: Duration, left: Duration) {
        if let Some(place) = self.0.get_mut(mailbox) {
            let due = now.saturating_add(left);
            *place = Place { since: due, due, failures: 0, deferred: false, resting: true };
        }
    }

    /// The mailbox that has been due for longest.
    pub(crate) fn due(&self, now: Duration) -> Option<MailboxId> {
        let due = self.0.iter().filter(|(_, place)| place.due <= now);
        due.min_by_key(|(_, place)| place.due).map(|(mailbox, _)| mailbox.clone())
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.0.values().map(|place| place.due).min()
    }

    /// Nothing is owed any more.
    pub(crate) fn done(&mut self, mailbox: &MailboxId) {
        self.0.remove(mailbox);
    }

    /// Its turn comes again after that pause.
    pub(crate) fn again(&mut self, mailbox: &MailboxId, now: Duration, after: Duration) {
        if let Some(place) = self.0.get_mut(mailbox) {
            place.due = now.saturating_add(after);
        }
    }

    /// Its turn failed: it comes again after a pause that grows.
    pub(crate) fn failed(&mut self, mailbox: &MailboxId, now: Duration) {
        if let Some(place) = self.0.get_mut(mailbox) {
            place.failures += 1;
            (place.deferred, place.resting) = (false, false);
            place.due = now.saturating_add(pause(place.failures));
        }
    }

    /// As [`failed`](Self::failed), since an address didn't take its mail now.
    pub(crate) fn deferred(&mut self, mailbox: &MailboxId, now: Duration) {
        self.failed(mailbox, now);
        if let Some(place) = self.0.get_mut(mailbox) {
            place.deferred = true;
        }
    }

    /// How many wait though they are due, and for how long the first that isn't deferred.
    pub(crate) fn state(&self, now: Duration) -> (usize, Duration) {
        let waits = || self.0.values().filter(|place| !place.resting || place.due <= now);
        let ours = waits().filter(|place| !place.deferred);
        let longest = ours.map(|place| now.saturating_sub(place.since)).max();
        (waits().count(), longest.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn mailbox(name: &str) -> MailboxId {
        name.parse().unwrap()
    }

    #[test]
    fn the_one_that_waits_longest_comes_first_and_each_stands_once() {
        let mut waiting = Waiting::default();
        waiting.add(mailbox("2"), NOW);
        waiting.add(mailbox("1"), NOW + FIRST_PAUSE);
        waiting.add(mailbox("2"), NOW + FIRST_PAUSE);
        assert_eq!(waiting.due(NOW + FIRST_PAUSE), Some(mailbox("2")));
        assert_eq!(waiting.state(NOW + FIRST_PAUSE), (2, FIRST_PAUSE));
        waiting.done(&mailbox("2"));
        assert_eq!((waiting.due(NOW), waiting.next()), (None, Some(NOW + FIRST_PAUSE)));
    }

    #[test]
    fn a_reader_whose_server_says_later_makes_nobody_look_late() {
        let mut waiting = Waiting::default();
        waiting.add(mailbox("1"), NOW);
        waiting.deferred(&mailbox("1"), NOW);
        assert_eq!(waiting.state(NOW + LONGEST_PAUSE), (1, Duration::ZERO));
        waiting.failed(&mailbox("1"), NOW);
        assert_eq!(waiting.state(NOW + LONGEST_PAUSE), (1, LONGEST_PAUSE));
    }

    #[test]
    fn a_mailbox_that_rests_is_looked_at_when_that_is_over_or_something_comes() {
        let mut waiting = Waiting::default();
        waiting.add(mailbox("1"), NOW);
        waiting.rest(&mailbox("1"), NOW, LONGEST_PAUSE);
        assert_eq!((waiting.due(NOW), waiting.next()), (None, Some(NOW + LONGEST_PAUSE)));
        assert_eq!(waiting.state(NOW), (0, Duration::ZERO));
        let over = NOW + LONGEST_PAUSE;
        assert_eq!((waiting.due(over), waiting.state(over)), (Some(mailbox("1")), (1, Duration::ZERO)));
        waiting.add(mailbox("1"), NOW + FIRST_PAUSE);
        assert_eq!(waiting.due(NOW + FIRST_PAUSE), Some(mailbox("1")));
    }

    #[test]
    fn pauses_grow_to_a_quarter_of_an_hour_and_news_of_a_mailbox_doesnt_shorten_them() {
        let mut waiting = Waiting::default();
        waiting.add(mailbox("1"), NOW);
        waiting.failed(&mailbox("1"), NOW);
        waiting.failed(&mailbox("1"), NOW);
        waiting.add(mailbox("1"), NOW);
        assert_eq!((waiting.due(NOW), waiting.next()), (None, Some(NOW + FIRST_PAUSE * 2)));
        assert_eq!((pause(0), pause(1), pause(40)), (FIRST_PAUSE, FIRST_PAUSE, LONGEST_PAUSE));
    }
}
