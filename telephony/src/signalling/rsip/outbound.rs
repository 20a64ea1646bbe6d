//! The way of our own requests where a trunk names an outbound proxy (RFC 3261, 8.1.2 and 12.2.1.1).
//!
//! A request within a dialogue goes by the route that the dialogue has; proxies that want to stay between have written it by Record-Route. A
//! dialogue without one gets a route of the outbound proxy alone. A connection that is open carries its dialogue's requests all the same.

use super::asking::{ask, open_connection, via};
use super::validate::values;
use super::{Shared, transport_of};
use crate::config::{Transport, Trunk};
use crate::signalling::SipError;
use rsipstack::dialog::dialog::DialogSnapshot;
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::headers::Via;
use rsipstack::sip::{Header, Method, Request, Version};
use rsipstack::transport::SipConnection;

/// Routes of requests in a dialogue that a request has begun, the first one first.
pub(super) fn routes_of(headers: &[(String, String)], trunk: &Trunk, transport: Transport) -> Vec<String> {
    let own: Vec<String> = values(headers, "Record-Route").map(str::to_owned).collect();
    if own.is_empty() { outbound(trunk, transport).into_iter().collect() } else { own }
}

/// The way of a BYE of ours.
pub(super) struct Way {
    route: String,
    connection: SipConnection,
}

impl Way {
    /// By the outbound proxy; none where the dialogue that a request has begun has a route of its own, or there is no such proxy.
    pub(super) fn of(
        headers: &[(String, String)],
        trunk: &Trunk,
        connection: Option<&SipConnection>,
    ) -> Option<Self> {
        let connection = connection?.clone();
        if goes_by_outbound(headers, trunk) {
            let route = outbound(trunk, transport_of(&connection))?;
            return Some(Self { route, connection });
        }
        None
    }

    /// Hangs up; the stack's own BYE knows no proxy.
    pub(super) async fn bye(&self, shared: &Shared, dialog: &InviteDialog) -> Result<(), SipError> {
        let transport = transport_of(&self.connection);
        let peer = shared.peer_of(Some(&self.connection));
        let request = self.request(via(shared, transport, peer)?.into(), dialog.snapshot());
        let open = open_connection(&self.connection).filter(|it| it.is_reliable());
        ask(&shared.endpoint, open, None, request).await.map(drop)
    }

    fn request(&self, via: Via, dialog: DialogSnapshot) -> Request {
        let headers = vec![
            Header::Via(via),
            Header::Route(self.route.clone().into()),
            // We were called: ours is the one that the INVITE was to.
            Header::From(dialog.to.to_string().into()),
            Header::To(dialog.from.to_string().into()),
            Header::CallId(dialog.id.call_id.into()),
            Header::CSeq(format!("{} BYE", dialog.local_cseq + 1).into()),
            Header::MaxForwards(70.into()),
            Header::ContentLength(0.into()),
        ];
        let uri = dialog.remote_uri;
        Request { method: Method::Bye, uri, headers: headers.into(), body: Vec::new(), version: Version::V2 }
    }
}

/// Whether the dialogue that a request has begun goes by the outbound proxy.
pub(super) fn goes_by_outbound(headers: &[(String, String)], trunk: &Trunk) -> bool {
    trunk.outbound_proxy.is_some() && values(headers, "Record-Route").next().is_none()
}

fn outbound(trunk: &Trunk, transport: Transport) -> Option<String> {
    let proxy = trunk.outbound_proxy.as_ref()?.as_str();
    let by = match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    };
    Some(format!("<sip:{proxy}{by};lr>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_without_a_route_goes_by_the_outbound_proxy_and_one_with_a_route_by_that() {
        let trunk = |more: &str| -> Trunk {
            serde_yaml::from_str(&format!("{{name: pbx, addresses: [10.0.0.0/8]{more}}}")).unwrap()
        };
        let proxy = trunk(", outboundProxy: '[fd00::1]:5070'");
        assert_eq!(routes_of(&[], &proxy, Transport::Udp), ["<sip:[fd00::1]:5070;lr>"]);
        assert_eq!(routes_of(&[], &proxy, Transport::Tls), ["<sip:[fd00::1]:5070;transport=tls;lr>"]);
        assert!(routes_of(&[], &trunk(""), Transport::Udp).is_empty());
        let recorded = [("Record-Route".to_owned(), "<sip:10.0.0.1;lr>".to_owned())];
        assert_eq!(routes_of(&recorded, &proxy, Transport::Udp), ["<sip:10.0.0.1;lr>"]);
        assert!(goes_by_outbound(&[], &proxy) && !goes_by_outbound(&recorded, &proxy));
    }
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod wire_tests;
