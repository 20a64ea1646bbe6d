//! Who began a dialogue: requests within it count only from them.
//!
//! A dialogue's tags aren't secret to whoever sees a datagram of it, or guesses. A request within it is therefore taken from the
//! trunk that began it alone: from any of the trunk's addresses, since SBCs come in pairs, and from the very address that began
//! it where the trunk may be anywhere. By a connection that we opened to the peer's Contact, its requests come from that address.

use super::{Shared, headers_of, transport_of};
use crate::config::{Transport, Trunk};
use parking_lot::Mutex;
use rsipstack::dialog::DialogId;
use rsipstack::sip::Uri;
use rsipstack::transaction::transaction::Transaction;
use std::collections::HashMap;
use std::net::IpAddr;

/// Call-ID and our tag of each call, and who began it.
pub(super) type Calls = Mutex<HashMap<(String, String), Beginner>>;

/// A call's key among [`Calls`].
pub(super) fn key(id: &DialogId) -> (String, String) {
    (id.call_id.clone(), id.local_tag.clone())
}

/// Who began a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beginner {
    trunk: String,
    from: IpAddr,
    /// Where requests of ours go.
    contact: Option<IpAddr>,
}

/// Where a request comes from.
struct Source<'a> {
    address: IpAddr,
    transport: Transport,
    /// The trunk that it is known to be of.
    trunk: Option<&'a str>,
    /// By a connection that we opened.
    by_ours: bool,
}

impl Beginner {
    /// Of a request that begins a dialogue.
    pub(super) fn of(transaction: &Transaction, trunk: &Trunk) -> Option<Self> {
        let from = transaction.connection.as_ref()?.get_remote_addr()?.get_socketaddr().ok()?.ip();
        let headers = headers_of(&transaction.original.headers);
        let contact = super::validate::values(&headers, "Contact").next().and_then(address_of);
        Some(Self { trunk: trunk.name.clone(), from, contact })
    }

    /// Whether a request within the dialogue is theirs.
    pub(super) fn sent(&self, shared: &Shared, transaction: &Transaction) -> bool {
        let Some(connection) = transaction.connection.as_ref() else { return false };
        let remote = connection.get_remote_addr().and_then(|remote| remote.get_socketaddr().ok());
        let Some(remote) = remote else { return false };
        let (transport, trunk) = (transport_of(connection), shared.trunk_of(transaction));
        let by_ours = transport != Transport::Udp && !shared.peers.lock().contains_key(&(transport, remote));
        let trunk = trunk.map(|trunk| trunk.name.as_str());
        let source = Source { address: remote.ip(), transport, trunk, by_ours };
        let own = shared.config.trunks.iter().find(|known| known.name == self.trunk);
        own.is_some_and(|own| self.is(own, &source))
    }

    fn is(&self, own: &Trunk, source: &Source<'_>) -> bool {
        if source.by_ours {
            return source.address == self.from || Some(source.address) == self.contact;
        }
        // Two trunks may share addresses: then either is meant.
        let by_address = || {
            own.client_certificates.is_none()
                && !own.addresses.is_empty()
                && own.admits(source.address, source.transport)
        };
        let known = source.trunk == Some(self.trunk.as_str()) || by_address();
        known && (!own.addresses.is_empty() || source.address == self.from)
    }
}

/// The address in a header such as `<sip:1001@192.0.2.1:5060>`; none if it names a host.
fn address_of(contact: &str) -> Option<IpAddr> {
    let uri = match contact.split_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => contact.split(';').next()?,
    };
    let uri = Uri::try_from(uri.trim()).ok()?;
    uri.host().to_string().trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn trunks(text: &str) -> Vec<Trunk> {
        let config = format!(
            "{{listen: {{sip: '127.0.0.1:5060', tcp: '127.0.0.1:5060', metrics: '127.0.0.1:9090'}}, advertised: 127.0.0.1, \
             core: {{url: 'https://core/api/v1', tokenFile: /t}}, spool: {{folder: /s, keyFile: /k}}, trunks: [{text}]}}"
        );
        Config::parse(&config).unwrap().trunks
    }

    fn from<'a>(address: &str, transport: Transport, trunk: Option<&'a str>) -> Source<'a> {
        Source { address: address.parse().unwrap(), transport, trunk, by_ours: false }
    }

    #[test]
    fn a_request_of_another_trunk_isnt_the_beginners_and_one_of_the_same_pair_is() {
        let pbx = &trunks("{name: pbx, addresses: [192.0.2.0/28], transports: [UDP, TCP]}")[0];
        let began = Beginner { trunk: "pbx".into(), from: "192.0.2.1".parse().unwrap(), contact: None };
        assert!(began.is(pbx, &from("192.0.2.1", Transport::Udp, Some("pbx"))));
        assert!(began.is(pbx, &from("192.0.2.2", Transport::Tcp, Some("pbx"))), "the other of a pair");
        assert!(began.is(pbx, &from("192.0.2.2", Transport::Tcp, Some("twin"))), "of the same addresses");
        assert!(!began.is(pbx, &from("192.0.2.2", Transport::Tls, Some("twin"))));
        assert!(!began.is(pbx, &from("198.51.100.1", Transport::Udp, Some("other"))));
        assert!(!began.is(pbx, &from("198.51.100.1", Transport::Udp, None)));
    }

    #[test]
    fn phones_that_may_be_anywhere_are_known_by_the_address_that_began() {
        let phones = &trunks("{name: phones, digest: {users: /u}}")[0];
        let began = Beginner { trunk: "phones".into(), from: "192.0.2.1".parse().unwrap(), contact: None };
        assert!(began.is(phones, &from("192.0.2.1", Transport::Udp, Some("phones"))));
        assert!(!began.is(phones, &from("192.0.2.2", Transport::Udp, Some("phones"))));
    }

    #[test]
    fn by_a_connection_of_ours_comes_whom_it_was_opened_to() {
        let pbx = &trunks("{name: pbx, addresses: [192.0.2.0/28]}")[0];
        let contact = address_of("\"Bob\" <sip:1001@198.51.100.7:5070;transport=tcp>;q=1");
        let began = Beginner { trunk: "pbx".into(), from: "192.0.2.1".parse().unwrap(), contact };
        let ours = |address| Source { by_ours: true, ..from(address, Transport::Tcp, None) };
        assert!(began.is(pbx, &ours("198.51.100.7")) && began.is(pbx, &ours("192.0.2.1")));
        assert!(!began.is(pbx, &ours("198.51.100.8")));
        assert_eq!(address_of("sip:x@[2001:db8::1]:5060"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(address_of("<sip:x@pbx.example.com>"), None);
    }
}
