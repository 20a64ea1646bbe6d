//! The people of a demonstration, and new passwords for them.

use voicemail_model::clock::World;

/// A person, before they have a password.
pub(super) struct Known {
    name: &'static str,
    roles: &'static str,
    acts_as: Option<&'static str>,
    does: &'static str,
}

/// Everybody. What they open is made by `messages`.
pub(super) const PEOPLE: [Known; 6] = [
    agent("alice", "agent: mailbox 1001, and 2000 of the group sales"),
    agent("bob", "agent: mailbox 1002, and 2000 of the group sales"),
    program("media", "telephony", "a media server: leaves messages"),
    program("admin", "admin", "an administrator: provisions mailboxes and people"),
    program("privacy", "privacy", "a privacy officer: erases and exports"),
    program("second", "privacy", "a second officer: approves"),
];

const fn agent(name: &'static str, does: &'static str) -> Known {
    Known { name, roles: "agent", acts_as: Some(name), does }
}

const fn program(name: &'static str, roles: &'static str, does: &'static str) -> Known {
    Known { name, roles, acts_as: None, does }
}

/// A person with a password.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) roles: &'static str,
    pub(super) acts_as: Option<&'static str>,
    pub(super) does: &'static str,
    pub(super) password: String,
}

impl Known {
    /// The person with a new password of 60 bits.
    pub(super) fn with_password(&self, world: &World) -> Person {
        let Self { name, roles, acts_as, does } = *self;
        Person { name, roles, acts_as, does, password: new_password(&world.random::<12>()) }
    }
}

impl Person {
    /// Whether there are pages for them.
    pub(super) fn opens_pages(&self) -> bool {
        self.acts_as.is_some()
    }
}

/// Twelve signs that nobody mistakes for others.
fn new_password(random: &[u8; 12]) -> String {
    const SIGNS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let sign = |byte: &u8| SIGNS.get(usize::from(byte % 32)).map_or('x', |sign| char::from(*sign));
    let signs: Vec<char> = random.iter().map(sign).collect();
    let groups: Vec<String> = signs.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_three_groups_of_plain_signs() {
        assert_eq!(new_password(&[0, 1, 2, 3, 32, 33, 34, 35, 28, 29, 30, 31]), "abcd-abcd-6789");
    }
}
