//! A tenant of the simulation: one shared store, replicas with clocks of their own, and short recordings.

use super::ground::Ground;
use super::held_up::HeldUp;
use super::store::SimStore;
use super::world::SimWorld;
use bytes::Bytes;
use futures::FutureExt;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use voicemail_api::config::{
    ClassOfService, EmailConfig, EmailContent, RegionConfig, RegionDown, SmtpConfig, SmtpTls, TenantConfig,
};
use voicemail_engine::context::{Context, Identity};
use voicemail_engine::core::Core;
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_engine::mailbox::{DepositRequest, ForwardRequest, KeyUse, MailboxError};
use voicemail_engine::sweep::Sweeper;
pub(crate) use voicemail_engine::testing::{
    RECEIPT_KEY, body, config, hash, is_document, key, mailbox, recording,
};
use voicemail_model::clock::World;
use voicemail_model::{CallerId, Index, MessageId, RuleSet, Run, Time};
use voicemail_store::hedge::{HedgedStore, Hedges};
use voicemail_store::memory::MemoryStore;
use voicemail_store::read_only::ReadOnlyStore;
use voicemail_store::{Key, Store};

pub(super) const CALLERS: [&str; 2] = ["+442079460001", "+442079460002"];
pub(super) const BOXES: [&str; 3] = ["1001", "1002", "5000"];

/// The mailbox with a small quota, its class, and the number of messages that it takes.
pub(super) const SMALL_BOX: &str = BOXES[2];
pub(super) const SMALL_CLASS: &str = "small";
pub(super) const SMALL_QUOTA: u32 = 3;

/// The class of a mailbox; none for the standard one.
pub(super) fn class_of(name: &str) -> Option<String> {
    (name == SMALL_BOX).then(|| SMALL_CLASS.to_owned())
}

/// The shared store and clock.
#[derive(Clone)]
pub(super) struct Tenant {
    pub(super) world: SimWorld,
    pub(super) ground: Arc<dyn Ground>,
    /// The store of region `s`, which holds audio alone.
    pub(super) other: Arc<MemoryStore>,
    /// Region `s` doesn't answer.
    pub(super) outage: Arc<AtomicBool>,
    /// Writes that arrive later, to either region.
    held_up: HeldUp,
    /// Of a hundred calls so many have a second try.
    hedged: Arc<AtomicUsize>,
}

/// One replica: services over the shared store.
#[derive(Clone)]
pub(super) struct Replica(Arc<Core>);

impl Deref for Replica {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

/// Two regions, `r` the master, and a rule that goes on without the other one.
fn two_regions(region: &str) -> TenantConfig {
    let mut config = config();
    // A server that nobody asks: mails go where a simulation takes them.
    let smtp = SmtpConfig {
        host: "mail.example".into(),
        port: None,
        tls: SmtpTls::Tls,
        credentials_dir: None,
        ca_file: None,
    };
    config.email =
        Some(EmailConfig { smtp, from: "v@example.com".into(), reply_to: None, templates_dir: None });
    config.classes_of_service[0].email = EmailContent::Caller;
    let other = RegionConfig { name: "s".into(), master: false, ..config.regions[0].clone() };
    config.regions.push(other);
    let standard = config.classes_of_service[0].clone();
    let small = ClassOfService { name: SMALL_CLASS.into(), max_messages: SMALL_QUOTA, ..standard };
    config.classes_of_service.push(small);
    config.gdpr.region_down = RegionDown::MarkAndRetry;
    TenantConfig { region: region.into(), ..config }
}

fn make_context(store: Arc<dyn Store>, other: Arc<dyn Store>, region: &str, world: World) -> Context {
    let rules = RuleSet::new(1, "GB", &[], &[]);
    let identity = Identity { store_id: "s".into(), rule_sets: vec![rules], ..Identity::default() };
    let regions = BTreeMap::from([("r".to_owned(), Arc::clone(&store)), ("s".to_owned(), other)]);
    Context::new(two_regions(region), identity, key(), store, regions, world)
}

impl Tenant {
    pub(super) fn new(seed: u64) -> Self {
        let world = SimWorld::new(seed);
        // As on a volume whose writers all died before they pruned anything.
        let memory = MemoryStore::new(World::new(world.clone())).with_history();
        Self::on(world, Arc::new(memory))
    }

    /// A tenant on an empty store.
    pub(super) fn on(world: SimWorld, ground: Arc<dyn Ground>) -> Self {
        let other = Arc::new(MemoryStore::new(World::new(world.clone())));
        let held_up = HeldUp::new(world.clone());
        let (outage, hedged) = (Arc::default(), Arc::default());
        let tenant = Self { world, ground, other, outage, held_up, hedged };
        for name in BOXES {
            let replica = tenant.replica(0);
            super::scheduler::complete(&tenant.world, async move {
                replica.directory.put_mailbox(&mailbox(name), class_of(name), None).await.unwrap();
            });
        }
        tenant
    }

    /// A replica with a clock that is wrong by so much.
    pub(super) fn replica(&self, skew_ms: i64) -> Replica {
        self.replica_in("r", skew_ms)
    }

    /// A replica that serves that region.
    pub(super) fn replica_in(&self, region: &str, skew_ms: i64) -> Replica {
        let store = self.gated(Arc::clone(&self.ground), Arc::default());
        let other = self.gated(Arc::clone(&self.other) as Arc<dyn Ground>, Arc::clone(&self.outage));
        let context = make_context(store, other, region, World::new(self.world.skewed(skew_ms)));
        let receipts = Arc::new(ReceiptKey::from_pem(RECEIPT_KEY).unwrap());
        Replica(Arc::new(Core::over(context, receipts)))
    }

