//! The cost of an idle replica on a store whose requests are paid for: an hour of its life, in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's failure is a panic"
)]

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use voicemail_api::config::{TenantConfig, WebhookConfig};
use voicemail_engine::core::{Core, TenantKeys};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_model::clock::{Surroundings, World};
use voicemail_model::{TenantKey, Time};
use voicemail_store::memory::MemoryStore;
use voicemail_store::{
    BodyStream, History, Keeper, Key, KeyStream, ObjectBody, Revision, Store, StoreError, Versioned,
};

const MAILBOXES: u32 = 5_000;
const HOUR: Duration = Duration::from_secs(3_600);
/// The answers of an object store carry its clock, which is taken from them for so long.
const CLOCK_AGE: Duration = Duration::from_secs(130);

/// Tokio's clock, which a paused runtime moves on when nothing else is to be done.
struct Virtual(tokio::time::Instant);

impl Surroundings for Virtual {
    fn now(&self) -> Time {
        Time(1_790_000_000_000 + i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).unwrap();
    }
}

/// Counts what an object store would be asked.
struct Counted {
    inner: MemoryStore,
    world: World,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    kinds: BTreeMap<&'static str, u32>,
    last: Option<Duration>,
}

impl Counted {
    fn count(&self, kind: &'static str) {
        let mut asked = self.asked.lock().unwrap();
        *asked.kinds.entry(kind).or_default() += 1;
        asked.last = Some(self.world.monotonic());
    }

    fn take(&self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut self.asked.lock().unwrap().kinds)
    }
}

#[async_trait]
impl Store for Counted {
    async fn get(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.count("get");
        self.inner.get(key).await
    }

    async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Option<ObjectBody>, StoreError> {
        self.count("read");
        self.inner.read(key, range).await
    }

    async fn load(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.count("load");
        self.inner.load(key).await
    }

    fn list_after<'a>(&'a self, prefix: &'a str, after: &'a str) -> KeyStream<'a> {
        self.count("list");
        println!("LIST {prefix}");
        self.inner.list_after(prefix, after)
    }

    async fn create(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.count("create");
        self.inner.create(key, bytes).await
    }

    async fn put(&self, key: &Key, body: BodyStream) -> Result<u64, StoreError> {
        self.count("put");
        self.inner.put(key, body).await
    }

    async fn replace(
        &self,
        key: &Key,
        basis: Option<&Revision>,
        bytes: Bytes,
    ) -> Result<Revision, StoreError> {
        self.count("replace");
        self.inner.replace(key, basis, bytes).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.count("delete");
        self.inner.delete(key).await
    }

    async fn prune_history(&self, of: History<'_>, superseded: Time) -> Result<Option<Time>, StoreError> {
        self.inner.prune_history(of, superseded).await
    }

    async fn unpruned(&self) -> Result<Vec<String>, StoreError> {
        self.inner.unpruned().await
    }

    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError> {
        Ok(Vec::new())
    }

    async fn clock(&self) -> Result<Time, StoreError> {
        let now = self.world.monotonic();
        if self.asked.lock().unwrap().last.is_none_or(|last| now.saturating_sub(last) > CLOCK_AGE) {
            self.count("clock");
        }
        self.inner.clock().await
    }

    fn is_metered(&self) -> bool {
        true
    }
}

/// With a webhook whose secret is in that file; it has been told of every MWI state.
async fn open(world: &World, store: Arc<Counted>, secret: &Path) -> Core {
    let mut config = TenantConfig::parse(include_str!("../../../examples/standalone.yaml")).unwrap();
    config.mwi.webhooks = vec![WebhookConfig {
        name: "desk".into(),
        url: "https://mwi.example/".into(),
        secret_file: secret.to_owned(),
        allowed_private_ranges: Vec::new(),
        ca_file: None,
    }];
    let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let keys = TenantKeys {
        tenant: TenantKey::new(&[7; 32]).unwrap(),
        receipt: ReceiptKey::from_pem(&receipt).unwrap(),
    };
    let regions = BTreeMap::from([(config.region.clone(), store as Arc<dyn Store>)]);
    Core::open_on(&config, keys, regions, world.clone()).await.unwrap()
}

/// Each of the sixteen documents holds all mailboxes, which is more than any of them needs.
async fn note_all_delivered(store: &Counted) {
    let dark = json!({ "new": 0, "old": 0, "urgentNew": 0, "urgentOld": 0 });
    let mailboxes: BTreeMap<String, &Value> = (0..MAILBOXES).map(|n| (n.to_string(), &dark)).collect();
    let document =
        json!({ "_": { "schema": 1, "revision": 1, "nonces": [] }, "mailboxes": mailboxes }).to_string();
    for part in 0..16 {
        let tag = TenantKey::new(&[7; 32]).unwrap().tag("mwi-receiver", b"desk\nhttps://mwi.example/");
        let key = Key::listed(&format!("mwi/{}/delivered/{part:x}", &tag[..16])).unwrap();
        store.replace(&key, None, Bytes::from(document.clone())).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_replica_asks_its_store_at_most_a_hundred_times_an_hour() {
    let world = World::new(Virtual(tokio::time::Instant::now()));
    let inner = MemoryStore::new(world.clone());
    let store = Arc::new(Counted { inner, world: world.clone(), asked: Mutex::default() });
    rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let core = Arc::new(open(&world, Arc::clone(&store), secret.path()).await);
    for n in 0..MAILBOXES {
        core.directory.put_mailbox(&n.to_string().parse().unwrap(), None, None).await.unwrap();
    }
    note_all_delivered(&store).await;
    store.take();
    let mwi = tokio::spawn({
        let core = Arc::clone(&core);
        async move { core.run_mwi().await }
    });
    let stop = CancellationToken::new();
    let sweeping = tokio::spawn({
        let (core, stop) = (Arc::clone(&core), stop.clone());
        async move { core.run_sweeper(stop).await }
    });
    let probing = tokio::spawn({
        let core = Arc::clone(&core);
        async move {
            loop {
                assert!(core.readiness().await.ready);
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
    });
    // The first minute is the start's.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let start = store.take();
    let compared = start["load"] >= MAILBOXES + 16 && start["load"] < MAILBOXES + 100;
    assert!(compared, "every MWI state is compared once at the start: {start:?}");
    for hour in 0..26 {
        tokio::time::sleep(HOUR).await;
        let asked = store.take();
        let all: u32 = asked.values().sum();
        println!("hour {hour}: {all} requests {asked:?}");
        assert!(all > 0 && all <= 100, "hour {hour}: {all} requests: {asked:?}");
    }
    stop.cancel();
    sweeping.await.unwrap();
    probing.abort();
    mwi.abort();
}
