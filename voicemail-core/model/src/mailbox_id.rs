//! Names of mailboxes: what PBXs call them, and what stands for them in keys and paths.
//!
//! A name is checked once at the edge. In a key it is one segment of letters, digits, dots, dashes and underscores, from
//! which it is read back; names of letters, digits, `-` and `_` are their own keys.
//!
//! What can go wrong: an [`InvalidId`](super::InvalidId) that says what a name may be.

use super::ids::{InvalidId, is_plain_byte, name_type};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Further characters that PBXs put into names of mailboxes (`1001@default`, `j.smith`, `+442079460123`, `*98`, `#1`),
/// and the letter that stands for each in keys, behind a dot.
const MAILBOX_SIGNS: [(u8, u8); 5] = [(b'.', b'd'), (b'@', b'a'), (b'+', b'p'), (b'*', b's'), (b'#', b'h')];

fn is_mailbox(text: &str) -> bool {
    let is_sign = |byte: u8| MAILBOX_SIGNS.iter().any(|(sign, _)| *sign == byte);
    let known = text.bytes().all(|byte| is_plain_byte(byte) || is_sign(byte));
    // `.` and `..` are ways through a path, and a context stands behind a name.
    let shaped = !text.starts_with(['.', '@']) && !text.ends_with('@') && text.matches('@').count() <= 1;
    (1..=64).contains(&text.len()) && known && shaped
}

name_type!(
    /// A mailbox, personal or of a group. A context, as in `1001@default`, is a part of the name.
    MailboxId,
    "mailbox",
    is_mailbox,
    "use 1 to 64 letters, digits, and -_.+*#, with at most one @context, and no dot first"
);

impl MailboxId {
    /// The mailbox as it stands in keys: plain names as they are, a dot and a letter for each other sign.
    pub fn key(&self) -> String {
        let mut key = String::new();
        for byte in self.0.bytes() {
            match MAILBOX_SIGNS.iter().find(|(sign, _)| *sign == byte) {
                Some((_, letter)) => key.extend(['.', char::from(*letter)]),
                None => key.push(char::from(byte)),
            }
        }
        key
    }

    /// Reads a mailbox back from a key. `None` for what isn't one's key.
    pub fn of_key(key: &str) -> Option<Self> {
        let mut name = String::new();
        let mut bytes = key.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'.' {
                name.push(char::from(byte));
                continue;
            }
            let letter = bytes.next()?;
            let (sign, _) = MAILBOX_SIGNS.iter().find(|(_, known)| *known == letter)?;
            name.push(char::from(*sign));
        }
        name.parse().ok().filter(|mailbox: &Self| mailbox.key() == key)
    }

    /// The mailbox as a segment of a URL's path, where only `#` would mean something else (RFC 3986).
    pub fn in_path(&self) -> String {
        self.0.replace('#', "%23")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GroupId, UserId};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_pbxs_use_are_mailboxes() {
        for good in [
            "1001@default",
            "j.smith",
            "+442079460123",
            "*98",
            "#1",
            "a_b-c",
            "1001@pbx.example",
            "a..",
            &"*".repeat(64),
        ] {
            let mailbox: MailboxId = good.parse().unwrap();
            assert_eq!(MailboxId::of_key(&mailbox.key()), Some(mailbox), "{good}");
        }
        for bad in ["@default", "1001@", "a@b@c", ".a", "..", "a:b", "a%40b", &"*".repeat(65)] {
            assert!(bad.parse::<MailboxId>().is_err(), "{bad}");
        }
        assert!("a@b".parse::<UserId>().is_ok() && "a.b".parse::<GroupId>().is_err());
    }

    #[test]
    fn keys_of_plain_mailboxes_are_their_names() {
        let key = |name: &str| name.parse::<MailboxId>().unwrap().key();
        assert_eq!(key("a_B-1"), "a_B-1");
        assert_eq!(key("1001@default"), "1001.adefault");
        assert_eq!("#1*".parse::<MailboxId>().unwrap().in_path(), "%231*");
        for foreign in ["", "a.", "a.a", "a.ab.ac", "a.x", "a.A", "a/b", ".d", "a@b"] {
            assert_eq!(MailboxId::of_key(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn mailboxes_never_share_a_key(a in "[a-z0-9.@+*#_-]{1,9}", b in "[a-z0-9.@+*#_-]{1,9}") {
            let (Ok(left), Ok(right)) = (a.parse::<MailboxId>(), b.parse::<MailboxId>()) else { return Ok(()) };
            prop_assert_eq!(left.key() == right.key(), a == b);
            prop_assert_eq!(MailboxId::of_key(&left.key()), Some(left));
        }
    }
}
