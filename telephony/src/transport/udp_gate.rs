//! The UDP socket of SIP: a datagram from a stranger is dropped without an answer, so that scanners learn nothing, and so is
//! what one source sends beyond a rate, so that reading it takes no processor from calls.

use super::bucket::{Rate, Sources};
use super::refused::{Refused, Why};
use crate::config::{Config, Transport};
use async_trait::async_trait;
use parking_lot::Mutex;
use rsipstack::platform::net::UdpSocket as StackSocket;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::UdpSocket;
use voicemail_api::ErrorClass;
use voicemail_api::listen::as_sent_from;

/// Bytes that the kernel keeps for us while we are busy: bursts of calls overflow its default.
const RECEIVE_BUFFER: usize = 4 << 20;
const LARGEST: usize = 65_536;
/// Datagrams of one source: a thousand calls a second have no more, and a processor reads no more beside its calls.
const OF_ONE: Rate = Rate { each_second: 4_000.0, at_once: 4_000.0 };

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum UdpGateError {
    /// The kernel refuses.
    #[error("listening for SIP: {0}")]
    Bind(#[from] std::io::Error),
}

impl UdpGateError {
    /// Who holds the port may let go of it.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Transient
    }
}

/// The socket.
pub struct UdpGate {
    socket: UdpSocket,
    config: Arc<Config>,
    refused: Arc<Refused>,
    sources: Mutex<Sources>,
    begun: Instant,
}

impl UdpGate {
    /// Listens where the configuration says.
    ///
    /// # Errors
    /// [`UdpGateError`].
    pub async fn bind(config: Arc<Config>, refused: Arc<Refused>) -> Result<Self, UdpGateError> {
        let address = config.listen.sip;
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // As large as the kernel allows.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let (sources, begun) = (Mutex::new(Sources::new(OF_ONE)), Instant::now());
        Ok(Self { socket, config, refused, sources, begun })
    }

    /// The address.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local(&self) -> Result<SocketAddr, UdpGateError> {
        Ok(self.socket.local_addr()?)
    }
}

#[async_trait]
impl StackSocket for UdpGate {
    async fn recv_from(&self, buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        // The kernel cuts what doesn't fit, so that a message that is too long must be seen whole.
        let mut datagram = vec![0; LARGEST];
        loop {
            let (length, from) = self.socket.recv_from(&mut datagram).await?;
            // A socket of both families knows IPv4 by mapped addresses, which no peer writes into its messages.
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            if self.config.trunk_of(from.ip(), Transport::Udp).is_none() {
                self.refused.count(Why::Stranger);
                continue;
            }
            if !self.sources.lock().take(from.ip(), self.begun.elapsed()) {
                self.refused.count(Why::Rate);
                continue;
            }
            let (Some(message), Some(place)) = (datagram.get(..length), buffer.get_mut(..length)) else {
                self.refused.count(Why::TooLong);
                continue;
            };
            place.copy_from_slice(message);
            return Ok((length, from));
        }
    }

    async fn send_to(&self, message: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        let to = as_sent_from(self.socket.local_addr()?, to);
        Ok(self.socket.send_to(message, to).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}
