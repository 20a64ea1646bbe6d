//! What privacy officers wait for: exports, requests to forget, and erasures after their window.

use crate::Row;
use crate::bare;
use crate::scene::{Scene, ms, names, speech};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::servers::voicemail_core::PASSWORD;

/// Of each caller's messages.
const MAILBOXES: usize = 20;
/// 600 of them are 24 MB.
const LONG: usize = 5;
const SHORT: usize = 1;
/// An erasure of ten thousand, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// All of it at that distance.
pub(crate) async fn measure(scene: &Scene, round_trip: Duration) -> Result<()> {
    for messages in [50, 600] {
        export(scene, round_trip, messages).await?;
    }
    for messages in [50, 600, 1_100] {
        forget(scene, round_trip, messages).await?;
    }
    for messages in [50, 600] {
        measure_erasure(scene, round_trip, messages, MAILBOXES).await?;
    }
    Ok(())
}

/// A caller whose messages are there, on both sides.
struct Subject {
    name: String,
    caller: String,
    size: (usize, usize),
}

impl Subject {
    async fn leave(
        scene: &Scene,
        kind: u8,
        round_trip: Duration,
        size: (usize, usize),
        seconds: usize,
    ) -> Result<Self> {
        let name = format!("{kind}{:03}{:05}", round_trip.as_millis(), size.0);
        let caller = format!("+441632{kind}{:03}{:02}", round_trip.as_millis() % 1_000, size.0 / 50 % 100);
        let boxes = names(&name, size.1);
        scene.open_mailboxes(&boxes).await?;
        scene.leave(&boxes, &caller, (size.0, seconds)).await?;
        bare::leave(scene.bare.as_ref(), &name, size, &Bytes::from(speech(seconds))).await?;
        Ok(Self { name, caller, size })
    }

    fn body(&self, window: &str) -> Value {
        json!({ "caseid": self.name, "consumers": [{ "phone": [&self.caller] }], "undoWindow": window })
    }

    /// The case's latest run.
    async fn run(&self, scene: &Scene) -> Result<Value> {
        let case =
            scene.core.ask("officer", Method::GET, &format!("/gdpr/cases/{}", self.name), None).await?;
        Ok(case["runs"].as_array().and_then(|runs| runs.last()).context("no run")?.clone())
    }

