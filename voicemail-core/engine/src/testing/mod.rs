//! A tenant on any store with a clock and randomness of the test's own, for tests of tools that look at
//! whole stores: the services fill it, the test damages or ages it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "for tests alone: names say what things are, and a panic fails the test"
)]

mod clocked;
mod pieces;
mod slow;
mod switched;
mod tree;

use crate::context::Context;
use crate::core::tool::{Access, open_on};
use crate::core::{Core, TenantKeys};
use crate::gdpr::ReceiptKey;
use crate::mailbox::{DepositRequest, Finisher, Insertion, MailboxError};
use crate::sweep::Sweeper;
use clocked::Clocked;
use futures::future::BoxFuture;
pub use pieces::{ISSUER, RECEIPT_KEY, body, config, hash, key, mailbox, officer, recording};
pub use slow::{Cost, Requests, Slow, TICK, ticks};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
pub use switched::{Broken, Switch, Switched};
pub use tree::{Tree, is_document, load_tree};
use voicemail_api::config::TenantConfig;
use voicemail_model::clock::{Surroundings, World};
use voicemail_model::{CallerHash, CallerId, Entry, Envelope, Index, MessageId, Time};
use voicemail_store::documents::Documents;
use voicemail_store::memory::MemoryStore;
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{Family, Key, Store};

/// Where the test's clock starts: 2026-09-21T14:13:20Z.
pub const START: Time = Time(1_790_000_000_000);
pub const CALLER: &str = "+442079460001";
pub const OTHER_CALLER: &str = "+442079460002";

/// A clock that stands until it is moved, and a count in place of randomness.
pub struct Clock {
    now: AtomicI64,
    /// How far the wall clock, and the files' with it, is off; none: it can't be.
    jumped: Mutex<Option<i64>>,
    /// Since when it goes with tokio's; none: it stands.
    going: Mutex<Option<tokio::time::Instant>>,
    drawn: AtomicU64,
}

impl Clock {
    fn standing_at(now: Time) -> Self {
        let drawn = AtomicU64::new(now.0.unsigned_abs());
        Self { now: AtomicI64::new(now.0), jumped: Mutex::default(), going: Mutex::default(), drawn }
    }

    fn read(&self) -> i64 {
        let gone = self.going.lock().unwrap().map(|since| since.elapsed()).unwrap_or_default();
        self.now.load(Ordering::SeqCst) + i64::try_from(gone.as_millis()).unwrap()
    }
}

struct Hands(Arc<Clock>);

/// Surroundings whose clock never moves.
pub fn still_world() -> World {
    World::new(Hands(Arc::new(Clock::standing_at(START))))
}

impl Surroundings for Hands {
    fn now(&self) -> Time {
        let jumped = self.0.jumped.lock().unwrap().unwrap_or_default();
        Time(self.0.read() + jumped)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.read()).unwrap())
    }

    fn may_jump(&self) -> bool {
        self.0.jumped.lock().unwrap().is_some()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        let drawn = self.0.drawn.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        let pattern = drawn.iter().rev().chain([0x5a].iter()).cycle();
        buffer.iter_mut().zip(pattern).for_each(|(byte, value)| *byte = *value);
    }
}

/// A tenant with mailboxes 1001 and 1002.
pub struct Site {
    pub clock: Arc<Clock>,
    pub store: Arc<dyn Store>,
    pub core: Core,
    pub config: TenantConfig,
}

fn keys() -> TenantKeys {
    TenantKeys { tenant: key(), receipt: ReceiptKey::from_pem(RECEIPT_KEY).unwrap() }
}

impl Site {
    pub async fn in_memory() -> Self {
        Self::start(|world| Arc::new(MemoryStore::new(world))).await
    }

    /// In memory, where superseded states of documents stay until they are pruned.
    pub async fn in_memory_with_history() -> (Self, Arc<MemoryStore>) {
        let mut memory = None;
        let make = |world: World| -> Arc<dyn Store> {
            let store = Arc::new(MemoryStore::new(world).with_history());
            memory = Some(Arc::clone(&store));
            store
        };
        let site = Self::start(make).await;
        (site, memory.unwrap())
    }

    /// In memory, with something that a test can break.
    pub async fn in_memory_with_switch() -> (Self, Arc<Switch>) {
        let switch = Arc::new(Switch::default());
        let of_store = Arc::clone(&switch);
        let make = move |world: World| -> Arc<dyn Store> {
            let memory = Arc::new(MemoryStore::new(world.clone()));
            Arc::new(Switched(Arc::new(Clocked(memory, world)), of_store))
        };
        (Self::open_over(START, make).await.furnish().await, switch)
    }

