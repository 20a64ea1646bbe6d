//! Ports that a server can come back to.
//!
//! They lie below the range from which the kernel gives ports to outgoing connections, so that the port of a
//! stopped server is still free when it starts again. Another process may take one between search and use.

use std::net::{IpAddr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port of `listen` that nobody uses now.
pub fn find_free_port(listen: IpAddr) -> Result<SocketAddr> {
    let count = u128::from(PORTS.end - PORTS.start);
    let seed = uuid::Uuid::new_v4().as_u128();
    for step in 0..count {
        let offset = u16::try_from(seed.wrapping_add(step) % count)?;
        let address = SocketAddr::new(listen, PORTS.start + offset);
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {listen}")),
        }
    }
    bail!("no port of {listen} is free")
}
