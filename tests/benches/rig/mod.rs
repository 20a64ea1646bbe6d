//! Shared parts of the benches: a tenant over a store, deposits without HTTP, and medians.

#![allow(dead_code, reason = "each bench uses a part of it")]

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use voicemail_api::config::TenantConfig;
use voicemail_audio::{Recording, RecordingInfo};
use voicemail_engine::core::{Core, TenantKeys};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_engine::mailbox::DepositRequest;
use voicemail_model::{AudioDigest, CallerId, MailboxId, MessageId, TenantKey};
use voicemail_store::{BodyStream, Store};

/// 30 s of G.711.
pub(crate) const AUDIO: usize = 240_000;

/// A tenant whose mailboxes take any number of messages.
pub(crate) async fn open(store: Arc<dyn Store>) -> Result<Core> {
    let mut config = TenantConfig::parse(include_str!("../../../examples/standalone.yaml"))?;
    config.classes_of_service.iter_mut().for_each(|class| class.max_messages = 1_000_000);
    let key = TenantKey::new(&[7; 32]).context("a key")?;
    let receipt = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?.serialize_pem();
    let receipt = ReceiptKey::from_pem(&receipt).map_err(anyhow::Error::msg)?;
    let region = config.region.clone();
    let keys = TenantKeys { tenant: key, receipt };
    Ok(Core::open_on(&config, keys, BTreeMap::from([(region, store)]), voicemail_store::real_world()).await?)
}

/// Opens a mailbox.
pub(crate) async fn open_mailbox(core: &Core, name: &str) -> Result<MailboxId> {
    let mailbox: MailboxId = name.parse()?;
    core.directory.put_mailbox(&mailbox, None, None).await?;
    Ok(mailbox)
}

/// Audio of that size, in the chunks that a connection gives.
pub(crate) fn body(bytes: usize) -> BodyStream {
    const CHUNK: usize = 16_000;
    static SILENCE: [u8; CHUNK] = [0xd5; CHUNK];
    let chunks = (0..bytes.div_ceil(CHUNK)).map(move |n| {
        let length = CHUNK.min(bytes - n * CHUNK);
        Ok(Bytes::from_static(&SILENCE[..length]))
    });
    stream::iter(chunks).boxed()
}

/// Deposits a message of that many bytes.
pub(crate) async fn deposit(core: &Core, mailbox: &MailboxId, bytes: usize) -> Result<MessageId> {
    let info = OnceLock::new();
    let digest = AudioDigest(format!("{:064x}", bytes));
    let facts = RecordingInfo::plain(bytes as u64 / 8, bytes as u64, digest);
    ensure!(info.set(facts).is_ok(), "facts are set once");
    let id = core.mailboxes.new_id();
    let caller = CallerId::new("+441632960001");
    let request =
        DepositRequest { mailbox: mailbox.clone(), id, caller, caller_name: None, urgent: false, left: None };
    let admitted = core.mailboxes.admit(request).await?;
    core.mailboxes.deposit(admitted, Recording { body: body(bytes), info: Arc::new(info) }).await?;
    Ok(id)
}

/// How long it takes.
pub(crate) async fn time<T>(work: impl Future<Output = Result<T>>) -> Result<Duration> {
    let start = Instant::now();
    work.await?;
    Ok(start.elapsed())
}

/// Milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The value below which that share of them lies.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}
