//! Slow, silent and greedy clients over real sockets: each is given up or refused, and nobody else waits for them.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod served;

use serde_json::{Value, json};
use served::{Process, Setup};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use voicemail_test_machine::process_facts::peak_memory;

const DEADLINE: Duration = Duration::from_secs(20);
/// The time that the test's configuration grants for a header.
const HEADER_TIME: Duration = Duration::from_secs(2);

struct Site {
    process: Process,
    setup: Setup,
}

impl Site {
    fn start(limits: &Value) -> Self {
        let setup = Setup::new();
        let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
        config["limits"] = limits.clone();
        setup.write_config(&serde_yaml::to_string(&config).unwrap());
        let mut process = Process::start(&setup);
        process.wait_for("open");
        Self { process, setup }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.process.api.trim_start_matches("http://")).await.unwrap()
    }

    /// A quick client's request; how long it took.
    async fn is_served(&self) -> Duration {
        let begun = Instant::now();
        let get = reqwest::Client::new().get(format!("{}/api/v1/users/nobody", self.process.api));
        let answer = timeout(DEADLINE, get.bearer_auth(self.setup.token()).send()).await.expect("no answer");
        assert_eq!(answer.unwrap().status(), 404);
        begun.elapsed()
    }
}

/// Reads until the server closes; what came until then.
async fn until_closed(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(DEADLINE, connection.read_to_end(&mut bytes)).await;
    // A reset is a way to be closed, too.
    let _ = read.expect("the connection was kept");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn silent_clients_and_headers_that_trickle_in_are_given_up_while_others_are_served() {
    let site = Site::start(&json!({ "headerTime": "2s" }));
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(site.connect().await);
    }
    let mut trickling = site.connect().await;
    let begun = Instant::now();
    trickling.write_all(b"GET /api/v1/me/mailboxes HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    assert!(site.is_served().await < HEADER_TIME);
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if trickling.write_all(b"X-More: x\r\n").await.is_err() {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "a header may take for ever");
    }
    assert!(begun.elapsed() >= HEADER_TIME);
    for connection in &mut silent {
        until_closed(connection).await;
    }
    site.is_served().await;
}

#[tokio::test]
async fn a_body_that_trickles_in_holds_nobody_up() {
    let site = Site::start(&json!({}));
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut connection = site.connect().await;
        let head = format!(
            "PUT /api/v1/mailboxes/1001 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{",
            site.setup.token()
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    for _ in 0..20 {
        assert!(site.is_served().await < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn one_address_has_no_more_connections_than_it_may() {
    let site = Site::start(&json!({ "connections": 64, "connectionsPerAddress": 8 }));
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut connection = site.connect().await;
        connection.write_all(b"GET /api/v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        timeout(DEADLINE, connection.read_exact(&mut first)).await.unwrap().unwrap();
        assert_eq!(&first, b"HTTP/1.1 404");
        held.push(connection);
    }
    let mut ninth = site.connect().await;
    assert_eq!(until_closed(&mut ninth).await, "");
    drop(held.pop());
    let begun = Instant::now();
    loop {
        let mut connection = site.connect().await;
        let _ = connection
            .write_all(b"GET /api/v1/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        if until_closed(&mut connection).await.starts_with("HTTP/1.1 404") {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "a place that was left stays taken");
    }
}

#[tokio::test]
async fn silent_connections_of_many_addresses_keep_no_probe_out_and_are_given_up_soon() {
    let site = Site::start(&json!({ "connections": 16, "connectionsPerAddress": 8 }));
    let health: SocketAddr = site.process.metrics.trim_start_matches("http://").parse().unwrap();
    let mut silent = Vec::new();
    for host in 0..600_u32 {
        let socket = TcpSocket::new_v4().unwrap();
        // Ten addresses of this machine.
        socket.bind(SocketAddr::from(([127, 0, 1, u8::try_from(host % 10).unwrap() + 1], 0))).unwrap();
        silent.push(timeout(DEADLINE, socket.connect(health)).await.unwrap().unwrap());
    }
    let probe = reqwest::get(format!("{}/readyz", site.process.metrics)).await.unwrap();
    assert_eq!(probe.status(), 200, "a probe from another address");
    let begun = Instant::now();
    for connection in &mut silent {
        until_closed(connection).await;
    }
    assert!(begun.elapsed() < DEADLINE, "the silent ones stay");
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let site = Site::start(&json!({}));
    let mut connection = site.connect().await;
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "x".repeat(40_000));
    let _ = connection.write_all(large.as_bytes()).await;
    let answer = until_closed(&mut connection).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    site.is_served().await;
}

#[tokio::test]
async fn wrong_tokens_from_an_address_are_not_looked_at_for_ever() {
    let site = Site::start(&json!({ "refusalsPerAddress": 10 }));
    let mut seen = Vec::new();
    for _ in 0..12 {
        let get = reqwest::Client::new().get(format!("{}/api/v1/me/mailboxes", site.process.api));
        let answer = get.bearer_auth("eyJhbGciOiJub25lIn0.e30.").send().await.unwrap();
        seen.push(answer.status().as_u16());
        if answer.status() == 429 {
            assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        }
    }
    assert_eq!(seen[..10], [401; 10]);
    assert_eq!(seen[11], 429);
}

#[tokio::test]
async fn fields_without_an_end_take_no_memory() {
    const MIB: usize = 1024 * 1024;
    let site = Site::start(&json!({}));
    let before = peak_memory(site.process.child.id()).unwrap();
    let chunk = vec![b'x'; MIB];
    for head in
        ["name=\"colour\"\r\n\r\n", "name=\"caller\"\r\n\r\n", "name=\"callerName\"\r\n\r\n", "name=\""]
    {
        let mut connection = site.connect().await;
        let request = format!(
            "POST /api/v1/mailboxes/1001/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
             Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: {}\r\n\r\n\
             --cut\r\nContent-Disposition: form-data; {head}",
            site.setup.token(),
            700 * MIB
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = connection.split();
        let sending = async {
            for _ in 0..700 {
                if writer.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        };
        let mut answer = [0; 12];
        let reading = timeout(DEADLINE, reader.read_exact(&mut answer));
        let (_, read) = tokio::join!(sending, reading);
        // A reset while the sender goes on may overtake the answer.
        if read.expect("no answer").is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 413", "{head}");
        }
        site.is_served().await;
    }
    let grown = peak_memory(site.process.child.id()).unwrap() - before;
    assert!(grown < 32 * 1024, "the process grew by {grown} KiB");
}
