//! SIP by rsipstack: the one place that knows it.
//!
//! ```text
//! datagram, connection ─▶ transport ─▶ parser ─▶ guard ─▶ transactions ─▶ validate ─▶ dialog's ─▶ its leg
//!                                                                            └──────▶ INVITE ──▶ a leg and an incoming call
//! ```
//!
//! What the stack leaves to us: a transaction's driver that lives until its timers have run, so that no reply is dropped
//! early; an answer to each request in a dialog, also to those that the stack ignores (500, RFC 3261, 12.2.2); dialogs
//! taken out of its table; session timers; options that aren't known. Its log is off: it writes whole messages.

mod admission;
mod asking;
mod begun;
mod call;
mod guard;
mod notice;
mod outbound;
mod party;
mod places;
mod subscription;
mod validate;
#[cfg(test)]
mod wire;

use super::digest::NoRandomness;
use super::evidence::Evidence;
use super::identity::Identity;
use super::{Incoming, IncomingCall, Notice, Signalling, SipError};
use crate::config::{Config, Transport, Trunk};
use crate::sdp::Offer;
use crate::transport::{Contacts, ListenError, Listeners, Peers, Refused, UdpGate, UdpGateError};
use asking::remote_of;
use async_trait::async_trait;
use call::{ALLOW, RsipLeg, other};
use guard::Guard;
use party::Party;
use rsipstack::EndpointBuilder;
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::{Header, Headers, Method, StatusCode, Uri};
use rsipstack::transaction::Endpoint;
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipConnection, TransportLayer};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::DropGuard;
use uuid::Uuid;
use validate::Refusal;
use voicemail_api::ErrorClass;

/// A transaction's timers are over by then (64 × T1, RFC 3261).
const TRANSACTION: Duration = Duration::from_secs(40);
/// When a refused caller may try again, in seconds.
const RETRY_AFTER: &str = "10";

/// Why SIP can't be served.
#[derive(Debug, thiserror::Error)]
pub enum RsipError {
    /// The socket.
    #[error(transparent)]
    Gate(#[from] UdpGateError),
    /// The listeners for connections.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nothing random can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The stack refused its parts.
    #[error("the SIP stack can't be started")]
    Stack,
}

impl RsipError {
    /// Another process may let go of the port.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Gate(_) => ErrorClass::Transient,
            Self::Listen(error) => error.class(),
            Self::NoRandomness(_) | Self::Stack => ErrorClass::Permanent,
        }
    }
}

/// The stack, serving.
pub struct Rsip {
    shared: Arc<Shared>,
    incoming: Mutex<mpsc::UnboundedReceiver<Incoming>>,
    local: SocketAddr,
    _serving: DropGuard,
}

struct Shared {
    config: Arc<Config>,
    layer: Arc<DialogLayer>,
    endpoint: EndpointInnerRef,
    contacts: Contacts,
    /// Trunks of open connections.
    peers: Peers,
    subscriptions: subscription::Table,
    calls: party::Parties,
    /// Questions of ours that belong to no dialogue.
    questions: party::Parties,
    draining: AtomicBool,
    admission: admission::Admission,
    /// Places of each trunk's calls.
    places: places::Places,
    tell: mpsc::UnboundedSender<Incoming>,
}

impl Shared {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The trunk that a request came by.
    fn trunk_of(&self, connection: Option<&SipConnection>) -> Option<&Trunk> {
        let connection = connection?;
        let source = remote_of(connection)?;
        match transport_of(connection) {
            Transport::Udp => self.config.trunk_of(source.ip(), Transport::Udp),
            // By what was known when it was opened. What comes by a connection of ours begins nothing.
            transport => {
                let name = self.peers.lock().get(&(transport, source)).cloned()?;
                self.config.trunks.iter().find(|trunk| trunk.name == name)
            }
        }
    }

    /// The other side of a dialogue, or who was asked.
    fn party_of(&self, names: &party::Names) -> Option<Party> {
        let call = self.calls.lock().get(names).cloned();
        let phone = || self.subscriptions.lock().get(names).map(|(party, _)| party.clone());
        call.or_else(phone).or_else(|| self.questions.lock().get(names).cloned())
    }

    /// The address of a connection's other end; our own first one where none is known, which tells that one.
    fn peer_of(&self, connection: Option<&SipConnection>) -> IpAddr {
        connection.and_then(remote_of).map_or(self.config.advertised.first(), |remote| remote.ip())
    }

    /// Our address in a dialogue that a request begins.
    fn contact_for(&self, transaction: &Transaction) -> Uri {
        let transport = transport_by(transaction);
        let secure = transaction.original.uri.to_string().starts_with("sips:");
        self.contacts.of(transport, secure, self.peer_of(transaction.connection.as_ref())).clone()
    }

