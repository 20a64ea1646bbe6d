//! Raw datagrams of two trunks on loopback: one whose call it is, and one that knows all that the first has sent.

use super::super::Rsip;
use crate::config::Config;
use crate::signalling::{Incoming, IncomingCall, LegEvent, Notice, Signalling as _, SipError};
use crate::transport::{Refused, Why};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;

const PATIENCE: Duration = Duration::from_secs(10);
/// A datagram on loopback that was to change something has long done so.
const LONG: Duration = Duration::from_millis(300);

struct Scene {
    sip: Arc<Rsip>,
    refused: Arc<Refused>,
    /// Of the trunk `pbx`.
    own: UdpSocket,
    /// Of the trunk `other`.
    forger: UdpSocket,
}

async fn socket(address: &str, front: Option<SocketAddr>) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    if let Some(front) = front {
        socket.connect(front).await.unwrap();
    }
    socket
}

impl Scene {
    async fn open() -> Self {
        let own = socket("127.0.0.2", None).await;
        let text = format!(
            "{{listen: {{sip: '127.0.0.1:0', metrics: '127.0.0.1:9090'}}, advertised: 127.0.0.1, \
             core: {{url: 'https://core/api/v1', tokenFile: /t}}, spool: {{folder: /s, keyFile: /k}}, trunks: [\
             {{name: pbx, addresses: [127.0.0.2/32], notify: {{proxy: '{}', uri: 'sip:{{mailbox}}@pbx', mailboxes: [{{first: '1'}}]}}}}, \
             {{name: other, addresses: [127.0.0.3/32]}}]}}",
            own.local_addr().unwrap()
        );
        let config = Arc::new(Config::parse(&text).unwrap());
        let refused = Arc::new(Refused::default());
        let sip = Arc::new(Rsip::start(config, Arc::clone(&refused)).await.unwrap());
        own.connect(sip.local()).await.unwrap();
        let forger = socket("127.0.0.3", Some(sip.local())).await;
        Self { sip, refused, own, forger }
    }

