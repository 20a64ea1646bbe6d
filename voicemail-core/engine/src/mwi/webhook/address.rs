//! Which addresses a webhook may connect to. Pure.
//!
//! A URL is configuration, but the name in it is resolved again for each connection: so the address is what is
//! checked. This machine, its link and the metadata services of clouds are never allowed; all else that isn't
//! public only by an explicit range.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a connection may be made there.
pub(super) fn is_allowed(address: IpAddr, ranges: &[IpNet]) -> bool {
    let address = unwrap(address);
    !is_forbidden(address) && (is_public(address) || ranges.iter().any(|range| range.contains(&address)))
}

/// The IPv4 address that an IPv6 one stands for is what is connected to: mapped, compatible, or translated by the well-known
/// prefix (RFC 6052). What 6to4 and Teredo carry inside is looked at, too.
fn unwrap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let segments = six.segments();
    let inner = |bits: u128| IpAddr::V4(Ipv4Addr::from_bits(bits as u32));
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => inner(six.to_bits()),
        // IPv4-compatible, but for the unspecified address and the loopback one.
        [0, 0, 0, 0, 0, 0, ..] if six.to_bits() > 1 => inner(six.to_bits()),
        _ => address,
    }
}

/// The IPv4 address inside a tunnel's address (RFC 3056, RFC 4380), or inside a translator's own prefix (RFC 8215).
fn carried(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(six) = address else { return None };
    let bits = six.to_bits();
    let four = |bits: u128| Some(IpAddr::V4(Ipv4Addr::from_bits(bits as u32)));
    match six.segments() {
        [0x2002, ..] => four(bits >> 80),
        [0x2001, 0, ..] => four(!bits),
        [0x64, 0xff9b, 1, ..] => four(bits),
        _ => None,
    }
}

/// Metadata services of clouds, and what else answers for the machine itself there: never connected to, whatever is allowed.
/// Those on the link (169.254.0.0/16, fe80::/10) aren't repeated here.
const METADATA: [IpAddr; 7] = [
    // Azure's wire server; Alibaba's; Oracle's of old; Amazon's over IPv6, and its time and names; Google's over IPv6.
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x123)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

fn is_forbidden(address: IpAddr) -> bool {
    let on_link = match address {
        IpAddr::V4(four) => four.is_link_local() || four.octets()[0] == 0 || four.is_broadcast(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    let special = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    let hidden = carried(address).is_some_and(is_forbidden);
    on_link || special || hidden || METADATA.contains(&address)
}

/// The registry of special-purpose addresses (RFC 6890, as IANA keeps it) as far as they aren't globally reachable, with their
/// prefixes. What of them is reachable serves routers and names, and is no receiver either.
const SPECIAL: [(IpAddr, u8); 38] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    // AS112, and the anycast of 6to4 relays, which is deprecated: nobody receives there.
    v4(192, 31, 196, 0, 24),
    v4(192, 52, 193, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(192, 175, 48, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    v6([0, 0, 0, 0], 8),
    v6([0x64, 0xff9b, 1, 0], 48),
    v6([0x100, 0, 0, 0], 64),
    v6([0x100, 0, 0, 1], 64),
    v6([0x200, 0, 0, 0], 7),
    v6([0x400, 0, 0, 0], 6),
    v6([0x800, 0, 0, 0], 5),
    v6([0x1000, 0, 0, 0], 4),
    v6([0x2001, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0], 32),
    v6([0x2002, 0, 0, 0], 16),
    v6([0x2620, 0x4f, 0x8000, 0], 48),
    v6([0x3fff, 0, 0, 0], 20),
    v6([0x4000, 0, 0, 0], 2),
    v6([0x5f00, 0, 0, 0], 16),
    v6([0x8000, 0, 0, 0], 2),
    v6([0xc000, 0, 0, 0], 3),
    v6([0xe000, 0, 0, 0], 4),
    v6([0xf000, 0, 0, 0], 5),
    v6([0xf800, 0, 0, 0], 5),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> (IpAddr, u8) {
    (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix)
}

const fn v6(segments: [u16; 4], prefix: u8) -> (IpAddr, u8) {
    let [a, b, c, d] = segments;
    (IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix)
}

fn is_public(address: IpAddr) -> bool {
    let within = |(network, prefix): &(IpAddr, u8)| {
        IpNet::new(*network, *prefix).is_ok_and(|network| network.contains(&address))
    };
    !SPECIAL.iter().any(within) && carried(address).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, ranges: &[&str]) -> bool {
        let ranges: Vec<IpNet> = ranges.iter().map(|range| range.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap(), &ranges)
    }

    #[test]
    fn public_addresses_need_no_range() {
        for address in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(allowed(address, &[]), "{address}");
        }
    }

    #[test]
    fn private_addresses_need_one() {
        for (address, range) in [
            ("10.1.2.3", "10.0.0.0/8"),
            ("172.16.0.1", "172.16.0.0/12"),
            ("192.168.1.1", "192.168.1.1/32"),
            ("100.64.0.1", "100.64.0.0/10"),
            ("192.0.2.2", "192.0.2.0/24"),
            ("198.18.0.1", "198.18.0.0/15"),
            ("fd12::1", "fd12::/16"),
            ("2002:a00:1::1", "2002::/16"),
            ("2002:101:101::1", "2002::/16"),
            ("::ffff:10.1.2.3", "10.0.0.0/8"),
            ("::10.1.2.3", "10.0.0.0/8"),
            ("64:ff9b::a01:203", "10.0.0.0/8"),
            ("64:ff9b:1::a01:203", "64:ff9b:1::/48"),
            ("192.0.0.8", "192.0.0.0/24"),
            ("192.88.99.1", "192.88.99.0/24"),
            ("192.31.196.1", "192.31.196.0/24"),
            ("198.51.100.1", "198.51.100.0/24"),
            ("203.0.113.1", "203.0.113.0/24"),
            ("240.0.0.1", "240.0.0.0/4"),
            ("100::1", "100::/64"),
            ("2001::1", "2001::/23"),
            ("2001:20::1", "2001::/23"),
            ("2001:db8::1", "2001:db8::/32"),
            ("2620:4f:8000::1", "2620:4f:8000::/48"),
            ("3fff::1", "3fff::/20"),
            ("5f00::1", "5f00::/16"),
            ("fec0::1", "fec0::/10"),
            ("4000::1", "4000::/2"),
        ] {
            assert!(!allowed(address, &[]) && !allowed(address, &["10.99.0.0/16"]), "{address}");
            assert!(allowed(address, &[range]), "{address}");
        }
    }

    #[test]
    fn this_machine_its_link_and_metadata_are_never_allowed() {
        let all = ["0.0.0.0/0", "::/0"];
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "::",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "168.63.129.16",
            "100.100.100.200",
            "fd00:ec2::254",
            "fd20:ce::254",
            "192.0.0.192",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2002:7f00:1::",
            "2001:0:1234:5678:0:0:5601:5601",
            "0.1.2.3",
        ] {
            assert!(!allowed(address, &all), "{address}");
        }
    }
}
