//! A bound port that serves a router, plain or over TLS, until its handle is shut down.

use super::ServeError;
use axum::Router;
use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// How long a client may take to send a request's header, and keep a connection without one.
const HEADER_LIMIT: Duration = Duration::from_secs(60);

/// What a connection may hold of what it reads, in bytes; by default it grows to several times as much.
const READ_BUFFER: usize = 16 * 1024;

/// A bound port.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) handle: Handle<SocketAddr>,
    socket: TcpListener,
}

impl Listener {
    /// Binds an address; port 0 takes a free one.
    pub(super) fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address, source };
        let socket = TcpListener::bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { address, handle: Handle::new(), socket })
    }

    pub(super) async fn serve_plain(self, routes: Router) {
        let result = match axum_server::from_tcp(self.socket) {
            Ok(server) => {
                limited::<DefaultAcceptor>(server.handle(self.handle)).serve(routes.into_make_service()).await
            }
            Err(error) => Err(error),
        };
        report(result);
    }

    pub(super) async fn serve_tls(self, routes: Router, config: RustlsConfig) {
        let result = match axum_server::from_tcp_rustls(self.socket, config) {
            Ok(server) => {
                limited::<RustlsAcceptor>(server.handle(self.handle)).serve(routes.into_make_service()).await
            }
            Err(error) => Err(error),
        };
        report(result);
    }
}

fn limited<A>(mut server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let mut http1 = server.http_builder().http1();
    http1.header_read_timeout(HEADER_LIMIT).max_buf_size(READ_BUFFER);
    let window = u32::try_from(READ_BUFFER).ok();
    let mut http2 = server.http_builder().http2();
    http2.initial_stream_window_size(window.map(|bytes| 4 * bytes));
    server
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "a listener failed");
    }
}
