//! Listening on every address of a machine, whichever of IPv4 and IPv6 it has.
//!
//! `[::]` takes connections of both families on Linux, unless `net.ipv6.bindv6only` says otherwise. A kernel without IPv6 refuses
//! it, and `0.0.0.0` takes its place then. A client by IPv4 shows as `::ffff:a.b.c.d`: whoever compares addresses makes them
//! canonical first.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// Every address, of both families where there are both.
pub const fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// Binds an address; port 0 takes a free one.
///
/// # Errors
/// The system's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    fall_back(address, TcpListener::bind)
}

/// As [`bind`], for datagrams; calls of the socket don't wait.
///
/// # Errors
/// The system's.
pub fn bind_datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = fall_back(address, UdpSocket::bind)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A peer's address as a socket with that local address can send to it: one of IPv6 knows IPv4 by mapped addresses.
pub fn as_sent_from(local: SocketAddr, peer: SocketAddr) -> SocketAddr {
    match (local, peer) {
        (SocketAddr::V6(_), SocketAddr::V4(peer)) => {
            SocketAddr::new(peer.ip().to_ipv6_mapped().into(), peer.port())
        }
        _ => peer,
    }
}

fn fall_back<T>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match bind(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_family(&error) => {
            bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        other => other,
    }
}

/// `EAFNOSUPPORT`: the kernel has no IPv6. `EADDRNOTAVAIL`: it is switched off.
fn lacks_family(error: &io::Error) -> bool {
    const NO_SUCH_FAMILY: i32 = 97;
    error.raw_os_error() == Some(NO_SUCH_FAMILY) || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_client_by_ipv4_reaches_what_listens_everywhere() {
        let listener = bind(everywhere(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip().to_canonical(), client.local_addr().unwrap().ip());
    }

    #[test]
    fn datagrams_go_to_peers_of_both_families() {
        let here = bind_datagrams(everywhere(0)).unwrap();
        let peers: [SocketAddr; 2] = ["127.0.0.1:0".parse().unwrap(), everywhere(0)];
        for peer in peers {
            let peer = bind_datagrams(peer).unwrap();
            let mut to = peer.local_addr().unwrap();
            if to.ip().is_unspecified() {
                to.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            here.send_to(b"x", as_sent_from(here.local_addr().unwrap(), to)).unwrap();
            peer.set_nonblocking(false).unwrap();
            peer.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
            assert_eq!(peer.recv(&mut [0; 4]).unwrap(), 1);
        }
    }

    #[test]
    fn without_ipv6_ipv4_takes_its_place_and_other_refusals_are_told() {
        let refusing = |code: i32| {
            move |address: SocketAddr| match address {
                SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(code)),
                SocketAddr::V4(_) => Ok(address),
            }
        };
        let ipv4: SocketAddr = "0.0.0.0:8081".parse().unwrap();
        for code in [97, 99] {
            assert_eq!(fall_back(everywhere(8081), refusing(code)).unwrap(), ipv4);
        }
        let in_use = fall_back(everywhere(8081), refusing(98)).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        let one: SocketAddr = "[2001:db8::1]:8081".parse().unwrap();
        assert!(fall_back(one, refusing(99)).is_err());
    }
}
