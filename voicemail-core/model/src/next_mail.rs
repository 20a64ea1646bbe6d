//! Which of the messages that are owed as e-mails go out now, and together. Pure.
//!
//! Without a quiet time each message is a mail. With one, a message waits for others until the oldest has waited that long, or
//! an urgent one comes; then all that are owed are one mail. When that is follows from the messages: nothing is remembered.

use super::{Index, MessageId, Time};
use std::time::Duration;

/// Messages in one mail at most; what is left over is the next one.
const MOST: usize = 50;

/// What goes out now.
#[derive(Debug, PartialEq, Eq)]
pub enum NextMail {
    /// A mail about these, oldest first.
    Now(Vec<MessageId>),
    /// Nothing before that time has gone by.
    In(Duration),
    /// Nothing is owed.
    Nothing,
}

/// The next mail about the messages that are owed, oldest first, to a reader with that quiet time.
pub fn next_mail(owed: &[MessageId], index: &Index, quiet: Duration, now: Time) -> NextMail {
    let Some(oldest) = owed.first() else { return NextMail::Nothing };
    if quiet.is_zero() {
        return NextMail::Now(vec![*oldest]);
    }
    let is_urgent = |id: &MessageId| index.entries.get(id).is_some_and(|entry| entry.urgent);
    let left = oldest.time().plus(quiet).since(now);
    match left.is_zero() || owed.iter().any(is_urgent) {
        true => NextMail::Now(owed.iter().take(MOST).copied().collect()),
        false => NextMail::In(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_ops::tests::entry;

    const NOW: Time = Time(1_790_000_000_000);
    const QUIET: Duration = Duration::from_secs(600);

    /// Messages that came so many seconds ago, oldest first.
    fn came(ago: &[u64]) -> (Vec<MessageId>, Index) {
        let id =
            |(number, ago): (u8, &u64)| MessageId::new(NOW.minus(Duration::from_secs(*ago)), &[number; 10]);
        let owed: Vec<MessageId> = (0..).zip(ago).map(id).collect();
        let mut index = Index { generation: 1, ..Index::default() };
        owed.iter().for_each(|id| index.entries.insert(*id, entry(1)));
        (owed, index)
    }

    #[test]
    fn without_a_quiet_time_each_message_is_a_mail_at_once() {
        let (owed, index) = came(&[20, 10]);
        assert_eq!(next_mail(&owed, &index, Duration::ZERO, NOW), NextMail::Now(vec![owed[0]]));
        assert_eq!(next_mail(&[], &index, QUIET, NOW), NextMail::Nothing);
    }

    #[test]
    fn messages_wait_for_each_other_until_the_oldest_has_waited_long_enough() {
        let (owed, index) = came(&[599, 10]);
        assert_eq!(next_mail(&owed, &index, QUIET, NOW), NextMail::In(Duration::from_secs(1)));
        let later = NOW.plus(Duration::from_secs(1));
        assert_eq!(next_mail(&owed, &index, QUIET, later), NextMail::Now(owed));
    }

    #[test]
    fn an_urgent_message_takes_along_what_waits() {
        let (owed, mut index) = came(&[20, 10]);
        index.entries.insert(owed[1], crate::Entry { urgent: true, ..entry(1) });
        assert_eq!(next_mail(&owed, &index, QUIET, NOW), NextMail::Now(owed));
    }

    #[test]
    fn one_mail_is_about_fifty_messages_at_most_the_oldest_first() {
        let (owed, index) = came(&(0..60).map(|number| 1_000 - number).collect::<Vec<_>>());
        assert_eq!(next_mail(&owed, &index, QUIET, NOW), NextMail::Now(owed[..50].to_vec()));
    }
}