    fn message(&self, method: &str, to: &str, body: &str) -> String {
        let own = self.own.local_addr().unwrap();
        format!(
            "{method} sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKfirst\r\n\
             From: <sip:2002@127.0.0.2>;tag=theirs\r\nTo: {to}\r\nCall-ID: call@pbx\r\nCSeq: 7 {method}\r\n\
             Contact: <sip:2002@{own}>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// A call that rings, of an INVITE with this description.
    async fn ring(&self, body: &str) -> Box<IncomingCall> {
        send(&self.own, &self.message("INVITE", OPEN, body)).await;
        match tokio::time::timeout(PATIENCE, self.sip.next()).await.unwrap() {
            Some(Incoming::Call(call)) => call,
            _ => panic!("no call came"),
        }
    }

    /// Waits until so many messages were found to be forged.
    async fn forged(&self, count: u64) {
        let counted = async {
            while self.refused.of(Why::Forged) != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let counted = tokio::time::timeout(PATIENCE, counted).await;
        assert!(counted.is_ok(), "{} of {count} forged messages were counted", self.refused.of(Why::Forged));
    }
}

const OPEN: &str = "<sip:1001@127.0.0.1>";

async fn send(socket: &UdpSocket, message: &str) {
    socket.send(message.as_bytes()).await.unwrap();
}

fn description(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

/// The next message that begins so.
async fn receive(socket: &UdpSocket, beginning: &str) -> String {
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

fn line_of<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
}

#[tokio::test]
async fn a_call_that_rings_is_taken_back_by_nobody_but_who_made_it() {
    let scene = Scene::open().await;
    let mut call = scene.ring(&description(4_000)).await;
    let cancel = scene.message("CANCEL", OPEN, "");
    // By another trunk that knows everything.
    send(&scene.forger, &cancel).await;
    receive(&scene.forger, "SIP/2.0 481").await;
    scene.forged(1).await;
    // By the trunk itself, of something else: each of these makes it another request.
    let own = scene.own.local_addr().unwrap().to_string();
    for (part, other) in [
        (format!("UDP {own}"), "UDP 127.0.0.2:9"),
        ("z9hG4bKfirst".into(), "z9hG4bKsecond"),
        ("call@pbx".into(), "other@pbx"),
        ("tag=theirs".into(), "tag=others"),
        ("CSeq: 7".into(), "CSeq: 8"),
    ] {
        send(&scene.own, &cancel.replacen(&part, other, 1)).await;
        receive(&scene.own, "SIP/2.0 481").await;
    }
    scene.forged(2).await;
    assert!(tokio::time::timeout(LONG, call.leg.event()).await.is_err(), "a forged CANCEL ended the call");
    send(&scene.own, &cancel).await;
    receive(&scene.own, "SIP/2.0 200").await;
    let ended = tokio::time::timeout(PATIENCE, call.leg.event()).await;
    assert!(matches!(ended, Ok(LegEvent::Ended)), "{ended:?}");
    scene.forged(2).await;
}

#[tokio::test]
async fn an_acknowledgement_of_another_trunk_neither_confirms_a_call_nor_describes_it() {
    let scene = Scene::open().await;
    let mut call = scene.ring("").await;
    let answering = tokio::spawn(async move { (call.leg.answer(&description(20_000)).await, call) });
    let answer = receive(&scene.own, "SIP/2.0 200").await;
    let ack =
        |port| scene.message("ACK", line_of(&answer, "To: "), &description(port)).replace("first", "ack");
    send(&scene.forger, &ack(4_444)).await;
    scene.forged(1).await;
    assert!(!answering.is_finished(), "a forged ACK confirmed the call");
    send(&scene.own, &ack(4_000)).await;
    let (offer, _call) = tokio::time::timeout(PATIENCE, answering).await.unwrap().unwrap();
    assert_eq!(offer.unwrap().unwrap().audio.to.unwrap().1, 4_000);
}

#[tokio::test]
async fn an_invite_that_another_trunk_sends_again_fetches_no_answer_of_ours() {
    let scene = Scene::open().await;
    let mut call = scene.ring(&description(4_000)).await;
    tokio::spawn(async move { (call.leg.answer(&description(20_000)).await, call) });
    receive(&scene.own, "SIP/2.0 200").await;
    let invite = scene.message("INVITE", OPEN, &description(4_000));
    send(&scene.forger, &invite).await;
    let answer = receive(&scene.forger, "SIP/2.0").await;
    assert!(answer.starts_with("SIP/2.0 482") && !line_of(&answer, "To: ").contains("tag="), "{answer}");
    send(&scene.own, &invite).await;
    receive(&scene.own, "SIP/2.0 200").await;
    scene.forged(1).await;
}

#[tokio::test]
async fn an_answer_to_our_request_counts_from_whom_was_asked() {
    let scene = Scene::open().await;
    let notice = Notice {
        trunk: "pbx".into(),
        to: "sip:1@pbx".into(),
        account: "sip:1@127.0.0.1".into(),
        body: "Messages-Waiting: no\r\n".into(),
    };
    let sip = Arc::clone(&scene.sip);
    let told = tokio::spawn(async move { sip.notify(&notice).await });
    let asked = receive(&scene.own, "NOTIFY").await;
    let answer = |status: &str| {
        let kept = asked.lines().filter(|line| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
        });
        format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", kept.collect::<Vec<_>>().join("\r\n"))
    };
    send(&scene.forger, &answer("200 OK")).await;
    scene.forged(1).await;
    assert!(!told.is_finished(), "a forged answer counted");
    send(&scene.own, &answer("480 Temporarily Unavailable")).await;
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap(), Err(SipError::Refused(480)));
    // And none after it.
    send(&scene.own, &answer("200 OK")).await;
    scene.forged(2).await;
}
