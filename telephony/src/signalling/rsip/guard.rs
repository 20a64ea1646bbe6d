//! What may reach a transaction or a dialogue: looked at before the stack matches it.
//!
//! ```text
//! parser ─▶ Guard ─┬▶ the stack's transactions
//!                  └▶ 481, 482 or nothing, and a count
//! ```
//!
//! The stack finds a request's transaction by branch, Call-ID, From tag, number and method (a CANCEL's and an ACK's is the
//! INVITE's); nothing of it is secret to who sees a datagram. RFC 3261 (9.2, 17.2.3) wants the sent-by of Via compared, too, and we compare
//! who sent it: a CANCEL from elsewhere would end a call that rings, an ACK would answer our description of a session, and a
//! request sent again would fetch an answer with our tag. An answer counts from whom was asked (18.1.2 leaves that to us), and an answer to
//! nobody's question is dropped.

use super::Shared;
use super::begun::Begun;
use super::party::{Party, names_of};
use crate::transport::{Refused, Why};
use async_trait::async_trait;
use parking_lot::Mutex;
use rsipstack::sip::prelude::{HeadersExt as _, ToTypedHeader as _};
use rsipstack::sip::{Method, Request, Response, SipMessage, StatusCode};
use rsipstack::transaction::endpoint::{EndpointInner, TransportEventInspector};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use std::sync::{Arc, OnceLock, Weak};

/// Stands before the stack's transactions.
pub(super) struct Guard {
    /// There once the stack is built.
    shared: Arc<OnceLock<Weak<Shared>>>,
    /// Who began each transaction that the stack still knows.
    begun: Mutex<Begun<TransactionKey, Origin>>,
    refused: Arc<Refused>,
}

/// Who sent a request that begins a transaction.
struct Origin {
    /// Host and port of its topmost Via.
    sent_by: String,
    party: Party,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Drop,
    Refuse(u16),
}

impl Guard {
    pub(super) fn new(shared: Arc<OnceLock<Weak<Shared>>>, refused: Arc<Refused>) -> Self {
        Self { shared, begun: Mutex::default(), refused }
    }

    fn judge(&self, shared: &Shared, message: &SipMessage, connection: &SipConnection) -> Verdict {
        match message {
            SipMessage::Request(request) => self.judge_request(shared, request, connection),
            SipMessage::Response(response) => judge_response(shared, response, connection),
        }
    }

    fn judge_request(&self, shared: &Shared, request: &Request, connection: &SipConnection) -> Verdict {
        let forged = match request.method {
            Method::Ack => Verdict::Drop,
            Method::Cancel => Verdict::Refuse(481),
            // As of one that came by two ways (RFC 3261, 8.2.2.2).
            _ => Verdict::Refuse(482),
        };
        let within = names_of(request.call_id_header(), request.to_header().and_then(|to| to.tag()));
        if within.is_some_and(|names| shared.party_of(&names).is_some_and(|it| !it.sent(shared, connection)))
        {
            // Whoever it is learns no more than of a call that isn't there.
            return if request.method == Method::Ack { Verdict::Drop } else { Verdict::Refuse(481) };
        }
        // The stack itself drops what has no such key.
        let Ok(key) = TransactionKey::from_request(request, TransactionRole::Server) else {
            return Verdict::Pass;
        };
        match self.is_of(shared, &key, request, connection) {
            Some(true) => Verdict::Pass,
            Some(false) => forged,
            None => {
                self.remember(shared, key, request, connection);
                Verdict::Pass
            }
        }
    }

    /// Whether who began a transaction sent this; `None` where there is no such transaction.
    fn is_of(
        &self,
        shared: &Shared,
        key: &TransactionKey,
        request: &Request,
        connection: &SipConnection,
    ) -> Option<bool> {
        if !is_known(&shared.endpoint, key) {
            return None;
        }
        let begun = self.begun.lock();
        let origin = begun.get(key)?;
        Some(Some(&origin.sent_by) == sent_by(request).as_ref() && origin.party.sent(shared, connection))
    }

    /// A CANCEL and an ACK begin nothing.
    fn remember(&self, shared: &Shared, key: TransactionKey, request: &Request, connection: &SipConnection) {
        let begins = !matches!(request.method, Method::Ack | Method::Cancel);
        let trunk = shared.trunk_of(Some(connection));
        let (Some(party), Some(sent_by), true) =
            (Party::of(connection, request, trunk), sent_by(request), begins)
        else {
            return;
        };
        let is_known = |key: &TransactionKey| is_known(&shared.endpoint, key);
        self.begun.lock().insert(key, Origin { sent_by, party }, is_known);
    }
}

/// Whether the stack would find that transaction: in progress, or over and still answered.
fn is_known(endpoint: &EndpointInner, key: &TransactionKey) -> bool {
    endpoint.transactions.contains_key(key) || endpoint.finished_transactions.contains_key(key)
}

fn sent_by(request: &Request) -> Option<String> {
    let via = request.top_via_header().ok()?.typed().ok()?;
    Some(via.uri.host_with_port.to_string().to_ascii_lowercase())
}

fn judge_response(shared: &Shared, response: &Response, connection: &SipConnection) -> Verdict {
    let names = names_of(response.call_id_header(), response.from_header().and_then(|from| from.tag()));
    let asked = names.and_then(|names| shared.party_of(&names));
    if asked.is_some_and(|party| party.answered(shared, connection)) { Verdict::Pass } else { Verdict::Drop }
}

#[async_trait]
impl TransportEventInspector for Guard {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        let TransportEvent::Incoming(message, connection, from) = &event else { return Some(event) };
        // The stack isn't there any more when the process ends.
        let shared = self.shared.get()?.upgrade()?;
        let verdict = self.judge(&shared, message, connection);
        if verdict == Verdict::Pass {
            return Some(event);
        }
        self.refused.count(Why::Forged);
        if let (Verdict::Refuse(status), SipMessage::Request(request)) = (verdict, message) {
            refuse(&shared, request, status, connection, from).await;
        }
        None
    }
}

/// Goes back to where it came from, whatever its Via says.
async fn refuse(shared: &Shared, request: &Request, status: u16, connection: &SipConnection, from: &SipAddr) {
    let response = shared.endpoint.make_response(request, StatusCode::from(status), None);
    if connection.send(response.into(), Some(from)).await.is_err() {
        tracing::debug!("a forged request couldn't be answered");
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
