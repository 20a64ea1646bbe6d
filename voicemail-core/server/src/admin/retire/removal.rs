//! Lets a cluster go, or removes everything. Both may be interrupted and repeated.

use super::blockers::{is_own, places};
use futures::stream::{self, TryChunksError};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use voicemail_engine::context::Context;
use voicemail_model::TenantDocument;
use voicemail_store::documents::Decision;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{Family, Key, StoreError};

/// Objects that are listed before they are deleted, and those that are at the same time.
const BATCH: usize = 1_000;
const AT_A_TIME: usize = 8;

/// Takes a cluster from the tenant document; its data stays. False if it wasn't there, or, unless `whoever`, if another
/// tenant of that cluster is registered in it.
///
/// # Errors
/// The store's.
pub(in crate::admin) async fn deregister(
    context: &Context,
    cluster: &str,
    any_tenant: bool,
) -> Result<bool, StoreError> {
    let config = context.config();
    let forget = |found: Option<TenantDocument>, _| {
        let mut tenant = found.unwrap_or_default();
        if !any_tenant && tenant.other_holder(cluster, config.holder.as_ref()).is_some() {
            return Decision::Keep(false);
        }
        match tenant.clusters.remove(cluster) {
            Some(_) => Decision::Write(tenant, true),
            None => Decision::Keep(false),
        }
    };
    context.documents().update(&Key::tenant(), forget).await
}

/// Removes everything; `show` gets the region and how many went so far, every thousand and at the end. Returns what is left, which
/// is none unless somebody writes meanwhile.
///
/// By the names that are known first, then whatever else stands below the tenant's root in any region. What is left is
/// told by a listing of each bare root, which knows no names.
///
/// # Errors
/// The store's: repeat it then.
pub(in crate::admin) async fn remove(
    context: &Context,
    mut show: impl FnMut(&str, u64),
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut gone: BTreeMap<String, u64> = BTreeMap::new();
    let known = places(context).into_iter().chain(roots(context));
    for (region, prefix) in known {
        let removed = gone.entry(region.clone()).or_default();
        clear(context, &region, prefix, |count| {
            *removed += count;
            show(&region, *removed);
        })
        .await?;
    }
    let left = count_left(context, |is_master, key| is_last(is_master, key) || is_own(key)).await?;
    if left.values().any(|count| *count > 0) {
        return Ok(left);
    }
    // Last of all: until then the store says whose it is.
    for key in last().rev().filter_map(|family| Key::listed(family.prefix())) {
        delete(context.store(), context.world(), &key).await?;
    }
    for (_, store) in context.regions() {
        store.dismantle().await?;
    }
    count_left(context, |_, _| false).await
}

/// The documents of the master that go at the very end, in reverse: they say whose the store is.
fn last() -> impl DoubleEndedIterator<Item = Family> {
    Family::ALL.into_iter().filter(|family| family.is_in(true) && family.is_single())
}

fn is_last(is_master: bool, key: &str) -> bool {
    is_master && last().any(|family| family.prefix() == key)
}

/// Every region's bare root, the master's last.
fn roots(context: &Context) -> Vec<(String, &'static str)> {
    let mut roots: Vec<_> = context.regions().map(|(name, _)| (name.clone(), "")).collect();
    roots.reverse();
    roots
}

async fn clear(
    context: &Context,
    region: &str,
    prefix: &str,
    mut tell: impl FnMut(u64),
) -> Result<(), StoreError> {
    let (store, is_master) = (context.region(region)?, region == context.master());
    // In batches: the keys of a million objects would fill the memory of a small pod.
    let mut batches = store.list(prefix).try_chunks(BATCH);
    while let Some(batch) = batches.try_next().await.map_err(|TryChunksError(_, error)| error)? {
        let goes = |key: &&String| !is_last(is_master, key) && !is_own(key);
        let keys: Vec<Key> = batch.iter().filter(goes).filter_map(|key| Key::listed(key)).collect();
        let deletions = keys.iter().map(|key| delete(store.as_ref(), context.world(), key));
        stream::iter(deletions).map(Ok).try_for_each_concurrent(AT_A_TIME, |deletion| deletion).await?;
        if !keys.is_empty() {
            tell(keys.len() as u64);
        }
    }
    Ok(())
}

/// Counts the objects below each region's bare root, but for those that `leaves_out` names.
async fn count_left(
    context: &Context,
    leaves_out: impl Fn(bool, &str) -> bool,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let (mut left, master) = (BTreeMap::new(), context.master());
    for (region, store) in context.regions() {
        let mut keys = store.list("");
        let count = left.entry(region.clone()).or_insert(0);
        while let Some(key) = keys.try_next().await? {
            *count += u64::from(!leaves_out(*region == master, &key));
        }
    }
    Ok(left)
}
