//! Our addresses in Contact and Via: of the family of whom is told, and by what carries the dialogue.

use crate::config::{Advertised, Transport};
use rsipstack::sip::{Transport as StackTransport, Uri};
use rsipstack::transport::SipAddr;
use std::net::{IpAddr, SocketAddr};

/// Ports that are listened on.
#[derive(Clone, Copy, Debug)]
pub struct SipPorts {
    /// For datagrams.
    pub udp: u16,
    /// For connections.
    pub tcp: Option<u16>,
    /// For connections by TLS.
    pub tls: Option<u16>,
}

impl SipPorts {
    const fn of(self, transport: Transport) -> u16 {
        let other = match transport {
            Transport::Udp => None,
            Transport::Tcp => self.tcp,
            Transport::Tls => self.tls,
        };
        match other {
            Some(port) => port,
            None => self.udp,
        }
    }
}

/// Contacts of one of our addresses.
struct OfAddress {
    address: IpAddr,
    udp: Uri,
    tcp: Option<Uri>,
    tls: Option<Uri>,
    sips: Option<Uri>,
}

impl OfAddress {
    fn new(address: IpAddr, ports: SipPorts) -> Option<Self> {
        let of = |scheme: &str, port: u16, suffix: &str| {
            let own = SocketAddr::new(address, port);
            Uri::try_from(format!("{scheme}:voicemail@{own}{suffix}").as_str()).ok()
        };
        Some(Self {
            address,
            udp: of("sip", ports.udp, "")?,
            tcp: ports.tcp.and_then(|port| of("sip", port, ";transport=tcp")),
            tls: ports.tls.and_then(|port| of("sip", port, ";transport=tls")),
            sips: ports.tls.and_then(|port| of("sips", port, "")),
        })
    }
}

/// All of them.
pub struct Contacts {
    advertised: Advertised,
    ports: SipPorts,
    first: OfAddress,
    other: Option<OfAddress>,
}

impl Contacts {
    /// Of these addresses and ports.
    pub fn new(advertised: Advertised, ports: SipPorts) -> Option<Self> {
        let mut all = advertised.all().filter_map(|address| OfAddress::new(address, ports));
        Some(Self { advertised, ports, first: all.next()?, other: all.next() })
    }

    /// The Contact for a peer whose request came by that, and asked for security to the end or not (RFC 3261, 12.1.1).
    pub fn of(&self, transport: Transport, secure: bool, peer: IpAddr) -> &Uri {
        let told = self.advertised.to(peer);
        let own = self.other.as_ref().filter(|other| other.address == told).unwrap_or(&self.first);
        let by = match (transport, secure) {
            (Transport::Udp, _) => None,
            (Transport::Tcp, _) => own.tcp.as_ref(),
            (Transport::Tls, false) => own.tls.as_ref(),
            (Transport::Tls, true) => own.sips.as_ref(),
        };
        by.unwrap_or(&own.udp)
    }

    /// Our address in the Via of a request to a peer.
    pub fn via(&self, transport: Transport, peer: IpAddr) -> SipAddr {
        let kind = match transport {
            Transport::Udp => StackTransport::Udp,
            Transport::Tcp => StackTransport::Tcp,
            Transport::Tls => StackTransport::Tls,
        };
        let own = SocketAddr::new(self.advertised.to(peer), self.ports.of(transport));
        SipAddr { r#type: Some(kind), addr: own.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_an_address_of_its_family_with_the_port_of_what_it_came_by() {
        let ports = SipPorts { udp: 5060, tcp: Some(5070), tls: Some(5061) };
        let contacts = Contacts::new("2001:db8::1,192.0.2.1".parse().unwrap(), ports).unwrap();
        let told =
            |transport, secure, peer: &str| contacts.of(transport, secure, peer.parse().unwrap()).to_string();
        assert_eq!(told(Transport::Udp, false, "198.51.100.1"), "sip:voicemail@192.0.2.1:5060");
        assert_eq!(told(Transport::Udp, false, "2001:db8::9"), "sip:voicemail@[2001:db8::1]:5060");
        assert_eq!(told(Transport::Tcp, false, "198.51.100.1"), "sip:voicemail@192.0.2.1:5070;transport=TCP");
        assert_eq!(told(Transport::Tls, true, "2001:db8::9"), "sips:voicemail@[2001:db8::1]:5061");
        let via = |transport| contacts.via(transport, "198.51.100.1".parse().unwrap()).to_string();
        assert!(via(Transport::Tcp).contains("192.0.2.1:5070"), "{}", via(Transport::Tcp));
        assert!(via(Transport::Udp).contains("192.0.2.1:5060"), "{}", via(Transport::Udp));
    }
}
