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

/// The IPv4 address that an IPv6 one stands for, mapped or translated, is what is connected to.
fn unwrap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let translated = six.segments().starts_with(&[0x64, 0xff9b, 0, 0, 0, 0]);
    match six.to_ipv4_mapped() {
        Some(four) => IpAddr::V4(four),
        None if translated => IpAddr::V4(Ipv4Addr::from_bits(six.to_bits() as u32)),
        None => address,
    }
}

/// Metadata services that aren't on the link: Azure's, Alibaba's, and Amazon's over IPv6.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

fn is_forbidden(address: IpAddr) -> bool {
    let on_link = match address {
        IpAddr::V4(four) => four.is_link_local() || four.octets()[0] == 0 || four.is_broadcast(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    let special = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    on_link || special || METADATA.contains(&address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [first, second, third, _] = four.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let benchmarks = first == 198 && (18..20).contains(&second);
            let protocols = (first, second, third) == (192, 0, 0);
            !(four.is_private()
                || four.is_documentation()
                || shared
                || benchmarks
                || protocols
                || first >= 240)
        }
        // Global unicast, without the ranges for tunnels, protocols and documentation.
        IpAddr::V6(six) => {
            let [first, second, ..] = six.segments();
            let special = first == 0x2002 || (first == 0x2001 && (second < 0x200 || second == 0xdb8));
            first & 0xe000 == 0x2000 && !special
        }
    }
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
            ("::ffff:10.1.2.3", "10.0.0.0/8"),
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
            "0.1.2.3",
        ] {
            assert!(!allowed(address, &all), "{address}");
        }
    }
}
