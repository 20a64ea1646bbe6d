//! Connections of SIP, whatever carries their bytes: which trunk each belongs to, and its messages on their way to the stack.
//!
//! ```text
//! TCP, TLS ─▶ Splitter ─▶ whole messages ─▶ parser ─▶ door ─▶ the stack's transactions
//! ```
//!
//! The stack's own loop isn't used: it waits without end for the rest of a message. What goes out is written by the stack to
//! the same connection. A connection's token is cancelled when it ends, by which the stack knows that it can't be used.

use super::frame::{Frame, FrameError, Splitter};
use super::places::Places;
use super::refused::{Refused, Why};
use crate::config::{Config, Transport};
use parking_lot::Mutex;
use rsipstack::platform::CancellationToken;
use rsipstack::sip::SipMessage;
use rsipstack::transport::connection::{KEEPALIVE_RESPONSE, TransportSender};
use rsipstack::transport::stream::StreamConnection as _;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;

/// A connection on which nothing comes for so long is closed.
const IDLE: Duration = Duration::from_secs(300);
/// The first byte must come within it, and each message's last after its first.
pub(super) const SOON: Duration = Duration::from_secs(10);
const PIECE: usize = 4_096;

/// Which trunk each open connection belongs to.
pub type Peers = Arc<Mutex<HashMap<(Transport, SocketAddr), String>>>;

/// What all connections share.
pub(super) struct Streams {
    pub(super) config: Arc<Config>,
    pub(super) door: TransportSender,
    pub(super) peers: Peers,
    pub(super) places: Places,
    pub(super) refused: Arc<Refused>,
    pub(super) stop: CancellationToken,
}

/// A connection's entry among those that are open.
struct Known {
    peers: Peers,
    key: (Transport, SocketAddr),
}

impl Known {
    fn insert(peers: &Peers, key: (Transport, SocketAddr), trunk: String) -> Self {
        peers.lock().insert(key, trunk);
        Self { peers: Arc::clone(peers), key }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.peers.lock().remove(&self.key);
    }
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum End {
    /// The peer closed it, it broke, or nothing came for long.
    #[error("the connection was closed")]
    Closed,
    /// Nothing came at first, or a message took too long.
    #[error("the connection was too slow")]
    Slow,
    /// What came can't be told apart.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Whole messages of a stream, in time.
pub(super) struct Frames<R> {
    reader: R,
    splitter: Splitter,
    /// When what is waited for must have come.
    until: Instant,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, splitter: Splitter::default(), until: Instant::now() + SOON }
    }

    /// The next whole thing. Cancelled, it loses nothing.
    pub(super) async fn next(&mut self) -> Result<Frame, End> {
        loop {
            if let Some(frame) = self.splitter.cut()? {
                self.until = Instant::now() + if self.splitter.is_within_a_message() { SOON } else { IDLE };
                return Ok(frame);
            }
            let begun = self.splitter.is_within_a_message();
            let mut piece = [0; PIECE];
            let read = tokio::time::timeout_at(self.until, self.reader.read(&mut piece)).await;
            let length = match read {
                Ok(Ok(0) | Err(_)) => return Err(End::Closed),
                Ok(Ok(length)) => length,
                Err(_) if begun => return Err(End::Slow),
                Err(_) => return Err(End::Closed),
            };
            self.splitter.push(piece.get(..length).unwrap_or_default());
            // From a message's first byte its time runs; signs of life alone keep a connection open.
            if !begun {
                let time = if self.splitter.is_within_a_message() { SOON } else { IDLE };
                self.until = Instant::now() + time;
            }
        }
    }
}

impl Streams {
    /// Reads a connection to its end, on behalf of a trunk.
    pub(super) async fn read<R: AsyncRead + Unpin>(
        &self,
        mut frames: Frames<R>,
        connection: SipConnection,
        key: (Transport, SocketAddr),
        trunk: String,
    ) {
        let token = connection.cancel_token().unwrap_or_default();
        let _known = Known::insert(&self.peers, key, trunk);
        let end = loop {
            let frame = tokio::select! {
                () = token.cancelled() => break End::Closed,
                frame = frames.next() => frame,
            };
            match frame {
                Ok(Frame::Ping) => answer_ping(&connection).await,
                Ok(Frame::Message(bytes)) => self.hand_in(&bytes, &connection),
                Err(end) => break end,
            }
        };
        token.cancel();
        self.count(end);
        close(&connection).await;
    }

    fn count(&self, end: End) {
        match end {
            End::Closed => {}
            End::Slow => self.refused.count(Why::Slow),
            End::Frame(FrameError::TooLong) => self.refused.count(Why::TooLong),
            End::Frame(_) => self.refused.count(Why::Malformed),
        }
    }

    /// A message that can't be read is left out: the next one's beginning is known.
    fn hand_in(&self, bytes: &[u8], connection: &SipConnection) {
        let Some(event) = read_message(bytes, connection) else { return self.refused.count(Why::Malformed) };
        // The stack is gone when the process ends.
        let _ = self.door.send(event);
    }
}

fn read_message(bytes: &[u8], connection: &SipConnection) -> Option<TransportEvent> {
    let remote: SipAddr = connection.get_remote_addr()?.clone();
    let message = SipMessage::try_from(bytes).ok()?;
    let address = remote.get_socketaddr().ok()?;
    let message = SipConnection::update_msg_received(message, address, remote.r#type?).ok()?;
    Some(TransportEvent::Incoming(message, connection.clone(), remote))
}

/// A connection that can't be written to ends by itself.
async fn answer_ping(connection: &SipConnection) {
    let sent = match connection {
        SipConnection::Tcp(tcp) => tcp.send_raw(KEEPALIVE_RESPONSE).await,
        SipConnection::TlsPlatform(tls) => tls.send_raw(KEEPALIVE_RESPONSE).await,
        _ => Ok(()),
    };
    if sent.is_err() {
        tracing::debug!("a sign of life couldn't be answered");
    }
}

async fn close(connection: &SipConnection) {
    if connection.close().await.is_err() {
        tracing::debug!("a connection was gone before it was closed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    const HEAD: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_message_has_ten_seconds_however_often_a_byte_of_it_comes() {
        let (mut peer, own) = tokio::io::duplex(64);
        let mut frames = Frames::new(own);
        let sending = tokio::spawn(async move {
            for byte in HEAD {
                peer.write_all(&[*byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        assert_eq!(frames.next().await, Err(End::Slow));
        assert_eq!(began.elapsed().as_secs(), 10);
        sending.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_and_signs_of_life_keep_it_open() {
        let (_peer, own) = tokio::io::duplex(64);
        let began = Instant::now();
        assert_eq!(Frames::new(own).next().await, Err(End::Closed));
        assert_eq!(began.elapsed(), SOON);
        let (mut peer, own) = tokio::io::duplex(64);
        let mut frames = Frames::new(own);
        for _ in 0..4 {
            peer.write_all(b"\r\n\r\n").await.unwrap();
            assert_eq!(frames.next().await, Ok(Frame::Ping));
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        }
        let began = Instant::now();
        assert_eq!(frames.next().await, Err(End::Closed));
        assert_eq!(began.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_torn_message_that_comes_in_time_is_whole() {
        let (mut peer, own) = tokio::io::duplex(64);
        let mut frames = Frames::new(own);
        peer.write_all(HEAD).await.unwrap();
        let rest = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            peer.write_all(b"\r\n").await.unwrap();
        };
        let (frame, ()) = tokio::join!(frames.next(), rest);
        assert_eq!(frame, Ok(Frame::Message([HEAD, b"\r\n"].concat())));
    }
}
