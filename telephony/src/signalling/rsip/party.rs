//! The other side of a dialogue: requests within it, and answers to ours, count only from them.
//!
//! A dialogue's tags aren't secret to whoever sees a datagram of it, or guesses. A request within it is therefore taken from the
//! trunk that began it alone: from any of the trunk's addresses, since SBCs come in pairs, and from the very address that began
//! it where the trunk may be anywhere. By a connection that we opened to the peer's Contact, its requests come from that address.

use super::asking::remote_of;
use super::{Shared, headers_of, transport_of};
use crate::config::{Transport, Trunk};
use parking_lot::Mutex;
use rsipstack::dialog::DialogId;
use rsipstack::sip::headers::CallId;
use rsipstack::sip::param::Tag;
use rsipstack::sip::{Request, Uri};
use rsipstack::transport::SipConnection;
use std::collections::HashMap;
use std::net::IpAddr;

/// Call-ID and our tag of a dialogue.
pub(super) type Names = (String, String);
/// The other side of each call, or of each question that belongs to no dialogue.
pub(super) type Parties = Mutex<HashMap<Names, Party>>;

/// A call's names.
pub(super) fn key(id: &DialogId) -> Names {
    (id.call_id.clone(), id.local_tag.clone())
}

/// Names in a message: its Call-ID, and the tag of the header where ours would be.
pub(super) fn names_of<E, F>(call: Result<&CallId, E>, own_tag: Result<Option<Tag>, F>) -> Option<Names> {
    Some((call.ok()?.value().to_owned(), own_tag.ok()??.value().to_owned()))
}

/// The other side of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Party {
    /// None for what came by a connection that we opened.
    trunk: Option<String>,
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

impl<'a> Source<'a> {
    fn of(shared: &'a Shared, connection: &SipConnection) -> Option<Self> {
        let remote = remote_of(connection)?;
        let transport = transport_of(connection);
        let by_ours = transport != Transport::Udp && !shared.peers.lock().contains_key(&(transport, remote));
        let trunk = shared.trunk_of(Some(connection)).map(|trunk| trunk.name.as_str());
        Some(Self { address: remote.ip(), transport, trunk, by_ours })
    }
}

impl Party {
    /// Who sent a request that begins something.
    pub(super) fn of(connection: &SipConnection, request: &Request, trunk: Option<&Trunk>) -> Option<Self> {
        let from = remote_of(connection)?.ip();
        let headers = headers_of(&request.headers);
        let contact = super::validate::values(&headers, "Contact").next().and_then(address_of);
        Some(Self { trunk: trunk.map(|trunk| trunk.name.clone()), from, contact })
    }

    /// A trunk that is asked something at that address.
    pub(super) fn asked(trunk: &Trunk, at: IpAddr) -> Self {
        Self { trunk: Some(trunk.name.clone()), from: at, contact: None }
    }

    /// Whether a request within the dialogue is theirs.
    pub(super) fn sent(&self, shared: &Shared, connection: &SipConnection) -> bool {
        Source::of(shared, connection).is_some_and(|source| self.is(self.own(shared), &source))
    }

    /// Whether an answer is theirs: by a connection that we opened comes whom we asked, whatever its address.
    pub(super) fn answered(&self, shared: &Shared, connection: &SipConnection) -> bool {
        let Some(source) = Source::of(shared, connection) else { return false };
        let by_theirs = source.transport != Transport::Udp && source.trunk == self.trunk.as_deref();
        source.by_ours || by_theirs || self.is(self.own(shared), &source)
    }

    fn own<'a>(&self, shared: &'a Shared) -> Option<&'a Trunk> {
        shared.config.trunks.iter().find(|known| Some(&known.name) == self.trunk.as_ref())
    }

    fn is(&self, own: Option<&Trunk>, source: &Source<'_>) -> bool {
        if source.by_ours {
            return source.address == self.from || Some(source.address) == self.contact;
        }
        let Some(own) = own else { return source.address == self.from };
        // Two trunks may share addresses: then either is meant.
        let by_address = || {
            own.client_certificates.is_none()
                && !own.addresses.is_empty()
                && own.admits(source.address, source.transport)
        };
        let known = source.trunk == self.trunk.as_deref() || by_address();
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
        let began = Party { trunk: Some("pbx".into()), from: "192.0.2.1".parse().unwrap(), contact: None };
        assert!(began.is(Some(pbx), &from("192.0.2.1", Transport::Udp, Some("pbx"))));
        assert!(began.is(Some(pbx), &from("192.0.2.2", Transport::Tcp, Some("pbx"))), "the other of a pair");
        assert!(
            began.is(Some(pbx), &from("192.0.2.2", Transport::Tcp, Some("twin"))),
            "of the same addresses"
        );
        assert!(!began.is(Some(pbx), &from("192.0.2.2", Transport::Tls, Some("twin"))));
        assert!(!began.is(Some(pbx), &from("198.51.100.1", Transport::Udp, Some("other"))));
        assert!(!began.is(Some(pbx), &from("198.51.100.1", Transport::Udp, None)));
    }

    #[test]
    fn phones_that_may_be_anywhere_are_known_by_the_address_that_began() {
        let phones = &trunks("{name: phones, digest: {users: /u}}")[0];
        let began = Party { trunk: Some("phones".into()), from: "192.0.2.1".parse().unwrap(), contact: None };
        assert!(began.is(Some(phones), &from("192.0.2.1", Transport::Udp, Some("phones"))));
        assert!(!began.is(Some(phones), &from("192.0.2.2", Transport::Udp, Some("phones"))));
    }

    #[test]
    fn by_a_connection_of_ours_comes_whom_it_was_opened_to() {
        let pbx = &trunks("{name: pbx, addresses: [192.0.2.0/28]}")[0];
        let contact = address_of("\"Bob\" <sip:1001@198.51.100.7:5070;transport=tcp>;q=1");
        let began = Party { trunk: Some("pbx".into()), from: "192.0.2.1".parse().unwrap(), contact };
        let ours = |address| Source { by_ours: true, ..from(address, Transport::Tcp, None) };
        assert!(began.is(Some(pbx), &ours("198.51.100.7")) && began.is(Some(pbx), &ours("192.0.2.1")));
        assert!(!began.is(Some(pbx), &ours("198.51.100.8")));
        assert_eq!(address_of("sip:x@[2001:db8::1]:5060"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(address_of("<sip:x@pbx.example.com>"), None);
    }
}
