//! A NOTIFY that belongs to no subscription (RFC 3842 of phones that are provisioned), by the proxy of its trunk.
//!
//! The proxy's name is resolved for each request, so that one that moves is found. An answer by UDP comes in at the gate, which lets
//! in what a trunk's addresses send: of several addresses of a name, one of the trunk is taken. A challenge (401, 407) is answered once, by
//! the user whose password the trunk's `notify` names; another one after that is a refusal.

use super::asking::{ask, via};
use super::call::other;
use super::party::{Names, Party};
use super::subscription::PACKAGE;
use super::validate::values;
use super::{Shared, headers_of};
use crate::config::{Notify, Proxy, Transport, Trunk};
use crate::signalling::digest::Claim;
use crate::signalling::{Notice, SipError};
use rsipstack::sip::{
    Header, HostWithPort, Method, Request, Response, Transport as StackTransport, Uri, Version,
};
use rsipstack::transport::SipAddr;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use uuid::Uuid;
use zeroize::Zeroizing;

/// As other senders of such requests write it: there is nothing that could be renewed.
const STATE: &str = "terminated;reason=noresource";

/// Sends it, and waits for the answer.
pub(super) async fn notify(shared: &Shared, notice: &Notice) -> Result<(), SipError> {
    let trunk = shared.config.trunks.iter().find(|trunk| trunk.name == notice.trunk);
    let trunk = trunk.ok_or(SipError::Unreachable)?;
    let target = trunk.notify.as_ref().ok_or(SipError::Unreachable)?;
    let proxy = trunk.proxy_of_notices().ok_or(SipError::Unreachable)?;
    let own = shared.config.listen.sip;
    let to = resolve(trunk, proxy, target.transport, own).await.ok_or(SipError::Unreachable)?;
    let names = (Uuid::new_v4().to_string(), Uuid::new_v4().simple().to_string());
    let peer = address_at(&to);
    let _question = Question::ask(shared, &names, Party::asked(trunk, peer));
    let send = async |number, proof| {
        let via = Header::Via(via(shared, target.transport, peer)?.into());
        let contact = shared.contacts.of(target.transport, false, peer);
        let request = build(via, contact, notice, &names, number, proof)?;
        ask(&shared.endpoint, None, Some(to.clone()), request).await
    };
    let mut response = send(1, None).await?;
    if let Some(proof) = prove(&response, target, notice).await {
        response = send(2, Some(proof)).await?;
    }
    match response.status_code.code() {
        200..=299 => Ok(()),
        408 => Err(SipError::NotSent),
        status => Err(SipError::Refused(status)),
    }
}

/// A question that waits for its answer; dropped, none counts any more.
struct Question<'a> {
    shared: &'a Shared,
    names: &'a Names,
}

impl<'a> Question<'a> {
    fn ask(shared: &'a Shared, names: &'a Names, of: Party) -> Self {
        shared.questions.lock().insert(names.clone(), of);
        Self { shared, names }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.shared.questions.lock().remove(self.names);
    }
}

/// None stands for a name, whose answer comes by the connection that is opened to it.
fn address_at(to: &SipAddr) -> IpAddr {
    to.get_socketaddr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |at| at.ip())
}

/// The header that answers a challenge; none where none was asked for, or none can be given.
async fn prove(response: &Response, target: &Notify, notice: &Notice) -> Option<Header> {
    let (challenge, answer) = match response.status_code.code() {
        401 => ("WWW-Authenticate", "Authorization"),
        407 => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => return None,
    };
    let file = target.users.as_ref()?;
    let Ok(users) = tokio::fs::read_to_string(file).await.map(Zeroizing::new) else {
        tracing::error!("the user of a trunk's notify can't be read");
        return None;
    };
    let user = users.lines().find(|line| !line.is_empty())?;
    let uri = Uri::try_from(notice.to.as_str()).ok()?.to_string();
    let claim = Claim { user, method: "NOTIFY", uri: &uri };
    let headers = headers_of(&response.headers);
    Some(other(answer, claim.answer(values(&headers, challenge), Uuid::new_v4().as_bytes())?))
}

/// Where the proxy is now. Over TLS the name goes along: the certificate is for it.
async fn resolve(trunk: &Trunk, proxy: &Proxy, transport: Transport, own: SocketAddr) -> Option<SipAddr> {
    let (host, port) = proxy.parts()?;
    let by = |kind, addr: HostWithPort| Some(SipAddr { r#type: Some(kind), addr });
    if transport == Transport::Tls {
        return by(StackTransport::Tls, HostWithPort::try_from(proxy.as_str()).ok()?);
    }
    let mut found = tokio::net::lookup_host((host, port)).await.ok()?;
    match transport {
        Transport::Udp => {
            // A socket of IPv6 on every address sends to both families.
            let fits =
                |at: &SocketAddr| (own.is_ipv6() || at.is_ipv4()) && trunk.admits(at.ip(), Transport::Udp);
            by(StackTransport::Udp, found.find(fits)?.into())
        }
        _ => by(StackTransport::Tcp, found.next()?.into()),
    }
}

fn build(
    via: Header,
    contact: &Uri,
    notice: &Notice,
    names: &Names,
    number: u32,
    proof: Option<Header>,
) -> Result<Request, SipError> {
    let uri = Uri::try_from(notice.to.as_str()).map_err(|_| SipError::Unreachable)?;
    let mut headers = vec![
        via,
        Header::From(format!("<{}>;tag={}", notice.account, names.1).into()),
        Header::To(format!("<{}>", notice.to).into()),
        Header::CallId(names.0.clone().into()),
        Header::CSeq(format!("{number} NOTIFY").into()),
        Header::MaxForwards(70.into()),
        other("Contact", format!("<{contact}>")),
        other("Event", PACKAGE),
        other("Subscription-State", STATE),
        Header::ContentType("application/simple-message-summary".into()),
        Header::ContentLength(u32::try_from(notice.body.len()).unwrap_or_default().into()),
    ];
    headers.extend(proof);
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
            let to = resolve(&trunk, trunk.proxy_of_notices().unwrap(), Transport::Udp, own).await;
            assert_eq!(to.is_some(), found, "{addresses} {proxy}: {to:?}");
        }
    }
}
