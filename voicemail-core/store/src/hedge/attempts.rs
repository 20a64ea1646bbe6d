//! A body that is stored by one of two attempts, each under a name of its own.
//!
//! What can go wrong: an attempt that was given up arrives after its name was removed. Then something stands there that
//! nothing refers to, as after a crash, and the sweeper removes it.

use crate::retry_until_known::delete;
use crate::{Attempt, BodyStream, Key, Store, StoreError};
use std::time::Duration;
use voicemail_model::CallerTag;
use voicemail_model::clock::World;

/// How long whoever stores a body waits for the removal of the other attempt's.
const REMOVAL: Duration = Duration::from_secs(1);

/// Stores a body; says under which name it stands. The other one is removed, and after an error both.
///
/// # Errors
/// The store's.
pub async fn put_attempts(
    store: &dyn Store,
    world: &World,
    names: [&Key; 2],
    body: BodyStream,
    tag: &CallerTag,
) -> Result<Attempt, StoreError> {
    let put = match store.put_attempts(names, body, tag).await {
        Ok(put) => put,
        Err(error) => {
            if error.may_be_applied() {
                for name in names {
                    delete(store, world, name).await?;
                }
            }
            return Err(error);
        }
    };
    if put.contended {
        // If it fails or lasts, the sweeper removes what is there.
        tokio::select! {
            _ = delete(store, world, names[put.attempt.other()]) => {}
            () = world.sleep(REMOVAL) => {}
        }
    }
    Ok(put.attempt)
}
