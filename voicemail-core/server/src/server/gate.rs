//! How many connections there may be, in all and from one address, and for how long a client may leave an answer
//! unread. A connection beyond that is closed at once: whoever holds many can't keep others out.

use super::State;
use super::protocol::Speaks;
use crate::http::client_of;
use axum_server::accept::Accept;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};
use voicemail_api::config::{LimitsConfig, TenantConfig};

/// How long a client may take nothing of an answer that it was sent.
const UNREAD: Duration = Duration::from_secs(60);

/// Longest time until the first request on the metrics port: a probe asks at once.
const FIRST_PROBE: Duration = Duration::from_secs(5);
/// Connections of one address there: whoever scrapes or probes needs few.
const MOST_PROBES: u32 = 128;
/// Places there that only addresses may take which have few already, so that a probe always finds one.
const KEPT: u32 = 256;
const FEW: u32 = 4;

/// The purpose of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// The API.
    Api,
    /// Probes and metrics, which answer whoever runs the tenant, whatever others do.
    Metrics,
}

/// Counts the connections of one port.
#[derive(Clone)]
pub(super) struct Gate {
    port: Port,
    config: watch::Receiver<Arc<TenantConfig>>,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Gate {
    pub(super) fn new(state: &State, port: Port) -> Self {
        Self { port, config: state.config.subscribe(), open: Arc::default() }
    }

    /// How long a client may take to send a header.
    pub(super) fn header_time(&self) -> Duration {
        let time = self.config.borrow().limits.header_time;
        if self.port == Port::Metrics { time.min(FIRST_PROBE) } else { time }
    }

    fn enter(&self, address: IpAddr) -> io::Result<Place> {
        let peer = client_of(address);
        let limits = self.config.borrow().limits.clone();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.by_address.get(&peer).copied().unwrap_or_default();
        if !admits(self.port, &limits, limits.is_shared(address), own, open.all) {
            return Err(io::Error::other("too many connections"));
        }
        open.all += 1;
        *open.by_address.entry(peer).or_default() += 1;
        Ok(Place { gate: self.clone(), peer })
    }

    fn leave(&self, peer: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        let left = open.by_address.get_mut(&peer).map(|own| {
            *own = own.saturating_sub(1);
            *own
        });
        if left == Some(0) {
            open.by_address.remove(&peer);
        }
    }
}

/// Pure: whether a client that has `own` connections may open another beside the `all` that there are.
fn admits(port: Port, limits: &LimitsConfig, shared: bool, own: u32, all: u32) -> bool {
    let most_of_one = if shared { limits.connections } else { limits.connections_per_address };
    match port {
        Port::Api => all < limits.connections && own < most_of_one,
        // Not less than what is kept: a small limit of the API's says nothing of probes.
        Port::Metrics => {
            let most = limits.connections.max(KEPT * 2);
            own < MOST_PROBES && all < if own < FEW { most } else { most - KEPT }
        }
    }
}

/// A connection that counts.
struct Place {
    gate: Gate,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.leave(self.peer);
    }
}

/// Accepts what the gate lets in.
#[derive(Clone)]
pub(super) struct Guarded<A> {
    inner: A,
    gate: Gate,
}

impl<A> Guarded<A> {
    pub(super) fn new(inner: A, gate: Gate) -> Self {
        Self { inner, gate }
    }
}

impl<A, S> Accept<TcpStream, S> for Guarded<A>
where
    A: Accept<TcpStream, S> + Clone + Send + Sync + 'static,
    A::Future: Send,
    A::Stream: Speaks + Send,
    A::Service: Send,
    S: Send + 'static,
{
    type Stream = Watched<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = stream.peer_addr().and_then(|peer| self.gate.enter(peer.ip()));
        let inner = self.inner.clone();
        async move {
            let place = place?;
            let (stream, service) = inner.accept(stream, service).await?;
            Ok((Watched { inner: stream, fresh: true, unread: None, _place: place }, service))
        }
        .boxed()
    }
}

/// A connection whose client must read.
pub(super) struct Watched<S> {
    inner: S,
    /// Nothing was asked of it yet.
    fresh: bool,
    unread: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl<S: Unpin> Watched<S> {
    /// Passes on what a write came to, or that the client hasn't read for too long.
    #[allow(clippy::disallowed_methods, reason = "a connection's patience is the machine's")]
    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let unread = self.unread.get_or_insert_with(|| Box::pin(sleep(UNREAD)));
        ready!(unread.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client doesn't read")))
    }
}

impl<S: AsyncRead + Speaks + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.fresh {
            let http1 = ready!(this.inner.poll_http1(context))?;
            this.fresh = false;
            if http1 {
                // A read of zero bytes ends hyper's detection of the HTTP/2 preface; the buffered bytes go to HTTP/1.
                return Poll::Ready(Ok(()));
            }
        }
        Pin::new(&mut this.inner).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.watch(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, bytes);
        this.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(context);
        this.watch(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.inner).poll_shutdown(context);
        this.watch(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_many_connections_of_the_metrics_port_keeps_no_probe_out() {
        let limits = LimitsConfig::default();
        let admits = |own, all| admits(Port::Metrics, &limits, false, own, all);
        assert!(!admits(MOST_PROBES, MOST_PROBES), "one address alone");
        assert!(!admits(FEW, limits.connections - KEPT), "and many together");
        assert!(admits(0, limits.connections - 1), "a probe finds a place");
    }

    #[test]
    fn the_ports_do_not_share_their_places_and_shared_addresses_have_all_of_the_apis() {
        let limits = LimitsConfig { connections: 16, connections_per_address: 4, ..LimitsConfig::default() };
        assert!(!admits(Port::Api, &limits, false, 4, 4) && admits(Port::Api, &limits, true, 4, 4));
        assert!(!admits(Port::Api, &limits, true, 4, 16));
        assert!(admits(Port::Metrics, &limits, false, 4, 16));
    }
}
