//! Addresses that e-mails are sent to: checked once at the edge, so that none can carry a header, a second recipient or a
//! command.
//!
//! A subset of RFC 5321, 4.1.2: a local part of atoms and dots, a domain of labels. Quoted local parts, address literals and
//! letters outside ASCII are refused with a sentence; an internationalised domain is written as `xn--…`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An address. Its `Debug` is redacted: addresses are personal data, and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// Text that is no address that can be sent to. The text itself isn't repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "email: write one address such as ann@example.com, in ASCII, at most 254 characters; a domain with other letters as xn--…"
)]
pub struct InvalidEmail;

impl EmailAddress {
    /// Longest address, in bytes (RFC 5321, 4.5.3.1.3 less its brackets).
    pub const MOST: usize = 254;

    /// The address itself, for the envelope and the header of a mail and for administrators; never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

fn is_local(local: &str) -> bool {
    const SPECIAL: &[u8] = b"!#$%&'*+-/=?^_`{|}~";
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || SPECIAL.contains(&byte))
    };
    local.len() <= 64 && local.split('.').all(is_atom)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.split('.').all(is_label)
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let good = text.len() <= Self::MOST
            && text.split_once('@').is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
        good.then(|| Self(text.to_owned())).ok_or(InvalidEmail)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_and_what_could_carry_more_than_one_is_refused() {
        for good in
            ["ann@example.com", "a.b+voicemail@mail.example.com", "o'neil@xn--bcher-kva.example", "root@mail"]
        {
            assert_eq!(good.parse::<EmailAddress>().unwrap().reveal(), good);
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for bad in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@@example.com",
            "ann@example.com,bob@example.com",
            "ann@example.com\r\nBcc: bob@example.com",
            "ann example@example.com",
            "<ann@example.com>",
            "Ann <ann@example.com>",
            "\"ann\"@example.com",
            "ann@[192.0.2.1]",
            "änn@example.com",
            "ann@exämple.com",
            "ann@-example.com",
            "ann@example..com",
            ".ann@example.com",
            "ann\0@example.com",
            &long,
        ] {
            assert_eq!(bad.parse::<EmailAddress>(), Err(InvalidEmail), "{bad:?}");
        }
    }

    #[test]
    fn an_address_shows_in_no_debug_output() {
        let address: EmailAddress = "ann@example.com".parse().unwrap();
        assert!(!format!("{address:?}").contains("ann"));
    }
}
