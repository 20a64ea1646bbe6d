//! The cost of a mailbox as it grows, and under many writers: `cargo bench -p voicemail-tests --bench mailbox`.
//!
//! 1. A page of 10 messages, which all have, a list of up to 100, and a deposit, in mailboxes of 10, 100 and 1,000
//!    messages, in turn, so that a noisy machine bends all alike. Page and deposit are to be flat within a factor of two;
//!    the list of 100 shows fewer messages in the first mailbox.
//! 2. 64 writers on one mailbox, each changing states of messages through the services, against 64 naive
//!    writers that read, modify and replace a document of the same size on the same store. No update is lost
//!    on either side; at least twenty times as many changes a second.

mod rig;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use rig::{deposit, median, ms, open, open_mailbox, time};
use std::sync::Arc;
use std::time::Instant;
use voicemail_engine::core::Core;
use voicemail_engine::mailbox::MessageFilter;
use voicemail_model::{MailboxId, MessageChange, MessageId, MessageState};
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{Key, Store, StoreError};
use voicemail_test_machine::servers::{Minio, loopback};
use voicemail_test_stores::object_stores::ObjectPlace;

const SIZES: [usize; 3] = [10, 100, 1_000];
const ROUNDS: usize = 60;
const SMALL: usize = 1_000;
const WRITERS: usize = 64;
const NAIVE_UPDATES: usize = 2;
const OUR_UPDATES: usize = 40;

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
    let core = Arc::new(open(Arc::clone(&store)).await?);
    measure_growth(kind, &core).await?;
    measure_writers(kind, &core, store.as_ref()).await
}

async fn measure_growth(kind: &str, core: &Core) -> Result<()> {
    let mut boxes = Vec::new();
    for size in SIZES {
        let mailbox = open_mailbox(core, &format!("size-{size}")).await?;
        for _ in 0..size {
            deposit(core, &mailbox, SMALL).await?;
        }
        boxes.push(mailbox);
    }
    let mut pages = vec![Vec::new(); SIZES.len()];
    let mut lists = vec![Vec::new(); SIZES.len()];
    let mut deposits = vec![Vec::new(); SIZES.len()];
    for _ in 0..ROUNDS {
        for (n, mailbox) in boxes.iter().enumerate() {
            pages[n].push(ms(time(list(core, mailbox, 10)).await?));
            lists[n].push(ms(time(list(core, mailbox, 100)).await?));
            deposits[n].push(ms(time(deposit(core, mailbox, SMALL)).await?));
        }
    }
    for (what, series) in [("page of 10", &pages), ("list of 100", &lists), ("deposit", &deposits)] {
        let medians: Vec<f64> = series.iter().map(|values| median(values)).collect();
        println!(
            "{kind}: {what}, median in mailboxes of {SIZES:?}: {:.2} / {:.2} / {:.2} ms, x{:.2} from the first to the last",
            medians[0],
            medians[1],
            medians[2],
            medians[2] / medians[0],
        );
    }
    Ok(())
}

async fn list(core: &Core, mailbox: &MailboxId, limit: usize) -> Result<()> {
    let filter = MessageFilter { limit, ..MessageFilter::default() };
    ensure!(!core.mailboxes.list(mailbox, filter).await?.messages.is_empty(), "an empty list");
    Ok(())
}

async fn measure_writers(kind: &str, core: &Arc<Core>, store: &dyn Store) -> Result<()> {
    let mailbox = open_mailbox(core, "many-writers").await?;
    let ids = try_join_all((0..WRITERS).map(|_| deposit(core, &mailbox, SMALL))).await?;
    let ours = measure_ours(core, &mailbox, &ids).await?;
    let naive = measure_naive(store, &mailbox).await?;
    println!(
        "{kind}: {WRITERS} writers on one mailbox: {ours:.0} changes/s, naive read-modify-replace {naive:.0}/s, x{:.0}",
        ours / naive,
    );
    Ok(())
}

/// Every writer marks a message of its own read and new in turn; the last state must stand.
async fn measure_ours(core: &Arc<Core>, mailbox: &MailboxId, ids: &[MessageId]) -> Result<f64> {
    let start = Instant::now();
    try_join_all(ids.iter().map(|id| async move {
        for n in 0..OUR_UPDATES {
            let state = if n % 2 == 0 { MessageState::Read } else { MessageState::New };
            let change = MessageChange { state: Some(state), ..MessageChange::default() };
            core.mailboxes.change(mailbox, *id, change, None).await?;
        }
        core.mailboxes
            .change(
                mailbox,
                *id,
                MessageChange { state: Some(MessageState::Saved), ..MessageChange::default() },
                None,
            )
            .await
    }))
    .await?;
    let seconds = start.elapsed().as_secs_f64();
    let mwi = core.mailboxes.mwi(mailbox).await?;
    ensure!(mwi.new == 0 && mwi.old as usize == ids.len(), "an update is lost: {mwi:?}");
    Ok(((OUR_UPDATES + 1) * ids.len()) as f64 / seconds)
}

/// Every writer counts a document of the same size up, and begins again when another was faster.
async fn measure_naive(store: &dyn Store, mailbox: &MailboxId) -> Result<f64> {
    let padding = store.load(&Key::index(mailbox)).await?.context("an index")?.bytes.len();
    let key = Key::listed("mb/bench/naive").context("a key")?;
    let encode = |count: u64| Bytes::from(format!("{count:020}{}", " ".repeat(padding)));
    store.replace(&key, None, encode(0)).await?;
    let start = Instant::now();
    try_join_all((0..WRITERS).map(|_| async {
        let mut done = 0;
        while done < NAIVE_UPDATES {
            let found = store.load(&key).await?.context("the document")?;
            let count: u64 = std::str::from_utf8(&found.bytes[..20])?.parse()?;
            match store.replace(&key, Some(&found.revision), encode(count + 1)).await {
                Ok(_) => done += 1,
                Err(StoreError::Conflict | StoreError::Unclear(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::Ok(())
    }))
    .await?;
    let seconds = start.elapsed().as_secs_f64();
    let found = store.load(&key).await?.context("the document")?;
    let count: usize = std::str::from_utf8(&found.bytes[..20])?.parse()?;
    ensure!(count >= WRITERS * NAIVE_UPDATES, "an update is lost: {count}");
    Ok((WRITERS * NAIVE_UPDATES) as f64 / seconds)
}