    /// Whether a trunk's assertions of who calls are believed.
    fn trusts(&self, trunk: &str) -> bool {
        self.config.trunks.iter().any(|known| known.name == trunk && known.trust.identity)
    }
}

impl Rsip {
    /// Binds the sockets and serves.
    ///
    /// # Errors
    /// [`RsipError`].
    pub async fn start(config: Arc<Config>, refused: Arc<Refused>) -> Result<Self, RsipError> {
        let stop = CancellationToken::new();
        let admission = admission::Admission::new(Arc::clone(&refused))?;
        let gate = Arc::new(UdpGate::bind(Arc::clone(&config), Arc::clone(&refused)).await?);
        let listeners = Listeners::bind(&config, &refused, &stop).await?;
        let local = gate.local()?;
        let ports = listeners.ports(local.port());
        let contacts = Contacts::new(config.advertised, ports).ok_or(RsipError::Stack)?;
        let advertised = SocketAddr::new(config.advertised.first(), local.port());
        let transport = TransportLayer::new(stop.clone());
        let connection = UdpConnection::from_socket(gate, Some(advertised), Some(stop.child_token())).await;
        transport.add_transport(connection.map_err(|_| RsipError::Stack)?.into());
        let peers = listeners.serve(&transport).await?;
        let mut builder = EndpointBuilder::new();
        let known = Arc::new(OnceLock::new());
        let guard = Box::new(Guard::new(Arc::clone(&known), refused));
        builder.with_user_agent("voicemail").with_transport_layer(transport).with_cancel_token(stop.clone());
        builder.with_transport_inspector(guard);
        let endpoint = builder.build();
        let (tell, incoming) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            places: places::Places::new(&config),
            layer: Arc::new(DialogLayer::new(endpoint.inner.clone())),
            config,
            endpoint: endpoint.inner.clone(),
            contacts,
            peers,
            subscriptions: subscription::Table::default(),
            calls: party::Parties::default(),
            questions: party::Parties::default(),
            draining: AtomicBool::new(false),
            admission,
            tell,
        });
        // Set once, here.
        let _ = known.set(Arc::downgrade(&shared));
        serve(&endpoint, &shared)?;
        Ok(Self { shared, incoming: Mutex::new(incoming), local, _serving: stop.drop_guard() })
    }

    /// Where SIP is listened for.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}

#[async_trait]
impl Signalling for Rsip {
    async fn next(&self) -> Option<Incoming> {
        self.incoming.lock().await.recv().await
    }

    fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    async fn notify(&self, notice: &Notice) -> Result<(), SipError> {
        notice::notify(&self.shared, notice).await
    }
}

fn serve(endpoint: &Endpoint, shared: &Arc<Shared>) -> Result<(), RsipError> {
    let mut transactions = endpoint.incoming_transactions().map_err(|_| RsipError::Stack)?;
    let inner = endpoint.inner.clone();
    tokio::spawn(async move {
        if inner.serve().await.is_err() {
            tracing::error!("the SIP stack has stopped");
        }
    });
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        while let Some(transaction) = transactions.recv().await {
            tokio::spawn(take(Arc::clone(&shared), transaction));
        }
    });
    Ok(())
}

