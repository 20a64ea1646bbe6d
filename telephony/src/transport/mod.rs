//! Sockets of SIP: who may send at all is decided before a byte is parsed.

mod udp_gate;

pub use udp_gate::{UdpGate, UdpGateError};
