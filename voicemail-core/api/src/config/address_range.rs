//! An address, or a range of them in CIDR notation, as people write either.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One address or a whole network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange(IpNet);

impl AddressRange {
    /// Whether the address is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let range = one
            .or_else(|_| text.parse::<IpNet>())
            .map_err(|_| "write an IP address, or a range such as 10.0.0.0/8")?;
        Ok(Self(range.trunc()))
    }
}

impl TryFrom<String> for AddressRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for AddressRange {
    /// A single address without its prefix length, as former releases read it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => write!(f, "{}", self.0.addr()),
            false => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ranges_are_read_and_written_as_people_write_them() {
        for (text, written, inside, outside) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/8", "10.0.0.0/8", "10.9.9.9", "11.0.0.0"),
            ("10.1.2.3/8", "10.0.0.0/8", "::ffff:10.9.9.9", "11.0.0.0"),
            ("2001:db8::/32", "2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::1", "::1", "::1", "::2"),
        ] {
            let range: AddressRange = text.parse().unwrap();
            assert_eq!(range.to_string(), written);
            assert!(range.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!range.contains(outside.parse().unwrap()), "{text} {outside}");
        }
        for bad in ["", "10.0.0.0/33", "host", "10.0.0"] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
    }
}
