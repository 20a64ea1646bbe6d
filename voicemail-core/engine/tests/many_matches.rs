//! Many messages of one caller: forgotten after the answer, and erased in parts, with the progress shown meanwhile. By virtual time over the
//! in-memory store, of which every call takes 30 ms and no more than 64 are under way.
//!
//! A request that goes on after its answer has two due items, each of which makes half of the calls that there may be. They are never left
//! without being polled while the sweeper waits for a place of its own. `BOXES=500` erases a hundred thousand, and prints how much memory the process took more.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::RunState;
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

/// Forgets and erases all of them; gives what was seen meanwhile, and how much memory the process took more, at most.
async fn erase(boxes: usize) -> (Seen, u64) {
    let (site, requests) = site_with(boxes).await;
    site.let_time_go();
    requests.switch(true);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, mut seen) = (status("VmRSS:"), Seen::default());
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
    (seen, status("VmHWM:").saturating_sub(before))
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_are_erased_in_parts_and_shown_meanwhile() {
    let boxes = std::env::var("BOXES").map_or(50, |boxes| boxes.parse().unwrap());
    let (seen, grown) = erase(boxes).await;
    let messages = boxes * IN_EACH;
    println!("{messages} messages: {grown} MiB more, {} states of the progress", seen.progress.len());
    assert!(seen.largest_part <= PART, "a manifest names {} messages", seen.largest_part);
    assert!(seen.progress.len() > messages / PART / 2, "the progress was {:?}", seen.progress);
}
