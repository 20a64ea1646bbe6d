//! The cost of data-subject rights: `cargo bench -p voicemail-server --bench rights`.
//!
//! 1. Forgetting and erasing one caller's 50 messages in a store of 10,000 and of 1,000,000 messages on a volume: store
//!    calls, and time. `MESSAGES=n` sets the bigger one.
//! 2. The export's rate beside a bare read of the same audio through the same store, and the memory that it takes
//!    for a tenth of it and for all.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench fails by panicking"
)]
#![allow(clippy::cast_precision_loss, reason = "a bench prints ratios")]

mod grown;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use grown::Template;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use voicemail_api::config::TenantConfig;
use voicemail_api::gdpr::{GdprBody, RunState};
use voicemail_audio::{Recording, RecordingInfo};
use voicemail_engine::core::{Core, TenantKeys};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_engine::mailbox::DepositRequest;
use voicemail_engine::sweep::Sweeper;
use voicemail_model::clock::{Surroundings, World};
use voicemail_model::{AudioDigest, CallerId, MailboxId, TenantKey, Time};
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, Loaded, ObjectBody, Revision, Store, StoreError, Versioned,
};
use voicemail_test_machine::process_facts::memory;

const FIRST: u32 = 100_000;
const PER_MAILBOX: usize = 200;
const OF_CALLER: usize = 50;
const ROUNDS: usize = 5;
const DAY_MS: i64 = 86_400_000;

/// The machine's clock, which may be set back and is put right later.
struct Shifted(AtomicI64, Instant);

impl Surroundings for Shifted {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Time(i64::try_from(since.as_millis()).unwrap() + self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.1.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).unwrap();
    }
}

/// Counts calls; its clock is the bench's.
struct Counted {
    inner: VolumeStore,
    calls: AtomicU64,
    world: World,
}

impl Counted {
    fn count(&self) -> &VolumeStore {
        self.calls.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }
}

#[async_trait]
impl Store for Counted {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.count().get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.count().read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.count().load(key).await
    }

    async fn load_unless(&self, key: &Key, known: &Revision) -> Result<Loaded, StoreError> {
        self.count().load_unless(key, known).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        self.count().list_after(prefix, after)
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.count().create(key, bytes).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.count().put(key, body).await
    }

    async fn replace(&self, key: &Key, on: Option<&Revision>, bytes: Bytes) -> Result<Revision, StoreError> {
        self.count().replace(key, on, bytes).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.count().delete(key).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.count().prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.count().unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        Ok(self.world.now())
    }
}

struct Tenant {
    core: Core,
    store: Arc<Counted>,
    clock: Arc<Shifted>,
}

struct Shared(Arc<Shifted>);

impl Surroundings for Shared {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.fill_random(buffer);
    }
}

fn mailbox(n: u32) -> MailboxId {
    n.to_string().parse().unwrap()
}

impl Tenant {
    async fn open(folder: &Path, shift_ms: i64) -> Self {
        let clock = Arc::new(Shifted(AtomicI64::new(shift_ms), Instant::now()));
        let world = World::new(Shared(Arc::clone(&clock)));
        let inner = VolumeStore::new(folder, "t", LockProbe(Vec::new()));
        let store = Arc::new(Counted { inner, calls: AtomicU64::new(0), world: world.clone() });
        let config = json!({
            "tenantId": "t", "cluster": "bench", "region": "r", "keysDir": "/nowhere",
            "regions": [{ "name": "r", "master": true, "storage": { "volume": { "path": folder } } }],
            "listen": { "api": "127.0.0.1:0", "metrics": "127.0.0.1:0" },
            "classesOfService": [{ "name": "standard", "maxMessages": 1000, "retentionDays": 3650 }],
            "defaultNumberRegion": "GB",
        });
        let config = TenantConfig::parse(&config.to_string()).unwrap();
        let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        let keys = TenantKeys {
            tenant: TenantKey::new(&[7; 32]).unwrap(),
            receipt: ReceiptKey::from_pem(&pem).unwrap(),
        };
        let regions = BTreeMap::from([("r".to_owned(), Arc::clone(&store) as Arc<dyn Store>)]);
        Self { core: Core::open_on(&config, keys, regions, world).await.unwrap(), store, clock }
    }

    async fn provision(&self, n: u32) {
        self.core.directory.put_mailbox(&mailbox(n), None, None).await.unwrap();
    }

    async fn deposit(&self, n: u32, caller: &str, size: usize) {
        let request = DepositRequest {
            mailbox: mailbox(n),
            id: self.core.mailboxes.new_id(),
            caller: CallerId::new(caller),
            caller_name: None,
            urgent: false,
            left: None,
        };
        let admitted = self.core.mailboxes.admit(request).await.unwrap();
        let info = Arc::new(OnceLock::new());
        let known = RecordingInfo::plain(1_000, size as u64, AudioDigest("00".into()));
        info.set(known).unwrap();
        let chunk = Bytes::from(vec![0xd5; size.min(1 << 20)]);
        let chunks = (0..size.div_ceil(1 << 20)).map(move |_| Ok(chunk.clone()));
        let body = stream::iter(chunks.collect::<Vec<_>>()).boxed();
        self.core.mailboxes.deposit(admitted, Recording { body, info }).await.unwrap();
    }

    fn calls(&self) -> u64 {
        self.store.calls.load(Ordering::SeqCst)
    }

