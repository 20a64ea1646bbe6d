//! Greetings that nothing names and whose due items are gone: their makers froze for longer than those wait.
//!
//! Only what was recorded within the last days is asked about, so that a walk costs a listing and little more.

use super::Swept;
use crate::context::Context;
use crate::mailbox::{GreetingStatus, settle_greeting};
use futures::TryStreamExt;
use std::time::Duration;
use voicemail_model::GreetingKey;
use voicemail_store::Family;
use voicemail_store::StoreError;

const DAY: Duration = Duration::from_secs(86_400);
/// Younger ones may be about to come into force.
const GRACE: Duration = DAY;
/// Older ones were asked about before.
const OLDEST: Duration = Duration::from_secs(9 * 86_400);

/// Removes greetings that aren't in force, a day after their recording began.
pub(super) async fn remove_orphans(context: &Context, swept: &mut Swept) -> Result<(), StoreError> {
    let now = context.world().now();
    let mut keys = context.store().list(Family::Greeting.prefix());
    while let Some(key) = keys.try_next().await? {
        let Some((audio, _, begun)) = GreetingKey::parse(&key) else { continue };
        if !(GRACE..OLDEST).contains(&now.since(begun)) {
            continue;
        }
        match settle_greeting(context, &audio).await {
            Ok(GreetingStatus::Deleted) => swept.orphans += 1,
            Ok(_) => {}
            // Settings that can't be read must not keep the others from being swept.
            Err(error) => swept.skip_one(context, "a greeting", error).await?,
        }
    }
    Ok(())
}
