//! The cost of MWI subscribers: `cargo bench -p voicemail-server --bench mwi`.
//!
//! One program on a volume; 1,000 members of one group follow their MWI, each on a connection of their own. Measured
//! are resident memory above that of the process with one subscriber, and how long after the acknowledgement of a deposit
//! into the group's mailbox the last member was told. `SUBSCRIBERS=n` changes the number.
//!
//! Then the same with as many open pages of the Inbox, whose people have signed in before: each follows its MWI by the session's
//! cookie, with the headers of a browser; first on connections that were opened for it, then on those by which the pages asked for
//! what they show (page, session, own mailboxes, list of messages), as browsers use their connections again. Each by a process of
//! its own.

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
use voicemail_test_machine::process_facts;

const GROUP: &str = "5000";
/// What a page asks for, before it follows its MWI.
const PAGE: [&str; 4] =
    ["/ui", "/ui/session", "/api/v1/me/mailboxes", "/api/v1/mailboxes/5000/messages?limit=100"];
/// What a browser's requests say of it.
const BROWSER: &str = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nX-Voicemail-Page: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n\
    Accept: text/event-stream\r\nAccept-Language: en-GB,en;q=0.9\r\n\
    Referer: https://voicemail.acme.example/ui/inbox/5000\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n";
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
    /// Of a program: its token says who follows.
    async fn open(address: &str, token: &str) -> Self {
        let mut stream = Self { socket: TcpStream::connect(address).await.unwrap(), text: String::new() };
        stream.follow(address, &format!("Authorization: Bearer {token}\r\n")).await;
        stream
    }

    /// Of a page, which asked for these on the same connection before.
    async fn open_page(address: &str, cookie: &str, asked: &[&str]) -> Self {
        let mut stream = Self { socket: TcpStream::connect(address).await.unwrap(), text: String::new() };
        let headers = format!("{BROWSER}Cookie: {cookie}\r\n");
        for path in asked {
            stream.ask(address, path, &headers).await;
        }
        stream.follow(address, &headers).await;
        stream
    }

    async fn send(&mut self, address: &str, path: &str, headers: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        self.socket.write_all(head.as_bytes()).await.unwrap();
    }

    async fn follow(&mut self, address: &str, headers: &str) {
        self.send(address, "/api/v1/mwi/events", headers).await;
        self.wait_for("event: state").await;
    }

    /// Reads an answer to its end.
    async fn ask(&mut self, address: &str, path: &str, headers: &str) {
        self.send(address, path, headers).await;
        while !self.text.contains("\r\n\r\n") {
            self.read().await;
        }
        let (head, body) = self.text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap_or_else(|| panic!("{path} has no length: {head}")).parse().unwrap();
        let mut left = length - body.len();
        self.text.clear();
        while left > 0 {
            self.read().await;
            left -= self.text.len();
            self.text.clear();
        }
    }

    async fn read(&mut self) {
        let mut bytes = [0; 4_096];
        let read = self.socket.read(&mut bytes).await.unwrap();
        assert!(read > 0, "the stream ended: {}", self.text);
        self.text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }

    /// Reads until that text has come; gives the moment.
    async fn wait_for(&mut self, sought: &str) -> Instant {
        loop {
            if let Some(at) = self.text.find(sought) {
                self.text.drain(..at + sought.len());
                return Instant::now();
            }
            self.read().await;
        }
    }
}

/// Who follows: a program with a token, or a page with a session.
enum Follower {
    Program { token: String },
    Page { cookie: String, asked: &'static [&'static str] },
}

impl Follower {
    async fn open(&self, address: &str) -> Stream {
        match self {
            Self::Program { token } => Stream::open(address, token).await,
            Self::Page { cookie, asked } => Stream::open_page(address, cookie, asked).await,
        }
    }
}

#[tokio::main]
async fn main() {
    let count: usize = std::env::var("SUBSCRIBERS").map_or(1_000, |text| text.parse().unwrap());
    let limit = Rlimit { current: getrlimit(Resource::Nofile).maximum, ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut passed = Vec::new();
    passed.extend(measure("subscribers", count, None).await);
    passed.extend(measure("pages, streams on connections of their own", count, Some(&[])).await);
    passed.extend(measure("pages, streams on the pages' connections", count, Some(&PAGE)).await);
    assert!(passed.is_empty(), "{}", passed.join("; "));
}

/// Of programs, or of pages that asked for these before; gives the limits that were passed.
async fn measure(name: &str, count: usize, pages: Option<&'static [&'static str]>) -> Vec<String> {
    let setup = Setup::new();
    let lines: String = (0..count).map(|n| format!("u{n}:{}:agent:u{n}\n", setup.hash())).collect();
    setup.serve_pages(&lines);
    let mut process = Process::start(&setup);
    process.wait_for("open");
    provision(&setup, &process, count).await;
    let address = process.api.trim_start_matches("http://").to_owned();
    let mut followers = Vec::new();
    for user in (0..count).map(|n| format!("u{n}")) {
        followers.push(match pages {
            None => Follower::Program { token: setup.token_of(&user, &["agent"]) },
            Some(asked) => Follower::Page { cookie: process.sign_in(&user).await, asked },
        });
    }
    let mut streams = vec![followers[0].open(&address).await];
    deposit(&setup, &process).await;
    settle(&process).await;
    let before = memory(&process);
    for follower in followers.iter().skip(1) {
        streams.push(follower.open(&address).await);
    }
    settle(&process).await;
    let open = memory(&process);
    println!("{count} {name}: {before:.1} MiB with one, {:+.1} MiB with all", open - before);
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
    process.stop();
    let megabytes = (after - before) * MIB_IN_MB;
    let costs = format!("{count} {name} cost {megabytes:.1} MB, more than {MOST_MB}");
    let late = format!("{name}: an event took longer than {MOST_TIME:?}");
    let passed = [(megabytes >= MOST_MB, costs), (times[ROUNDS - 1] >= MOST_TIME, late)];
    passed.into_iter().filter(|(passed, _)| *passed).map(|(_, words)| words).collect()
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
