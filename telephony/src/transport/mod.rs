//! Sockets of SIP: who may send at all is decided before a byte is parsed.
//!
//! ```text
//! UDP ─▶ UdpGate ──────────────────────────┐
//! TCP ─▶ tcp ───────────┐                  ├─▶ the stack
//! TLS ─▶ tls ─▶ trunk ──┴─▶ streams ─▶ door┘
//! ```

mod bucket;
mod contacts;
pub mod frame;
mod listeners;
mod places;
mod refused;
mod shares;
mod streams;
mod tcp;
mod tls;
mod udp_gate;

pub use bucket::{Bucket, Rate};
pub use contacts::{Contacts, SipPorts};
pub use listeners::{ListenError, Listeners};
pub use refused::{Refused, Why};
pub use shares::{Share, Shares};
pub use streams::Peers;
pub use tls::TlsError;
pub use udp_gate::{UdpGate, UdpGateError};
