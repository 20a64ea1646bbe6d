//! The regions of a tenant: whether each one's store is the one expected, and whether it answers.
//!
//! Flow: opening a tenant opens every region: probe, then the region's marker, an object that says which
//! store and region it belongs to. The master must open; another region that doesn't answer is tried again
//! every ten seconds, and nothing is written there before it was opened. From then on its clock is asked,
//! which costs a request only when nothing else was sent for a while.
//!
//! What can go wrong: a region that points at another region's or tenant's folder, which the marker tells.

use crate::clock::World;
use crate::context::Context;
use crate::core::{OpenError, RegionHealth, probe_store};
use crate::mailbox::{decode, encode};
use crate::model::IdentityError;
use crate::store::patience::{Created, create_or_read};
use crate::store::{Key, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What was last seen of each region; one that isn't named was opened and answers.
#[derive(Default)]
pub(crate) struct Sights(Mutex<BTreeMap<String, Sight>>);

/// What is wrong with a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It wasn't opened yet: nothing may be written.
    Unopened(String),
    /// It didn't answer.
    Silent(String),
}

impl Sights {
    /// Remembers what is wrong with a region, or that nothing is.
    pub(crate) fn note(&self, region: &str, sight: Option<Sight>) {
        let mut sights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sight {
            Some(sight) => sights.insert(region.to_owned(), sight),
            None => sights.remove(region),
        };
    }

    /// What is wrong with a region.
    pub(crate) fn of(&self, region: &str) -> Option<Sight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(region).cloned()
    }
}

/// Says whose region a folder is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    store_id: String,
    region: String,
}

/// Probes a region's store and checks or makes its marker.
///
/// # Errors
/// See [`OpenError`].
pub(crate) async fn open_region(
    store: &dyn Store,
    region: &str,
    store_id: &str,
    world: &World,
) -> Result<(), OpenError> {
    probe_store(store, world).await?;
    let ours = Marker { store_id: store_id.into(), region: region.into() };
    let found = match create_or_read(store, world, &Key::region(), &encode(&ours)?, None).await? {
        Created::Ours => return Ok(()),
        Created::Theirs(bytes) => decode::<Marker>(&bytes)?,
    };
    let what = match found {
        found if found == ours => return Ok(()),
        found if found.store_id == ours.store_id => "a region's folder is another region's",
        _ => "a region's folder belongs to another store",
    };
    Err(IdentityError::StoreBelongsToAnother { store_id: store_id.to_owned(), what }.into())
}

/// Looks after all regions but the master until dropped; the master is looked at by the clock guard.
pub(crate) async fn watch(context: &Context) {
    loop {
        context.world().sleep(LOOK_EVERY).await;
        for (name, store) in context.regions().skip(1) {
            let before = context.sights().of(name);
            let now = look(context, name, store.as_ref(), before.as_ref()).await;
            if now != before {
                tell(name, now.as_ref());
                context.sights().note(name, now);
            }
        }
    }
}

async fn look(context: &Context, name: &str, store: &dyn Store, before: Option<&Sight>) -> Option<Sight> {
    if matches!(before, Some(Sight::Unopened(_))) {
        let store_id = context.identity().store_id.clone();
        let opened = open_region(store, name, &store_id, context.world()).await;
        return opened.err().map(|error| Sight::Unopened(error.to_string()));
    }
    store.clock().await.err().map(|error| Sight::Silent(error.to_string()))
}

fn tell(region: &str, sight: Option<&Sight>) {
    match sight {
        None => tracing::info!(region, "the region answers"),
        Some(Sight::Unopened(cause) | Sight::Silent(cause)) => {
            tracing::warn!(region, %cause, "the region can't be used");
        }
    }
}

/// Every region as last seen, the master first.
pub(crate) fn list_health(context: &Context) -> Vec<RegionHealth> {
    let health = |name: &String| {
        let message = context.sights().of(name).map(|sight| match sight {
            Sight::Unopened(cause) | Sight::Silent(cause) => cause,
        });
        RegionHealth { name: name.clone(), reachable: message.is_none(), message }
    };
    context.regions().map(|(name, _)| health(name)).collect()
}
