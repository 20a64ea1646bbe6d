//! The ledger: what was erased, by hash and cut-off only, entered before the first deletion of an erasure.
//!
//! It is a chain (see [`chain`](super::chain)), so that its head tells a store that was restored from one that
//! wasn't; its entries are what [`replay`](super::replay) erases again. Between them stand requests that wait and legal
//! holds (see [`promise`](super::promise)). Entries go when no backup can be as old.

use super::GdprError;
use super::chain::{self, LEDGER, Link, Once, RECEIPTS, SEALS};
use super::erase::Scope;
use super::forget::apply_to_all;
use super::promise::Promise;
use super::runs::change;
use super::search::{Walk, by_mailbox};
use super::target::Target;
use crate::context::{Context, Memory};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::{LedgerHead, LedgerText, LedgerView, ReceiptLink, ReceiptsHead};
use voicemail_model::{
    ByRules, CallerHash, CaseId, Entry, Forwarding, IndexOp, MARK_MINIMUM, MessageName, Run, RunId,
    TenantDocument, Time,
};
use voicemail_store::Family;
use voicemail_store::documents::{Cache, Decision};
use voicemail_store::retry_until_known::{delete, ensure};
use voicemail_store::{History, Key, StoreError};

/// One erasure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LedgerEntry {
    pub(super) schema: u32,
    pub(super) epoch: u64,
    /// SHA-256 of the entry before.
    pub(super) previous: String,
    pub(super) case: CaseId,
    pub(super) run: RunId,
    pub(super) callers: Vec<CallerHash>,
    /// Hashes under which other rule sets may have filed the callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doubtful: Option<ByRules>,
    pub(super) messages: Vec<MessageName>,
    /// It is no erasure but something that waits for one, keeps from one, or ended either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) promise: Option<Promise>,
    pub(super) cutoff: Time,
    /// When it was entered.
    pub(super) at: Time,
}

impl LedgerEntry {
    pub(super) fn target(&self) -> Target {
        let Self { callers, doubtful, messages, .. } = self.clone();
        Target { callers, doubtful, messages }
    }

    pub(super) fn read(text: &str) -> Result<Self, GdprError> {
        serde_json::from_str(text).map_err(|_| GdprError::LedgerMismatch("an entry can't be read"))
    }
}

/// Enters a purge that begins. Repeating it does nothing.
pub(super) async fn enter(context: &Context, run: &Run, scope: Scope<'_>) -> Result<(), GdprError> {
    if run.epoch.is_some() {
        return Ok(());
    }
    let Target { callers, doubtful, messages } = scope.target.clone();
    let entry = LedgerEntry {
        schema: 1,
        epoch: 0,
        previous: String::new(),
        case: run.case.clone(),
        run: run.id.clone(),
        callers,
        doubtful,
        messages,
        promise: None,
        cutoff: scope.cutoff,
        at: context.world().now(),
    };
    // Its run knows its number before the next entry can be made.
    append(context, entry, Once::Entered(scope.run)).await
}

/// Puts an entry at the end, with the number and the previous hash of its place.
pub(super) async fn append(context: &Context, entry: LedgerEntry, once: Once<'_>) -> Result<(), GdprError> {
    let make = |epoch, previous: &str| {
        let entry = LedgerEntry { epoch, previous: previous.to_owned(), ..entry.clone() };
        let failed = |error| StoreError::Refused(format!("the ledger can't be encoded: {error}"));
        let text = serde_json::to_string(&entry).map_err(failed)?;
        Ok(Link { hash: chain::hash(&text), text, beside: None })
    };
    chain::append(context, LEDGER, tenant_epoch(context), once, make).await.map(drop)
}

/// The subject of a purge that has begun; nobody if it hasn't, or is older than the ledger reaches.
pub(super) async fn read_target(context: &Context, run: &Run) -> Result<Target, GdprError> {
    let Some(epoch) = run.epoch else { return Ok(Target::default()) };
    match context.store().get(&Key::chain_link(LEDGER, epoch)).await? {
        Some(bytes) => Ok(LedgerEntry::read(&String::from_utf8_lossy(&bytes))?.target()),
        None => Ok(Target::default()),
    }
}

/// Erasures of the ledger that cover a message.
pub(super) async fn find_covering(
    context: &Context,
    message: &MessageName,
    entry: &Entry,
) -> Result<BTreeSet<RunId>, GdprError> {
    let (mut covering, given) = (BTreeSet::new(), entry.caller.as_ref());
    let mut names: Vec<MessageName> = entry.forwarded_from.iter().flat_map(Forwarding::ancestors).collect();
    names.push(message.clone());
    let read = |(_, key): (u64, Key)| async move { context.store().get(&key).await };
    for bytes in context.all(list(context).await?, read).await?.into_iter().flatten() {
        let erasure = LedgerEntry::read(&String::from_utf8_lossy(&bytes))?;
        let target = erasure.target();
        let theirs = names.iter().any(|name| target.messages.contains(name))
            || target.admits(context, &entry.caller_hash, given).await?;
        if theirs && entry.received <= erasure.cutoff {
            covering.insert(erasure.run);
        }
    }
    Ok(covering)
}