/// Headers by name and value.
pub(super) fn headers_of(headers: &Headers) -> Vec<(String, String)> {
    let pair = |header: &Header| {
        let text = header.to_string();
        let (name, value) = text.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    headers.iter().filter_map(pair).collect()
}

fn transport_of(connection: &SipConnection) -> Transport {
    match connection.transport() {
        rsipstack::sip::Transport::Tcp => Transport::Tcp,
        rsipstack::sip::Transport::Tls => Transport::Tls,
        _ => Transport::Udp,
    }
}

/// By what a request came.
fn transport_by(transaction: &Transaction) -> Transport {
    transaction.connection.as_ref().map_or(Transport::Udp, transport_of)
}

/// A request, from the first look to the end of its timers.
async fn take(shared: Arc<Shared>, mut transaction: Transaction) {
    let method = transaction.original.method;
    if let Some(mut dialog) = shared.layer.match_dialog(&transaction) {
        let handled = dialog.handle(&mut transaction).await;
        let unanswered = transaction.last_response.is_none() && method != Method::Ack;
        if handled.is_err() || unanswered {
            refuse(&mut transaction, &Refusal { status: 500, header: Some(("Retry-After", "1".into())) })
                .await;
        }
        return finish(transaction).await;
    }
    let headers = headers_of(&transaction.original.headers);
    let in_dialog = validate::values(&headers, "To").any(|to| to.contains(";tag="));
    let refusal = match method {
        Method::Ack => return,
        Method::Subscribe if in_dialog => return subscription::renew(&shared, transaction, &headers).await,
        _ if in_dialog || method == Method::Cancel => Refusal::status(481),
        _ => match validate::check(&headers) {
            Err(refusal) => refusal,
            Ok(()) => match method {
                Method::Invite | Method::Subscribe
                    if !admission::is_admitted(&shared, &mut transaction, &headers).await =>
                {
                    return finish(transaction).await;
                }
                Method::Invite => return invite(&shared, transaction, headers).await,
                Method::Subscribe => return subscription::begin(&shared, transaction, headers).await,
                Method::Options => options(&shared),
                _ => Refusal { status: 405, header: Some(("Allow", ALLOW.into())) },
            },
        },
    };
    refuse(&mut transaction, &refusal).await;
    finish(transaction).await;
}

fn options(shared: &Shared) -> Refusal {
    match shared.is_draining() {
        true => unavailable(),
        false => Refusal { status: 200, header: Some(("Allow", ALLOW.into())) },
    }
}

fn unavailable() -> Refusal {
    Refusal { status: 503, header: Some(("Retry-After", RETRY_AFTER.into())) }
}

async fn refuse(transaction: &mut Transaction, refusal: &Refusal) {
    let headers = refusal.header.iter().map(|(name, value)| other(name, value.clone())).collect();
    if transaction.reply_with(StatusCode::from(refusal.status), headers, None).await.is_err() {
        tracing::debug!("a request couldn't be answered");
    }
}

/// Keeps a transaction until its timers have run, so that a repeated request gets the same answer.
async fn finish(mut transaction: Transaction) {
    let over = async { while transaction.receive().await.is_some() {} };
    // Longer than all timers together: what isn't over then never will be.
    let _ = tokio::time::timeout(TRANSACTION, over).await;
}

async fn invite(shared: &Arc<Shared>, mut transaction: Transaction, headers: Vec<(String, String)>) {
    match prepare(shared, &transaction, &headers) {
        Ok((call, mut dialog)) => {
            // Nobody takes calls any more: the leg is dropped, and refuses.
            let _ = shared.tell.send(Incoming::Call(Box::new(call)));
            if dialog.handle(&mut transaction).await.is_err() {
                tracing::debug!("a call's first transaction failed");
            }
        }
        Err(refusal) => refuse(&mut transaction, &refusal).await,
    }
    finish(transaction).await;
}

/// Who begins something by that request.
fn party_of(transaction: &Transaction, trunk: &Trunk) -> Result<Party, Refusal> {
    let party =
        transaction.connection.as_ref().and_then(|it| Party::of(it, &transaction.original, Some(trunk)));
    party.ok_or_else(|| Refusal::status(400))
}

type Prepared = (IncomingCall, rsipstack::dialog::invite_dialog::InviteDialog);

/// Makes a call of an INVITE.
fn prepare(
    shared: &Arc<Shared>,
    transaction: &Transaction,
    headers: &[(String, String)],
) -> Result<Prepared, Refusal> {
    if shared.is_draining() {
        return Err(unavailable());
    }
    let trunk = shared.trunk_of(transaction.connection.as_ref()).ok_or_else(|| Refusal::status(403))?;
    let session = validate::session_expires(headers)?;
    let request = &transaction.original;
    let offer = match request.body.is_empty() {
        true => None,
        false => Some(Offer::parse(&request.body).map_err(|_| Refusal::status(488))?),
    };
    let identity = Identity::read(headers, trunk.trust.identity);
    let place = shared.places.take(trunk, identity.caller.as_deref()).ok_or_else(unavailable)?;
    let party = party_of(transaction, trunk)?;
    let (tell, states) = shared.layer.new_dialog_state_channel();
    let dialog = shared
        .layer
        .get_or_create_server_invite(transaction, tell, None, Some(shared.contact_for(transaction)))
        .map_err(|_| Refusal::status(400))?;
    shared.calls.lock().insert(party::key(&dialog.id()), party);
    let leg = RsipLeg {
        shared: Arc::clone(shared),
        dialog: dialog.clone(),
        states,
        session,
        expires: None,
        waiting: None,
        way: outbound::Way::of(headers, trunk, transaction.connection.as_ref()),
        _place: place,
    };
    let call = IncomingCall {
        id: Uuid::now_v7(),
        trunk: trunk.name.clone(),
        evidence: Evidence::read(&request.uri.to_string(), headers),
        identity,
        offer,
        peer: shared.peer_of(transaction.connection.as_ref()),
        leg: Box::new(leg),
    };
    Ok((call, dialog))
}