    async fn wait(&self, scene: &Scene, state: &str) -> Result<Value> {
        poll(PATIENCE, async || {
            let run = self.run(scene).await?;
            ensure!(run["state"] == state, "the run is {} and not {state}", run["state"]);
            Ok(run)
        })
        .await
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of requests")]
async fn answer(
    scene: &Scene,
    (what, path): (&str, &str),
    subject: &Subject,
    body: Value,
    bares: impl Future<Output = Result<()>>,
) -> Result<Value> {
    let before = (scene.ours.requests()?, scene.bares.requests()?);
    let (ours, answer) = scene.time("officer", Method::POST, path, Some(body)).await?;
    let begun = Instant::now();
    bares.await?;
    let bare = ms(begun);
    let requests = ((scene.ours.requests()? - before.0) as f64, (scene.bares.requests()? - before.1) as f64);
    let late = if answer["run"]["state"] == "marking" { " (goes on after the answer)" } else { "" };
    let what =
        format!("{what} is answered, {} messages in {} mailboxes{late}", subject.size.0, subject.size.1);
    Row { what, unit: "ms", ours, bare, requests }.print();
    Ok(answer)
}

async fn export(scene: &Scene, round_trip: Duration, messages: usize) -> Result<()> {
    let seconds = if messages > 50 { LONG } else { SHORT };
    let subject = Subject::leave(scene, 5, round_trip, (messages, MAILBOXES), seconds).await?;
    scene.go_far(round_trip)?;
    let bares = bare::find(scene.bare.as_ref(), &subject.name, subject.size);
    answer(scene, ("an export", "/gdpr/exportme"), &subject, subject.body("24h"), bares).await?;
    subject.wait(scene, "ready").await?;
    fetch(scene, &subject).await?.print();
    scene.go_far(Duration::ZERO)?;
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts of bytes and requests")]
async fn fetch(scene: &Scene, subject: &Subject) -> Result<Row> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{}/gdpr/cases/{}/export", scene.core.url(), subject.name);
    let before = (scene.ours.requests()?, scene.bares.requests()?);
    let begun = Instant::now();
    let answer = http.get(url).basic_auth("officer", Some(PASSWORD)).send().await?.error_for_status()?;
    let bytes = answer.bytes().await?.len();
    let ours = bytes as f64 / 1e6 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let read = bare::fetch(scene.bare.as_ref(), &subject.name, subject.size.0).await?;
    let bare = read as f64 / 1e6 / begun.elapsed().as_secs_f64();
    ensure!(bytes > read, "the archive has {bytes} bytes, and the recordings have {read}");
    let requests = ((scene.ours.requests()? - before.0) as f64, (scene.bares.requests()? - before.1) as f64);
    let what = format!("an export is fetched, {} messages, {:.0} MB", subject.size.0, read as f64 / 1e6);
    Ok(Row { what, unit: "MB/s", ours, bare, requests })
}

async fn forget(scene: &Scene, round_trip: Duration, messages: usize) -> Result<()> {
    let subject = Subject::leave(scene, 6, round_trip, (messages, MAILBOXES), SHORT).await?;
    scene.go_far(round_trip)?;
    let bares = bare::find(scene.bare.as_ref(), &subject.name, subject.size);
    answer(scene, ("a request to forget", "/gdpr/forgetme"), &subject, subject.body("24h"), bares).await?;
    subject.wait(scene, "marked").await?;
    scene.go_far(Duration::ZERO)?;
    Ok(())
}

/// An erasure of that many, at 30 ms: of more than a thousand in a hundred mailboxes.
pub(crate) async fn measure_erasure_alone(scene: &Scene, messages: u64) -> Result<()> {
    let messages = usize::try_from(messages)?;
    let mailboxes = if messages > 1_000 { 100 } else { MAILBOXES };
    measure_erasure(scene, Duration::from_millis(30), messages, mailboxes).await
}

/// From the end of the window, or of the hiding if that was later, to the end of the run, by the times that the core wrote
/// down. The requests are those of the time between: a look at the case each 50 ms is among them.
#[allow(clippy::cast_precision_loss, reason = "counts of requests")]
async fn measure_erasure(
    scene: &Scene,
    round_trip: Duration,
    messages: usize,
    mailboxes: usize,
) -> Result<()> {
    let subject = Subject::leave(scene, 7, round_trip, (messages, mailboxes), SHORT).await?;
    scene.go_far(round_trip)?;
    scene.time("officer", Method::POST, "/gdpr/forgetme", Some(subject.body("0s"))).await?;
    let before = scene.ours.requests()?;
    let run = subject.wait(scene, "purged").await?;
    let made = (scene.ours.requests()? - before) as f64;
    let at = |name: &str| {
        run[name].as_str().with_context(|| format!("no {name}"))?.parse::<Timestamp>().context("a time")
    };
    let due = at("purgeAt")?.max(at("markedAt")?);
    let ours = (at("endedAt")? - due).total(jiff::Unit::Millisecond)?;
    let (before, begun) = (scene.bares.requests()?, Instant::now());
    bare::erase(scene.bare.as_ref(), &subject.name, subject.size).await?;
    let (bare, bares) = (ms(begun), (scene.bares.requests()? - before) as f64);
    let what = format!("erased after the window, {messages} messages in {mailboxes} mailboxes");
    Row { what, unit: "ms", ours, bare, requests: (made, bares) }.print();
    scene.go_far(Duration::ZERO)?;
    Ok(())
}
