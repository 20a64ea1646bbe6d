//! The addresses at which trunks reach this process. A peer is told the one of its own family, since a telephone system that
//! has IPv4 alone can't send to IPv6.

use serde::{Deserialize, Deserializer};
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

/// One address, or one of each family with a comma between; the first is told to whom neither fits better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertised {
    first: IpAddr,
    other: Option<IpAddr>,
}

/// A text isn't that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an IP address, or one of IPv4 and one of IPv6 with a comma between")]
pub struct NotAdvertised;

impl Advertised {
    /// The address that is told where a peer's family isn't known.
    pub const fn first(self) -> IpAddr {
        self.first
    }

    /// The address that a peer is told.
    pub fn to(self, peer: IpAddr) -> IpAddr {
        let fits = |own: &IpAddr| own.is_ipv4() == peer.to_canonical().is_ipv4();
        self.all().find(fits).unwrap_or(self.first)
    }

    /// All of them.
    pub fn all(self) -> impl Iterator<Item = IpAddr> {
        [Some(self.first), self.other].into_iter().flatten()
    }
}

impl Display for Advertised {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self { first, other: Some(other) } => write!(f, "{first},{other}"),
            Self { first, other: None } => write!(f, "{first}"),
        }
    }
}

impl FromStr for Advertised {
    type Err = NotAdvertised;

    fn from_str(text: &str) -> Result<Self, NotAdvertised> {
        let mut addresses =
            text.split(',').map(|one| one.trim().parse::<IpAddr>().map_err(|_| NotAdvertised));
        let first = addresses.next().ok_or(NotAdvertised)??;
        let other = addresses.next().transpose()?;
        let one_family = other.is_some_and(|other| other.is_ipv4() == first.is_ipv4());
        if one_family || addresses.next().is_some() { Err(NotAdvertised) } else { Ok(Self { first, other }) }
    }
}

impl<'de> Deserialize<'de> for Advertised {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A YAML value's own error names no field.
        let named = |error| serde::de::Error::custom(format!("advertised: {error}"));
        String::deserialize(deserializer)?.parse().map_err(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_the_address_of_its_own_family() {
        let both: Advertised = "2001:db8::1, 192.0.2.1".parse().unwrap();
        let told = |advertised: Advertised, peer: &str| advertised.to(peer.parse().unwrap()).to_string();
        assert_eq!(told(both, "198.51.100.7"), "192.0.2.1");
        assert_eq!(told(both, "::ffff:198.51.100.7"), "192.0.2.1");
        assert_eq!(told(both, "2001:db8::7"), "2001:db8::1");
        let one: Advertised = "192.0.2.1".parse().unwrap();
        assert_eq!(told(one, "2001:db8::7"), "192.0.2.1");
        assert_eq!(both.all().count() + one.all().count(), 3);
    }

    #[test]
    fn what_names_no_address_or_two_of_one_family_is_refused() {
        for text in ["", "pbx", "192.0.2.1,", "192.0.2.1,192.0.2.2", "192.0.2.1,2001:db8::1,2001:db8::2"] {
            assert_eq!(text.parse::<Advertised>(), Err(NotAdvertised), "{text}");
        }
    }
}
