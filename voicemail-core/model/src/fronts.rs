//! Recordings that wait at telephones and that the core hasn't got: `fronts`. Pure.
//!
//! A telephone tells how many, and since when, while there are any. Nothing else is known of them here: no mailbox and no caller.

use super::Time;
use super::ids::{InvalidId, name_type};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A telephone that has said nothing for so long may be gone.
const SILENT: Duration = Duration::from_secs(600);

fn is_front(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(known) && !text.starts_with('.')
}

name_type!(
    /// A process of the telephone side: the name of its pod, or its address.
    FrontId,
    "front",
    is_front,
    "use 1 to 253 letters, digits, dots, dashes and colons, and no dot first"
);

/// What waits at all telephones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fronts {
    /// Those at which something waits.
    pub fronts: BTreeMap<FrontId, Front>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What waits at a telephone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// How many recordings.
    pub spooled: u64,
    /// When the oldest of them was left.
    pub oldest: Time,
    /// When the telephone said so.
    pub at: Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Fronts {
    /// The days after which a telephone has destroyed what it couldn't bring to the core: the greatest `spool.maxAge`.
    pub const MOST_DAYS: u32 = 5;
    /// Telephones that are remembered.
    const MOST: usize = 1_000;

    /// Takes over what a telephone says. False if there is no room for another one.
    pub fn note(&mut self, front: &FrontId, waiting: Option<Front>) -> bool {
        match waiting {
            None => drop(self.fronts.remove(front)),
            Some(_) if self.fronts.len() >= Self::MOST && !self.fronts.contains_key(front) => return false,
            Some(waiting) => drop(self.fronts.insert(front.clone(), waiting)),
        }
        true
    }

    /// Recordings of all telephones together.
    pub fn spooled(&self) -> u64 {
        self.fronts.values().fold(0, |sum, front| sum.saturating_add(front.spooled))
    }

    /// In how many days all are gone or with the core; none if one of the telephones is silent.
    pub fn days(&self, now: Time) -> Option<u32> {
        self.fronts.values().all(|front| now.since(front.at) <= SILENT).then_some(Self::MOST_DAYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front(spooled: u64, at: i64) -> Option<Front> {
        Some(Front { spooled, oldest: Time(0), at: Time(at), unknown: Map::new() })
    }

    #[test]
    fn telephones_are_counted_until_they_are_empty_and_a_silent_one_says_nothing_of_the_end() {
        let (mut fronts, now) = (Fronts::default(), Time(3_600_000));
        let [one, two]: [FrontId; 2] = ["a-0", "192.0.2.1"].map(|name| name.parse().unwrap());
        assert!(fronts.note(&one, front(2, 3_500_000)) && fronts.note(&two, front(3, 3_590_000)));
        assert_eq!((fronts.spooled(), fronts.days(now)), (5, Some(5)));
        fronts.note(&two, front(3, 2_000_000));
        assert_eq!((fronts.spooled(), fronts.days(now)), (5, None));
        fronts.note(&two, None);
        assert_eq!((fronts.spooled(), fronts.days(now)), (2, Some(5)));
        for number in 0..2_000 {
            fronts.note(&format!("b-{number}").parse().unwrap(), front(1, 0));
        }
        assert_eq!(fronts.fronts.len(), Fronts::MOST);
        assert!(fronts.note(&one, front(9, 0)), "one that is known");
    }

    #[test]
    fn names_are_those_of_pods_and_addresses() {
        for good in ["acme-voicemail-sip-0", "192.0.2.1", "2001:db8::1", "front.example.com"] {
            assert!(good.parse::<FrontId>().is_ok(), "{good}");
        }
        for bad in ["", ".x", "a/b", "+44", "a b"] {
            assert!(bad.parse::<FrontId>().is_err(), "{bad}");
        }
    }
}
