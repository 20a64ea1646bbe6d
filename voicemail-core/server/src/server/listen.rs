//! A bound port that serves a router, plain or over TLS, until its handle is shut down.

use super::ServeError;
use super::gate::{Gate, Guarded};
use axum::Router;
use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// Size of a connection's read buffer, in bytes; by default it grows to several times as much.
const READ_BUFFER: usize = 16 * 1024;

/// Requests under way on one HTTP/2 connection.
const MOST_STREAMS: u32 = 128;

/// A bound port.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) handle: Handle<SocketAddr>,
    socket: TcpListener,
}

impl Listener {
    /// Binds an address; port 0 takes a free one, and `[::]` is both families.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address, source };
        let socket = voicemail_api::listen::bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { address, handle: Handle::new(), socket })
    }

    pub(super) async fn serve_plain(self, routes: Router, gate: Gate) {
        let result = match axum_server::from_tcp(self.socket) {
            Ok(server) => {
                let server = limited(server.handle(self.handle), gate.header_time());
                let server = server.map(|acceptor: DefaultAcceptor| Guarded::new(acceptor, gate));
                server.serve(routes.into_make_service_with_connect_info::<SocketAddr>()).await
            }
            Err(error) => Err(error),
        };
        report(result);
    }

    pub(super) async fn serve_tls(self, routes: Router, config: RustlsConfig, gate: Gate) {
        let result = match axum_server::from_tcp_rustls(self.socket, config) {
            Ok(server) => {
                let server = limited(server.handle(self.handle), gate.header_time());
                let server = server.map(|acceptor: RustlsAcceptor| Guarded::new(acceptor, gate));
                server.serve(routes.into_make_service_with_connect_info::<SocketAddr>()).await
            }
            Err(error) => Err(error),
        };
        report(result);
    }
}

/// A client that sends slowly is given up after that time: before its first request, and with each header.
fn limited<A>(server: Server<SocketAddr, A>, header_time: Duration) -> Server<SocketAddr, A> {
    let mut server = server.first_request_timeout(header_time);
    let mut http1 = server.http_builder().http1();
    http1.header_read_timeout(header_time).max_buf_size(READ_BUFFER);
    let window = u32::try_from(READ_BUFFER).ok();
    let mut http2 = server.http_builder().http2();
    http2.initial_stream_window_size(window.map(|bytes| 4 * bytes));
    http2.max_header_list_size(window.unwrap_or(u32::MAX)).max_concurrent_streams(MOST_STREAMS);
    http2.keep_alive_interval(header_time).keep_alive_timeout(header_time);
    server
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "a listener failed");
    }
}
