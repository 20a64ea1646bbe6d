//! Which HTTP a connection's client speaks, found out before a byte of it is read.
//!
//! A server for both reads until it can tell HTTP/2's preface from a request, and hands what it read to HTTP/1, whose
//! buffer then grows to twice its size for the life of the connection: 8 KiB for each subscriber to MWI. Over TLS the
//! handshake has settled it; plain bytes can be looked at without being taken.

use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How HTTP/2's preface begins, and no request.
const PREFACE: &[u8] = b"PRI";

/// A stream that knows, or can look.
pub(super) trait Speaks {
    /// Whether it is HTTP/1 for certain.
    ///
    /// # Errors
    /// The connection's.
    fn poll_http1(&self, context: &mut Context<'_>) -> Poll<io::Result<bool>>;
}

impl Speaks for TcpStream {
    fn poll_http1(&self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [0; PREFACE.len()];
        let mut seen = ReadBuf::new(&mut bytes);
        ready!(self.poll_peek(context, &mut seen))?;
        Poll::Ready(Ok(is_request(seen.filled())))
    }
}

impl<S> Speaks for TlsStream<S> {
    fn poll_http1(&self, _: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // HTTP/2 over TLS takes its being agreed upon (RFC 9113, 3.2).
        Poll::Ready(Ok(self.get_ref().1.alpn_protocol() != Some(b"h2")))
    }
}

/// Nothing is the end of the connection; as much of the preface as is there may become one.
fn is_request(beginning: &[u8]) -> bool {
    !PREFACE.starts_with(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_from_the_preface_and_from_what_may_become_one() {
        for request in ["GET", "POS", "PUT", "PAT", "PO", "DEL", "\r\n", "\x16\x03"] {
            assert!(is_request(request.as_bytes()), "{request:?}");
        }
        for other in ["", "P", "PR", "PRI"] {
            assert!(!is_request(other.as_bytes()), "{other:?}");
        }
    }
}
