//! Where a tenant's stores are, and which of those places have passed the races of a first start.
//!
//! A place is kind, endpoint, bucket and folder; the tenant document remembers it with the release that looked.

use super::OpenError;
use crate::context::Context;
use voicemail_api::config::TenantConfig;
use voicemail_model::TenantDocument;
use voicemail_model::clock::World;
use voicemail_store::documents::Decision;
use voicemail_store::{Key, Store, StoreError, probe};

/// Which release looked at a place: the next one may look harder.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Probes a store; one that has passed the races is spared them, unless they cost nothing.
pub(crate) async fn probe_store(store: &dyn Store, known: bool, world: &World) -> Result<(), OpenError> {
    let report = match known && store.is_metered() {
        true => probe::probe_known(store, world).await,
        false => probe::probe(store, world).await,
    };
    match report.failure() {
        None => Ok(()),
        Some(finding) => {
            Err(OpenError::StorageProbeFailed { property: finding.property, detail: finding.detail.clone() })
        }
    }
}

/// Whether a region's place has passed the races, as the tenant document remembers.
pub(crate) async fn is_probed(context: &Context, region: &str) -> Result<bool, StoreError> {
    let Some(place) = place_of(context, region) else { return Ok(false) };
    let tenant: Option<TenantDocument> = context.documents().load(&Key::tenant()).await?;
    Ok(tenant.is_some_and(|tenant| tenant.has_probed(&place, RELEASE)))
}

/// Remembers that it has.
pub(crate) async fn note_probed(context: &Context, region: &str) -> Result<(), StoreError> {
    let Some(place) = place_of(context, region) else { return Ok(()) };
    let note = |found: Option<TenantDocument>, now| match found {
        Some(mut tenant) if !tenant.has_probed(&place, RELEASE) => {
            tenant.note_probed(&place, RELEASE, now);
            Decision::Write(tenant, ())
        }
        _ => Decision::Keep(()),
    };
    context.documents().update(&Key::tenant(), note).await
}

fn place_of(context: &Context, region: &str) -> Option<String> {
    let config = context.config();
    config.regions.iter().find(|known| known.name == region).map(|known| known.storage.identity())
}

pub(super) fn master_place(config: &TenantConfig) -> String {
    config.master().map(|region| region.storage.identity()).unwrap_or_default()
}
