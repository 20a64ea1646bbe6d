//! The memory cost of right PINs: `cargo bench -p voicemail-server --bench pins`.
//!
//! The program serves; clients check PINs by HTTP, as many at a time as a busy media server does, 600 in all. Resident memory
//! is read from `/proc`: its highest value, and again after a minute without a request. The bench fails above its bounds,
//! which leave a pod's limit of 256 MiB room for everything else.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench fails by panicking"
)]

#[path = "../tests/served/mod.rs"]
mod served;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use served::{Process, Setup};
use std::time::{Duration, Instant};
use voicemail_test_machine::process_facts::{memory, peak_memory};

const PINS: usize = 600;
const AT_ONCE: usize = 16;
const MAILBOXES: usize = 20;
const PIN: &str = "739154";
const MOST_AT_PEAK: f64 = 100.0;
const MOST_AFTERWARDS: f64 = 60.0;
const MINUTE: Duration = Duration::from_secs(60);

/// One program that serves, and its client.
struct Served {
    process: Process,
    client: reqwest::Client,
    token: String,
}

impl Served {
    fn start(setup: &Setup) -> Self {
        let mut process = Process::start(setup);
        process.wait_for("open");
        Self { process, client: reqwest::Client::new(), token: setup.token() }
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Value) {
        let url = format!("{}/api/v1/mailboxes/{path}", self.process.api);
        let sent = self.client.request(method, url).bearer_auth(&self.token).json(&body).send();
        let answer = sent.await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    async fn provision(&self, mailbox: &str) {
        self.send(reqwest::Method::PUT, mailbox, json!({})).await;
        self.send(reqwest::Method::PUT, &format!("{mailbox}/pin"), json!({ "pin": PIN })).await;
    }

    /// In MiB, as that tells it in KiB.
    fn memory(&self, told: fn(u32) -> anyhow::Result<u64>) -> f64 {
        told(self.process.child.id()).unwrap() as f64 / 1_024.0
    }
}

#[tokio::main]
async fn main() {
    let setup = Setup::new();
    setup.write_config(&setup.example());
    let served = Served::start(&setup);
    let idle = served.memory(memory);
    let name = |n: usize| (1_001 + n % MAILBOXES).to_string();
    for n in 0..MAILBOXES {
        served.provision(&name(n)).await;
    }
    let began = Instant::now();
    let served = &served;
    let checks = (0..PINS).map(|n| async move {
        served.send(reqwest::Method::POST, &format!("{}/pin/verify", name(n)), json!({ "pin": PIN })).await;
    });
    stream::iter(checks).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    let (took, peak) = (began.elapsed(), served.memory(peak_memory));
    tokio::time::sleep(MINUTE).await;
    let afterwards = served.memory(memory);
    println!(
        "idle {idle:.1} MiB; {PINS} right PINs, {AT_ONCE} at a time, in {:.1} s: at most {peak:.1} MiB, a minute later \
         {afterwards:.1} MiB",
        took.as_secs_f64()
    );
    assert!(peak <= MOST_AT_PEAK, "at most {MOST_AT_PEAK} MiB were to be taken");
    assert!(afterwards <= MOST_AFTERWARDS, "at most {MOST_AFTERWARDS} MiB were to be kept");
}
