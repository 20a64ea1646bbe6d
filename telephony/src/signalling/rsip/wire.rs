//! For tests: a stack on loopback before two trunks that send raw datagrams, one whose call it is and one that knows all that the first has sent.

use super::Rsip;
use crate::config::Config;
use crate::signalling::{Incoming, IncomingCall, Notice, Signalling as _, SipError};
use crate::transport::{Refused, Why};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) struct Scene {
    pub(super) sip: Arc<Rsip>,
    pub(super) refused: Arc<Refused>,
    /// Of the trunk `pbx`.
    pub(super) own: UdpSocket,
    /// Of the trunk `other`.
    pub(super) forger: UdpSocket,
}

pub(super) async fn socket(address: &str, front: Option<SocketAddr>) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    if let Some(front) = front {
        socket.connect(front).await.unwrap();
    }
    socket
}

impl Scene {
    pub(super) async fn open() -> Self {
        Self::open_as("notify: {proxy: 'OWN', uri: 'sip:{mailbox}@pbx', mailboxes: [{first: '1'}]}").await
    }

    /// With these fields of the trunk `pbx`, `OWN` for the address of its socket.
    pub(super) async fn open_as(fields: &str) -> Self {
        let own = socket("127.0.0.2", None).await;
        let fields = fields.replace("OWN", &own.local_addr().unwrap().to_string());
        let text = format!(
            "{{listen: {{sip: '127.0.0.1:0', metrics: '127.0.0.1:9090'}}, advertised: 127.0.0.1, \
             core: {{url: 'https://core/api/v1', tokenFile: /t}}, spool: {{folder: /s, keyFile: /k}}, trunks: [\
             {{name: pbx, addresses: [127.0.0.2/32], {fields}}}, {{name: other, addresses: [127.0.0.3/32]}}]}}"
        );
        let config = Arc::new(Config::parse(&text).unwrap());
        let refused = Arc::new(Refused::default());
        let sip = Arc::new(Rsip::start(config, Arc::clone(&refused)).await.unwrap());
        own.connect(sip.local()).await.unwrap();
        let forger = socket("127.0.0.3", Some(sip.local())).await;
        Self { sip, refused, own, forger }
    }

    pub(super) fn message(&self, method: &str, to: &str, body: &str) -> String {
        let own = self.own.local_addr().unwrap();
        format!(
            "{method} sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKfirst\r\n\
             From: <sip:2002@127.0.0.2>;tag=theirs\r\nTo: {to}\r\nCall-ID: call@pbx\r\nCSeq: 7 {method}\r\n\
             Contact: <sip:2002@{own}>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// A call that rings, of an INVITE with this description.
    pub(super) async fn ring(&self, body: &str) -> Box<IncomingCall> {
        send(&self.own, &self.message("INVITE", OPEN, body)).await;
        match tokio::time::timeout(PATIENCE, self.sip.next()).await.unwrap() {
            Some(Incoming::Call(call)) => call,
            _ => panic!("no call came"),
        }
    }

    /// Tells a phone of the trunk `pbx` that nothing waits, without a subscription of its.
    pub(super) fn give_notice(&self) -> JoinHandle<Result<(), SipError>> {
        let notice = Notice {
            trunk: "pbx".into(),
            to: "sip:1@pbx".into(),
            account: "sip:1@127.0.0.1".into(),
            body: "Messages-Waiting: no\r\n".into(),
        };
        let sip = Arc::clone(&self.sip);
        tokio::spawn(async move { sip.notify(&notice).await })
    }

    /// Waits until so many messages were found to be forged.
    pub(super) async fn forged(&self, count: u64) {
        let counted = async {
            while self.refused.of(Why::Forged) != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let counted = tokio::time::timeout(PATIENCE, counted).await;
        assert!(counted.is_ok(), "{} of {count} forged messages were counted", self.refused.of(Why::Forged));
    }
}

pub(super) const OPEN: &str = "<sip:1001@127.0.0.1>";

pub(super) async fn send(socket: &UdpSocket, message: &str) {
    socket.send(message.as_bytes()).await.unwrap();
}

pub(super) fn description(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

/// The next message that begins so.
pub(super) async fn receive(socket: &UdpSocket, beginning: &str) -> String {
    let mut datagram = vec![0; 8_192];
    let found = async {
        loop {
            let length = socket.recv(&mut datagram).await.unwrap();
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            if text.starts_with(beginning) {
                return text;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("no message began with {beginning}"))
}

/// An answer to a request, with what it must have of it (RFC 3261, 8.2.6.2).
pub(super) fn answer_to(request: &str, status: &str) -> String {
    let kept = request.lines().filter(|line| {
        ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
    });
    format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", kept.collect::<Vec<_>>().join("\r\n"))
}

pub(super) fn line_of<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
}
