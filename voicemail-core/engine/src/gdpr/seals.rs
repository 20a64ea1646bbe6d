//! Seals: each closed hour of the audit log is counted, hashed, signed, and chained to the hour before.
//!
//! ```text
//! audit/<hour>/…   acts ──▶ count, hash of all in order ──▶ seal, signed ──▶ chain ──▶ its head outside the store
//! ```
//!
//! An hour is closed when another one has gone by, so that whoever was slow with an act has written it; what a store refused
//! for longer is written under the hour in which it takes it. An hour without acts has no seal, so that a quiet tenant writes
//! nothing. Seals stay when their acts' retention is over.
//!
//! What can go wrong: acts that are removed before their hour is sealed are missed by nobody.

use super::chain::{self, ChainHead, Link, Once, RECEIPTS, SEALS};
use super::{Gdpr, GdprError};
use crate::context::Context;
use aws_lc_rs::digest::{Context as Digest, SHA256, digest};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use voicemail_api::gdpr::{AuditHour, LedgerHead, ProofsView, ReceiptLink, ReceiptsHead, Seal, SignedSeal};
use voicemail_model::Time;
use voicemail_store::{Family, Key, StoreError};

const HOUR: Duration = Duration::from_secs(3_600);
/// Hours that are looked at one by one; after a longer silence the whole log is listed.
const FEW: usize = 48;

/// The newest hour that is closed.
fn last_closed(now: Time) -> Time {
    now.minus(2 * HOUR)
}

/// Seals what is closed and isn't sealed yet. The first seal of a tenant is that of its newest closed hour that had acts: what
/// was before there were seals has none.
///
/// `looked_at` is the newest hour up to which this replica has sealed everything; what comes after it is looked at, so that a
/// quiet hour costs one request. Gives the newest hour that has been looked at now.
pub(super) async fn seal(gdpr: &Gdpr, looked_at: Option<&str>) -> Result<String, GdprError> {
    let context = &gdpr.context;
    let closed = last_closed(context.world().now());
    let sealed = match looked_at {
        Some(hour) => Some(hour.to_owned()),
        None => last_sealed(context).await?,
    };
    let mut hours = unsealed_hours(context, sealed.as_deref(), closed).await?;
    if sealed.is_none() {
        hours = hours.pop_last().into_iter().collect();
    }
    for (hour, keys) in hours {
        // Another replica may have sealed it, and after a restore hours are looked at again.
        if context.store().get(&Key::sealed_hour(&hour)).await?.is_some() {
            continue;
        }
        let found = examine(context, &hour, keys).await?;
        seal_hour(gdpr, &found).await?;
    }
    Ok(closed.hour())
}

async fn last_sealed(context: &Context) -> Result<Option<String>, GdprError> {
    let head = chain::read_head(context, SEALS).await?;
    if head.number == 0 {
        return Ok(None);
    }
    let link = context.store().get(&Key::chain_link(SEALS, head.number)).await?;
    // After a restore the chain goes on from a seal that only its head outside knows: then all are looked through.
    Ok(Some(link.and_then(|bytes| read_seal(&bytes)).map(|seal| seal.hour).unwrap_or_default()))
}

fn read_seal(bytes: &[u8]) -> Option<Seal> {
    let signed: SignedSeal = serde_json::from_slice(bytes).ok()?;
    serde_json::from_str(&signed.seal).ok()
}

type Hours = BTreeMap<String, Vec<Key>>;

/// The acts of closed hours after that one, by hour.
async fn unsealed_hours(context: &Context, after: Option<&str>, closed: Time) -> Result<Hours, GdprError> {
    let last = closed.hour();
    let mut one_by_one = Vec::new();
    let mut hour = closed;
    while after.is_some_and(|after| hour.hour().as_str() > after) && one_by_one.len() <= FEW {
        one_by_one.push(hour);
        hour = hour.minus(HOUR);
    }
    let prefixes: Vec<String> = match after {
        Some(_) if one_by_one.len() <= FEW => one_by_one.into_iter().map(Key::audits).collect(),
        _ => vec![Family::Audit.prefix().to_owned()],
    };
    let mut hours = Hours::new();
    for prefix in prefixes {
        let mut keys = context.store().list(&prefix);
        while let Some(key) = keys.try_next().await? {
            let Some(hour) = Key::hour_of_act(&key).map(str::to_owned) else { continue };
            let wanted = after.is_none_or(|after| hour.as_str() > after) && hour <= last;
            if let Some(key) = Key::listed(&key).filter(|_| wanted) {
                hours.entry(hour).or_default().push(key);
            }
        }
    }
    Ok(hours)
}

