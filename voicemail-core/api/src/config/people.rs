//! The people behind identities: which names, at which issuers, are one person's.
//!
//! One person has a name at the cluster's API server, another one at each issuer, and perhaps a password. Where two people
//! must have said yes, names of two authorities count as one person's unless this list says that they are two.

use super::ConfigError;
use super::check::rule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Vouches for the names that GdprRequests and their decisions carry: the cluster's API server.
pub const OBJECTS: &str = "objects";
/// Vouches for service accounts that bring a token.
pub const SERVICE_ACCOUNTS: &str = "serviceAccounts";
/// Vouches for names with a password.
pub const BASIC: &str = "basic";

const MOST_PEOPLE: usize = 256;
const MOST_IDENTITIES: usize = 8;

/// Somebody with several identities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Person {
    /// Tells them from the others of this list: 1 to 64 bytes.
    pub name: String,
    /// Their names, 1 to 8.
    pub identities: Vec<IdentityConfig>,
}

/// A name at an authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityConfig {
    /// An issuer's URL, the introspection endpoint, `basic`, `serviceAccounts`, or `objects` for names of the API server in
    /// GdprRequests.
    pub authority: String,
    /// The `sub` of their tokens; else their user name.
    pub name: String,
}

pub(super) fn check_people(people: &[Person]) -> Result<(), ConfigError> {
    rule(people.len() <= MOST_PEOPLE, "auth.people", || format!("name at most {MOST_PEOPLE}"))?;
    let sized = |text: &str, most: usize| (1..=most).contains(&text.len());
    let names: BTreeSet<&str> = people.iter().map(|person| person.name.as_str()).collect();
    rule(
        names.len() == people.len() && names.iter().all(|name| sized(name, 64)),
        "auth.people.name",
        || "give each person a name of their own, of 1 to 64 bytes".into(),
    )?;
    let few = |person: &Person| (1..=MOST_IDENTITIES).contains(&person.identities.len());
    rule(people.iter().all(few), "auth.people.identities", || format!("name 1 to {MOST_IDENTITIES}"))?;
    let all: Vec<&IdentityConfig> = people.iter().flat_map(|person| &person.identities).collect();
    let whole = |one: &&IdentityConfig| sized(&one.authority, 512) && sized(&one.name, 255);
    rule(all.iter().all(whole), "auth.people.identities", || {
        "write an authority of 1 to 512 bytes and a name of 1 to 255".into()
    })?;
    let once: BTreeSet<&IdentityConfig> = all.iter().copied().collect();
    rule(once.len() == all.len(), "auth.people.identities", || "give each identity to one person".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, identities: &[(&str, &str)]) -> Person {
        let identity = |(authority, name): &(&str, &str)| IdentityConfig {
            authority: (*authority).into(),
            name: (*name).into(),
        };
        Person { name: name.into(), identities: identities.iter().map(identity).collect() }
    }

    #[test]
    fn each_identity_is_one_persons() {
        let ann = person("ann", &[("basic", "ann"), ("objects", "ann@acme.example")]);
        assert!(check_people(&[ann.clone(), person("ben", &[("basic", "ben")])]).is_ok());
        for bad in [
            vec![ann.clone(), person("ben", &[("basic", "ann")])],
            vec![ann.clone(), ann.clone()],
            vec![person("ann", &[])],
            vec![person("", &[("basic", "ann")])],
            vec![person("ann", &[("", "ann")])],
        ] {
            assert!(check_people(&bad).is_err(), "{bad:?}");
        }
    }
}
