//! Which messages are copies of those that were named, however long the chain and whatever of it is gone.
//!
//! Copies know all that they come from. Those of before that was kept know the one before them alone; where that is gone,
//! their recording tells, as long as a message that was named, or a copy of it, is there to compare it with. What
//! can't be told even so is counted: an erasure must not be called complete then. Pure.

use crate::{AudioDigest, Forwarding, MessageName, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Ids of messages may be this much older than their deposits, and a little newer.
const OLDEST_ID: Duration = Duration::from_secs(7 * 86_400);
const AHEAD: Duration = Duration::from_secs(3_600);

/// A message that is a copy, or was copied, or named.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it was made of.
    pub from: Option<Forwarding>,
    /// What was made of it.
    pub to: Vec<MessageName>,
    /// When it, or its original, was received.
    pub received: Time,
    /// Of its recording.
    pub digest: AudioDigest,
}

/// The result of a search by names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The messages that were named and all their copies, there or not.
    pub named: BTreeSet<MessageName>,
    /// Messages that were named and are gone, with all that is known to belong to them.
    pub missing: BTreeSet<MessageName>,
    /// Messages that may be copies of a missing one.
    pub undecided: BTreeSet<MessageName>,
}

/// Follows the names through all messages that are there.
pub fn follow(known: &BTreeMap<MessageName, Known>, names: &[MessageName]) -> Lineage {
    let mut children: BTreeMap<MessageName, Vec<&MessageName>> = BTreeMap::new();
    for (name, one) in known {
        for ancestor in one.from.iter().flat_map(Forwarding::ancestors) {
            children.entry(ancestor).or_default().push(name);
        }
    }
    let orphans: Vec<(&MessageName, &Known)> =
        known.iter().filter(|(name, _)| is_orphan(known, name)).collect();
    // Relatives of a named message that exists are recognised by its recording.
    let (mut lineage, mut told) = (Lineage::default(), BTreeSet::new());
    for name in names {
        let mut family = descend(known, &children, vec![name.clone()]);
        let there: Vec<&Known> = family.iter().filter_map(|one| known.get(one)).collect();
        let same = |orphan: &&(&MessageName, &Known)| {
            there.iter().any(|one| one.digest == orphan.1.digest && one.received == orphan.1.received)
        };
        let alike: Vec<MessageName> =
            orphans.iter().filter(same).map(|(orphan, _)| (*orphan).clone()).collect();
        if there.is_empty() {
            lineage.missing.insert(name.clone());
        } else {
            family.extend(descend(known, &children, alike));
            told.extend(family.iter().cloned());
        }
        lineage.named.extend(family);
    }
    lineage.missing.retain(|name| !told.contains(name));
    for name in &lineage.missing {
        let possible = orphans.iter().filter(|(_, orphan)| may_come_from(orphan, name));
        let possible = possible.map(|(orphan, _)| (*orphan).clone());
        lineage.undecided.extend(possible.filter(|one| !lineage.named.contains(one)));
    }
    lineage
}

fn descend(
    known: &BTreeMap<MessageName, Known>,
    children: &BTreeMap<MessageName, Vec<&MessageName>>,
    mut queue: Vec<MessageName>,
) -> BTreeSet<MessageName> {
    let mut family = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if family.insert(name.clone()) {
            queue.extend(children.get(&name).into_iter().flatten().map(|child| (*child).clone()));
            queue.extend(known.get(&name).into_iter().flat_map(|one| one.to.clone()));
        }
    }
    family
}

/// A copy whose first original nobody knows: somewhere on the way back one is gone that didn't say where it came from.
fn is_orphan(known: &BTreeMap<MessageName, Known>, name: &MessageName) -> bool {
    let mut seen = BTreeSet::from([name.clone()]);
    let mut at = known.get(name);
    while let Some(from) = at.and_then(|one| one.from.as_ref()) {
        if from.through.is_some() {
            return false;
        }
        if !seen.insert(from.name()) {
            return true;
        }
        at = known.get(&from.name());
        if at.is_none() {
            return true;
        }
    }
    false
}

