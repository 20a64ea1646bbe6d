//! Hints on the network: one socket a replica, to all addresses that the tenant's headless Service has.
//!
//! Best effort by design: nobody waits for a hint, none is repeated, and one that is lost is made up for by the
//! timer. A batch gathers what changes within a few milliseconds. Names are looked up when there is something to
//! send, at most every few seconds; while they can't be, the addresses known last are used.

use super::hint::{HintKey, Inbox, LONGEST, MOST_TOPICS};
use super::hub::{Hub, Topic};
use crate::context::Context;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;
use voicemail_api::config::PeersConfig;
use voicemail_api::listen::{as_sent_from, bind_datagrams};

/// Changes within this time are sent together.
const GATHER: Duration = Duration::from_millis(10);
/// How long addresses are used before they are looked up again.
const ADDRESS_LIFE: Duration = Duration::from_secs(5);
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);
/// Addresses that a batch is sent to.
const MOST_PEERS: usize = 64;
/// Pause before a port that can't be bound is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Sends and heeds hints until the future is dropped; without peers configured it does nothing.
pub(super) async fn run(hub: &Hub, context: &Context) {
    let Some(config) = context.config().peers.clone() else { return std::future::pending().await };
    let Some(key) = HintKey::derive(context.key()) else { return std::future::pending().await };
    let socket = bind(context, config.listen).await;
    let own = u64::from_be_bytes(context.world().random());
    hub.outgoing().open();
    let sender = Sender {
        hub,
        context,
        config,
        key: key.clone(),
        socket: &socket,
        own,
        sent: 0,
        peers: Vec::new(),
        known: None,
    };
    tokio::join!(sender.run(), receive(hub, context, &socket, Inbox::new(key, own)));
}

async fn bind(context: &Context, address: SocketAddr) -> Arc<UdpSocket> {
    loop {
        match bind_datagrams(address).and_then(UdpSocket::from_std) {
            Ok(socket) => return Arc::new(socket),
            Err(error) => tracing::warn!(%address, %error, "the port for hints can't be bound yet"),
        }
        context.world().sleep(AGAIN).await;
    }
}

struct Sender<'a> {
    hub: &'a Hub,
    context: &'a Context,
    config: PeersConfig,
    key: HintKey,
    socket: &'a UdpSocket,
    own: u64,
    sent: u64,
    peers: Vec<SocketAddr>,
    known: Option<Duration>,
}

impl Sender<'_> {
    async fn run(mut self) {
        loop {
            self.hub.outgoing().wait().await;
            self.context.world().sleep(GATHER).await;
            self.look_up().await;
            loop {
                let topics = self.hub.outgoing().take(MOST_TOPICS);
                if topics.is_empty() {
                    break;
                }
                self.send(&topics).await;
            }
        }
    }

    async fn look_up(&mut self) {
        let now = self.context.world().monotonic();
        if self.known.is_some_and(|known| now.saturating_sub(known) < ADDRESS_LIFE) {
            return;
        }
        self.known = Some(now);
        match timeout(LOOK_UP_LIMIT, lookup_host(&self.config.service)).await {
            Ok(Ok(found)) => {
                let own = self.socket.local_addr();
                let reached = |peer| own.as_ref().map_or(peer, |own| as_sent_from(*own, peer));
                self.peers = found.take(MOST_PEERS).map(reached).collect();
            }
            Ok(Err(error)) => tracing::debug!(%error, "the other replicas can't be looked up"),
            Err(_) => tracing::debug!("looking the other replicas up took too long"),
        }
    }

    async fn send(&mut self, topics: &[Topic]) {
        let digests: Vec<_> = topics.iter().map(|topic| self.key.digest(topic)).collect();
        self.sent += 1;
        let datagram = self.key.seal(self.own, self.sent, self.context.world().now(), &digests);
        for peer in &self.peers {
            let outcome = match self.socket.send_to(&datagram, peer).await {
                Ok(_) => "sent",
                Err(_) => "failed",
            };
            self.hub.count_hint("out", outcome);
        }
    }
}

async fn receive(hub: &Hub, context: &Context, socket: &UdpSocket, mut inbox: Inbox) {
    let mut buffer = [0; LONGEST + 1];
    loop {
        let length = match socket.recv_from(&mut buffer).await {
            Ok((length, _)) => length,
            // Such as that a peer refused what was sent before.
            Err(error) => {
                tracing::debug!(%error, "no hint could be received");
                context.world().sleep(GATHER).await;
                continue;
            }
        };
        match inbox.read(buffer.get(..length).unwrap_or_default(), context.world().now()) {
            Ok(digests) => {
                hub.count_hint("in", "heeded");
                hub.heed(&digests);
            }
            Err(unheeded) => hub.count_hint("in", unheeded.outcome()),
        }
    }
}