/// Counts and hashes the acts of an hour.
async fn examine(context: &Context, hour: &str, mut keys: Vec<Key>) -> Result<AuditHour, GdprError> {
    keys.sort();
    let read = |key: Key| async move {
        let bytes = context.store().get(&key).await?;
        Ok::<_, StoreError>(bytes.map(|bytes| {
            let digest = hex::encode(digest(&SHA256, &bytes));
            format!("{} {digest}\n", Key::audit_name(key.as_str()))
        }))
    };
    let lines = context.all(keys, read).await?;
    let (mut whole, mut events) = (Digest::new(&SHA256), 0);
    for line in lines.into_iter().flatten() {
        whole.update(line.as_bytes());
        events += 1;
    }
    Ok(AuditHour { hour: hour.to_owned(), events, hash: hex::encode(whole.finish()) })
}

async fn seal_hour(gdpr: &Gdpr, found: &AuditHour) -> Result<(), GdprError> {
    let context = &gdpr.context;
    let key = Key::sealed_hour(&found.hour);
    let now = context.world().now();
    let make = |number, previous: &str| {
        let seal = Seal {
            schema: 1,
            number,
            previous: previous.to_owned(),
            tenant: context.config().tenant_id.clone(),
            store_id: context.identity().store_id.clone(),
            hour: found.hour.clone(),
            events: found.events,
            hash: found.hash.clone(),
            sealed_at: now.rfc3339(),
        };
        let failed = |error| StoreError::Refused(format!("a seal can't be encoded: {error}"));
        let seal = serde_json::to_string(&seal).map_err(failed)?;
        let signed = SignedSeal { signature: gdpr.receipts.sign_text(&seal), seal };
        let text = serde_json::to_string(&signed).map_err(failed)?;
        Ok(Link { hash: chain::hash(&signed.seal), text, beside: Some((key.clone(), number.to_string())) })
    };
    chain::append(context, SEALS, async { Ok(0) }, Once::Object(&key), make).await.map(drop)
}

/// All that is needed to check the chains of receipts and seals, and the hours that are sealed.
pub(crate) async fn proofs(context: &Context) -> Result<ProofsView, GdprError> {
    let closed = last_closed(context.world().now());
    let kept_from = context.world().now().minus(context.config().audit.retention).plus(HOUR);
    // Before the links, so that those that it names are among them.
    let head = LedgerHead {
        receipts: peek(context, RECEIPTS).await?,
        seals: peek(context, SEALS).await?,
        ..LedgerHead::default()
    };
    let (mut receipts, mut seals) = (Vec::new(), Vec::new());
    for bytes in read_links(context, RECEIPTS).await? {
        receipts.extend(serde_json::from_slice::<ReceiptLink>(&bytes).ok());
    }
    let mut adopted_seals = Vec::new();
    for bytes in read_links(context, SEALS).await? {
        match serde_json::from_slice::<SignedSeal>(&bytes) {
            Ok(signed) => seals.push(signed),
            Err(_) => adopted_seals.extend(serde_json::from_slice::<ReceiptLink>(&bytes).ok()),
        }
    }
    let mut hours = Vec::new();
    for (hour, keys) in unsealed_hours(context, None, closed).await? {
        if hour >= kept_from.hour() {
            hours.push(examine(context, &hour, keys).await?);
        }
    }
    let read_seal = |signed: &SignedSeal| serde_json::from_str::<Seal>(&signed.seal).ok();
    let sealed_up_to = seals.last().and_then(read_seal).map(|seal| seal.hour).unwrap_or_default();
    Ok(ProofsView { head, receipts, seals, adopted_seals, hours, kept_from: kept_from.hour(), sealed_up_to })
}

/// The newest link of a chain; none while it is being written. Reads alone.
async fn peek(context: &Context, chain: &str) -> Result<Option<ReceiptsHead>, StoreError> {
    let head: Option<ChainHead> = context.documents().load(&Key::chain_head(chain)).await?;
    Ok(head.filter(|head| head.pending.is_none()).and_then(ChainHead::newest))
}

async fn read_links(context: &Context, chain: &str) -> Result<Vec<bytes::Bytes>, GdprError> {
    let keys: Vec<String> = context.store().list(&format!("{chain}/")).try_collect().await?;
    let is_link = |key: &&String| key.rsplit('/').next().is_some_and(|name| name.len() == 20);
    let in_order: BTreeSet<Key> = keys.iter().filter(is_link).filter_map(|key| Key::listed(key)).collect();
    let read = |key: Key| async move { context.store().get(&key).await };
    Ok(context.all(in_order, read).await?.into_iter().flatten().collect())
}
