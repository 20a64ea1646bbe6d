//! A telephone without a library, which sends its requests as they are written, by datagrams.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use crate::scene::PATIENCE;

pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
    pub(crate) own: SocketAddr,
}

impl Phone {
    /// One on the loopback of the front's family.
    pub(crate) async fn of(front: SocketAddr) -> Self {
        let local: IpAddr =
            if front.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let socket = UdpSocket::bind((local, 0)).await.unwrap();
        socket.connect(front).await.unwrap();
        let own = socket.local_addr().unwrap();
        Self { socket, own }
    }

    /// Sends a request, and gives the final answer to it.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let sequence = line_of(request, "CSeq: ");
        self.socket.send(request.as_bytes()).await.unwrap();
        let mut datagram = vec![0; 8_192];
        let answered = async {
            loop {
                let length = self.socket.recv(&mut datagram).await.unwrap();
                let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
                let is_final = text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1");
                if is_final && line_of(&text, "CSeq: ") == sequence {
                    return text;
                }
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap()
    }
}

/// The first line that begins so, without its beginning.
pub(crate) fn line_of<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
}
