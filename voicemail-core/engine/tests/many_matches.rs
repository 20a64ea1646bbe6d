//! Many messages of one caller: forgotten after the answer, and erased in parts, with the progress shown meanwhile. By virtual time over the
//! in-memory store, of which every call takes 30 ms and no more than 64 are under way.
//!
//! A request that goes on after its answer has two due items, each of which makes half of the calls that there may be. They are never left
//! without being polled while the sweeper waits for a place of its own. They are made one after the other.
//!
//! Memory is what the process took more than before the request, when the store was full; the store gets smaller from then
//! on, but for the flags in its indexes. `BOXES=500` measures with a hundred thousand messages.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::{GdprBody, RunState};
use voicemail_engine::sweep::Sweeper;
use voicemail_engine::testing::{CALLER, Requests, START, Site, body, hash, mailbox};
use voicemail_model::{AudioKey, Envelope, Index, Manifest, MessageId};
use voicemail_store::codec::{decode_envelope, encode};
use voicemail_store::documents::{Decision, Documents};
use voicemail_store::{Key, parse_envelope};

const IN_EACH: usize = 200;
/// Of a round.
const PART: usize = 1_000;

fn name_of(number: usize) -> String {
    format!("3{number:04}")
}

/// The envelope of a message that was deposited.
async fn pattern(site: &Site) -> Envelope {
    site.deposit("1001", CALLER).await;
    let keys: Vec<String> = site.store.list("ca/").try_collect().await.unwrap();
    let key = keys.iter().find(|key| parse_envelope(key).is_some()).unwrap();
    decode_envelope(&site.store.get(&Key::listed(key).unwrap()).await.unwrap().unwrap()).unwrap()
}

/// A mailbox with messages, written as deposits would have left them.
async fn fill(site: &Site, documents: &Documents, pattern: &Envelope, number: usize) {
    let (name, caller) = (mailbox(&name_of(number)), hash(CALLER));
    site.core.directory.put_mailbox(&name, None, None).await.unwrap();
    let mut entries = BTreeMap::new();
    for message in 0..IN_EACH {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&(number * IN_EACH + message).to_be_bytes());
        let id = MessageId::new(START, &random);
        let audio = AudioKey::new(&name, id, &caller, START, "a1");
        let envelope = Envelope { audio: audio.clone(), received: START, ..pattern.clone() };
        let bytes = stream::once(async { Ok(Bytes::from_static(b"audio")) }).boxed();
        site.store.put(&Key::audio(&audio), bytes).await.unwrap();
        site.store.create(&Key::envelope(&caller, &name, id), encode(&envelope).unwrap()).await.unwrap();
        entries.insert(id, envelope.entry(caller.clone(), BTreeMap::new(), START));
    }
    let put = |index: Option<Index>, _| {
        let mut index = index.unwrap_or_default();
        for (id, entry) in &entries {
            index.entries.insert(*id, entry.clone());
        }
        Decision::Write(index, ())
    };
    documents.update(&Key::index(&name), put).await.unwrap();
}

async fn site_with(boxes: usize) -> (Site, Arc<Requests>) {
    let (site, requests) = Site::in_memory_and_slow().await;
    let pattern = pattern(&site).await;
    let documents = Documents::new(Arc::clone(&site.store), site.world());
    for number in 0..boxes {
        fill(&site, &documents, &pattern, number).await;
    }
    (site, requests)
}

/// A line of the process's status, in MiB.
fn status(line: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = text.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    found.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1_024
}

/// What somebody sees who looks at the request every few seconds.
#[derive(Default)]
struct Seen {
    progress: BTreeSet<u64>,
    largest_part: usize,
}

impl Seen {
    async fn look(&mut self, site: &Site) -> RunState {
        let run = site.core.gdpr.case(&"c".parse().unwrap()).await.unwrap().runs[0].clone();
        self.progress.insert(run.erased);
        let keys: Vec<String> = site.store.list("gdpr/c/").try_collect().await.unwrap();
        for key in keys.iter().filter(|key| key.contains(".manifest.")) {
            let Some(bytes) = site.store.get(&Key::listed(key).unwrap()).await.unwrap() else { continue };
            let manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
            let items = manifest.items.values().map(Vec::len).sum();
            self.largest_part = self.largest_part.max(items);
        }
        run.state
    }
}

/// Measures from here on.
fn begin_measuring() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    status("VmRSS:")
}

/// Says how much memory the process took more, at most.
fn say_memory(before: u64) {
    println!("{MORE}{}", status("VmHWM:").saturating_sub(before));
}

const MORE: &str = "MiB more: ";

