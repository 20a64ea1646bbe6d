//! Documents: compare-and-swap that survives lost replies.
//!
//! Every write carries a random nonce, and a document keeps the nonces of all its writes of the last
//! 60 s. A conflict or an unclear error may hide that our own write was applied, and another writer
//! may have followed: so [`Documents::update`] reads back and looks for its nonces before it decides
//! anew. A basis older than 10 s is abandoned, because superseded revisions are pruned after 30 s.
//!
//! Unknown fields are kept; a newer schema is read but never written.

mod nonces;

pub use nonces::Body;

use super::{Key, Revision, Store, StoreError};
use crate::clock::World;
use crate::model::Time;
use nonces::{Stored, decode, encode};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use std::time::Duration;

/// How old the state that a write is based on may be.
pub const BASIS_LIMIT: Duration = Duration::from_secs(10);

/// How many times a write is tried before the caller is told to come back.
const ATTEMPTS: u32 = 40;

/// What a change decides about the document it is shown.
pub enum Decision<D, T> {
    /// Write this; answer that.
    Write(D, T),
    /// Write nothing; answer that.
    Keep(T),
}

/// Typed, conditional access to documents.
#[derive(Clone)]
pub struct Documents {
    store: Arc<dyn Store>,
    world: World,
}

impl Documents {
    /// Over that store, with that clock and randomness.
    pub fn new(store: Arc<dyn Store>, world: World) -> Self {
        Self { store, world }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// The store's, or `Refused` for one that can't be decoded.
    pub async fn load<D: DeserializeOwned>(&self, key: &Key) -> Result<Option<D>, StoreError> {
        match self.store.load(key).await? {
            Some(found) => Ok(Some(decode::<D>(&found.bytes)?.body)),
            None => Ok(None),
        }
    }

    /// Shows the document to `change`, writes what it decides if nothing else was written meanwhile,
    /// and otherwise shows it the newer state. `change` may run several times and must be idempotent.
    ///
    /// # Errors
    /// The store's; `Unavailable` when too many others were faster; `NewerSchema`.
    pub async fn update<D, T, F>(&self, key: &Key, mut change: F) -> Result<T, StoreError>
    where
        D: Serialize + DeserializeOwned + Send,
        T: Clone + Send,
        F: FnMut(Option<D>, Time) -> Decision<D, T> + Send,
    {
        let mut written: Vec<(String, T)> = Vec::new();
        let mut last = StoreError::Conflict;
        for attempt in 0..ATTEMPTS {
            let (basis, stored) = match self.read(key).await {
                Ok(found) => found,
                Err(error) if error.class() == super::ErrorClass::Transient && !written.is_empty() => {
                    last = error;
                    self.world.back_off(attempt).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let read_at = self.world.monotonic();
            if let Some(answer) = find_own(&written, stored.as_ref()) {
                return Ok(answer);
            }
            let now = self.world.now();
            let (body, nonces) = match stored {
                Some(stored) => (Some(stored.body), Some(stored.header)),
                None => (None, None),
            };
            let (new, answer) = match change(body, now) {
                Decision::Keep(answer) => return Ok(answer),
                Decision::Write(new, answer) => (new, answer),
            };
            let nonce = self.world.random_hex();
            let bytes = encode(&new, nonces, &nonce, now)?;
            written.push((nonce, answer.clone()));
            if self.world.monotonic().saturating_sub(read_at) > BASIS_LIMIT {
                continue;
            }
            match self.store.replace(key, basis.as_ref(), bytes).await {
                Ok(_) => return Ok(answer),
                Err(error) if error.may_be_applied() => last = error,
                Err(error) => return Err(error),
            }
            self.world.back_off(attempt).await;
        }
        Err(StoreError::Unavailable(format!("gave up after {ATTEMPTS} attempts: {last}")))
    }

    async fn read<D: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<(Option<Revision>, Option<Stored<D>>), StoreError> {
        match self.store.load(key).await? {
            Some(found) => Ok((Some(found.revision), Some(decode(&found.bytes)?))),
            None => Ok((None, None)),
        }
    }
}

fn find_own<D, T: Clone>(written: &[(String, T)], stored: Option<&Stored<D>>) -> Option<T> {
    let header = &stored?.header;
    written.iter().find(|(nonce, _)| header.has_nonce(nonce)).map(|(_, answer)| answer.clone())
}
