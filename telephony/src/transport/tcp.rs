//! SIP over TCP: connections are accepted where a trunk may send by it, and no others.

use super::refused::Why;
use super::streams::{Frames, Streams};
use crate::config::Transport;
use rsipstack::platform::CancellationToken;
use rsipstack::transport::tcp::TcpConnection;
use rsipstack::transport::{SipAddr, SipConnection};
use socket2::SockRef;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// A peer that takes nothing for so long is gone.
const UNREAD: Duration = Duration::from_secs(10);
/// While the kernel has no descriptor for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Prepares an accepted or dialled connection.
pub(super) fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD))
}

/// The next connection; none once the process is to end.
pub(super) async fn accept(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Takes connections until the process ends.
pub(super) async fn serve(streams: Arc<Streams>, listener: TcpListener, local: SipAddr) {
    while let Some((stream, peer)) = accept(&listener, &streams.stop).await {
        drop(tokio::spawn(take(streams.clone(), stream, peer, local.clone())));
    }
}

async fn take(streams: Arc<Streams>, stream: TcpStream, peer: SocketAddr, local: SipAddr) {
    let Some(trunk) = streams.config.trunk_of(peer.ip(), Transport::Tcp).map(|trunk| trunk.name.clone())
    else {
        return streams.refused.count(Why::Stranger);
    };
    let Some(_place) = streams.places.take(peer.ip()) else { return streams.refused.count(Why::Connections) };
    let token = streams.stop.child_token();
    // One that is gone already can't be prepared.
    if prepare(&stream).is_err() {
        return;
    }
    let Ok(connection) = TcpConnection::from_stream(stream, local, Some(token)) else { return };
    let Some(reader) = connection.inner.read_half.lock().await.take() else { return };
    streams.read(Frames::new(reader), SipConnection::Tcp(connection), (Transport::Tcp, peer), trunk).await;
}
