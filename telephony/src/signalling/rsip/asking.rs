//! Requests of ours, each sent by a transaction of the stack, which repeats it until its answer comes or its time is over.

use super::Shared;
use crate::config::Transport;
use crate::signalling::SipError;
use rsipstack::sip::typed::Via;
use rsipstack::sip::{Request, Response, SipMessage, StatusCodeKind};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::{SipAddr, SipConnection};
use std::net::{IpAddr, SocketAddr};

/// The connection that carries a dialogue, while it is open; another one is opened to the peer else.
pub(super) fn open_connection(connection: &SipConnection) -> Option<SipConnection> {
    let over =
        connection.is_reliable() && connection.cancel_token().is_some_and(|token| token.is_cancelled());
    (!over).then(|| connection.clone())
}

/// The Via of a request of ours to a peer.
pub(super) fn via(shared: &Shared, transport: Transport, peer: IpAddr) -> Result<Via, SipError> {
    let own = shared.contacts.via(transport, peer);
    shared.endpoint.get_via(Some(own), None).map_err(|_| SipError::NotSent)
}

/// The other end of a connection.
pub(super) fn remote_of(connection: &SipConnection) -> Option<SocketAddr> {
    connection.get_remote_addr()?.get_socketaddr().ok()
}

/// Sends a request and waits for the status of its answer.
pub(super) async fn send(
    endpoint: &EndpointInnerRef,
    connection: Option<SipConnection>,
    to: Option<SipAddr>,
    request: Request,
) -> Result<u16, SipError> {
    ask(endpoint, connection, to, request).await.map(|response| response.status_code.code())
}

/// Sends a request and waits for its answer; the one to a subscriber goes to where the subscriber's came from,
/// which is the proxy between if there is one.
pub(super) async fn ask(
    endpoint: &EndpointInnerRef,
    connection: Option<SipConnection>,
    to: Option<SipAddr>,
    request: Request,
) -> Result<Response, SipError> {
    let key =
        TransactionKey::from_request(&request, TransactionRole::Client).map_err(|_| SipError::NotSent)?;
    let mut transaction = Transaction::new_client(key, request, endpoint.clone(), connection);
    transaction.destination = to;
    transaction.send().await.map_err(|_| SipError::NotSent)?;
    while let Some(message) = transaction.receive().await {
        if let SipMessage::Response(response) = message
            && response.status_code.kind() != StatusCodeKind::Provisional
        {
            return Ok(response);
        }
    }
    Err(SipError::NotSent)
}
