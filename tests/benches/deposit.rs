//! What a deposit costs over the bare store: `cargo bench -p voicemail-tests --bench deposit`.
//!
//! Both sides write to the same volume in turn, pair by pair, so that a noisy machine bends both alike:
//! the services' deposit, and the five store calls that it is made of (audio, envelope, index read and
//! replacement, mark read) without any of its rules. The figure to quote is the median of the pairs'
//! differences and ratios, at one and at sixteen callers at a time, each with a mailbox of its own.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use voicemail_core::clock::World;
use voicemail_core::config::TenantConfig;
use voicemail_core::core::{Core, TenantKeys};
use voicemail_core::gdpr::ReceiptKey;
use voicemail_core::mailbox::{DepositRequest, Recording, RecordingInfo};
use voicemail_core::model::{AudioDigest, CallerId, MailboxId, TenantKey};
use voicemail_core::store::volume::{LockProbe, VolumeStore};
use voicemail_core::store::{BodyStream, Key, Store};

const AUDIO: usize = 100_000;
const PAIRS: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn Store> = Arc::new(VolumeStore::new(folder.path(), "bench", LockProbe(Vec::new())));
    let core = open(Arc::clone(&store)).await?;
    for callers in [1, 16] {
        let boxes = open_mailboxes(&core, callers).await?;
        let mut rows = Vec::new();
        for pair in 0..PAIRS + 5 {
            let bare = time(try_join_all((0..callers).map(|n| write_bare(store.as_ref(), callers, n, pair))))
                .await?;
            let ours = time(try_join_all(boxes.iter().map(|mailbox| deposit(&core, mailbox)))).await?;
            // The first pairs warm up.
            if pair >= 5 {
                rows.push((bare, ours));
            }
        }
        report(callers, rows);
    }
    Ok(())
}

async fn time<T>(work: impl Future<Output = Result<T>>) -> Result<Duration> {
    let start = Instant::now();
    work.await?;
    Ok(start.elapsed())
}

fn report(callers: usize, mut rows: Vec<(Duration, Duration)>) {
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    let mut ratios: Vec<f64> = rows.iter().map(|(bare, ours)| ms(*ours) / ms(*bare)).collect();
    let mut extra: Vec<f64> = rows.iter().map(|(bare, ours)| ms(*ours) - ms(*bare)).collect();
    ratios.sort_by(f64::total_cmp);
    extra.sort_by(f64::total_cmp);
    rows.sort_by_key(|(_, ours)| *ours);
    let middle = rows.len() / 2;
    let p99 = ms(rows[rows.len() * 99 / 100].1);
    println!(
        "{callers:>2} at a time: deposit median {:.2} ms, 99th {p99:.2} ms; over the bare store x{:.2}, +{:.2} ms (medians of {} pairs)",
        ms(rows[middle].1),
        ratios[middle],
        extra[middle],
        rows.len(),
    );
}

async fn open(store: Arc<dyn Store>) -> Result<Core> {
    let mut config = TenantConfig::parse(include_str!("../../examples/standalone.yaml"))?;
    config.classes_of_service.iter_mut().for_each(|class| class.max_messages = 1_000);
    let key = TenantKey::new(&[7; 32]).context("a key")?;
    let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?.serialize_pem();
    let receipt = ReceiptKey::from_pem(&receipt).map_err(anyhow::Error::msg)?;
    let region = config.region.clone();
    let keys = TenantKeys { tenant: key, receipt };
    Ok(Core::open_on(&config, keys, BTreeMap::from([(region, store)]), World::real()).await?)
}

async fn open_mailboxes(core: &Core, count: usize) -> Result<Vec<MailboxId>> {
    let mut boxes = Vec::new();
    for n in 0..count {
        let mailbox: MailboxId = format!("bench-{count}-{n}").parse()?;
        core.directory.put_mailbox(&mailbox, None, None).await?;
        boxes.push(mailbox);
    }
    Ok(boxes)
}

fn body() -> BodyStream {
    stream::iter((0..AUDIO / 10_000).map(|_| Ok(Bytes::from_static(&[1; 10_000])))).boxed()
}

async fn deposit(core: &Core, mailbox: &MailboxId) -> Result<()> {
    let info = OnceLock::new();
    let facts = RecordingInfo { duration_ms: 12_500, size: AUDIO as u64, digest: AudioDigest("d".into()) };
    ensure!(info.set(facts).is_ok(), "facts are set once");
    let id = core.mailboxes.new_id();
    let caller = CallerId::new("+441632960001");
    let request = DepositRequest { mailbox: mailbox.clone(), id, caller, caller_name: None, urgent: false };
    let admitted = core.mailboxes.admit(request).await?;
    core.mailboxes.deposit(admitted, Recording { body: body(), info: Arc::new(info) }).await?;
    Ok(())
}

/// The store calls of a deposit, without its rules.
async fn write_bare(store: &dyn Store, callers: usize, caller: usize, pair: usize) -> Result<()> {
    let key = |kind: &str| Key::listed(&format!("{kind}/bench/{callers}-{caller}/{pair}")).context("a key");
    let index = Key::listed(&format!("mb/bench/{callers}-{caller}")).context("a key")?;
    store.load(&index).await?;
    store.put(&key("au")?, body()).await?;
    store.create(&key("ca")?, Bytes::from_static(&[b'e'; 400])).await?;
    store.load(&key("mark")?).await?;
    let basis = store.load(&index).await?.map(|found| found.revision);
    store.replace(&index, basis.as_ref(), Bytes::from_static(&[b'i'; 3_000])).await?;
    store.load(&key("mark")?).await?;
    Ok(())
}
