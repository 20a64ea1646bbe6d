//! A telephone that has IPv4 and IPv6: each caller is told addresses of its own family, in Contact and in the description.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};

use crate::datagrams::{Phone, line_of};
use crate::scene::PATIENCE;

/// A phone, and the socket where it hears.
struct Caller {
    phone: Phone,
    audio: UdpSocket,
}

impl Caller {
    async fn of(front: SocketAddr) -> Self {
        let phone = Phone::of(front).await;
        let audio = UdpSocket::bind((phone.own.ip(), 0)).await.unwrap();
        Self { phone, audio }
    }

    fn description(&self) -> String {
        let (connection, port) =
            (connection_at(self.phone.own.ip()), self.audio.local_addr().unwrap().port());
        format!(
            "v=0\r\no=- 1 1 {connection}\r\ns=-\r\nc={connection}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        )
    }

    fn request(&self, method: &str, number: u32, uri: &str, to: &str, body: &str) -> String {
        let own = self.phone.own;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}\r\nFrom: <sip:caller@{own}>;tag=caller\r\n\
             To: {to}\r\nCall-ID: {own}\r\nCSeq: {number} {method}\r\nContact: <sip:caller@{own}>\r\nMax-Forwards: 70\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// An address as descriptions have it (RFC 4566, 5.7).
fn connection_at(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!("IN {family} {address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_told_addresses_of_its_own_family_and_hears_and_ends_the_call_by_them() {
    let core = VoicemailCore::start().await.unwrap();
    let setup = Setup { advertised: Some("::1,127.0.0.1"), ..Setup::default() };
    let sip = VoicemailSip::set_up(&core, setup).await.unwrap();
    for address in ["127.0.0.1", "::1"] {
        let address: IpAddr = address.parse().unwrap();
        let ours = SocketAddr::new(address, sip.sip().port());
        let caller = Caller::of(ours).await;
        let own = caller.phone.own;
        let to = format!("<sip:1001@{own}>");
        let asked = caller.request("INVITE", 1, &format!("sip:1001@{own}"), &to, &caller.description());
        let answer = caller.phone.ask(&asked).await;
        assert!(answer.starts_with("SIP/2.0 200"), "{address}: {answer}");
        let contact = line_of(&answer, "Contact: ");
        assert!(contact.contains(&format!("sip:voicemail@{ours}")), "{address}: {answer}");
        assert_eq!(line_of(&answer, "c="), connection_at(address), "{answer}");
        let uri = contact.trim_start_matches('<').split('>').next().unwrap();
        let to = line_of(&answer, "To: ");
        caller.phone.socket.send(caller.request("ACK", 1, uri, to, "").as_bytes()).await.unwrap();
        let mut packet = [0; 2_048];
        let heard = tokio::time::timeout(PATIENCE, caller.audio.recv_from(&mut packet)).await;
        let (_, from) = heard.unwrap().unwrap();
        assert_eq!(from.ip(), address);
        let over = caller.phone.ask(&caller.request("BYE", 2, uri, to, "")).await;
        assert!(over.starts_with("SIP/2.0 200"), "{address}: {over}");
    }
}