    /// Forgets and erases a caller; gives calls and time.
    async fn forget(&self, sweeper: &mut Sweeper, case: &str, caller: &str) -> (u64, f64) {
        let (calls, began) = (self.calls(), Instant::now());
        let body = GdprBody {
            caseid: case.into(),
            consumers: vec![json!({ "phone": [caller] })],
            undo_window: Some("0s".into()),
            ..GdprBody::default()
        };
        let run = self.core.gdpr.forget(body).await.unwrap().run;
        assert_eq!((run.state, run.matched), (RunState::Marked, OF_CALLER as u64));
        sweeper.pass().await.unwrap();
        let took = began.elapsed().as_secs_f64();
        let case = self.core.gdpr.case(&case.parse().unwrap()).await.unwrap();
        assert_eq!(case.runs[0].erased, OF_CALLER as u64);
        (self.calls() - calls, took)
    }
}

fn body(case: &str, caller: &str) -> GdprBody {
    GdprBody { caseid: case.into(), consumers: vec![json!({ "phone": [caller] })], ..GdprBody::default() }
}

/// A grown store, left twenty days ago, so that no sweep of recent audio is measured.
async fn grow(folder: &Path, messages: usize) {
    let tenant = Tenant::open(folder, -20 * DAY_MS).await;
    tenant.provision(FIRST).await;
    for n in 0..PER_MAILBOX {
        tenant.deposit(FIRST, &format!("+4420794600{:02}", n % 10), 100).await;
    }
    let began = Instant::now();
    let files = Template { first: FIRST, messages: PER_MAILBOX }.grow(folder, messages / PER_MAILBOX);
    println!("a store of {messages} messages, {files} files, in {:.0} s", began.elapsed().as_secs_f64());
}

async fn measure_forget(folder: &Path) -> (u64, f64) {
    let tenant = Tenant::open(folder, 0).await;
    let mut sweeper = Sweeper::new(tenant.core.context.clone(), tenant.core.gdpr.clone());
    sweeper.pass().await.unwrap();
    let (mut calls, mut times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let caller = format!("+44207946{:04}", 100 + round);
        for n in 0..OF_CALLER {
            tenant.deposit(FIRST + u32::try_from(n % 10).unwrap(), &caller, 100).await;
        }
        // What the deposits filed is carried out before.
        sweeper.pass().await.unwrap();
        let (made, took) = tenant.forget(&mut sweeper, &format!("case-{round}"), &caller).await;
        calls.push(made);
        times.push(took);
    }
    assert_eq!(tenant.clock.0.load(Ordering::SeqCst), 0);
    calls.sort_unstable();
    times.sort_by(f64::total_cmp);
    (calls[ROUNDS / 2], times[ROUNDS / 2])
}

/// Resident memory, in MiB.
fn resident() -> f64 {
    memory(std::process::id()).unwrap() as f64 / 1_024.0
}

/// Reads all audio of a caller bare, then as an export; MiB a second, and how much memory the export added.
async fn measure_export(tenant: &Tenant, caller: &str, megabytes: usize) -> (f64, f64, f64) {
    let name = format!("export-{megabytes}");
    tenant.core.gdpr.export(body(&name, caller)).await.unwrap();
    let keys: Vec<String> = tenant.store.list("au/").try_collect().await.unwrap();
    let hash = TenantKey::new(&[7; 32]).unwrap().hash(caller);
    let keys: Vec<Key> =
        keys.iter().filter(|key| key.contains(hash.as_str())).filter_map(|key| Key::listed(key)).collect();
    let (mut bare, mut export, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..ROUNDS {
        let (began, mut read) = (Instant::now(), 0);
        for key in &keys {
            let mut bytes = tenant.store.read(key, None).await.unwrap().unwrap().bytes;
            while let Some(chunk) = bytes.next().await {
                read += chunk.unwrap().len();
            }
        }
        bare.push(read as f64 / began.elapsed().as_secs_f64() / 1_048_576.0);
        let (before, began, mut sent) = (resident(), Instant::now(), 0);
        let mut archive = tenant.core.gdpr.export_archive(&name.parse().unwrap()).await.unwrap();
        while let Some(chunk) = archive.next().await {
            sent += chunk.unwrap().len();
            if sent % (16 << 20) < (1 << 16) {
                peak = peak.max(resident() - before);
            }
        }
        assert!(sent > read);
        export.push(read as f64 / began.elapsed().as_secs_f64() / 1_048_576.0);
    }
    bare.sort_by(f64::total_cmp);
    export.sort_by(f64::total_cmp);
    (bare[ROUNDS / 2], export[ROUNDS / 2], peak)
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let tenant = Tenant::open(folder.path(), 0).await;
    tenant.provision(FIRST).await;
    for (caller, files) in [("+442079460001", 20), ("+442079460002", 200)] {
        for _ in 0..files {
            tenant.deposit(FIRST, caller, 3 << 20).await;
        }
        let (bare, export, memory) = measure_export(&tenant, caller, files * 3).await;
        println!(
            "export of {} MiB: {export:.0} MiB/s, bare reads {bare:.0} MiB/s, ratio {:.2}; memory {memory:+.1} MiB",
            files * 3,
            export / bare
        );
    }
    drop((tenant, folder));
    let big: usize = std::env::var("MESSAGES").map_or(1_000_000, |text| text.parse().unwrap());
    let mut measured = Vec::new();
    for messages in [10_000, big] {
        let folder = tempfile::tempdir().unwrap();
        grow(folder.path(), messages).await;
        let (calls, took) = measure_forget(folder.path()).await;
        println!(
            "forget and erase {OF_CALLER} messages among {messages}: {calls} store calls, {:.0} ms (medians of {ROUNDS})",
            took * 1_000.0
        );
        measured.push((calls, took));
    }
    println!(
        "{big} messages against 10000: {} calls more, {:.2} times the time",
        i128::from(measured[1].0) - i128::from(measured[0].0),
        measured[1].1 / measured[0].1
    );
}
