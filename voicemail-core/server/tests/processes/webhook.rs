//! The webhook: processes on one volume that deliver MWI states to an HTTPS receiver with a private CA.
//!
//! A receiver on loopback is never delivered to, so this one is on an address of the machine's own network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use served::replica::{Replica, free_port};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// A replica that was killed keeps its turn for a minute.
const DEADLINE: Duration = Duration::from_secs(90);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// This machine's address towards other networks; nothing is sent to find it.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("203.0.113.1:9").expect("this test needs a network interface besides loopback");
    socket.local_addr().unwrap().ip()
}

/// Requests that arrived, and the answers to give.
#[derive(Clone)]
struct Inbox(Arc<Mutex<Arrived>>);

struct Arrived {
    requests: Vec<(HeaderMap, Bytes)>,
    answer: StatusCode,
}

/// An HTTPS server with a folder for its CA and secret.
struct Receiver {
    url: String,
    inbox: Inbox,
    folder: TempDir,
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut inbox = inbox.0.lock().unwrap();
    inbox.requests.push((headers, body));
    inbox.answer
}

impl Receiver {
    async fn start(address: IpAddr) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec![address.to_string(), "localhost".into()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("secret"), SECRET).unwrap();
        let (certificate, key) =
            (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes());
        let tls = RustlsConfig::from_pem(certificate, key).await.unwrap();
        let socket = TcpListener::bind((address, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let url = format!("https://{}/hook", socket.local_addr().unwrap());
        let inbox =
            Inbox(Arc::new(Mutex::new(Arrived { requests: Vec::new(), answer: StatusCode::NO_CONTENT })));
        let routes = Router::new().route("/hook", post(receive)).with_state(inbox.clone());
        let server = axum_server::from_tcp_rustls(socket, tls).unwrap();
        tokio::spawn(async move { server.serve(routes.into_make_service()).await.unwrap() });
        Self { url, inbox, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, ranges: &[String]) -> Value {
        self.config_at(&self.url, ranges)
    }

    fn config_at(&self, url: &str, ranges: &[String]) -> Value {
        json!({ "webhooks": [self.named("desk", url, ranges)] })
    }

    fn named(&self, name: &str, url: &str, ranges: &[String]) -> Value {
        json!({
            "name": name, "url": url, "secretFile": self.file("secret"), "caFile": self.file("ca.pem"),
            "allowedPrivateRanges": ranges,
        })
    }

    fn answer(&self, status: StatusCode) {
        self.inbox.0.lock().unwrap().answer = status;
    }

    /// The counts of each delivery of a mailbox, in the order in which they came.
    fn states(&self, mailbox: &str) -> Vec<String> {
        let inbox = self.inbox.0.lock().unwrap();
        let data = inbox.requests.iter().map(|(headers, body)| {
            check_signature(headers, body);
            serde_json::from_slice::<Value>(body).unwrap()
        });
        let ours = data.filter(|event| event["data"]["Mailbox"] == mailbox);
        ours.map(|event| event["data"]["Voice-Message"].as_str().unwrap_or("gone").to_owned()).collect()
    }

    async fn wait_for(&self, mailbox: &str, last: &str) {
        let end = Instant::now() + DEADLINE;
        while self.states(mailbox).last().is_none_or(|found| found != last) {
            assert!(Instant::now() < end, "{mailbox} isn't {last} but {:?}", self.states(mailbox));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn check_signature(headers: &HeaderMap, body: &[u8]) {
    let header = |name: &str| headers[name].to_str().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(&SECRET[6..]).unwrap());
    let signed = [header("webhook-id").as_bytes(), b".", header("webhook-timestamp").as_bytes(), b".", body];
    let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
    hmac::verify(&key, &signed.concat(), &STANDARD.decode(signature).unwrap()).expect("a bad signature");
}

async fn wait_for_outcome(core: &Replica, outcome: &str) {
    let end = Instant::now() + DEADLINE;
    let name = format!("voicemail_mwi_webhook_deliveries_total{{receiver=\"desk\",outcome=\"{outcome}\"}}");
    while core.metric(&name).await == 0.0 {
        assert!(Instant::now() < end, "no attempt is counted as {outcome}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn range(address: IpAddr) -> Vec<String> {
    vec![format!("{address}/32")]
}

#[tokio::test]
async fn every_replicas_changes_are_delivered_signed_and_in_order() {
    let (volume, address) = (tempfile::tempdir().unwrap(), own_address());
    let receiver = Receiver::start(address).await;
    let mwi = receiver.config(&range(address));
    let replicas = [(); 2].map(|()| Replica::start(volume.path(), free_port(), free_port(), &mwi));
    replicas[0].provision().await;
    receiver.wait_for("1001", "0/0 (0/0)").await;
    receiver.wait_for("2000", "0/0 (0/0)").await;
    for n in 0..6 {
        replicas[n % 2].deposit("1001").await;
    }
    receiver.wait_for("1001", "6/0 (0/0)").await;
    let states = receiver.states("1001");
    assert!(states.is_sorted(), "{states:?}");
    let case = json!({ "caseid": "7", "consumers": [{ "phone": ["+442079460123"] }] });
    replicas[1].send(Method::POST, "gdpr/forgetme", case).await;
    receiver.wait_for("1001", "0/0 (0/0)").await;
    replicas[0].send(Method::DELETE, "mailboxes/2000", json!({})).await;
    receiver.wait_for("2000", "gone").await;
    let inbox = receiver.inbox.0.lock().unwrap().requests.clone();
    let texts: Vec<String> =
        inbox.iter().map(|(_, body)| String::from_utf8(body.to_vec()).unwrap()).collect();
    assert!(texts.iter().all(|text| !text.contains("79460123")), "a number in {texts:?}");
}

#[tokio::test]
async fn what_a_failing_receiver_missed_comes_after_a_restart_and_nothing_else_does() {
    let (volume, address) = (tempfile::tempdir().unwrap(), own_address());
    let receiver = Receiver::start(address).await;
    let mwi = receiver.config(&range(address));
    let start = || Replica::start(volume.path(), free_port(), free_port(), &mwi);
    let mut core = start();
    core.provision().await;
    core.deposit("2000").await;
    receiver.wait_for("2000", "1/0 (0/0)").await;
    receiver.wait_for("1001", "0/0 (0/0)").await;
    receiver.answer(StatusCode::SERVICE_UNAVAILABLE);
    core.deposit("1001").await;
    receiver.wait_for("1001", "1/0 (0/0)").await;
    wait_for_outcome(&core, "refused").await;
    core.process.child.kill().unwrap();
    drop(core);
    let (before, of_other) = (receiver.states("1001").len(), receiver.states("2000").len());
    receiver.answer(StatusCode::OK);
    let again = start();
    let end = Instant::now() + DEADLINE * 3;
    while receiver.states("1001").len() == before {
        assert!(Instant::now() < end, "nothing came after the restart");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(receiver.states("1001").last().unwrap(), "1/0 (0/0)");
    again.deposit("1001").await;
    receiver.wait_for("1001", "2/0 (0/0)").await;
    assert_eq!(receiver.states("2000").len(), of_other, "an MWI state that was delivered was sent again");
}

#[tokio::test]
async fn each_receiver_has_a_memory_of_its_own_and_one_that_is_away_holds_up_no_other() {
    let (volume, address) = (tempfile::tempdir().unwrap(), own_address());
    let (desk, wall) = (Receiver::start(address).await, Receiver::start(address).await);
    let ranges = range(address);
    let both = json!({ "webhooks": [
        desk.named("desk", &desk.url, &ranges), wall.named("wall", &wall.url, &ranges),
    ]});
    wall.answer(StatusCode::SERVICE_UNAVAILABLE);
    let mut core = Replica::start(volume.path(), free_port(), free_port(), &both);
    core.provision().await;
    desk.wait_for("1001", "0/0 (0/0)").await;
    for n in 1..4 {
        core.deposit("1001").await;
        desk.wait_for("1001", &format!("{n}/0 (0/0)")).await;
    }
    core.process.child.kill().unwrap();
    drop(core);
    let told = desk.states("2000").len();
    wall.answer(StatusCode::OK);
    let again = Replica::start(volume.path(), free_port(), free_port(), &both);
    wall.wait_for("1001", "3/0 (0/0)").await;
    again.deposit("1001").await;
    desk.wait_for("1001", "4/0 (0/0)").await;
    wall.wait_for("1001", "4/0 (0/0)").await;
    // What was on its way when the replica was killed may come twice; what was delivered before may not.
    assert_eq!(desk.states("2000").len(), told, "the desk was told again what it knew");
}

#[tokio::test]
async fn loopback_is_never_delivered_to_and_private_addresses_only_if_allowed() {
    let address = own_address();
    let on_loopback = Receiver::start([127, 0, 0, 1].into()).await;
    let on_network = Receiver::start(address).await;
    let everything = vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()];
    let by_name = on_loopback.url.replace("127.0.0.1", "localhost");
    for (mwi, outcome) in [
        (on_loopback.config(&everything), "unusable"),
        (on_loopback.config_at(&by_name, &everything), "unreachable"),
        (on_network.config(&["10.255.255.0/30".to_owned()]), "unusable"),
    ] {
        let volume = tempfile::tempdir().unwrap();
        let core = Replica::start(volume.path(), free_port(), free_port(), &mwi);
        core.provision().await;
        wait_for_outcome(&core, outcome).await;
    }
    for receiver in [on_loopback, on_network] {
        assert!(receiver.inbox.0.lock().unwrap().requests.is_empty());
    }
}
