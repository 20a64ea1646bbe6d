//! Pairs of UDP ports of the block: RTP on an even one, RTCP on the next. Taken at random, and left alone for a while after a
//! call, so that packets of the last one don't get into the next.

use crate::config::PortBlock;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use voicemail_api::ErrorClass;
use voicemail_api::listen::as_sent_from;

/// How long a pair rests.
const REST: Duration = Duration::from_secs(10);
/// Pairs that are tried when others hold them.
const TRIES: usize = 16;

/// Why there is no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// All are in use or resting.
    #[error("no free pair of ports for audio: rtp is too small for so many calls")]
    None,
    /// Other processes hold those that were tried.
    #[error("other processes hold ports of the block for audio")]
    Held,
}

impl PortsError {
    /// Calls end.
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Transient
    }
}

#[derive(Default)]
struct State {
    used: HashSet<u16>,
    resting: Vec<(Instant, u16)>,
}

/// The block.
pub struct Ports {
    block: PortBlock,
    address: IpAddr,
    state: Mutex<State>,
}

/// Two sockets of a call; the ports rest when it is dropped.
pub struct Pair {
    /// Audio. Never blocks, and wakes nobody: whoever has it looks by the clock.
    pub rtp: std::net::UdpSocket,
    /// Reports.
    pub rtcp: UdpSocket,
    port: u16,
    ports: Arc<Ports>,
}

impl Pair {
    /// RTP's port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A peer's address as the sockets can send to it.
    pub fn reach(&self, peer: SocketAddr) -> SocketAddr {
        as_sent_from(SocketAddr::new(self.ports.address, self.port), peer)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let mut state = self.ports.state.lock();
        state.used.remove(&self.port);
        state.resting.push((Instant::now() + REST, self.port));
    }
}

impl Ports {
    /// The block, on that address of this machine.
    pub fn new(block: PortBlock, address: IpAddr) -> Arc<Self> {
        Arc::new(Self { block, address, state: Mutex::default() })
    }

    /// Pairs that a call could have now.
    pub fn free(&self) -> usize {
        let mut state = self.state.lock();
        wake(&mut state);
        self.pairs().saturating_sub(state.used.len() + state.resting.len())
    }

    /// A pair.
    ///
    /// # Errors
    /// [`PortsError`].
    pub async fn take(self: &Arc<Self>) -> Result<Pair, PortsError> {
        for _ in 0..TRIES {
            let port = self.choose().ok_or(PortsError::None)?;
            match self.bind(port).await {
                Some((rtp, rtcp)) => return Ok(Pair { rtp, rtcp, port, ports: Arc::clone(self) }),
                None => drop(self.state.lock().used.remove(&port)),
            }
        }
        Err(PortsError::Held)
    }

    async fn bind(&self, port: u16) -> Option<(std::net::UdpSocket, UdpSocket)> {
        let rtp = std::net::UdpSocket::bind(SocketAddr::new(self.address, port)).ok()?;
        rtp.set_nonblocking(true).ok()?;
        let rtcp = UdpSocket::bind(SocketAddr::new(self.address, port + 1)).await.ok()?;
        Some((rtp, rtcp))
    }

    fn pairs(&self) -> usize {
        usize::from(self.block.to - self.block.from).div_ceil(2)
    }

    fn choose(&self) -> Option<u16> {
        let mut state = self.state.lock();
        wake(&mut state);
        let pairs = self.pairs();
        let first = usize::try_from(random()).unwrap_or_default() % pairs.max(1);
        let port = (0..pairs)
            .filter_map(|step| u16::try_from((first + step) % pairs * 2).ok())
            .map(|offset| self.block.from + offset)
            .find(|port| {
                !state.used.contains(port) && !state.resting.iter().any(|(_, resting)| resting == port)
            })?;
        state.used.insert(port);
        Some(port)
    }
}

fn wake(state: &mut State) {
    let now = Instant::now();
    state.resting.retain(|(until, _)| *until > now);
}

/// 32 random bits.
pub(super) fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness the process couldn't seal a recording either; a guessable port is no worse.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pair_is_one_calls_and_rests_after_it() {
        let ports = Ports::new(PortBlock { from: 28_100, to: 28_103 }, "127.0.0.1".parse().unwrap());
        let first = ports.take().await.unwrap();
        let second = ports.take().await.unwrap();
        assert_ne!(first.port(), second.port());
        assert_eq!((first.port() % 2, ports.free()), (0, 0));
        assert_eq!(ports.take().await.err(), Some(PortsError::None));
        drop(first);
        assert_eq!(ports.take().await.err(), Some(PortsError::None));
    }
}
