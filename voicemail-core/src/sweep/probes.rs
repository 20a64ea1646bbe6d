//! Throw-away objects of probes that died half-way.

use crate::context::Context;
use crate::store::patience::delete;
use crate::store::{Key, StoreError};
use futures::TryStreamExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3_600);

/// Removes what probes of more than an hour ago left, in every region.
pub(super) async fn remove_stale(context: &Context) -> Result<(), StoreError> {
    let world = context.world();
    for (_, store) in context.regions() {
        let mut keys = store.list("probe/");
        while let Some(key) = keys.try_next().await? {
            let stale = Key::probe_begun(&key).is_some_and(|begun| world.now().since(begun) > PATIENCE);
            if let Some(key) = Key::listed(&key).filter(|_| stale) {
                delete(store.as_ref(), world, &key).await?;
            }
        }
    }
    Ok(())
}
