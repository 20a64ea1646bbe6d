//! The cost of a deposit of a 30 s message over the bare store: `cargo bench -p voicemail-tests --bench deposit`.
//!
//! On a volume (fsync on) and on an S3 server. Both sides write to the same store in turn, pair by pair, so
//! that a noisy machine bends both alike: the services' deposit, and the store calls that it is made of (audio,
//! envelope, index read and replaced, mark read twice, settings read) without any of its rules. One client at a
//! time gives the added latency; sixteen clients, each with a mailbox of its own, give durable deposits a
//! second. Indexes grow on both sides alike.

mod rig;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use rig::{AUDIO, body, deposit, median, ms, open, open_mailbox, quantile, time};
use std::sync::Arc;
use voicemail_engine::core::Core;
use voicemail_model::MailboxId;
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{Key, Store};
use voicemail_test_machine::servers::{Minio, loopback};
use voicemail_test_stores::object_stores::ObjectPlace;

const PAIRS: usize = 60;
const WARM_UP: usize = 5;
const ENTRY: usize = 560;

#[tokio::main]
async fn main() -> Result<()> {
    voicemail_test_machine::install_crypto();
    let folder = tempfile::tempdir()?;
    let volume: Arc<dyn Store> = Arc::new(VolumeStore::new(folder.path(), "bench", LockProbe(Vec::new())));
    measure("volume", volume).await?;
    let server = Minio::start(loopback()).await?;
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "bench").await?;
    measure("S3", place.open_patient()?).await
}

async fn measure(kind: &str, store: Arc<dyn Store>) -> Result<()> {
    let core = open(Arc::clone(&store)).await?;
    for clients in [1, 16] {
        let mut boxes = Vec::new();
        for n in 0..clients {
            boxes.push(open_mailbox(&core, &format!("bench-{clients}-{n}")).await?);
        }
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS + WARM_UP {
            let writes = (0..clients).map(|n| write_bare(store.as_ref(), clients, n, pair));
            let (without, with) =
                (time(try_join_all(writes)).await?, time(deposit_all(&core, &boxes)).await?);
            if pair >= WARM_UP {
                bare.push(ms(without));
                ours.push(ms(with));
            }
        }
        report(kind, clients, &bare, &ours);
    }
    Ok(())
}

async fn deposit_all(core: &Core, boxes: &[MailboxId]) -> Result<()> {
    try_join_all(boxes.iter().map(|mailbox| deposit(core, mailbox, AUDIO))).await.map(drop)
}

fn report(kind: &str, clients: usize, bare: &[f64], ours: &[f64]) {
    let extra: Vec<f64> = bare.iter().zip(ours).map(|(bare, ours)| ours - bare).collect();
    let share: Vec<f64> = bare.iter().zip(ours).map(|(bare, ours)| bare / ours).collect();
    let a_second = |round: f64| clients as f64 * 1_000.0 / round;
    println!(
        "{kind}, {clients:>2} at a time: deposit median {:.2} ms, 99th {:.2} ms; over the bare store {:+.2} ms; \
         {:.0} deposits/s, {:.0} % of the bare store's (medians of {} pairs)",
        median(ours),
        quantile(ours, 0.99),
        median(&extra),
        a_second(median(ours)),
        median(&share) * 100.0,
        ours.len(),
    );
}

/// The store calls of a deposit, without its rules.
async fn write_bare(store: &dyn Store, clients: usize, client: usize, pair: usize) -> Result<()> {
    let key = |kind: &str| Key::listed(&format!("{kind}/bench/{clients}-{client}/{pair}")).context("a key");
    let index = Key::listed(&format!("mb/bench/{clients}-{client}")).context("a key")?;
    store.load(&index).await?;
    store.load(&key("settings")?).await?;
    store.put(&key("au")?, body(AUDIO)).await?;
    store.create(&key("ca")?, Bytes::from_static(&[b'e'; ENTRY])).await?;
    store.load(&key("mark")?).await?;
    let basis = store.load(&index).await?.map(|found| found.revision);
    store.replace(&index, basis.as_ref(), Bytes::from(vec![b'i'; ENTRY * (pair + 1)])).await?;
    store.load(&key("mark")?).await?;
    Ok(())
}
