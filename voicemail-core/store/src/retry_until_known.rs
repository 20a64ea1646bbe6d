//! Steps that must end in a known state although a reply may be lost: repeated until the store says which.
//!
//! Bounded: after some attempts the error goes up, and a due item or a retry takes the work up again.

use super::{ErrorClass, Key, Store, StoreError};
use bytes::Bytes;
use voicemail_model::CallerTag;
use voicemail_model::clock::World;
use voicemail_model::fault_injection::{self, Broken};

const ATTEMPTS: u32 = 8;

/// The object that stands under a name, by its writer.
pub enum Created {
    /// The one that we wrote.
    Ours,
    /// Another, with these bytes.
    Theirs(Bytes),
}

/// Creates an object, or tells which one is there. Bytes must differ between writers who must not be confused.
pub async fn create_or_read(
    store: &dyn Store,
    world: &World,
    key: &Key,
    bytes: &Bytes,
    tag: Option<&CallerTag>,
) -> Result<Created, StoreError> {
    let mut last = StoreError::Exists;
    for attempt in 0..ATTEMPTS {
        let created = match tag {
            Some(tag) => store.create_tagged(key, bytes.clone(), tag).await,
            None => store.create(key, bytes.clone()).await,
        };
        match created {
            Ok(()) => return Ok(Created::Ours),
            Err(error) if error.is_hindrance() => return Err(error),
            Err(error) if error.may_be_applied() || error.class() == ErrorClass::Transient => last = error,
            Err(error) => return Err(error),
        }
        match store.get(key).await {
            Ok(Some(found)) if found == *bytes && !fault_injection::is(Broken::OwnWriteTakenForAnothers) => {
                return Ok(Created::Ours);
            }
            Ok(Some(found)) => return Ok(Created::Theirs(found)),
            Ok(None) => {}
            Err(error) if error.class() == ErrorClass::Transient => last = error,
            Err(error) => return Err(error),
        }
        world.back_off(attempt).await;
    }
    Err(StoreError::Unavailable(format!("an object can't be created: {last}")))
}

/// Makes sure that an object of that name exists; which one doesn't matter.
pub async fn ensure(store: &dyn Store, world: &World, key: &Key, bytes: &Bytes) -> Result<(), StoreError> {
    create_or_read(store, world, key, bytes, None).await.map(|_| ())
}

/// Deletes, also when a first reply is unclear.
pub async fn delete(store: &dyn Store, world: &World, key: &Key) -> Result<(), StoreError> {
    let mut attempt = 0;
    loop {
        match store.delete(key).await {
            Err(error) if error.is_hindrance() => return Err(error),
            Err(error) if error.class() == ErrorClass::Transient && attempt < ATTEMPTS => attempt += 1,
            other => return other,
        }
        world.back_off(attempt).await;
    }
}
