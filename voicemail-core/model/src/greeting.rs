//! Greetings: what callers hear before they leave a message, as settings name it and as its audio is filed.
//!
//! `greeting/mailbox/<mailbox>/<kind>.<attempt>` and `greeting/tenant/<kind>.<attempt>`: like a message's audio a
//! name is used by one attempt alone and says when that began. A settings document names the audio that is in
//! force; audio that none names is superseded or was never finished.

use super::{AudioDigest, AudioForm, MailboxId, Mend, Schedule, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($(#[$kind_doc:meta])* $kind:ident = $text:literal),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$kind_doc])* $kind,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// The name in paths and keys.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = super::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
                found.ok_or(super::InvalidId::new("greeting", $what))
            }
        }
    };
}

kinds! {
    /// A mailbox's own greetings.
    MailboxGreeting, "write standard, alternate or name":
    /// The greeting that callers usually hear.
    Standard = "standard",
    /// The greeting that callers hear instead, by a schedule.
    Alternate = "alternate",
    /// The owner's name, spoken, for a sentence that the media server makes.
    Name = "name"
}

kinds! {
    /// A tenant's greetings.
    TenantGreeting, "write default or disclaimer":
    /// For mailboxes without a greeting of their own.
    Default = "default",
    /// Played before any greeting.
    Disclaimer = "disclaimer"
}

/// Whose greeting it is, and which one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GreetingPlace {
    /// A mailbox's.
    Mailbox(MailboxId, MailboxGreeting),
    /// The tenant's.
    Tenant(TenantGreeting),
}

impl GreetingPlace {
    /// Which one, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mailbox(_, kind) => kind.as_str(),
            Self::Tenant(kind) => kind.as_str(),
        }
    }
}

/// Key of one attempt's audio.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GreetingKey(String);

impl GreetingKey {
    /// The prefix of all greetings' keys.
    pub const PREFIX: &'static str = "greeting/";

    /// The key for the attempt that begins then; `random` makes it the only one of its name.
    pub fn new(place: &GreetingPlace, begun: Time, random: &str) -> Self {
        let owner = match place {
            GreetingPlace::Mailbox(mailbox, _) => format!("mailbox/{}", mailbox.key()),
            GreetingPlace::Tenant(_) => "tenant".to_owned(),
        };
        Self(format!("{}{owner}/{}.{:x}-{random}", Self::PREFIX, place.kind(), begun.0))
    }

    /// The key below the tenant's prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a listed key back, with what it is of and when its attempt began. `None` for a name that isn't ours.
    pub fn parse(key: &str) -> Option<(Self, GreetingPlace, Time)> {
        let segments: Vec<&str> = key.split('/').collect();
        let (owner, name) = match *segments {
            ["greeting", "mailbox", mailbox, name] => (Some(MailboxId::of_key(mailbox)?), name),
            ["greeting", "tenant", name] => (None, name),
            _ => return None,
        };
        let (kind, attempt) = name.split_once('.')?;
        let place = match owner {
            Some(mailbox) => GreetingPlace::Mailbox(mailbox, kind.parse().ok()?),
            None => GreetingPlace::Tenant(kind.parse().ok()?),
        };
        let begun = i64::from_str_radix(attempt.split_once('-')?.0, 16).ok()?;
        Some((Self(key.to_owned()), place, Time(begun)))
    }

    /// One segment that names the key.
    pub fn flat(&self) -> String {
        self.0.replace('/', ".")
    }
}

