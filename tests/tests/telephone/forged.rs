//! Requests within a call or a subscription that come from somebody else than who began it.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::servers::find_free_port;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};

use crate::datagrams::{Phone, line_of};
use crate::scene::{LOCAL, PATIENCE, Scene};

/// A request of that phone's dialogue; `to` has our tag once there is one.
fn request(phone: &Phone, method: &str, number: u32, to: &str, more: &str, body: &str) -> String {
    let own = phone.own;
    format!(
        "{method} sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{number}\r\n\
         From: <sip:1001@127.0.0.1>;tag=phone\r\nTo: {to}\r\nCall-ID: {method}-dialogue@phone\r\n\
         CSeq: {number} {method}\r\nContact: <sip:1001@{own}>\r\nMax-Forwards: 70\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The same request by a connection, as another trunk's; the first line of the answer.
async fn forge(tcp: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    let request =
        request.replace("SIP/2.0/UDP", "SIP/2.0/TCP").replace("branch=z9hG4bK", "branch=z9hG4bKforged");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let length = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_trunk_that_knows_a_calls_tags_can_neither_end_nor_turn_it() {
    let tcp = find_free_port(LOCAL).unwrap();
    let (listen, trunk) = (
        format!(", tcp: '{tcp}'"),
        "- name: other\n  addresses: [127.0.0.0/8]\n  transports: [TCP]\n  seesAllMailboxes: true\n  limits: {calls: 50}".to_owned(),
    );
    let core = VoicemailCore::start().await.unwrap();
    let sip = VoicemailSip::set_up(&core, Setup { listen, trunk, ..Setup::default() }).await.unwrap();
    let scene = Scene { core, sip };
    let phone = Phone::of(scene.sip.sip()).await;
    let active = async |count: u32| {
        let line = format!("voicemail_sip_calls_active{{kind=\"deposit\"}} {count}\n");
        let told = async || {
            let metrics = scene.sip.metrics().await?;
            metrics.contains(&line).then_some(()).with_context(|| format!("no {line} in {metrics}"))
        };
        poll(PATIENCE, told).await.unwrap();
    };
    let audio = UdpSocket::bind((LOCAL, 0)).await.unwrap();
    let port = audio.local_addr().unwrap().port();
    let sdp = |port: u16| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        )
    };
    let (open, typed) = ("<sip:1001@127.0.0.1>", "Content-Type: application/sdp\r\n");
    let answer = phone.ask(&request(&phone, "INVITE", 1, open, typed, &sdp(port))).await;
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    let to = line_of(&answer, "To: ").to_owned();
    let of_call = |method: &str, number: u32, more: &str, body: &str| {
        let whole = request(&phone, method, number, &to, more, body);
        whole.replace(&format!("{method}-dialogue@"), "INVITE-dialogue@")
    };
    phone.socket.send(of_call("ACK", 1, "", "").as_bytes()).await.unwrap();
    active(1).await;
    // BYE, a new description that would send the audio elsewhere, and a key.
    assert_eq!(forge(tcp, &of_call("BYE", 2, "", "")).await, "SIP/2.0 481 Call/Transaction Does Not Exist");
    let turned = of_call("INVITE", 3, typed, &sdp(port + 2));
    assert!(forge(tcp, &turned).await.starts_with("SIP/2.0 481"));
    let key = of_call("INFO", 4, "Content-Type: application/dtmf-relay\r\n", "Signal=#\r\n");
    assert!(forge(tcp, &key).await.starts_with("SIP/2.0 481"));
    // A subscription isn't ended by others either.
    let more = "Event: message-summary\r\nExpires: 600\r\n";
    let taken = phone.ask(&request(&phone, "SUBSCRIBE", 1, open, more, "")).await;
    assert!(taken.starts_with("SIP/2.0 200"), "{taken}");
    let over = "Event: message-summary\r\nExpires: 0\r\n";
    let end = |number| request(&phone, "SUBSCRIBE", number, line_of(&taken, "To: "), over, "");
    assert!(forge(tcp, &end(2)).await.starts_with("SIP/2.0 481"));
    assert!(phone.ask(&end(3)).await.starts_with("SIP/2.0 200"));
    // The call went on meanwhile, and is the phone's own to end.
    active(1).await;
    let bye = phone.ask(&of_call("BYE", 5, "", "")).await;
    assert!(bye.starts_with("SIP/2.0 200"), "{bye}");
    active(0).await;
    let ended = async || {
        let metrics = scene.sip.metrics().await?;
        ensure!(metrics.contains("kind=\"deposit\",outcome="), "{metrics}");
        Ok(())
    };
    poll(PATIENCE, ended).await.unwrap();
}
