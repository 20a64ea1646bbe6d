//! A telephone that has IPv4 and IPv6: each caller is told addresses of its own family, in Contact and in the description.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use voicemail_tests::servers::voicemail_core::VoicemailCore;
use voicemail_tests::servers::voicemail_sip::{Setup, VoicemailSip};

use crate::scene::PATIENCE;

/// A caller without a library, so that each line of the answer is seen.
struct Caller {
    sip: UdpSocket,
    audio: UdpSocket,
    own: SocketAddr,
}

impl Caller {
    async fn at(own: IpAddr, port: u16) -> Self {
        let sip = UdpSocket::bind((own, 0)).await.unwrap();
        sip.connect((own, port)).await.unwrap();
        let (audio, own) = (UdpSocket::bind((own, 0)).await.unwrap(), sip.local_addr().unwrap());
        Self { sip, audio, own }
    }

    fn description(&self) -> String {
        let (address, port) = (self.own.ip(), self.audio.local_addr().unwrap().port());
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        let connection = format!("IN {family} {address}");
        format!(
            "v=0\r\no=- 1 1 {connection}\r\ns=-\r\nc={connection}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        )
    }

    fn request(&self, method: &str, number: u32, uri: &str, to: &str, body: &str) -> String {
        let own = self.own;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}\r\nFrom: <sip:caller@{own}>;tag=caller\r\n\
             To: {to}\r\nCall-ID: {own}\r\nCSeq: {number} {method}\r\nContact: <sip:caller@{own}>\r\nMax-Forwards: 70\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// The final answer to a request.
    async fn ask(&self, request: &str) -> String {
        self.sip.send(request.as_bytes()).await.unwrap();
        let mut datagram = vec![0; 8_192];
        let answered = async {
            loop {
                let length = self.sip.recv(&mut datagram).await.unwrap();
                let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
                if text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") {
                    return text;
                }
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap()
    }
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_told_addresses_of_its_own_family_and_hears_and_ends_the_call_by_them() {
    let core = VoicemailCore::start().await.unwrap();
    let setup = Setup { advertised: Some("::1,127.0.0.1"), ..Setup::default() };
    let sip = VoicemailSip::set_up(&core, setup).await.unwrap();
    for address in ["127.0.0.1", "::1"] {
        let address: IpAddr = address.parse().unwrap();
        let caller = Caller::at(address, sip.sip().port()).await;
        let to = format!("<sip:1001@{}>", caller.own);
        let asked =
            caller.request("INVITE", 1, &format!("sip:1001@{}", caller.own), &to, &caller.description());
        let answer = caller.ask(&asked).await;
        assert!(answer.starts_with("SIP/2.0 200"), "{address}: {answer}");
        let ours = SocketAddr::new(address, sip.sip().port());
        let contact = header(&answer, "Contact: ");
        assert!(contact.contains(&format!("sip:voicemail@{ours}")), "{address}: {answer}");
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        assert_eq!(header(&answer, "c="), format!("IN {family} {address}"), "{answer}");
        let uri = contact.trim_start_matches('<').split('>').next().unwrap();
        let to = header(&answer, "To: ");
        caller.sip.send(caller.request("ACK", 1, uri, to, "").as_bytes()).await.unwrap();
        let mut packet = [0; 2_048];
        let heard = tokio::time::timeout(PATIENCE, caller.audio.recv_from(&mut packet)).await;
        let (_, from) = heard.unwrap().unwrap();
        assert_eq!(from.ip(), address);
        let over = caller.ask(&caller.request("BYE", 2, uri, to, "")).await;
        assert!(over.starts_with("SIP/2.0 200"), "{address}: {over}");
    }
}
