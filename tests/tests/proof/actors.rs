//! People who use the tenant, all at once, and write down what they do.

mod messages;
mod rights;

use crate::book::{Book, Message};
use crate::client::Client;
use crate::random::Random;
use crate::replicas::{Replicas, owner_of};
use anyhow::Result;
use parking_lot::{Mutex, MutexGuard};
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Mailboxes of `alice`.
const MAILBOXES: u64 = 8;
/// Callers; the first half of them is never forgotten.
const CALLERS: usize = 12;
/// From so many messages of a mailbox on, they are deleted rather than left.
const ENOUGH: usize = 120;
/// How much longer they act at most, while a kind of act is missing.
const LONGER: Duration = Duration::from_secs(60);
/// Of an actor between two acts, at most, in milliseconds.
const PAUSE: usize = 200;
/// Acts, and how often each is drawn.
pub(crate) type Acts = [(&'static str, usize); 7];
/// Of people who use voicemail.
pub(crate) const USUAL: Acts = [
    ("deposit", 34),
    ("listen", 26),
    ("list", 12),
    ("delete", 12),
    ("forward", 8),
    ("forget", 5),
    ("erase", 3),
];
/// So that a short run has enough of each.
pub(crate) const EVEN: Acts = [
    ("deposit", 30),
    ("listen", 8),
    ("list", 20),
    ("delete", 12),
    ("forward", 8),
    ("forget", 12),
    ("erase", 10),
];
/// All that is counted.
const KINDS: [&str; 8] = ["deposit", "listen", "list", "delete", "forward", "forget", "undo", "erase"];

fn mailboxes_of(scene: u64) -> impl Iterator<Item = String> {
    (1..=MAILBOXES).map(move |number| (3_000 + 100 * scene + number).to_string())
}

/// Shared by all actors and the judge.
pub(crate) struct Scene {
    pub(crate) client: Client,
    number: u64,
    acts: Acts,
    /// Of the mailboxes.
    pub(crate) owner: String,
    pub(crate) start: Instant,
    book: Mutex<Book>,
    findings: Mutex<Vec<String>>,
    done: Mutex<BTreeMap<&'static str, u64>>,
    /// The messages that a list had last, by mailbox.
    listed: Mutex<BTreeMap<String, usize>>,
    sounds: AtomicU64,
}

impl Scene {
    /// Provisions the mailboxes of one of the scenes, and their owner.
    pub(crate) async fn provision(replicas: &Replicas, number: u64) -> Result<()> {
        let mailboxes: Vec<String> = mailboxes_of(number).collect();
        for name in &mailboxes {
            replicas.any().ask("root", Method::PUT, &format!("/mailboxes/{name}"), Some(json!({}))).await?;
        }
        let (path, mine) = (format!("/users/{}", owner_of(number)), json!({ "mailboxes": mailboxes }));
        replicas.any().ask("root", Method::PUT, &path, Some(mine)).await.map(drop)
    }

    /// A scene of that number: several share a store, each with mailboxes, callers and recordings of its own. Its people ask these addresses.
    pub(crate) fn new(number: u64, urls: Vec<String>, acts: Acts) -> Result<Self> {
        Ok(Self {
            client: Client::new(urls)?,
            number,
            acts,
            owner: owner_of(number),
            start: Instant::now(),
            book: Mutex::default(),
            findings: Mutex::default(),
            done: Mutex::default(),
            listed: Mutex::default(),
            sounds: AtomicU64::new((number << 32) + 1),
        })
    }

    /// Names of all mailboxes.
    pub(crate) fn mailboxes(&self) -> Vec<String> {
        mailboxes_of(self.number).collect()
    }

    /// A caller's number.
    fn number_of(&self, caller: usize) -> String {
        format!("+44163296{:02}{caller:02}", self.number)
    }

    /// The book, for a moment.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock()
    }

    /// Something that must not be, about a message.
    pub(crate) fn find(&self, book: &Book, what: &str, message: &Message) {
        self.note(format!("{what}: {}", book.describe(message, self.start)));
    }

    /// Something that must not be.
    pub(crate) fn note(&self, finding: String) {
        self.findings.lock().push(finding);
    }

    /// All findings so far.
    pub(crate) fn findings(&self) -> Vec<String> {
        self.findings.lock().clone()
    }

    fn count(&self, kind: &'static str) {
        *self.done.lock().entry(kind).or_default() += 1;
    }

    /// How many acts were acknowledged, and how many attempts were not.
    pub(crate) fn counts(&self) -> String {
        format!("acknowledged {:?}, {} attempts repeated", self.done.lock(), self.client.repeated())
    }

    /// Whether every kind of act was acknowledged.
    pub(crate) fn covers_all_acts(&self) -> bool {
        let done = self.done.lock();
        KINDS.iter().all(|kind| done.contains_key(kind))
    }

    fn next_sound(&self) -> u64 {
        self.sounds.fetch_add(1, Ordering::SeqCst)
    }
}

/// One of them.
pub(crate) struct Actor {
    scene: Arc<Scene>,
    random: Random,
}

impl Actor {
    /// Acts as these numbers say.
    pub(crate) fn new(scene: Arc<Scene>, random: Random) -> Self {
        Self { scene, random }
    }

    /// One act after the other; the last one is ended. On a slow machine it goes on until each kind was done.
    pub(crate) async fn act_until(mut self, end: Instant) {
        let last = end + LONGER;
        while Instant::now() < end || (Instant::now() < last && !self.scene.covers_all_acts()) {
            let kind = self.draw();
            if let Err(unanswered) = self.act(kind).await {
                self.scene.note(format!("{kind} went wrong: {unanswered}"));
            }
            let pause = u64::try_from(self.random.below(PAUSE)).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn draw(&mut self) -> &'static str {
        let acts = self.scene.acts;
        let mut left = self.random.below(acts.iter().map(|(_, weight)| weight).sum());
        for (kind, weight) in acts {
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        acts[0].0
    }

    async fn act(&mut self, kind: &str) -> Result<(), String> {
        match kind {
            "deposit" => self.deposit().await,
            "listen" => self.listen().await,
            "list" => self.list().await,
            "delete" => self.delete(None).await,
            "forward" => self.forward().await,
            "forget" => self.forget_and_undo().await,
            _ => self.erase().await,
        }
    }
}
