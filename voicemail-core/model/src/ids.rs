//! Names of things, checked once at the edge, so that none can hold a path trick or an empty string.
//!
//! Groups are 1 to 64 letters, digits, `-` and `_`. Users are named as their issuer names them, in any text, and cases are free
//! text: both are encoded before they reach a key. Message ids are UUIDv7 and carry their time.

use super::{MailboxId, Time};
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use uuid::Uuid;

/// A name that can't be used; the message says what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {rule}")]
pub struct InvalidId {
    what: &'static str,
    rule: &'static str,
}

impl InvalidId {
    /// Takes the kind of the name, and the rule that a name of that kind follows.
    pub(super) fn new(what: &'static str, rule: &'static str) -> Self {
        Self { what, rule }
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $is_good:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                $is_good(text)
                    .then(|| Self(text.to_owned()))
                    .ok_or(InvalidId::new($what, $rule))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(super) use name_type;

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain_byte)
}

pub(super) fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn is_user(text: &str) -> bool {
    (1..=UserId::MOST).contains(&text.chars().count())
}

name_type!(
    /// A user, byte for byte as the token's user claim names them, behind the issuer's prefix if it has one.
    UserId,
    "user",
    is_user,
    "use 1 to 512 characters"
);

impl UserId {
    /// Most characters: 255 of a subject (OpenID Connect Core, section 2), and an issuer's prefix.
    pub const MOST: usize = 512;

    /// The user as one segment of a key: plain names of up to 64 bytes as they are, others as their SHA-256 behind `x.`.
    pub fn key(&self) -> String {
        if self.is_plain() {
            self.0.clone()
        } else {
            format!("x.{}", hex::encode(digest(&SHA256, self.0.as_bytes())))
        }
    }

    /// Whether a key tells the name.
    pub fn is_plain(&self) -> bool {
        is_plain(&self.0)
    }

    /// Whether a segment of a key can be a user's.
    pub fn is_key(segment: &str) -> bool {
        let digest =
            |hex: &str| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_plain(segment) || segment.strip_prefix("x.").is_some_and(digest)
    }
}
name_type!(
    /// A group of users that shares a mailbox.
    GroupId,
    "group",
    is_plain,
    "use 1 to 64 letters, digits, dashes and underscores"
);