/// Forgets and erases all of them; gives what was seen meanwhile.
async fn erase(boxes: usize) -> Seen {
    let (site, requests) = site_with(boxes).await;
    site.let_time_go();
    requests.switch(true);
    let (before, mut seen) = (begin_measuring(), Seen::default());
    site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap();
    let sweeper = Sweeper::new(site.core.context.clone(), site.core.gdpr.clone());
    let watching = async {
        while seen.look(&site).await != RunState::Purged {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    tokio::select! {
        () = sweeper.run() => unreachable!("it never ends"),
        () = watching => {}
        () = tokio::time::sleep(Duration::from_secs(3_600)) => panic!("nothing goes on any more, or it takes longer than an hour"),
    }
    say_memory(before);
    seen
}

/// Mailboxes that a test is about.
fn boxes() -> usize {
    std::env::var("MAILBOXES").map_or(50, |boxes| boxes.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_are_erased_in_parts_and_shown_meanwhile() {
    let (seen, messages) = (erase(boxes()).await, boxes() * IN_EACH);
    assert!(seen.largest_part <= PART, "a manifest names {} messages", seen.largest_part);
    assert!(seen.progress.len() > messages / PART / 2, "the progress was {:?}", seen.progress);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_are_counted_by_a_dry_run() {
    let (site, _) = site_with(boxes()).await;
    let before = begin_measuring();
    let dry = GdprBody { dry_run: true, ..body("c", Some(CALLER), 0) };
    let answer = site.core.gdpr.forget(dry).await.unwrap();
    say_memory(before);
    // One was deposited for a pattern.
    let messages = boxes() * IN_EACH + 1;
    assert_eq!(answer.run.matched, messages as u64);
    assert_eq!(answer.consumers[CALLER].as_array().unwrap().len(), messages);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_are_hidden_and_shown_again() {
    let (site, _) = site_with(boxes()).await;
    let before = begin_measuring();
    site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap();
    let last = name_of(boxes() - 1);
    assert!(site.index(&last).await.entries.values().all(|entry| !entry.forget.is_empty()));
    let undone = site.core.gdpr.undo(body("c", None, 0)).await.unwrap();
    say_memory(before);
    assert_eq!(undone.run.state, RunState::Undone);
    assert!(site.index(&last).await.entries.values().all(|entry| entry.forget.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_are_exported() {
    let (site, _) = site_with(boxes()).await;
    let before = begin_measuring();
    let answer = site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap();
    let messages = boxes() * IN_EACH + 1;
    assert_eq!((answer.run.state, answer.run.exported), (RunState::Ready, messages as u64));
    let archive = site.core.gdpr.export_archive(&"c".parse().unwrap()).await.unwrap();
    let bytes = archive.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) }).await.unwrap();
    say_memory(before);
    assert!(bytes > messages * 1_024, "{bytes}");
}

/// The memory that one of these tests takes more, in MiB; in a process of its own, where nothing was freed before.
fn measure(test: &str, boxes: usize) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("MAILBOXES", boxes.to_string());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{test}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let said = text.lines().find_map(|line| line.split_once(MORE));
    assert!(said.is_some(), "{test} said nothing of its memory: {text}");
    said.unwrap().1.trim().parse().unwrap()
}

/// Indexes that are kept decoded are as many as they ever are with the smaller number.
#[test]
fn memory_doesnt_grow_with_the_number_of_messages() {
    const SMALL: usize = 100;
    // For each 20,000 messages; envelopes that are all held take twice as much.
    const MORE_AT_MOST: u64 = 24;
    let large: usize = std::env::var("BOXES").map_or(200, |boxes| boxes.parse().unwrap());
    let more = large.saturating_sub(SMALL).div_ceil(100) as u64;
    let mut grown = Vec::new();
    for test in [
        "ten_thousand_messages_are_erased_in_parts_and_shown_meanwhile",
        "ten_thousand_messages_are_counted_by_a_dry_run",
        "ten_thousand_messages_are_hidden_and_shown_again",
        "ten_thousand_messages_are_exported",
    ] {
        let (few, many) = std::thread::scope(|scope| {
            let few = scope.spawn(|| measure(test, SMALL));
            let many = measure(test, large);
            (few.join().unwrap(), many)
        });
        println!("{test}: {few} MiB of {}, {many} MiB of {}", SMALL * IN_EACH, large * IN_EACH);
        grown.push((test, few, many));
    }
    let flat = |(_, few, many): &(&str, u64, u64)| *many <= few + MORE_AT_MOST * more;
    assert!(grown.iter().all(flat), "MiB of {SMALL} and of {large} mailboxes: {grown:#?}");
}
