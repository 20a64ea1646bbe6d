//! Which tenant a store belongs to: it is claimed when it is empty, checked when it isn't, and each cluster that uses it
//! registers in it.
//!
//! What can go wrong: a store that takes no writes is opened as it is, if this tenant is known to be in it.

use super::OpenError;
use super::places::{RELEASE, master_place, probe_store};
use std::sync::Arc;
use voicemail_api::config::TenantConfig;
use voicemail_model::clock::World;
use voicemail_model::clock_trust::ClockTrust;
use voicemail_model::{Opening, TenantDocument, TenantKey};
use voicemail_store::documents::{Decision, Documents};
use voicemail_store::{Key, Store, StoreError};

/// Probes the master's store and opens the tenant in it. A store that this tenant is known to be in, and that takes no
/// writes now, is opened as it is: listening goes on.
pub(super) async fn open_master(
    store: &Arc<dyn Store>,
    config: &TenantConfig,
    key: &TenantKey,
    world: &World,
) -> Result<TenantDocument, OpenError> {
    let documents = Documents::new(Arc::clone(store), world.clone());
    let found: Option<TenantDocument> = documents.load(&Key::tenant()).await?;
    let place = master_place(config);
    let known = found.filter(|tenant| tenant.has_probed(&place, RELEASE));
    let hindrance = try_writing(store.as_ref(), world).await?;
    match (known, hindrance) {
        (Some(tenant), Some(error)) => {
            tenant.check_serving(&opening(config, key))?;
            tracing::warn!(reason = error.reason(), %error, "the store takes no writes now: what is stored is served");
            Ok(tenant)
        }
        (None, Some(error)) => Err(error.into()),
        (known, None) => {
            probe_store(store.as_ref(), known.is_some(), world).await?;
            claim(&documents, config, key, world).await
        }
    }
}

/// Whether there is room for a throw-away object, and it may be written.
async fn try_writing(store: &dyn Store, world: &World) -> Result<Option<StoreError>, OpenError> {
    let key = Key::probe(world.now(), &world.random_hex());
    match store.create(&key, "try".into()).await {
        Ok(()) => {
            store.delete(&key).await?;
            Ok(None)
        }
        Err(error) if error.is_hindrance() => Ok(Some(error)),
        // Any other fault is found and named by the probe.
        Err(_) => Ok(None),
    }
}

/// Claims an empty store, or checks that this one is ours; registers this cluster in it.
async fn claim(
    documents: &Documents,
    config: &TenantConfig,
    key: &TenantKey,
    world: &World,
) -> Result<TenantDocument, OpenError> {
    let id = uuid::Builder::from_random_bytes(world.random()).into_uuid().to_string();
    let make = |found: Option<TenantDocument>, _| match found {
        Some(found) => Decision::Keep(found),
        None => {
            let new = TenantDocument::new(&opening(config, key), id.clone());
            Decision::Write(new.clone(), new)
        }
    };
    let found = documents.update(&Key::tenant(), make).await?;
    found.check_serving(&opening(config, key))?;
    let trusted = !world.may_jump() || !ClockTrust::doubts_start(found.newest_heartbeat(), world.now());
    register(documents, config, key, trusted).await
}

/// A time that is doubted isn't written down: the next start would take it for right.
pub(super) async fn register(
    documents: &Documents,
    config: &TenantConfig,
    key: &TenantKey,
    trusted: bool,
) -> Result<TenantDocument, OpenError> {
    let register = |found: Option<TenantDocument>, now| {
        let mut tenant = found.unwrap_or_default();
        let opening = opening(config, key);
        match tenant.check_serving(&opening) {
            Ok(()) => {
                let known = tenant.newest_heartbeat().filter(|_| !trusted);
                tenant.register(&opening, known.unwrap_or(now));
                // A core that registers has probed the master, at its start at the latest.
                tenant.note_probed(&master_place(config), RELEASE, now);
                Decision::Write(tenant.clone(), Ok(tenant))
            }
            Err(error) => Decision::Keep(Err(error)),
        }
    };
    Ok(documents.update(&Key::tenant(), register).await??)
}

/// How the configuration asks for the tenant document.
pub fn opening<'a>(config: &'a TenantConfig, key: &'a TenantKey) -> Opening<'a> {
    Opening {
        tenant_id: &config.tenant_id,
        key,
        regions: config.regions.iter().map(|region| region.name.clone()).collect(),
        master: config.master().map_or("", |region| &region.name),
        number_region: &config.default_number_region,
        prefixes: &config.number_prefixes,
        withheld: &config.withheld_callers,
        classes: &config.classes_of_service,
        cluster: &config.cluster,
        holder: config.holder.as_ref(),
        region: &config.region,
    }
}
