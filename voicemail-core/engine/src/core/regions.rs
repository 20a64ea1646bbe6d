//! The regions of a tenant: whether each one's store is the one expected, and whether it answers.
//!
//! Flow: opening a tenant opens every region: probe, then the region's marker, an object that says which
//! store and region it belongs to. The master must open; another region that doesn't answer is tried again
//! every ten seconds, and nothing is written there before it was opened. From then on its clock is asked,
//! which costs a request only when nothing else was sent for a while.
//!
//! Every region that is open is tended, too: whether there is room and writes pass.
//!
//! What can go wrong: a region that points at another region's or tenant's folder, which the marker tells.

use super::OpenError;
use super::places::{is_probed, note_probed, probe_store};
use crate::context::{Context, RegionStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::readiness::RegionHealth;
use voicemail_model::IdentityError;
use voicemail_store::codec::{decode, encode};
use voicemail_store::retry_until_known::{Created, create_or_read};
use voicemail_store::{Hindrance, Key, Store};

const LOOK_EVERY: Duration = Duration::from_secs(10);

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
    context: &Context,
    store: &dyn Store,
    region: &str,
    store_id: &str,
) -> Result<(), OpenError> {
    let (known, world) = (is_probed(context, region).await?, context.world());
    probe_store(store, known, world).await?;
    if !known {
        note_probed(context, region).await?;
    }
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

/// Looks after the regions until dropped. Whether the master answers is looked at by the clock guard.
pub(crate) async fn watch(context: &Context) {
    let mut hindrances = BTreeMap::new();
    loop {
        tend(context, &mut hindrances).await;
        write_pending(context).await;
        context.world().sleep(LOOK_EVERY).await;
        for (name, store) in context.regions().skip(1) {
            let before = context.region_statuses().of(name);
            let now = look(context, name, store.as_ref(), before.as_ref()).await;
            if now != before {
                tell(name, now.as_ref());
                context.region_statuses().note(name, now);
            }
        }
    }
}

/// Lets every open region's store look whether it takes messages, and tells what has changed.
async fn tend(context: &Context, before: &mut BTreeMap<String, Option<Hindrance>>) {
    for (name, store) in context.regions() {
        if matches!(context.region_statuses().of(name), Some(RegionStatus::Unopened(_))) {
            continue;
        }
        if let Err(error) = store.tend().await {
            tracing::debug!(region = name, reason = error.reason(), %error, "the region can't be tended now");
        }
        let now = store.hindrance();
        if before.get(name).cloned().flatten() != now {
            match &now {
                None => {
                    tracing::info!(region = name, "nothing keeps the store from taking messages any more")
                }
                Some(found) => {
                    tracing::warn!(
                        region = name,
                        reason = found.reason(),
                        message = found.message(),
                        "the store is hindered"
                    );
                }
            }
            before.insert(name.clone(), now);
        }
    }
}

/// Writes who listened meanwhile, once the store takes writes.
pub(crate) async fn write_pending(context: &Context) {
    let count = context.acts().pending.count();
    if count == 0 || context.store().hindrance().is_some_and(|found| found.weight() > 1) {
        return;
    }
    if let Err(error) = context.audit().write_pending().await {
        let left = context.acts().pending.count();
        tracing::warn!(left, reason = error.reason(), %error, "acts of listening aren't in the audit log yet");
    }
}

/// The worst that hinders deposits here: of the master's store, which holds all but audio, and this region's.
pub(crate) fn find_hindrance(context: &Context) -> Option<Hindrance> {
    let (own, master) = (context.config().region.clone(), context.master());
    let concerned = context.regions().filter(|(name, _)| **name == own || **name == master);
    concerned.filter_map(|(_, store)| store.hindrance()).max_by_key(Hindrance::weight)
}

async fn look(
    context: &Context,
    name: &str,
    store: &dyn Store,
    before: Option<&RegionStatus>,
) -> Option<RegionStatus> {
    if matches!(before, Some(RegionStatus::Unopened(_))) {
        let store_id = context.identity().store_id.clone();
        let opened = open_region(context, store, name, &store_id).await;
        return opened.err().map(|error| RegionStatus::Unopened(error.to_string()));
    }
    store.clock().await.err().map(|error| RegionStatus::Silent(error.to_string()))
}

fn tell(region: &str, status: Option<&RegionStatus>) {
    match status {
        None => tracing::info!(region, "the region answers"),
        Some(RegionStatus::Unopened(cause) | RegionStatus::Silent(cause)) => {
            tracing::warn!(region, %cause, "the region can't be used");
        }
    }
}

/// Every region as last seen, the master first.
pub(crate) fn list_health(context: &Context) -> Vec<RegionHealth> {
    let health = |(name, store): (&String, &Arc<dyn Store>)| {
        let away = context.region_statuses().of(name).map(|status| match status {
            RegionStatus::Unopened(cause) | RegionStatus::Silent(cause) => cause,
        });
        let hindrance = store.hindrance().filter(|_| away.is_none());
        RegionHealth {
            name: name.clone(),
            reachable: away.is_none(),
            reason: hindrance.as_ref().map(|found| found.reason().to_owned()),
            message: away.or_else(|| hindrance.map(|found| found.message())),
        }
    };
    context.regions().map(health).collect()
}
