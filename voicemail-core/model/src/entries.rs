//! A mailbox's messages by id, and the order in which they are listed.
//!
//! The order is kept beside the messages, not stored, so that a page of a full mailbox needs no look at all of it. Pure.

use super::{Entry, MessageId, Time};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::ops::Deref;

/// Where a message stands among those of its mailbox: when its deposit began, and its id. Later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub Time, pub MessageId);

/// The messages. When an entry was received never changes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "BTreeMap<MessageId, Entry>")]
pub struct Entries {
    by_id: BTreeMap<MessageId, Entry>,
    /// Oldest first.
    order: Vec<Position>,
}

impl Entries {
    /// Adds a message, or puts another in its place.
    pub fn insert(&mut self, id: MessageId, entry: Entry) {
        self.remove(&id);
        let position = Position(entry.received, id);
        let place = self.order.partition_point(|other| *other < position);
        self.order.insert(place, position);
        self.by_id.insert(id, entry);
    }

    /// Takes a message out.
    pub fn remove(&mut self, id: &MessageId) -> Option<Entry> {
        let entry = self.by_id.remove(id)?;
        if let Ok(place) = self.order.binary_search(&Position(entry.received, *id)) {
            self.order.remove(place);
        }
        Some(entry)
    }

    /// A message, to change it.
    pub fn get_mut(&mut self, id: &MessageId) -> Option<&mut Entry> {
        self.by_id.get_mut(id)
    }

    /// All messages, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&MessageId, &mut Entry)> {
        self.by_id.iter_mut()
    }

    /// From the newest, or the newest before a position, to the oldest.
    pub fn newest_first(&self, before: Option<Position>) -> impl Iterator<Item = (Position, &Entry)> {
        let end = before.map_or(self.order.len(), |before| self.order.partition_point(|one| *one < before));
        let older = self.order.get(..end).unwrap_or_default();
        older.iter().rev().filter_map(|position| Some((*position, self.by_id.get(&position.1)?)))
    }

    /// From the oldest, or the oldest after a position, to the newest.
    pub fn oldest_first(&self, after: Option<Position>) -> impl Iterator<Item = (Position, &Entry)> {
        let begin = after.map_or(0, |after| self.order.partition_point(|one| *one <= after));
        let newer = self.order.get(begin..).unwrap_or_default();
        newer.iter().filter_map(|position| Some((*position, self.by_id.get(&position.1)?)))
    }
}

impl Deref for Entries {
    type Target = BTreeMap<MessageId, Entry>;

    fn deref(&self) -> &Self::Target {
        &self.by_id
    }
}

impl From<BTreeMap<MessageId, Entry>> for Entries {
    fn from(by_id: BTreeMap<MessageId, Entry>) -> Self {
        let mut order: Vec<Position> =
            by_id.iter().map(|(id, entry)| Position(entry.received, *id)).collect();
        order.sort_unstable();
        Self { by_id, order }
    }
}

impl IntoIterator for Entries {
    type Item = (MessageId, Entry);
    type IntoIter = std::collections::btree_map::IntoIter<MessageId, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_id.into_iter()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = (&'a MessageId, &'a Entry);
    type IntoIter = std::collections::btree_map::Iter<'a, MessageId, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_id.iter()
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_id.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index_ops::tests::{entry, id};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_reception_whatever_comes_and_goes(
            steps in prop::collection::vec((0u8..12, prop::option::of(0i64..6)), 0..40),
            before in prop::option::of((0i64..6, 0u8..12)),
        ) {
            let mut entries = Entries::default();
            for (number, received) in steps {
                match received {
                    Some(at) => entries.insert(id(number), Entry { received: Time(at), ..entry(number) }),
                    None => drop(entries.remove(&id(number))),
                }
            }
            let read: Entries = serde_json::from_str(&serde_json::to_string(&entries).unwrap()).unwrap();
            prop_assert_eq!(&read, &entries, "the order of a stored one is found again");
            let before = before.map(|(at, number)| Position(Time(at), id(number)));
            let mut expected: Vec<Position> =
                entries.iter().map(|(id, entry)| Position(entry.received, *id)).collect();
            expected.sort();
            let later: Vec<Position> =
                expected.iter().copied().filter(|position| before.is_none_or(|after| *position > after)).collect();
            let shown: Vec<Position> = entries.oldest_first(before).map(|(position, _)| position).collect();
            prop_assert_eq!(shown, later);
            expected.retain(|position| before.is_none_or(|before| *position < before));
            let shown: Vec<Position> = entries.newest_first(before).map(|(position, _)| position).collect();
            prop_assert_eq!(shown, expected.into_iter().rev().collect::<Vec<_>>());
        }
    }
}
