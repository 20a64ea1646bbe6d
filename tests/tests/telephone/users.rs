//! Trunks and phones that prove who they are by digest authentication.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::net::UdpSocket;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::secrecy::is_told;
use voicemail_test_machine::servers::sipp::Call;
use voicemail_test_machine::servers::voicemail_core::VoicemailCore;
use voicemail_test_machine::servers::voicemail_sip::{Setup, VoicemailSip};
use voicemail_test_machine::speech::sound_of;

use crate::scene::{LOCAL, PATIENCE, Scene, sound};

const SOON: Duration = Duration::from_secs(5);

async fn open(algorithms: &str) -> Scene {
    let core = VoicemailCore::start().await.unwrap();
    let trunk = format!("  digest: {{users: FOLDER/users, algorithms: [{algorithms}]}}");
    let files = vec![("users", b"desk-7:s3cret\nbob:other\n".to_vec())];
    let sip = VoicemailSip::set_up(&core, Setup { trunk, files, ..Setup::default() }).await.unwrap();
    Scene { core, sip }
}

/// Asks for OPTIONS or SUBSCRIBE by a datagram; the answer, whatever it is.
struct Phone {
    socket: UdpSocket,
    number: u32,
}

impl Phone {
    async fn new(scene: &Scene) -> Self {
        let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
        socket.connect(scene.sip.sip()).await.unwrap();
        Self { socket, number: 0 }
    }

    async fn subscribe(&mut self, proof: &str) -> Result<String> {
        self.number += 1;
        let (number, own) = (self.number, self.socket.local_addr()?);
        let request = format!(
            "SUBSCRIBE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number}\r\n\
             From: <sip:1001@127.0.0.1>;tag={number}\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: {number}@phone\r\n\
             CSeq: 1 SUBSCRIBE\r\nContact: <sip:1001@{own}>\r\nMax-Forwards: 70\r\nEvent: message-summary\r\n\
             Expires: 600\r\n{proof}Content-Length: 0\r\n\r\n"
        );
        self.socket.send(request.as_bytes()).await?;
        let mut datagram = vec![0; 8_192];
        loop {
            let length =
                tokio::time::timeout(SOON, self.socket.recv(&mut datagram)).await.context("no answer")??;
            let text = String::from_utf8(datagram[..length].to_vec())?;
            if text.contains(&format!("Call-ID: {number}@phone")) && text.starts_with("SIP/2.0") {
                return Ok(text);
            }
        }
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn nonce_of(answer: &str) -> String {
    let rest = answer.split_once("nonce=\"").map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

fn proof(nonce: &str, user: &str, password: &str, count: u32) -> String {
    let first = sha256_hex(format!("{user}:voicemail:{password}").as_bytes());
    let second = sha256_hex(b"SUBSCRIBE:sip:1001@127.0.0.1");
    let response = sha256_hex(format!("{first}:{nonce}:{count:08x}:c:auth:{second}").as_bytes());
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"voicemail\", nonce=\"{nonce}\", uri=\"sip:1001@127.0.0.1\", \
         response=\"{response}\", algorithm=SHA-256, cnonce=\"c\", qop=auth, nc={count:08x}\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_user_is_taken_and_one_of_a_wrong_password_is_not() {
    let scene = open("MD5").await;
    let said = sound(2, 3);
    let mut call = Call::message("1001", &said);
    call.user = Some(("desk-7".into(), "s3cret".into()));
    call.make(scene.sip.sip()).await.unwrap();
    let messages = scene.core.wait_messages("1001", 1, PATIENCE).await.unwrap();
    assert_eq!(sound_of(&scene.core.audio("1001", &messages[0]).await.unwrap()).unwrap(), said);
    (call.user, call.refused) = (Some(("desk-7".into(), "guess".into())), Some(401));
    call.make(scene.sip.sip()).await.unwrap();
    let (log, metrics) = (scene.sip.log(), scene.sip.metrics().await.unwrap());
    assert!(metrics.contains("voicemail_sip_refused_total{why=\"credentials\"} 1"), "{metrics}");
    for secret in ["desk-7", "s3cret", "guess"] {
        assert!(!is_told(&log, secret) && !is_told(&metrics, secret), "{secret} is told");
    }
    assert_eq!(scene.core.messages("1001").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once_for_each_count_and_a_changed_password_at_once() {
    let scene = open("SHA-256, MD5").await;
    let mut phone = Phone::new(&scene).await;
    let asked = phone.subscribe("").await.unwrap();
    assert!(
        asked.starts_with("SIP/2.0 401") && asked.matches("WWW-Authenticate: Digest").count() == 2,
        "{asked}"
    );
    let nonce = nonce_of(&asked);
    let good = proof(&nonce, "desk-7", "s3cret", 1);
    assert!(phone.subscribe(&good).await.unwrap().starts_with("SIP/2.0 200"));
    let again = phone.subscribe(&good).await.unwrap();
    assert!(again.starts_with("SIP/2.0 401") && again.contains("stale=true"), "{again}");
    let next = phone.subscribe(&proof(&nonce, "desk-7", "s3cret", 10)).await.unwrap();
    assert!(next.starts_with("SIP/2.0 200"), "{next}");
    std::fs::write(scene.sip.folder().join("users"), "desk-7:changed\n").unwrap();
    let old = phone.subscribe(&proof(&nonce, "desk-7", "s3cret", 11)).await.unwrap();
    assert!(old.starts_with("SIP/2.0 401") && !old.contains("stale"), "{old}");
    let new = phone.subscribe(&proof(&nonce, "desk-7", "changed", 11)).await.unwrap();
    assert!(new.starts_with("SIP/2.0 200"), "{new}");
    let told = async || {
        let metrics = scene.sip.metrics().await?;
        ensure!(metrics.contains("voicemail_sip_refused_total{why=\"credentials\"} 1"), "{metrics}");
        Ok(())
    };
    poll(PATIENCE, told).await.unwrap();
}