    fn gated(&self, ground: Arc<dyn Ground>, away: Arc<AtomicBool>) -> Arc<dyn Store> {
        let (world, hedged) = (self.world.clone(), Arc::clone(&self.hedged));
        let draw = move || {
            let share = hedged.load(Ordering::SeqCst);
            share > 0 && world.dice(|dice| dice.below(100)) < share
        };
        let hedges = Arc::new(Hedges::drawn(World::new(self.world.clone()), draw));
        let gated = SimStore { ground, away, held_up: self.held_up.clone(), hedges: Arc::clone(&hedges) };
        Arc::new(HedgedStore::new(Arc::new(gated), hedges))
    }

    /// From now on so many of a hundred calls have a second try.
    pub(super) fn hedge(&self, share: usize) {
        self.hedged.store(share, Ordering::SeqCst);
    }

    /// The store itself, without the scheduler's gate, and read-only.
    pub(super) fn plain_context(&self) -> Context {
        let ground: Arc<dyn Store> = Arc::clone(&self.ground) as Arc<dyn Store>;
        let other: Arc<dyn Store> = Arc::new(ReadOnlyStore::new(Arc::clone(&self.other) as Arc<dyn Store>));
        make_context(Arc::new(ReadOnlyStore::new(ground)), other, "r", World::new(self.world.clone()))
    }

    /// Every key of both regions, with the bytes of all but audio.
    pub(super) fn dump(&self) -> BTreeMap<String, Bytes> {
        let mut all = self.ground.dump();
        all.extend(self.other.dump());
        all
    }

    /// Both regions as they are, for [`restore`](Self::restore).
    pub(super) fn snapshot(&self) -> [BTreeMap<String, Bytes>; 2] {
        [self.ground.dump(), self.other.dump()]
    }

    /// Puts a snapshot's objects and documents in the place of what there is.
    pub(super) fn restore(&self, snapshot: &[BTreeMap<String, Bytes>; 2]) {
        self.held_up.forget();
        let grounds: [Arc<dyn Ground>; 2] =
            [Arc::clone(&self.ground), Arc::clone(&self.other) as Arc<dyn Ground>];
        let (now, backup) = (self.snapshot(), snapshot.clone());
        let restored = async move {
            for ((ground, now), backup) in grounds.iter().zip(&now).zip(backup) {
                for key in now.keys() {
                    ground.delete(&Key::listed(key).unwrap()).await.unwrap();
                }
                for (text, bytes) in backup {
                    let key = Key::listed(&text).unwrap();
                    match is_document(&bytes) {
                        true => drop(ground.replace(&key, None, bytes).await.unwrap()),
                        false => ground.create(&key, bytes).await.unwrap(),
                    }
                }
            }
        };
        restored.now_or_never().unwrap();
    }

    /// Whether region `s` is away from now on.
    pub(super) fn set_outage(&self, away: bool) {
        self.outage.store(away, Ordering::SeqCst);
    }

    pub(super) fn document<D: DeserializeOwned>(&self, key: &Key) -> Option<D> {
        let found = self.ground.load(key).now_or_never().unwrap().unwrap()?;
        Some(serde_json::from_slice(&found.bytes).unwrap())
    }

    pub(super) fn index(&self, name: &str) -> Index {
        self.document(&Key::index(&mailbox(name))).unwrap_or_default()
    }

    pub(super) fn run(&self, case: &str) -> Option<Run> {
        self.document(&Key::listed(&format!("gdpr/{case}/forgetme.1")).unwrap())
    }
}

impl Replica {
    /// A deposit from admission to acknowledgement.
    pub(super) async fn deposit(
        &self,
        name: &str,
        caller: &str,
        id: MessageId,
        audio: u8,
    ) -> Result<(), MailboxError> {
        self.deposit_late(name, caller, id, audio, None).await
    }

    /// A deposit of a message that was left then.
    pub(super) async fn deposit_late(
        &self,
        name: &str,
        caller: &str,
        id: MessageId,
        audio: u8,
        left: Option<Time>,
    ) -> Result<(), MailboxError> {
        let request = DepositRequest {
            mailbox: mailbox(name),
            id,
            caller: CallerId::new(caller),
            caller_name: None,
            urgent: false,
            left,
        };
        let admitted = self.mailboxes.admit(request).await?;
        self.mailboxes.deposit(admitted, recording(audio)).await.map(|_| ())
    }

    /// A deposit by a key that is no id.
    pub(super) async fn deposit_by_key(&self, caller: &str, key: &str) -> Result<MessageId, MailboxError> {
        let used = KeyUse { purpose: "deposit", mailbox: &mailbox(BOXES[0]), account: "pbx", key };
        let id = self.mailboxes.id_of_key(used, None).await?;
        self.deposit(BOXES[0], caller, id, 1).await.map(|()| id)
    }

    /// Puts a copy into another mailbox; gives its id.
    pub(super) async fn forward(
        &self,
        from: &str,
        id: MessageId,
        to: &str,
        key: MessageId,
    ) -> Result<MessageId, MailboxError> {
        let (from, to, by) = (mailbox(from), mailbox(to), "ann".parse().unwrap());
        let forwarded = self.mailboxes.forward(&ForwardRequest { from, id, to, key, by }).await?;
        Ok(forwarded.id)
    }

    /// One pass of a sweeper that has just started, so that daily work is done too.
    pub(super) async fn sweep(&self) {
        // A pass that fails leaves its work to the next.
        let _ = Sweeper::new(self.context.clone(), self.gdpr.clone()).pass().await;
    }
}