/// A message's id: a UUIDv7, chosen once per call leg; also the deposit's idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// How old an id may be when it arrives.
    pub const OLDEST: Duration = Duration::from_secs(6 * 86_400);
    /// How far ahead an id may be when it arrives.
    pub const NEWEST: Duration = Duration::from_secs(300);

    /// Makes an id from a time and ten random bytes.
    pub fn new(now: Time, random: &[u8; 10]) -> Self {
        let millis = u64::try_from(now.0).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
    }

    /// When the id was made, by its own bits.
    pub fn time(self) -> Time {
        let bytes = self.0.as_bytes();
        let millis = bytes[..6].iter().fold(0i64, |sum, b| (sum << 8) | i64::from(*b));
        Time(millis)
    }

    /// Whether a deposit with this id is accepted now: `[now − 6 d, now + 5 min]`.
    pub fn is_acceptable(self, now: Time) -> bool {
        let time = self.time();
        time >= now.minus(Self::OLDEST) && time <= now.plus(Self::NEWEST)
    }

    /// Until when a deleted id is remembered: its time + 7 d, when no retry is accepted any more.
    pub fn forgotten_after(self) -> Time {
        self.time().plus(Duration::from_secs(7 * 86_400))
    }
}

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { what: "message id", rule: "use a UUIDv7 in its hyphenated form" };
        let uuid = Uuid::try_parse(text).map_err(|_| invalid.clone())?;
        let canonical = text.len() == 36 && uuid.get_version_num() == 7;
        canonical.then_some(Self(uuid)).ok_or(invalid)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A message by its place, `<mailbox>/<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageName {
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// The message.
    pub id: MessageId,
}

impl MessageName {
    /// A message of a mailbox.
    pub fn new(mailbox: &MailboxId, id: MessageId) -> Self {
        Self { mailbox: mailbox.clone(), id }
    }
}

impl MessageName {
    /// The message as it stands in keys.
    pub fn key(&self) -> String {
        format!("{}/{}", self.mailbox.key(), self.id)
    }
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.mailbox, self.id)
    }
}

impl TryFrom<String> for MessageName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let invalid = InvalidId { what: "message", rule: "use a mailbox, a slash and a message id" };
        let (mailbox, id) = text.split_once('/').ok_or(invalid)?;
        Ok(Self { mailbox: mailbox.parse()?, id: id.parse()? })
    }
}

impl From<MessageName> for String {
    fn from(name: MessageName) -> Self {
        name.to_string()
    }
}

/// A requester's case number: 1 to 128 characters of text without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId(String);

impl CaseId {
    /// The case as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The case as it stands in keys: plain ids as they are, others in hex behind `x.`.
    pub fn key(&self) -> String {
        if is_plain(&self.0) { self.0.clone() } else { format!("x.{}", hex::encode(&self.0)) }
    }
}

impl FromStr for CaseId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let length = (1..=128).contains(&text.chars().count()) && text.len() <= 100;
        (length && !text.chars().any(char::is_control)).then(|| Self(text.to_owned())).ok_or(InvalidId {
            what: "caseid",
            rule: "use 1 to 100 bytes of text without control characters",
        })
    }
}

impl TryFrom<String> for CaseId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<CaseId> for String {
    fn from(case: CaseId) -> Self {
        case.0
    }
}

/// A run of an operation on a case, as `<case key>/<operation>.<number>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The `number`th run (from 1) of an operation on a case.
    pub fn new(case: &CaseId, operation: voicemail_api::gdpr::Operation, number: u32) -> Self {
        Self(format!("{}/{}.{number}", case.key(), operation.segment()))
    }

    /// The id as text; also its place below `gdpr/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as one path segment, for due items.
    pub fn flat(&self) -> String {
        self.0.replace('/', ".")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn path_tricks_in_names_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a b", "a\0", "ä", &"x".repeat(65), "%2e"] {
            assert!(bad.parse::<MailboxId>().is_err(), "{bad:?}");
        }
        assert!("1001".parse::<MailboxId>().is_ok());
    }

    #[test]
    fn only_version_7_in_its_hyphenated_form_is_a_message_id() {
        let id = MessageId::new(Time(1_790_000_000_000), &[7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "018f", "67e55044-10b1-426f-9247-bb680e5fe0c8", &id.to_string().replace('-', "")] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_accepted_from_six_days_ago_to_five_minutes_ahead() {
        let now = Time(1_790_000_000_000);
        let id = |at: Time| MessageId::new(at, &[1; 10]);
        assert!(id(now.minus(MessageId::OLDEST)).is_acceptable(now));
        assert!(!id(now.minus(MessageId::OLDEST).minus(Duration::from_millis(1))).is_acceptable(now));
        assert!(id(now.plus(MessageId::NEWEST)).is_acceptable(now));
        assert!(!id(now.plus(MessageId::NEWEST).plus(Duration::from_millis(1))).is_acceptable(now));
    }

    #[test]
    fn names_of_users_are_taken_as_issuers_give_them() {
        let longest = "x".repeat(UserId::MOST);
        for name in [
            "alice",
            "alice.smith",
            "auth0|507f1f77",
            "DOMAIN\\name",
            "..",
            "a/b",
            "+44 20",
            "ä",
            "\n",
            &longest,
        ] {
            let user: UserId = name.parse().unwrap_or_else(|error| panic!("{name:?}: {error}"));
            assert_eq!(user.as_str(), name);
            assert!(UserId::is_key(&user.key()), "{}", user.key());
        }
        assert_eq!("alice_1".parse::<UserId>().unwrap().key(), "alice_1");
        for bad in ["", &"x".repeat(UserId::MOST + 1)] {
            assert!(bad.parse::<UserId>().is_err());
        }
        for foreign in ["", ".", "x.", "x.00", "alice.smith", &format!("x.{}", "A".repeat(64))] {
            assert!(!UserId::is_key(foreign), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn users_never_share_a_key(a in "\\PC{1,80}", b in "(x\\.)?[a-f0-9]{1,64}|\\PC{1,80}") {
            let (left, right): (UserId, UserId) = (a.parse().unwrap(), b.parse().unwrap());
            prop_assert_eq!(left.key() == right.key(), a == b);
        }

        #[test]
        fn a_message_id_carries_its_millisecond(ms in 0i64..(1 << 47), random: [u8; 10]) {
            prop_assert_eq!(MessageId::new(Time(ms), &random).time(), Time(ms));
        }

        #[test]
        fn cases_never_share_a_key(a in "\\PC{1,20}", b in "\\PC{1,20}") {
            let (Ok(left), Ok(right)) = (a.parse::<CaseId>(), b.parse::<CaseId>()) else { return Ok(()) };
            prop_assert_eq!(left.key() == right.key(), a == b);
            prop_assert!(!left.key().contains('/') && left.key() != "..");
        }
    }
}
