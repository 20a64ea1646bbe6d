//! Throw-away objects of probes that died half-way.

use super::Swept;
use crate::context::Context;
use futures::TryStreamExt;
use std::time::Duration;
use voicemail_store::Family;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{Key, Store, StoreError};

const PATIENCE: Duration = Duration::from_secs(3_600);

/// Removes what probes of more than an hour ago left, in every region.
pub(super) async fn remove_stale(context: &Context, swept: &mut Swept) -> Result<(), StoreError> {
    let mut failed = Ok(());
    for (_, store) in context.regions() {
        // A region that is away keeps no other from being swept.
        failed = failed.and(remove_from(context, store.as_ref(), swept).await);
    }
    failed
}

async fn remove_from(context: &Context, store: &dyn Store, swept: &mut Swept) -> Result<(), StoreError> {
    let world = context.world();
    let mut keys = store.list(Family::Probe.prefix());
    while let Some(key) = keys.try_next().await? {
        let stale = Key::probe_begun(&key).is_some_and(|begun| world.now().since(begun) > PATIENCE);
        let Some(key) = Key::listed(&key).filter(|_| stale) else { continue };
        if let Err(error) = delete(store, world, &key).await {
            swept.skip_one(context, "what a probe left", error).await?;
        }
    }
    Ok(())
}
