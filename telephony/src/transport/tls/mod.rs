//! SIP over TLS: our certificate, which trunk a peer's certificate names, and connections in and out.
//!
//! ```text
//! files ─▶ certificates (read again when they change) ─▶ accept ─▶ streams
//!                                                   └──▶ connector ─▶ dialled by the stack
//! ```

mod accept;
mod certificates;
mod connector;

pub(super) use accept::serve;
pub(super) use certificates::Certificates;
pub use certificates::TlsError;
pub(super) use connector::Connector;
