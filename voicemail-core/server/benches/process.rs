//! The cost of the program as a process: `cargo bench -p voicemail-server --bench process`.
//!
//! 1. Resident memory while 200 clients upload three minutes of G.711 each at the same time, above what the idle
//!    process takes: on a volume, and on an S3 server with a budget for uploads.
//! 2. From start to readiness on a store of 1,000,000 messages in 5,000 mailboxes, and on an empty one, in turn. The
//!    big store is grown from one mailbox that the program itself filled: its files are written again under other
//!    mailboxes' names. `MESSAGES=n` makes it smaller, `MEMORY_ONLY` and `START_ONLY` leave the
//!    other half out.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench fails by panicking"
)]

mod grown;
#[path = "../tests/served/mod.rs"]
mod served;

use futures::future::join_all;
use grown::Template;
use serde_json::{Value, json};
use served::{Process, Setup, wav_header};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use voicemail_test_machine::process_facts::{memory, peak_memory};
use voicemail_test_machine::servers::{Minio, loopback};
use voicemail_test_stores::object_stores::ObjectPlace;

const CLIENTS: usize = 200;
const SECONDS: usize = 180;
const CHUNK: usize = 16_000;
const PACE: Duration = Duration::from_millis(30);
const BUDGET_MIB: u64 = 64;
const PER_MAILBOX: usize = 200;
const FIRST: u32 = 100_000;
const STARTS: usize = 7;

#[tokio::main]
async fn main() {
    if std::env::var_os("START_ONLY").is_some() {
        return measure_start().await;
    }
    for (manner, pace) in [("as they are spoken, in haste", PACE), ("as fast as they can", Duration::ZERO)] {
        let setup = Setup::new();
        configure(&setup, None);
        measure_memory(&format!("volume, {manner}"), &setup, pace).await;
    }
    let server = Minio::start(loopback()).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "bench").await.unwrap();
    let setup = Setup::new();
    configure(&setup, Some(&place));
    measure_memory(&format!("S3, budget {BUDGET_MIB} MiB"), &setup, PACE).await;
    drop(server);
    if std::env::var_os("MEMORY_ONLY").is_none() {
        measure_start().await;
    }
}

fn configure(setup: &Setup, place: Option<&ObjectPlace>) {
    let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
    config["classesOfService"][0]["maxMessages"] = json!(CLIENTS.max(PER_MAILBOX) + 1);
    config["uploadBufferMib"] = json!(BUDGET_MIB);
    if let Some(place) = place {
        config["regions"][0]["storage"] = serde_json::to_value(&place.storage).unwrap();
    }
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
}

/// One program that serves, and what its clients need.
struct Served {
    process: Process,
    token: String,
}

impl Served {
    fn start(setup: &Setup) -> Self {
        let mut process = Process::start(setup);
        process.wait_for("open");
        Self { process, token: setup.token() }
    }

    async fn provision(&self, mailbox: &str) {
        let url = format!("{}/api/v1/mailboxes/{mailbox}", self.process.api);
        let put = reqwest::Client::new().put(url).bearer_auth(&self.token).json(&json!({}));
        assert!(put.send().await.unwrap().status().is_success());
    }

    /// Sends a recording chunk by chunk, and waits for the acknowledgement.
    async fn upload(&self, mailbox: &str, samples: usize, caller: usize, pace: Duration) {
        let address = self.process.api.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let before = format!(
            "--b\r\nContent-Disposition: form-data; name=\"caller\"\r\n\r\n+4420794600{caller:02}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"audio\"\r\n\r\n"
        );
        let (after, wav) = ("\r\n--b--\r\n", wav_header(samples));
        let length = before.len() + wav.len() + samples + after.len();
        let head = format!(
            "POST /api/v1/mailboxes/{mailbox}/messages HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary=b\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{before}",
            self.token
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&wav).await.unwrap();
        let silence = [0xd5; CHUNK];
        for start in (0..samples).step_by(CHUNK) {
            stream.write_all(&silence[..CHUNK.min(samples - start)]).await.unwrap();
            tokio::time::sleep(pace).await;
        }
        stream.write_all(after.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    /// In MiB, as that tells it in KiB.
    fn memory(&self, told: fn(u32) -> anyhow::Result<u64>) -> f64 {
        told(self.process.child.id()).unwrap() as f64 / 1_024.0
    }
}

async fn measure_memory(kind: &str, setup: &Setup, pace: Duration) {
    let served = Served::start(setup);
    served.provision("1001").await;
    served.upload("1001", 8_000, 0, Duration::ZERO).await;
    let idle = served.memory(memory);
    let began = Instant::now();
    let uploads = (0..CLIENTS).map(|n| served.upload("1001", SECONDS * 8_000, n % 100, pace));
    join_all(uploads).await;
    let (peak, took) = (served.memory(peak_memory), began.elapsed());
    println!(
        "{kind}: idle {idle:.1} MiB; {CLIENTS} concurrent uploads of {SECONDS} s: at most {peak:.1} MiB, {:+.1} MiB, \
         in {:.1} s",
        peak - idle,
        took.as_secs_f64()
    );
}

async fn measure_start() {
    let messages: usize = std::env::var("MESSAGES").map_or(1_000_000, |text| text.parse().unwrap());
    let (empty, full) = (Setup::new(), Setup::new());
    for setup in [&empty, &full] {
        configure(setup, None);
    }
    fill_template(&full).await;
    let began = Instant::now();
    let template = Template { first: FIRST, messages: PER_MAILBOX };
    let files = template.grow(&full.path().join("store"), messages / PER_MAILBOX);
    println!("a store of {messages} messages made, {files} files, in {:.0} s", began.elapsed().as_secs_f64());
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        without.push(time_start(&empty));
        with.push(time_start(&full));
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    println!(
        "from start to ready: empty store {:.1} ms, {messages} messages {:.1} ms (medians of {STARTS} in turn)",
        median(&mut without),
        median(&mut with)
    );
}

fn time_start(setup: &Setup) -> f64 {
    let began = Instant::now();
    let served = Served::start(setup);
    let took = began.elapsed();
    served.process.stop();
    took.as_secs_f64() * 1_000.0
}

/// A mailbox as the program makes it.
async fn fill_template(setup: &Setup) {
    let (served, name) = (Served::start(setup), FIRST.to_string());
    served.provision(&name).await;
    for n in 0..PER_MAILBOX {
        served.upload(&name, 1_000, n % 10, Duration::ZERO).await;
    }
    served.process.stop();
}
