//! SIP over TCP and TLS: calls and MWI come and go by the connection that a trunk has opened, and bad connections hurt none.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::process_facts::memory;
use voicemail_test_machine::prompts::english_prompts;
use voicemail_test_machine::servers::find_free_port;
use voicemail_test_machine::servers::listener::Listener;
use voicemail_test_machine::servers::sipp::{Call, MwiPhone, Over, Step};
use voicemail_test_machine::servers::tls_tunnel::{Authority, TlsPeer};
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};
use voicemail_test_machine::speech::sound_of;

use crate::owners::{owner, wait};
use crate::scene::{LOCAL, PATIENCE, Scene, sound};

/// In KiB, beside what calls take.
pub(crate) const MEMORY_OF_A_FLOOD: u64 = 20 * 1_024;
const SOON: Duration = Duration::from_secs(5);

async fn open(setup: Setup) -> Scene {
    let core = VoicemailCore::start().await.unwrap();
    let sip = VoicemailSip::set_up(&core, setup).await.unwrap();
    Scene { core, sip }
}

fn options(number: u32) -> String {
    format!(
        "OPTIONS sip:voicemail@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK{number}\r\n\
         From: <sip:pbx@127.0.0.1>;tag={number}\r\nTo: <sip:voicemail@127.0.0.1>\r\nCall-ID: {number}@pbx\r\n\
         CSeq: {number} OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Reads until this is there; what was read.
pub(crate) async fn read_until(
    stream: &mut (impl AsyncRead + Unpin),
    wanted: &str,
    times: usize,
) -> Result<String> {
    let mut text = String::new();
    let read = async {
        while text.matches(wanted).count() < times {
            let mut piece = [0; 4_096];
            let length = stream.read(&mut piece).await?;
            ensure!(length > 0, "the connection was closed after {text:?}");
            text.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        Ok(())
    };
    tokio::time::timeout(SOON, read).await.with_context(|| format!("no {wanted:?}"))??;
    Ok(text)
}

async fn is_closed(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut piece = [0; 64];
    let read = tokio::time::timeout(SOON, stream.read(&mut piece)).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

/// A message is left, a phone is told of it, and an owner who can't open a mailbox is hung up on: all by one kind of
/// connection.
async fn call_over_a_connection(scene: &Scene, front: SocketAddr) {
    let said = sound(2, 3);
    let mut call = Call::message("1001", &said);
    (call.over, call.steps[0]) = (Over::Tcp, wait(3_000));
    call.make(front).await.unwrap();
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
    MwiPhone { over: Over::Tcp, ..MwiPhone::own("1001", &["Voice-Message: 1/0"]) }
        .watch(front)
        .await
        .unwrap();
    let mut call = owner("", &Listener::open(LOCAL).await.unwrap());
    (call.over, call.steps) = (Over::Tcp, vec![wait(300)]);
    for key in "864209#864209#864209#".chars() {
        call.steps.extend([Step::Press(key), wait(30)]);
    }
    call.steps.push(Step::AwaitBye);
    call.make(front).await.unwrap();
}

fn prompts() -> String {
    format!("dialogue: {{prompts: {}}}\n", english_prompts().unwrap().display())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_notifications_go_by_the_trunks_tcp_connection() {
    let tcp = find_free_port(LOCAL).unwrap();
    let (listen, trunk) = (format!(", tcp: '{tcp}'"), "  transports: [TCP]".to_owned());
    let scene = open(Setup { listen, trunk, more: prompts(), ..Setup::default() }).await;
    call_over_a_connection(&scene, tcp).await;
    // The trunk has no business with datagrams.
    let socket = tokio::net::UdpSocket::bind((LOCAL, 0)).await.unwrap();
    socket.send_to(options(1).as_bytes(), scene.sip.sip()).await.unwrap();
    let counted = async || {
        let metrics = scene.sip.metrics().await?;
        ensure!(metrics.contains("voicemail_sip_refused_total{why=\"stranger\"} 1"), "{metrics}");
        Ok(())
    };
    poll(PATIENCE, counted).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn torn_broken_and_too_many_connections_hurt_no_other() {
    let tcp = find_free_port(LOCAL).unwrap();
    let (listen, trunk) = (format!(", tcp: '{tcp}'"), "  transports: [UDP, TCP]".to_owned());
    let scene = open(Setup { listen, trunk, ..Setup::default() }).await;
    let said = sound(3, 5);
    let mut call = Call::message("1001", &said);
    call.over = Over::Tcp;
    let (_folder, phone) = call.begin(tcp).unwrap();
    // A byte at a time, with a sign of life before it, and two messages at once.
    let mut torn = TcpStream::connect(tcp).await.unwrap();
    torn.set_nodelay(true).unwrap();
    for byte in format!("\r\n\r\n{}", options(1)).bytes() {
        torn.write_all(&[byte]).await.unwrap();
    }
    let answered = read_until(&mut torn, "CSeq: 1 OPTIONS", 1).await.unwrap();
    assert!(answered.starts_with("\r\nSIP/2.0 200"), "{answered}");
    torn.write_all(format!("{}{}", options(2), options(3)).as_bytes()).await.unwrap();
    read_until(&mut torn, "SIP/2.0 200", 2).await.unwrap();
    // What can't be read is left out; where the next message begins can't be known without a length.
    torn.write_all(b"what is this\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    torn.write_all(options(4).as_bytes()).await.unwrap();
    read_until(&mut torn, "CSeq: 4 OPTIONS", 1).await.unwrap();
    torn.write_all(options(5).replace("Content-Length: 0\r\n", "").as_bytes()).await.unwrap();
    assert!(is_closed(&mut torn).await);
    let mut long = TcpStream::connect(tcp).await.unwrap();
    long.write_all(options(6).replace("Length: 0", "Length: 99999999").as_bytes()).await.unwrap();
    assert!(is_closed(&mut long).await);
    // The call has one of the sixty-four of this source.
    let mut held = Vec::new();
    for _ in 0..80 {
        held.push(TcpStream::connect(tcp).await.unwrap());
    }
    let counted = async || {
        let metrics = scene.sip.metrics().await?;
        for (why, times) in [("connections", 17), ("malformed", 2), ("too-long", 1)] {
            let line = format!("voicemail_sip_refused_total{{why=\"{why}\"}} {times}");
            ensure!(metrics.contains(&line), "{line} isn't in {metrics}");
        }
        Ok(())
    };
    poll(PATIENCE, counted).await.unwrap();
    assert!(phone.wait_with_output().await.unwrap().status.success());
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_twenty_thousand_datagrams_hurts_no_call() {
    let tcp = find_free_port(LOCAL).unwrap();
    let (listen, trunk) = (format!(", tcp: '{tcp}'"), "  transports: [TCP]".to_owned());
    let scene = open(Setup { listen, trunk, ..Setup::default() }).await;
    let said = sound(4, 7);
    let mut call = Call::message("1001", &said);
    call.over = Over::Tcp;
    let (_folder, phone) = call.begin(tcp).unwrap();
    let answered = async || {
        let metrics = scene.sip.metrics().await?;
        metrics.contains("voicemail_sip_calls_active{kind=\"deposit\"} 1").then_some(()).context("no call")
    };
    poll(PATIENCE, answered).await.unwrap();
    let before = memory(scene.sip.pid().unwrap()).unwrap();
    let scanner = tokio::net::UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    for number in 0..20_000 {
        if number % 100 == 0 {
            pace.tick().await;
        }
        scanner.send_to(options(number).as_bytes(), scene.sip.sip()).await.unwrap();
    }
    let grown = memory(scene.sip.pid().unwrap()).unwrap().saturating_sub(before);
    assert!(grown < MEMORY_OF_A_FLOOD, "the process has grown by {grown} KiB");
    assert!(phone.wait_with_output().await.unwrap().status.success());
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
    // They were dropped by us, but for what the kernel had no room for, and none was answered.
    let metrics = scene.sip.metrics().await.unwrap();
    let count =
        metrics.lines().find_map(|line| line.strip_prefix("voicemail_sip_refused_total{why=\"stranger\"} "));
    assert!(count.unwrap().parse::<u32>().unwrap() > 10_000, "{metrics}");
    assert!(scanner.try_recv_from(&mut [0; 64]).is_err());
}

const SECURED: &str = "- name: sbc
  transports: [TLS]
  clientCertificates: {authorities: FOLDER/trunk-ca.pem, names: [sbc.example.com]}
  trust: {identity: true, redirection: true}
  limits: {calls: 50}";

/// Asks for OPTIONS until a connection is closed or answers.
async fn is_served(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    stream.write_all(options(7).as_bytes()).await.is_ok()
        && read_until(&mut stream, "SIP/2.0 200", 1).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_known_by_its_certificate_and_a_renewed_one_of_ours_is_shown() {
    let (own, trunks) = (Authority::new("own").unwrap(), Authority::new("trunks").unwrap());
    let tls = find_free_port(LOCAL).unwrap();
    let listen = format!(
        ", tls: {{address: '{tls}', certificate: FOLDER/tls.crt, key: FOLDER/tls.key, peerAuthorities: FOLDER/trunk-ca.pem}}"
    );
    let shown = own.issue(&["127.0.0.1"]).unwrap();
    let files = vec![
        ("tls.crt", shown.certificate.into_bytes()),
        ("tls.key", shown.key.into_bytes()),
        ("trunk-ca.pem", trunks.pem().into_bytes()),
    ];
    let scene =
        open(Setup { listen, trunk: SECURED.into(), more: prompts(), files, ..Setup::default() }).await;
    let sbc = trunks.issue(&["sbc.example.com"]).unwrap();
    let peer = TlsPeer::new(tls, &own, Some(&sbc)).unwrap();
    let (front, tunnel) = peer.tunnel().await.unwrap();
    call_over_a_connection(&scene, front).await;
    let metrics = scene.sip.metrics().await.unwrap();
    assert!(
        metrics.contains("voicemail_sip_calls_total{trunk=\"sbc\",kind=\"deposit\",outcome=\"recorded\"} 1"),
        "{metrics}"
    );
    tunnel.abort();
    // A certificate of another name, of another authority, and none at all.
    let other = trunks.issue(&["other.example.com"]).unwrap();
    let forged = own.issue(&["sbc.example.com"]).unwrap();
    for wrong in [Some(&other), Some(&forged), None] {
        let stream = TlsPeer::new(tls, &own, wrong).unwrap().connect().await;
        // With TLS 1.3 a client hears of its refusal after the handshake.
        assert!(match stream {
            Ok(stream) => !is_served(stream).await,
            Err(_) => true,
        });
    }
    // What was opened goes on with the certificate of before; what is opened now sees the new one.
    let mut before = peer.connect().await.unwrap();
    let renewed = Authority::new("renewed").unwrap();
    let shown = renewed.issue(&["127.0.0.1"]).unwrap();
    std::fs::write(scene.sip.folder().join("tls.crt"), "not yet").unwrap();
    std::fs::write(scene.sip.folder().join("tls.key"), shown.key).unwrap();
    std::fs::write(scene.sip.folder().join("tls.crt"), shown.certificate).unwrap();
    let again = TlsPeer::new(tls, &renewed, Some(&sbc)).unwrap();
    poll(PATIENCE, async || again.connect().await.map(drop)).await.unwrap();
    assert!(peer.connect().await.is_err());
    before.write_all(options(8).as_bytes()).await.unwrap();
    read_until(&mut before, "SIP/2.0 200", 1).await.unwrap();
    assert!(is_served(again.connect().await.unwrap()).await);
}

/// Subscribes to 1001's MWI by a connection, answers the first NOTIFY, and is gone.
async fn subscribe_and_go(mut stream: impl AsyncRead + AsyncWrite + Unpin, contact: &str) {
    let request = format!(
        "SUBSCRIBE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKs\r\n\
         From: <sip:1001@127.0.0.1>;tag=s\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: {contact}\r\n\
         CSeq: 1 SUBSCRIBE\r\nContact: <{contact}>\r\nMax-Forwards: 70\r\nEvent: message-summary\r\n\
         Expires: 600\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let told = read_until(&mut stream, "Voice-Message: 0/0", 1).await.unwrap();
    let notify = told.split_once("NOTIFY ").unwrap().1;
    stream.write_all(answer_to(notify).as_bytes()).await.unwrap();
}

pub(crate) fn answer_to(request: &str) -> String {
    let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines = request.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n")
}

/// Takes a NOTIFY that comes by a new connection.
async fn is_told(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let notify = read_until(&mut stream, "Voice-Message: 1/0", 1).await.unwrap();
    stream.write_all(answer_to(&notify).as_bytes()).await.unwrap();
    notify
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_connection_is_gone_is_told_by_a_new_one() {
    let (own, phones) = (Authority::new("own").unwrap(), Authority::new("phones").unwrap());
    let (tcp, tls) = (find_free_port(LOCAL).unwrap(), find_free_port(LOCAL).unwrap());
    let listen = format!(
        ", tcp: '{tcp}', tls: {{address: '{tls}', certificate: FOLDER/tls.crt, key: FOLDER/tls.key, peerAuthorities: FOLDER/ca.pem}}"
    );
    let shown = own.issue(&["127.0.0.1"]).unwrap();
    let files = vec![
        ("tls.crt", shown.certificate.into_bytes()),
        ("tls.key", shown.key.into_bytes()),
        ("ca.pem", phones.pem().into_bytes()),
    ];
    let trunk = "  transports: [UDP, TCP, TLS]".to_owned();
    let scene = open(Setup { listen, trunk, files, ..Setup::default() }).await;
    let (by_tcp, by_tls, by_stranger) = tokio::join!(
        tokio::net::TcpListener::bind((LOCAL, 0)),
        tokio::net::TcpListener::bind((LOCAL, 0)),
        tokio::net::TcpListener::bind((LOCAL, 0))
    );
    let (by_tcp, by_tls, by_stranger) = (by_tcp.unwrap(), by_tls.unwrap(), by_stranger.unwrap());
    let contact = |listener: &tokio::net::TcpListener, transport: &str| {
        format!("sip:1001@{};transport={transport}", listener.local_addr().unwrap())
    };
    subscribe_and_go(TcpStream::connect(tcp).await.unwrap(), &contact(&by_tcp, "tcp")).await;
    let peer = TlsPeer::new(tls, &own, None).unwrap();
    for listener in [&by_tls, &by_stranger] {
        subscribe_and_go(peer.connect().await.unwrap(), &contact(listener, "tls")).await;
    }
    Call::message("1001", &sound(2, 3)).make(scene.sip.sip()).await.unwrap();
    let plain = async { is_told(by_tcp.accept().await.unwrap().0).await };
    let sealed = async {
        let acceptor = phones.issue(&["127.0.0.1"]).unwrap().acceptor().unwrap();
        is_told(acceptor.accept(by_tls.accept().await.unwrap().0).await.unwrap()).await
    };
    // Whoever listens there without a certificate of these authorities is told nothing.
    let refused = async {
        let acceptor = own.issue(&["127.0.0.1"]).unwrap().acceptor().unwrap();
        match acceptor.accept(by_stranger.accept().await.unwrap().0).await {
            Ok(mut stream) => is_closed(&mut stream).await,
            Err(_) => true,
        }
    };
    let all = async { tokio::join!(plain, sealed, refused) };
    let (plain, sealed, refused) = tokio::time::timeout(PATIENCE, all).await.unwrap();
    assert!(plain.contains(&format!("Via: SIP/2.0/TCP {tcp}")), "{plain}");
    assert!(sealed.contains(&format!("Via: SIP/2.0/TLS {tls}")), "{sealed}");
    assert!(refused);
}