/// Lets the run and the tenant know an entry's number. It is part of making the entry: a worker that comes at the same
/// time finds that the erasure was entered.
pub(super) async fn note_entered(context: &Context, epoch: u64, text: &str) -> Result<(), StoreError> {
    let Ok(LedgerEntry { run, promise, .. }) = LedgerEntry::read(text) else {
        return Err(StoreError::Refused("the ledger's newest entry can't be read".into()));
    };
    if let Some(promise) = promise {
        return tokio::try_join!(note_promised(context, &promise), raise_epoch(context, epoch)).map(drop);
    }
    let note = |run: &mut Run, _| {
        let fresh = run.epoch.is_none();
        run.epoch = run.epoch.or(Some(epoch));
        (fresh, ())
    };
    tokio::try_join!(change(context, &run, note), raise_epoch(context, epoch)).map(drop)
}

async fn note_promised(context: &Context, promise: &Promise) -> Result<(), StoreError> {
    let Promise::Run { run: kept } = promise else { return Ok(()) };
    let note = |run: &mut Run, _| {
        let fresh = run.promised != Some(kept.state);
        run.promised = Some(kept.state);
        (fresh, ())
    };
    change(context, &kept.id, note).await.map(drop)
}

/// As a mark does, before anything goes: what a legal hold keeps from an erasure is hidden nevertheless. What can't be
/// read now is what the erasure stays open for.
pub(super) async fn hide(
    context: &Context,
    run: &RunId,
    target: &Target,
    cutoff: Time,
    purge_at: Time,
) -> Result<(), GdprError> {
    let flag = |messages| IndexOp::Flag { run: run.clone(), purge_at, messages };
    let mut walk = Walk::new(target, cutoff);
    while let Some(part) = walk.next(context).await? {
        apply_to_all(context, by_mailbox(&part.found), flag).await?;
    }
    Ok(())
}

/// The number that erasures of before the ledger reached.
pub(super) async fn tenant_epoch(context: &Context) -> Result<u64, StoreError> {
    let known: Arc<KnownTenant> = context.memory();
    let tenant = context.documents().load_known(&known.0, &Key::tenant()).await?;
    Ok(tenant.map_or(0, |(tenant, _)| tenant.erasure_epoch))
}

/// The tenant's document, which nothing removes: what raises its number read it a moment before.
struct KnownTenant(Cache<TenantDocument>);

impl Memory for KnownTenant {
    fn begin(_: &Context) -> Self {
        Self(Cache::new(1, |_| 1))
    }
}

pub(super) async fn raise_epoch(context: &Context, epoch: u64) -> Result<(), StoreError> {
    let raise = |found: Option<TenantDocument>, _| match found {
        Some(mut tenant) if tenant.erasure_epoch < epoch => {
            tenant.erasure_epoch = epoch;
            Decision::Write(tenant, ())
        }
        _ => Decision::Keep(()),
    };
    let known: Arc<KnownTenant> = context.memory();
    context.documents().update_known(&known.0, &Key::tenant(), raise).await
}

/// The newest erasure, and the newest receipt.
pub(super) async fn read_head(context: &Context) -> Result<LedgerHead, StoreError> {
    let head = chain::read_head(context, LEDGER).await?;
    let epoch = if head.number == 0 { tenant_epoch(context).await? } else { head.number };
    let receipts = chain::read_head(context, RECEIPTS).await?.newest();
    let seals = chain::read_head(context, SEALS).await?.newest();
    Ok(LedgerHead { epoch, hash: head.hash, receipts, seals })
}

/// The ledger after that number.
pub(super) async fn read(context: &Context, after: u64) -> Result<LedgerView, GdprError> {
    let head = read_head(context).await?;
    let mut entries = Vec::new();
    let wanted =
        list(context).await?.into_iter().filter(|(epoch, _)| (after + 1..=head.epoch).contains(epoch));
    let read = |(epoch, key): (u64, Key)| async move {
        let bytes = context.store().get(&key).await?;
        let show =
            |bytes: bytes::Bytes| LedgerText { epoch, text: String::from_utf8_lossy(&bytes).into_owned() };
        Ok::<_, StoreError>(bytes.map(show))
    };
    entries.extend(context.all(wanted, read).await?.into_iter().flatten());
    Ok(LedgerView { store_id: context.identity().store_id.clone(), head, entries })
}

async fn list(context: &Context) -> Result<Vec<(u64, Key)>, StoreError> {
    let keys: Vec<String> = context.store().list(Family::Ledger.prefix()).try_collect().await?;
    let number = |key: &String| key.rsplit('/').next().and_then(|name| name.parse::<u64>().ok());
    Ok(keys.iter().filter_map(|key| Some((number(key)?, Key::listed(key)?))).collect())
}