    /// In memory, where every call takes a tick of virtual time while that is switched on, and is counted.
    pub async fn in_memory_and_slow() -> (Self, Arc<Requests>) {
        let requests = Arc::new(Requests::default());
        let of_store = Arc::clone(&requests);
        let make = move |world: World| -> Arc<dyn Store> {
            let memory = Arc::new(MemoryStore::new(world.clone()));
            Arc::new(Slow(Arc::new(Clocked(memory, world)), of_store))
        };
        (Self::open_over(START, make).await.furnish().await, requests)
    }

    pub async fn on_volume(folder: &Path) -> Self {
        Self::start(|_| Arc::new(VolumeStore::new(folder, "t", LockProbe(Vec::new())))).await
    }

    async fn start(make: impl FnOnce(World) -> Arc<dyn Store>) -> Self {
        Self::open_at(START, make).await.furnish().await
    }

    async fn furnish(self) -> Self {
        for name in ["1001", "1002"] {
            self.core.directory.put_mailbox(&mailbox(name), None, None).await.unwrap();
        }
        self
    }

    /// On a store that may hold a tenant already, with a clock that stands at that time.
    pub async fn open_at(now: Time, make: impl FnOnce(World) -> Arc<dyn Store>) -> Self {
        Self::open_over(now, |world| Arc::new(Clocked(make(world.clone()), world))).await
    }

    async fn open_over(now: Time, make: impl FnOnce(World) -> Arc<dyn Store>) -> Self {
        let clock = Arc::new(Clock::standing_at(now));
        let world = World::new(Hands(Arc::clone(&clock)));
        let store = make(world.clone());
        let regions = BTreeMap::from([("r".to_owned(), Arc::clone(&store))]);
        let config = config();
        let core = Core::open_on(&config, keys(), regions, world).await.unwrap();
        Self { clock, store, core, config }
    }

    pub fn world(&self) -> World {
        World::new(Hands(Arc::clone(&self.clock)))
    }

    pub fn now(&self) -> Time {
        self.world().now()
    }

    pub fn pass_time(&self, duration: Duration) {
        self.clock.now.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// From now on the clock goes, with tokio's.
    pub fn let_time_go(&self) {
        *self.clock.going.lock().unwrap() = Some(tokio::time::Instant::now());
    }

    /// From now on the wall clock is a machine's, and wrong by so much.
    pub fn jump(&self, ms: i64) {
        *self.clock.jumped.lock().unwrap() = Some(ms);
    }

    pub fn clock_to(&self, time: Time) {
        self.clock.now.store(time.0, Ordering::SeqCst);
    }

    /// The same tenant with a second region, `s`, which can be switched off; and a core that serves there.
    pub async fn with_region(&mut self) -> (Core, Arc<Switch>) {
        let switch = Arc::new(Switch::default());
        let memory = Arc::new(MemoryStore::new(self.world()));
        let second: Arc<dyn Store> =
            Arc::new(Switched(Arc::new(Clocked(memory, self.world())), Arc::clone(&switch)));
        let mut region = self.config.regions[0].clone();
        (region.name, region.master) = ("s".into(), false);
        self.config.regions.push(region);
        let regions = BTreeMap::from([("r".to_owned(), Arc::clone(&self.store)), ("s".to_owned(), second)]);
        self.core = Core::open_on(&self.config, keys(), regions.clone(), self.world()).await.unwrap();
        let there = TenantConfig { region: "s".into(), ..self.config.clone() };
        (Core::open_on(&there, keys(), regions, self.world()).await.unwrap(), switch)
    }

    /// Puts another configuration of the data-subject rights in force.
    pub fn configure(&self, change: impl FnOnce(&mut voicemail_api::config::GdprConfig)) {
        let mut config = self.core.context.config().as_ref().clone();
        change(&mut config.gdpr);
        self.core.context.reload(config);
    }

    /// A message of a second, acknowledged.
    pub async fn deposit(&self, name: &str, caller: &str) -> MessageId {
        self.try_deposit(name, caller).await.unwrap()
    }

    pub async fn try_deposit(&self, name: &str, caller: &str) -> Result<MessageId, MailboxError> {
        deposit_at(&self.core, name, caller).await
    }

    /// What one does who wakes after the sweeper has given the message up: the envelope of a withheld caller's message
    /// becomes an entry.
    pub async fn finish_late(&self, name: &str, envelope: Envelope) -> Result<MessageId, MailboxError> {
        let insertion = Insertion {
            mailbox: mailbox(name),
            id: self.core.mailboxes.new_id(),
            caller: CallerHash::withheld(),
            envelope,
        };
        Finisher::new(&self.core.context).finish(insertion).await.map(|deposited| deposited.id)
    }

    /// As `sweep`, while a region may be away.
    pub async fn try_sweep_after(&self, seconds: u64) {
        self.pass_time(Duration::from_secs(seconds));
        let mut sweeper = Sweeper::new(self.core.context.clone(), self.core.gdpr.clone());
        // A step that a pass can't do is left to the next.
        let _ = sweeper.pass().await;
    }

    /// A sweep that much later.
    pub async fn sweep_after(&self, seconds: u64) {
        self.pass_time(Duration::from_secs(seconds));
        self.sweep().await;
    }

    /// The objects that name the caller, in keys or contents, of all families.
    pub async fn holders(&self, needle: &str) -> Vec<String> {
        use futures::TryStreamExt;
        let mut found = Vec::new();
        for prefix in Family::ALL.map(Family::prefix) {
            let keys: Vec<String> = self.store.list(prefix).try_collect().await.unwrap();
            for text in keys {
                let key = Key::listed(&text).unwrap();
                let object = self.store.get(&key).await.unwrap();
                let document = self.store.load(&key).await.unwrap().map(|found| found.bytes);
                let bytes = object.or(document).unwrap_or_default();
                if text.contains(needle) || String::from_utf8_lossy(&bytes).contains(needle) {
                    found.push(text);
                }
            }
        }
        found
    }
}

/// A message left at that core.
pub async fn deposit_at(core: &Core, name: &str, caller: &str) -> Result<MessageId, MailboxError> {
    let id = core.mailboxes.new_id();
    let request = DepositRequest {
        mailbox: mailbox(name),
        id,
        caller: CallerId::new(caller),
        caller_name: None,
        urgent: false,
        left: None,
    };
    let admitted = core.mailboxes.admit(request).await?;
    core.mailboxes.deposit(admitted, recording(1)).await.map(|deposited| deposited.id)
}

impl Site {
    /// A pass of a sweeper that has just started, so that daily work is done too.
    pub async fn sweep(&self) {
        let mut sweeper = Sweeper::new(self.core.context.clone(), self.core.gdpr.clone());
        sweeper.pass().await.unwrap();
    }