/// A greeting in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Greeting {
    /// Where its audio is, in the master region.
    pub audio: GreetingKey,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the audio.
    pub digest: AudioDigest,
    /// Bytes that its recorder left wrong, as they are played.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mends: Vec<Mend>,
    /// How its samples are coded; former releases didn't note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<AudioForm>,
    /// When its recording began to arrive.
    pub recorded: Time,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A mailbox's greetings, in its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailboxGreetings {
    /// The greeting that callers usually hear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard: Option<Greeting>,
    /// The greeting that callers hear while the schedule says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternate: Option<Greeting>,
    /// The owner's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Greeting>,
    /// When the alternate one is played; always when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl MailboxGreetings {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// One of them.
    pub fn get(&self, kind: MailboxGreeting) -> Option<&Greeting> {
        match kind {
            MailboxGreeting::Standard => self.standard.as_ref(),
            MailboxGreeting::Alternate => self.alternate.as_ref(),
            MailboxGreeting::Name => self.name.as_ref(),
        }
    }

    /// One of them, to be replaced.
    pub fn get_mut(&mut self, kind: MailboxGreeting) -> &mut Option<Greeting> {
        match kind {
            MailboxGreeting::Standard => &mut self.standard,
            MailboxGreeting::Alternate => &mut self.alternate,
            MailboxGreeting::Name => &mut self.name,
        }
    }

    /// Which one callers hear at that moment: the alternate one while its schedule says so, else the standard one.
    pub fn in_force(&self, now: Time, zone: &jiff::tz::TimeZone) -> Option<(MailboxGreeting, &Greeting)> {
        let on = self.schedule.as_ref().is_none_or(|schedule| schedule.is_on(now, zone));
        let alternate = self.alternate.as_ref().filter(|_| on);
        let standard = || self.standard.as_ref().map(|greeting| (MailboxGreeting::Standard, greeting));
        alternate.map(|greeting| (MailboxGreeting::Alternate, greeting)).or_else(standard)
    }
}

/// A tenant's greetings, `greetings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantGreetings {
    /// For mailboxes without one of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Greeting>,
    /// Played before any greeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disclaimer: Option<Greeting>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl TenantGreetings {
    /// One of them.
    pub fn get(&self, kind: TenantGreeting) -> Option<&Greeting> {
        match kind {
            TenantGreeting::Default => self.default.as_ref(),
            TenantGreeting::Disclaimer => self.disclaimer.as_ref(),
        }
    }

    /// One of them, to be replaced.
    pub fn get_mut(&mut self, kind: TenantGreeting) -> &mut Option<Greeting> {
        match kind {
            TenantGreeting::Default => &mut self.default,
            TenantGreeting::Disclaimer => &mut self.disclaimer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_key_is_read_back() {
        let mailbox = |name: &str| name.parse().unwrap();
        for place in [
            GreetingPlace::Mailbox(mailbox("tenant"), MailboxGreeting::Alternate),
            GreetingPlace::Mailbox(mailbox("j.smith@default"), MailboxGreeting::Standard),
            GreetingPlace::Tenant(TenantGreeting::Disclaimer),
        ] {
            let key = GreetingKey::new(&place, Time(77), "a1");
            assert_eq!(GreetingKey::parse(key.as_str()), Some((key.clone(), place, Time(77))));
        }
        for foreign in ["greeting/tenant/standard.4d-a1", "greeting/mailbox/1/default.4d-a1", "greeting/x"] {
            assert_eq!(GreetingKey::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_alternate_greeting_is_played_while_its_schedule_says_so() {
        let (zone, now) = (jiff::tz::TimeZone::UTC, Time(1_790_000_000_000));
        let greeting = |place: &GreetingPlace| Greeting {
            audio: GreetingKey::new(place, now, "a"),
            duration_ms: 1,
            size: 1,
            digest: AudioDigest("00".into()),
            mends: Vec::new(),
            form: None,
            recorded: now,
            unknown: Map::new(),
        };
        let place = |kind| GreetingPlace::Mailbox("1001".parse().unwrap(), kind);
        let kind = |greetings: &MailboxGreetings| greetings.in_force(now, &zone).map(|(kind, _)| kind);
        let mut greetings = MailboxGreetings::default();
        assert_eq!(kind(&greetings), None);
        greetings.standard = Some(greeting(&place(MailboxGreeting::Standard)));
        assert_eq!(kind(&greetings), Some(MailboxGreeting::Standard));
        greetings.alternate = Some(greeting(&place(MailboxGreeting::Alternate)));
        assert_eq!(kind(&greetings), Some(MailboxGreeting::Alternate));
        greetings.schedule = Some(Schedule::default());
        assert_eq!(kind(&greetings), Some(MailboxGreeting::Standard), "an empty schedule is never on");
    }
}