/// Why a store isn't the one that the head is of; none if it is.
pub(crate) async fn find_restore(
    context: &Context,
    expected: &LedgerHead,
) -> Result<Option<String>, StoreError> {
    let head = read_head(context).await?;
    if head.epoch < expected.epoch {
        return Ok(Some(format!(
            "the store's ledger has {} entries and {} were made: it was restored from a backup; run voicemail admin \
             replay-erasures",
            head.epoch, expected.epoch
        )));
    }
    if head.lacks_receipts_of(expected) {
        return Ok(Some(
            "more receipts were issued than the store knows: it was restored from a backup; run voicemail admin \
             replay-erasures"
                .into(),
        ));
    }
    if head.lacks_seals_of(expected) {
        return Ok(Some(
            "more hours of the audit log were sealed than the store knows: it was restored from a backup; run voicemail admin \
             replay-erasures"
                .into(),
        ));
    }
    let known = match head.epoch == expected.epoch {
        true => Some(head.hash),
        false => context
            .store()
            .get(&Key::chain_link(LEDGER, expected.epoch))
            .await?
            .map(|bytes| chain::hash(&String::from_utf8_lossy(&bytes))),
    };
    let differs = known.is_some_and(|known| !expected.hash.is_empty() && known != expected.hash);
    Ok(differs.then(|| {
        "the entries of the store's ledger are others than those made: it was restored from a backup, and erased \
         from since"
            .into()
    }))
}

/// Removes entries that are older than any backup.
pub(crate) async fn expire(context: &Context) -> Result<(), StoreError> {
    const DAY: Duration = Duration::from_secs(86_400);
    let life = context.config().gdpr.backup_retention.max(MARK_MINIMUM) + DAY;
    let (now, mut removed) = (context.world().now(), false);
    for (_, key) in list(context).await? {
        let Some(bytes) = context.store().get(&key).await? else { continue };
        let entry = LedgerEntry::read(&String::from_utf8_lossy(&bytes)).ok();
        // Numbers rise with time: all that follow are younger.
        if entry.is_some_and(|entry| entry.at.plus(life) > now) {
            break;
        }
        delete(context.store(), context.world(), &key).await?;
        removed = true;
    }
    if removed {
        context.store().prune_history(History::Of(&Key::chain_head(LEDGER)), now).await?;
    }
    Ok(())
}

/// The chains of receipts and of seals go on from the newest that are known outside the store: no number is given twice.
pub(super) async fn adopt_links(context: &Context, newest: &LedgerHead) -> Result<(), StoreError> {
    for (chain, newest) in [(RECEIPTS, &newest.receipts), (SEALS, &newest.seals)] {
        if let Some(newest) = newest {
            adopt_link(context, chain, newest).await?;
        }
    }
    Ok(())
}

/// What was lost is told from what somebody removed: a link stands for the newest that was known outside.
async fn stand_in(context: &Context, chain: &str, newest: &ReceiptsHead) -> Result<(), StoreError> {
    let link = ReceiptLink {
        number: newest.number,
        previous: String::new(),
        hash: newest.hash.clone(),
        adopted: true,
    };
    let text = serde_json::to_string(&link)
        .map_err(|error| StoreError::Refused(format!("a link can't be encoded: {error}")))?;
    let key = Key::chain_link(chain, newest.number);
    if context.store().get(&key).await?.is_some() {
        return Ok(());
    }
    ensure(context.store(), context.world(), &key, &text.into()).await
}

async fn adopt_link(context: &Context, chain: &str, newest: &ReceiptsHead) -> Result<(), StoreError> {
    // A pending entry is written first, under its own number.
    let known = chain::read_head(context, chain).await?;
    if known.number >= newest.number {
        return Ok(());
    }
    stand_in(context, chain, newest).await?;
    let adopt = |found: Option<chain::ChainHead>, _| {
        let mut head = found.unwrap_or_default();
        if head.number >= newest.number || head.pending.is_some() {
            return Decision::Keep(head.number >= newest.number);
        }
        (head.number, head.hash) = (newest.number, newest.hash.clone());
        Decision::Write(head, true)
    };
    while !context.documents().update(&Key::chain_head(chain), adopt).await? {
        chain::read_head(context, chain).await?;
    }
    Ok(())
}

/// Puts entries of another ledger in the place of this store's, whose erasures have been carried out here too.
pub(super) async fn adopt(
    context: &Context,
    entries: &[LedgerText],
    newest: &LedgerHead,
) -> Result<(), StoreError> {
    for entry in entries {
        let key = Key::chain_link(LEDGER, entry.epoch);
        voicemail_store::retry_until_known::ensure(
            context.store(),
            context.world(),
            &key,
            &entry.text.clone().into(),
        )
        .await?;
    }
    let adopt = |found: Option<chain::ChainHead>, _| {
        let mut head = found.unwrap_or_default();
        if head.number >= newest.epoch {
            return Decision::Keep(());
        }
        (head.number, head.hash, head.pending) = (newest.epoch, newest.hash.clone(), None);
        Decision::Write(head, ())
    };
    context.documents().update(&Key::chain_head(LEDGER), adopt).await?;
    raise_epoch(context, newest.epoch).await
}