    /// Forgets a caller and waits until the messages are erased.
    pub async fn purge(&self, case: &str, caller: &str) {
        self.core.gdpr.forget(body(case, Some(caller), 0)).await.unwrap();
        self.pass_time(Duration::from_secs(1));
        self.sweep().await;
    }

    pub async fn index(&self, name: &str) -> Index {
        let documents = Documents::new(Arc::clone(&self.store), self.world());
        documents.load(&Key::index(&mailbox(name))).await.unwrap().unwrap()
    }

    pub async fn entry(&self, name: &str, id: MessageId) -> Entry {
        self.index(name).await.entries[&id].clone()
    }

    /// Another core of the same tenant.
    pub async fn replica(&self) -> Core {
        let regions = BTreeMap::from([("r".to_owned(), Arc::clone(&self.store))]);
        Core::open_on(&self.config, keys(), regions, self.world()).await.unwrap()
    }

    /// A tenant made again on the same stores.
    pub async fn open_anew(&self, context: &Context) -> Core {
        let regions = context.regions().map(|(name, store)| (name.clone(), Arc::clone(store))).collect();
        Core::open_on(&self.config, keys(), regions, self.world()).await.unwrap()
    }

    /// The context that a tool opens, under another configuration perhaps.
    pub async fn open(&self, config: &TenantConfig, access: Access) -> Context {
        let regions = BTreeMap::from([("r".to_owned(), Arc::clone(&self.store))]);
        open_on(config, keys(), regions, access, &self.world()).await.unwrap()
    }

    /// Overwrites or makes a document by hand.
    pub async fn write_document(&self, key: &Key, bytes: impl Into<bytes::Bytes>) {
        let basis = self.store.load(key).await.unwrap().map(|found| found.revision);
        self.store.replace(key, basis.as_ref(), bytes.into()).await.unwrap();
    }

    /// Changes the JSON of a document by hand.
    pub async fn edit(&self, key: &Key, change: impl FnOnce(&mut serde_json::Value)) {
        let found = self.store.load(key).await.unwrap().unwrap();
        let mut value = serde_json::from_slice(&found.bytes).unwrap();
        change(&mut value);
        self.write_document(key, serde_json::to_vec(&value).unwrap()).await;
    }

    /// Overwrites an immutable object by hand.
    pub async fn write_object(&self, key: &Key, bytes: impl Into<bytes::Bytes>) {
        self.store.delete(key).await.unwrap();
        self.store.create(key, bytes.into()).await.unwrap();
    }
}
