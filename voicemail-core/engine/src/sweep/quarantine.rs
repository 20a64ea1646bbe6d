//! Quarantined objects: `fsck` moved away what couldn't be decoded. They are kept for a person to look at.

use super::Swept;
use crate::context::Context;
use futures::TryStreamExt;
use std::time::Duration;
use voicemail_store::Family;
use voicemail_store::retry_until_known::delete;
use voicemail_store::{Key, StoreError};

const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Removes what was moved away more than 30 days ago.
pub(super) async fn remove_old(context: &Context, swept: &mut Swept) -> Result<(), StoreError> {
    let world = context.world();
    let horizon = world.now().minus(KEPT).minute();
    let mut keys = context.store().list(Family::Quarantine.prefix());
    while let Some(key) = keys.try_next().await? {
        let old = Key::quarantined(&key).is_some_and(|(minute, _)| minute < horizon.as_str());
        let Some(key) = Key::listed(&key).filter(|_| old) else { continue };
        if let Err(error) = delete(context.store(), world, &key).await {
            swept.skip_one(context, "a quarantined object", error).await?;
        }
    }
    Ok(())
}
