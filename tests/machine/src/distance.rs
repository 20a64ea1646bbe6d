//! A server in another city: a proxy that hands each piece of an answer on a round trip's time after it came.
//!
//! ```text
//! client ── what it sends, at once ──▶ server
//!        ◀── each piece, a round trip later ──
//! ```
//!
//! Connections, and the pieces of one answer, are on their way side by side, so that a long answer comes later and not more
//! slowly. Bytes are handed on as they are: [`FaultProxy`](crate::fault_proxy::FaultProxy) reads each request to play faults,
//! and takes a connection to the server for each, which costs more than the calls that a bench compares. Requests are
//! counted: without pipelining one begins wherever a client sends and the server has said something since it last did.
//!
//! What can go wrong: a server that can't be reached closes the client's connection. What a closed connection had under
//! way is dropped.

use std::io::Result;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::servers::find_free_port;

const PIECE: usize = 64 * 1024;
/// Pieces of one connection that are on their way at a time.
const UNDER_WAY: usize = 256;

/// The proxy; dropping it closes its port and its connections.
#[derive(Debug)]
pub struct Distance {
    address: SocketAddr,
    way: Arc<Way>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Way {
    server: SocketAddr,
    micros: AtomicU64,
    requests: AtomicU64,
}

impl Distance {
    /// Listens on a free port of `listen`, at no distance from `server`.
    ///
    /// # Errors
    /// The port's.
    pub async fn start(listen: IpAddr, server: SocketAddr) -> anyhow::Result<Self> {
        let address = find_free_port(listen)?;
        let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        let way = Arc::new(Way { server, micros: AtomicU64::new(0), requests: AtomicU64::new(0) });
        let task = tokio::spawn(accept(listener, Arc::clone(&way)));
        Ok(Self { address, way, task })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on an answer takes that much longer.
    pub fn set(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        self.way.micros.store(micros, Ordering::SeqCst);
    }

    /// Requests since the start.
    pub fn requests(&self) -> u64 {
        self.way.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    // Dropped with this task, the set ends all connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let way = Arc::clone(&way);
                // An error here is a connection that one side closed, as processes that are killed do.
                connections.spawn(async move { drop(carry(client, &way).await) });
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn carry(client: TcpStream, way: &Way) -> Result<()> {
    let server = TcpStream::connect(way.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (sender, receiver) = mpsc::channel(UNDER_WAY);
    let asks = AtomicBool::new(false);
    tokio::try_join!(
        send(from_client, to_server, way, &asks),
        receive(from_server, sender, way, &asks),
        hand_over(receiver, to_client),
    )
    .map(drop)
}

async fn send(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    way: &Way,
    asks: &AtomicBool,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match client.read(&mut piece).await? {
            0 => return server.shutdown().await,
            length => {
                if !asks.swap(true, Ordering::SeqCst) {
                    way.requests.fetch_add(1, Ordering::SeqCst);
                }
                server.write_all(&piece[..length]).await?;
            }
        }
    }
}

type Piece = (Instant, Bytes);

async fn receive(
    mut server: OwnedReadHalf,
    on_their_way: mpsc::Sender<Piece>,
    way: &Way,
    asks: &AtomicBool,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = server.read(&mut piece).await?;
        asks.store(false, Ordering::SeqCst);
        let there = Instant::now() + Duration::from_micros(way.micros.load(Ordering::SeqCst));
        let sent = on_their_way.send((there, Bytes::copy_from_slice(&piece[..length]))).await;
        if length == 0 || sent.is_err() {
            return Ok(());
        }
    }
}

/// An empty piece is the end.
async fn hand_over(mut on_their_way: mpsc::Receiver<Piece>, mut client: OwnedWriteHalf) -> Result<()> {
    while let Some((there, piece)) = on_their_way.recv().await {
        sleep_until(there).await;
        if piece.is_empty() {
            break;
        }
        client.write_all(&piece).await?;
    }
    client.shutdown().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::servers::loopback;
    use futures::future::join_all;

    const FAR: Duration = Duration::from_millis(60);

    /// Answers each line with the same line.
    async fn start_echo() -> SocketAddr {
        let listener = TcpListener::bind((loopback(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.into_split();
                    tokio::io::copy(&mut reader, &mut writer).await
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, text: &[u8]) {
        stream.write_all(text).await.unwrap();
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, text);
    }

    #[tokio::test]
    async fn each_answer_takes_a_round_trip_and_many_take_no_longer_than_one() {
        let proxy = Distance::start(loopback(), start_echo().await).await.unwrap();
        proxy.set(FAR);
        let begun = Instant::now();
        let one = async || {
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            for text in [b"first", b"later"] {
                ask(&mut stream, text).await;
            }
        };
        join_all((0..20).map(|_| one())).await;
        let took = begun.elapsed();
        assert!(FAR * 2 <= took && took < FAR * 10, "two answers one after the other took {took:?}");
        assert_eq!(proxy.requests(), 40);
    }

    #[tokio::test]
    async fn a_client_sees_that_the_server_is_gone() {
        let gone = find_free_port(loopback()).unwrap();
        let proxy = Distance::start(loopback(), gone).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
