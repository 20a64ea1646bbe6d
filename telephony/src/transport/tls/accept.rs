//! Connections that peers open: admitted, shaken hands with, known as a trunk's, and read.

use super::certificates::Certificates;
use super::connector::{Connector, Link};
use crate::config::Transport;
use crate::transport::refused::Why;
use crate::transport::streams::{Frames, SOON, Streams};
use crate::transport::tcp::{accept, prepare};
use rsipstack::sip::Transport as StackTransport;
use rsipstack::transport::{PlatformTlsConnection, SipAddr, SipConnection};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Handshakes at once: each takes a millisecond of a processor, which calls need.
const HANDSHAKES: usize = 8;

/// All that an accepted connection needs.
struct Door {
    streams: Arc<Streams>,
    certificates: Arc<Certificates>,
    connector: Arc<Connector>,
    handshakes: Semaphore,
}

/// Takes connections until the process ends.
pub(crate) async fn serve(
    streams: Arc<Streams>,
    certificates: Arc<Certificates>,
    connector: Arc<Connector>,
    listener: TcpListener,
) {
    let door = Arc::new(Door { streams, certificates, connector, handshakes: Semaphore::new(HANDSHAKES) });
    while let Some((stream, peer)) = accept(&listener, &door.streams.stop).await {
        drop(tokio::spawn(take(door.clone(), stream, peer)));
    }
}

async fn take(door: Arc<Door>, stream: TcpStream, peer: SocketAddr) {
    let streams = &door.streams;
    let admitted = streams.config.trunks.iter().any(|trunk| trunk.admits(peer.ip(), Transport::Tls));
    if !admitted {
        return streams.refused.count(Why::Stranger);
    }
    let Some(_place) = streams.places.take(peer.ip()) else { return streams.refused.count(Why::Connections) };
    let Ok(Some(stream)) = tokio::time::timeout(SOON, shake_hands(&door, stream)).await else {
        return streams.refused.count(Why::Handshake);
    };
    let shown = stream.get_ref().1.peer_certificates();
    let trunk = door.certificates.current().trunk_of(&streams.config, peer.ip(), shown);
    let Some(trunk) = trunk else { return streams.refused.count(Why::Stranger) };
    let Ok(local) = stream.get_ref().0.local_addr() else { return };
    let (reader, writer) = tokio::io::split(tokio_rustls::TlsStream::Server(stream));
    let Some(connection) = hand_over(&door, peer, Link::written_to(writer, local)).await else { return };
    streams.read(Frames::new(reader), connection, (Transport::Tls, peer), trunk).await;
}

async fn shake_hands(door: &Door, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    prepare(&stream).ok()?;
    let _turn = door.handshakes.acquire().await.ok()?;
    let acceptor = TlsAcceptor::from(Arc::clone(&door.certificates.current().server));
    acceptor.accept(stream).await.ok()
}

/// The stack makes a connection of what its connector gives it for an address: the one that was accepted from there.
async fn hand_over(door: &Door, peer: SocketAddr, link: Link) -> Option<SipConnection> {
    door.connector.keep(peer, link);
    let remote = SipAddr { r#type: Some(StackTransport::Tls), addr: peer.into() };
    let token = door.streams.stop.child_token();
    let connection = PlatformTlsConnection::connect(&remote, None, Some(token)).await.ok()?;
    Some(SipConnection::TlsPlatform(connection))
}