/// Copies keep the time of their original, and are made when it is there.
fn may_come_from(orphan: &Known, name: &MessageName) -> bool {
    let id = name.id.time();
    let made_later = orphan.from.as_ref().is_some_and(|from| from.at.plus(AHEAD) >= id);
    orphan.received <= id.plus(OLDEST_ID) && made_later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MessageId;

    fn name(number: u8) -> MessageName {
        MessageName::new(&format!("100{number}").parse().unwrap(), id(number))
    }

    fn id(number: u8) -> MessageId {
        MessageId::new(Time(1_000_000), &[number; 10])
    }

    fn message(from: Option<(u8, Option<&[u8]>)>, to: &[u8], digest: &str) -> Known {
        let from = from.map(|(number, through)| Forwarding {
            mailbox: name(number).mailbox,
            id: id(number),
            by: "ann".parse().unwrap(),
            at: Time(1_000_000),
            through: through.map(|numbers| numbers.iter().map(|number| name(*number)).collect()),
            unknown: serde_json::Map::new(),
        });
        let to = to.iter().map(|number| name(*number)).collect();
        Known { from, to, received: Time(1_000_000), digest: AudioDigest(digest.into()) }
    }

    fn followed(known: &[(u8, Known)], names: &[u8]) -> (Vec<MessageName>, usize) {
        let known = known.iter().map(|(number, one)| (name(*number), one.clone())).collect();
        let names: Vec<MessageName> = names.iter().map(|number| name(*number)).collect();
        let lineage = follow(&known, &names);
        (lineage.named.into_iter().collect(), lineage.undecided.len())
    }

    #[test]
    fn copies_that_know_what_they_come_from_are_found_whatever_is_gone() {
        let last = (4, message(Some((3, Some(&[1, 2]))), &[], "a"));
        let other = (6, message(Some((5, Some(&[]))), &[], "a"));
        for named in 1..=3 {
            let (found, undecided) = followed(&[last.clone(), other.clone()], &[named]);
            assert_eq!((found, undecided), (vec![name(named), name(4)], 0));
        }
    }

    #[test]
    fn copies_of_before_are_told_by_their_recording_while_a_named_one_is_there() {
        let first = (1, message(None, &[2], "a"));
        let last = (4, message(Some((3, None)), &[], "a"));
        let strange = (6, message(Some((5, None)), &[], "b"));
        let (found, undecided) = followed(&[first, last, strange], &[1]);
        assert_eq!((found, undecided), (vec![name(1), name(2), name(4)], 0));
    }

    #[test]
    fn copies_of_before_whose_chain_is_gone_leave_it_undecided() {
        let last = (4, message(Some((3, None)), &[], "a"));
        assert_eq!(followed(std::slice::from_ref(&last), &[1]), (vec![name(1)], 1));
        assert_eq!(followed(std::slice::from_ref(&last), &[1, 4]).1, 0, "named as well");
        assert_eq!(
            followed(std::slice::from_ref(&last), &[3]),
            (vec![name(3), name(4)], 0),
            "its own original"
        );
        let mut later = message(Some((3, None)), &[], "a");
        later.received = Time(1_000_000).plus(OLDEST_ID * 2);
        assert_eq!(followed(&[(4, later)], &[1]).1, 0, "left long after");
    }

    #[test]
    fn a_chain_that_is_there_needs_no_recording() {
        let chain = [
            (1, message(None, &[2], "a")),
            (2, message(Some((1, None)), &[3], "a")),
            (3, message(Some((2, None)), &[], "a")),
            (5, message(None, &[], "a")),
        ];
        assert_eq!(followed(&chain, &[2]), (vec![name(2), name(3)], 0));
    }
}
