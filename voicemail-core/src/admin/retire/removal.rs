//! Lets a cluster go, or removes everything. Both may be interrupted and repeated.

use super::standing::{count_objects, places};
use crate::context::Context;
use crate::fsck::DOCUMENTS;
use crate::model::TenantDocument;
use crate::store::documents::Decision;
use crate::store::patience::delete;
use crate::store::{Key, StoreError};
use futures::stream::{self, TryChunksError};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;

/// Objects that are listed before they are deleted, and those that are at the same time.
const BATCH: usize = 1_000;
const AT_A_TIME: usize = 8;

/// Takes a cluster from the tenant document; its data stays. False if it wasn't there.
///
/// # Errors
/// The store's.
pub(in crate::admin) async fn deregister(context: &Context, cluster: &str) -> Result<bool, StoreError> {
    let forget = |found: Option<TenantDocument>, _| {
        let mut tenant = found.unwrap_or_default();
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
/// # Errors
/// The store's: repeat it then.
pub(in crate::admin) async fn remove(
    context: &Context,
    mut show: impl FnMut(&str, u64),
) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut gone: BTreeMap<String, u64> = BTreeMap::new();
    for (region, prefix) in places(context) {
        let store = context.region(&region)?;
        // In batches: the keys of a million objects would fill the memory of a small pod.
        let mut batches = store.list(prefix).try_chunks(BATCH);
        while let Some(batch) = batches.try_next().await.map_err(|TryChunksError(_, error)| error)? {
            let keys: Vec<Key> = batch.iter().filter_map(|key| Key::listed(key)).collect();
            let deletions = keys.iter().map(|key| delete(store.as_ref(), context.world(), key));
            stream::iter(deletions).map(Ok).try_for_each_concurrent(AT_A_TIME, |deletion| deletion).await?;
            let count = gone.entry(region.clone()).or_default();
            *count += keys.len() as u64;
            show(&region, *count);
        }
    }
    let left = count_objects(context).await?;
    if left.values().all(|count| *count == 0) {
        // Last of all: until then the store says whose it is.
        for key in DOCUMENTS.iter().rev().filter_map(|key| Key::listed(key)) {
            delete(context.store(), context.world(), &key).await?;
        }
    }
    Ok(left)
}
