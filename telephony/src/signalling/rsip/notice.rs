//! A NOTIFY that belongs to no subscription (RFC 3842 of phones that are provisioned), by the proxy of its trunk.
//!
//! The proxy's name is resolved for each request, so that one that moves is found. An answer by UDP comes in at the gate, which lets
//! in what a trunk's addresses send: of several addresses of a name, one of the trunk is taken.

use super::call::other;
use super::subscription::{PACKAGE, own_address, send};
use super::{Contacts, Shared};
use crate::config::{Transport, Trunk};
use crate::signalling::{Notice, SipError};
use rsipstack::sip::{Header, HostWithPort, Method, Request, Transport as StackTransport, Uri, Version};
use rsipstack::transport::SipAddr;
use std::net::SocketAddr;
use uuid::Uuid;

/// As other senders of such requests write it: there is nothing that could be renewed.
const STATE: &str = "terminated;reason=noresource";

/// Sends it, and waits for the answer.
pub(super) async fn notify(shared: &Shared, notice: &Notice) -> Result<(), SipError> {
    let trunk = shared.config.trunks.iter().find(|trunk| trunk.name == notice.trunk);
    let trunk = trunk.ok_or(SipError::Unreachable)?;
    let target = trunk.notify.as_ref().ok_or(SipError::Unreachable)?;
    let to = resolve(trunk, target, shared.config.listen.sip).await.ok_or(SipError::Unreachable)?;
    let via = shared.endpoint.get_via(own_address(shared, target.transport), None);
    let via = via.map_err(|_| SipError::NotSent)?;
    let request = build(Header::Via(via.into()), &shared.contacts, target.transport, notice)?;
    match send(&shared.endpoint, None, Some(to), request).await? {
        200..=299 => Ok(()),
        408 => Err(SipError::NotSent),
        status => Err(SipError::Refused(status)),
    }
}

/// Where the proxy is now. Over TLS the name goes along: the certificate is for it.
async fn resolve(trunk: &Trunk, target: &crate::config::Notify, own: SocketAddr) -> Option<SipAddr> {
    let (host, port) = target.proxy()?;
    let by = |kind, addr: HostWithPort| Some(SipAddr { r#type: Some(kind), addr });
    if target.transport == Transport::Tls {
        return by(StackTransport::Tls, HostWithPort::try_from(target.proxy.as_str()).ok()?);
    }
    let mut found = tokio::net::lookup_host((host, port)).await.ok()?;
    match target.transport {
        Transport::Udp => {
            let fits =
                |at: &SocketAddr| at.is_ipv6() == own.is_ipv6() && trunk.admits(at.ip(), Transport::Udp);
            by(StackTransport::Udp, found.find(fits)?.into())
        }
        _ => by(StackTransport::Tcp, found.next()?.into()),
    }
}

fn build(
    via: Header,
    contacts: &Contacts,
    transport: Transport,
    notice: &Notice,
) -> Result<Request, SipError> {
    let uri = Uri::try_from(notice.to.as_str()).map_err(|_| SipError::Unreachable)?;
    let headers = vec![
        via,
        Header::From(format!("<{}>;tag={}", notice.account, Uuid::new_v4().simple()).into()),
        Header::To(format!("<{}>", notice.to).into()),
        Header::CallId(Uuid::new_v4().to_string().into()),
        Header::CSeq("1 NOTIFY".into()),
        Header::MaxForwards(70.into()),
        other("Contact", format!("<{}>", contacts.of(transport, false))),
        other("Event", PACKAGE),
        other("Subscription-State", STATE),
        Header::ContentType("application/simple-message-summary".into()),
        Header::ContentLength(u32::try_from(notice.body.len()).unwrap_or_default().into()),
    ];
    let body = notice.body.as_bytes().to_vec();
    Ok(Request { method: Method::Notify, uri, headers: headers.into(), body, version: Version::V2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(addresses: &str, proxy: &str) -> Trunk {
        let text = format!(
            "{{name: pbx, addresses: [{addresses}], notify: {{proxy: '{proxy}', uri: 'sip:{{mailbox}}@pbx', mailboxes: [{{first: '1'}}]}}}}"
        );
        serde_yaml::from_str(&text).unwrap()
    }

    #[tokio::test]
    async fn a_proxy_whose_answers_would_not_be_let_in_is_not_asked() {
        let own = "0.0.0.0:5060".parse().unwrap();
        for (addresses, proxy, found) in [
            ("127.0.0.0/8", "127.0.0.1:5070", true),
            ("127.0.0.0/8", "localhost:5070", true),
            ("192.0.2.0/24", "127.0.0.1:5070", false),
            ("'::1/128'", "[::1]:5070", false),
        ] {
            let trunk = trunk(addresses, proxy);
            let to = resolve(&trunk, trunk.notify.as_ref().unwrap(), own).await;
            assert_eq!(to.is_some(), found, "{addresses} {proxy}: {to:?}");
        }
    }
}
