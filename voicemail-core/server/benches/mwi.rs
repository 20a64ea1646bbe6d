//! The cost of MWI subscribers: `cargo bench -p voicemail-server --bench mwi`.
//!
//! One program on a volume; 1,000 members of one group follow their MWI, each on a connection of their own. Measured
//! are resident memory above that of the process with one subscriber, and how long after the acknowledgement of a deposit
//! into the group's mailbox the last member was told. `SUBSCRIBERS=n` changes the number.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench fails by panicking"
)]

#[path = "../tests/served/mod.rs"]
mod served;

use futures::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use served::{Process, Setup, speech};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use voicemail_tests::process_facts;

const GROUP: &str = "5000";
const ROUNDS: usize = 7;
/// The promised limits: the bench fails if either is passed.
const MOST_MB: f64 = 20.0;
const MIB_IN_MB: f64 = 1.048_576;
const MOST_TIME: Duration = Duration::from_secs(1);

/// A member's stream of events.
struct Stream {
    socket: TcpStream,
    text: String,
}

impl Stream {
    async fn open(address: &str, token: &str) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET /api/v1/mwi/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut stream = Self { socket, text: String::new() };
        stream.wait_for("event: state").await;
        stream
    }

    /// Reads until that text has come; gives the moment.
    async fn wait_for(&mut self, sought: &str) -> Instant {
        let mut bytes = [0; 4_096];
        loop {
            if let Some(at) = self.text.find(sought) {
                self.text.drain(..at + sought.len());
                return Instant::now();
            }
            let read = self.socket.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the stream ended: {}", self.text);
            self.text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }
}

#[tokio::main]
async fn main() {
    let subscribers: usize = std::env::var("SUBSCRIBERS").map_or(1_000, |text| text.parse().unwrap());
    let limit = Rlimit { current: getrlimit(Resource::Nofile).maximum, ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let setup = Setup::new();
    let mut process = Process::start(&setup);
    process.wait_for("open");
    provision(&setup, &process, subscribers).await;
    let address = process.api.trim_start_matches("http://").to_owned();
    let first = Stream::open(&address, &setup.token_of("u0", &["agent"])).await;
    deposit(&setup, &process).await;
    settle(&process).await;
    let before = memory(&process);
    let mut streams = vec![first];
    for n in 1..subscribers {
        streams.push(Stream::open(&address, &setup.token_of(&format!("u{n}"), &["agent"])).await);
    }
    settle(&process).await;
    let open = memory(&process);
    println!("{subscribers} subscribers: {before:.1} MiB with one, {:+.1} MiB with all", open - before);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(tell_all(&setup, &process, &mut streams).await);
    }
    times.sort();
    let after = memory(&process);
    println!(
        "the last of them told {:.0} ms after the acknowledgement (median of {ROUNDS}; at most {:.0} ms); {:+.1} MiB then",
        times[ROUNDS / 2].as_secs_f64() * 1_000.0,
        times[ROUNDS - 1].as_secs_f64() * 1_000.0,
        after - before
    );
    let megabytes = (after - before) * MIB_IN_MB;
    assert!(megabytes < MOST_MB, "{subscribers} subscribers cost {megabytes:.1} MB, more than {MOST_MB}");
    assert!(times[ROUNDS - 1] < MOST_TIME, "an event took longer than {MOST_TIME:?}");
    process.stop();
}

/// Deposits, and waits until everybody was told; gives the time from the acknowledgement to the last.
async fn tell_all(setup: &Setup, process: &Process, streams: &mut [Stream]) -> Duration {
    streams.iter_mut().for_each(|stream| stream.text.clear());
    let told = join_all(streams.iter_mut().map(|stream| stream.wait_for("event: mwi")));
    let (told, acknowledged) = tokio::join!(told, async {
        deposit(setup, process).await;
        Instant::now()
    });
    told.into_iter().max().unwrap().saturating_duration_since(acknowledged)
}

async fn provision(setup: &Setup, process: &Process, subscribers: usize) {
    let (client, token) = (reqwest::Client::new(), setup.token());
    let put = async |path: String, body: serde_json::Value| {
        let url = format!("{}/api/v1/{path}", process.api);
        let answer = client.put(url).bearer_auth(&token).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    };
    put(format!("mailboxes/{GROUP}"), json!({})).await;
    put("groups/all".into(), json!({ "mailbox": GROUP })).await;
    for n in 0..subscribers {
        put(format!("users/u{n}"), json!({ "groups": ["all"] })).await;
    }
}

async fn deposit(setup: &Setup, process: &Process) {
    let audio = reqwest::multipart::Part::bytes(speech());
    let form = reqwest::multipart::Form::new().text("caller", "+442079460123").part("audio", audio);
    let url = format!("{}/api/v1/mailboxes/{GROUP}/messages", process.api);
    let post = reqwest::Client::new().post(url).bearer_auth(setup.token()).multipart(form);
    assert_eq!(post.send().await.unwrap().status(), 201);
}

/// Until the process's memory has stood still for a second.
async fn settle(process: &Process) {
    let mut known = 0.0;
    while memory(process) > known {
        known = memory(process);
        sleep(Duration::from_secs(1)).await;
    }
}

/// Resident memory in MiB.
fn memory(process: &Process) -> f64 {
    process_facts::memory(process.child.id()).unwrap() as f64 / 1_024.0
}
