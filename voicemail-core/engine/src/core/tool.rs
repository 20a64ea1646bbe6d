//! A tenant's stores opened for a tool: without probing, registering or sweeping; read-only unless something is to be changed.

use super::{OpenError, TenantKeys, opening};
use crate::context::{Context, Identity};
use std::collections::BTreeMap;
use std::sync::Arc;
use voicemail_api::config::TenantConfig;
use voicemail_model::TenantDocument;
use voicemail_model::clock::World;
use voicemail_store::documents::Documents;
use voicemail_store::hedge::Hedges;
use voicemail_store::read_only::ReadOnlyStore;
use voicemail_store::{Key, Store, StoreError, make_store};

/// A tool's access to the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only look: every writing call is refused.
    Read,
    /// As `Read`, and a tenant document that can't be decoded is no obstacle: the checker reports it.
    Examine,
    /// Change what the command says.
    Write,
    /// As `Write`, and a store that holds nothing any more is no obstacle: it was let go or emptied already.
    Retire,
}

/// Opens a tenant's stores for a tool.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(config: &TenantConfig, access: Access, world: &World) -> Result<Context, OpenError> {
    let keys = TenantKeys::read(&config.keys_dir)?;
    let mut regions = BTreeMap::new();
    for region in &config.regions {
        let hedges = Hedges::of_tool(world, config.store_calls);
        regions.insert(region.name.clone(), make_store(config, &region.storage, world, hedges)?);
    }
    open_on(config, keys, regions, access, world).await
}

/// As [`open`], on stores that are there already.
///
/// # Errors
/// See [`OpenError`].
pub async fn open_on(
    config: &TenantConfig,
    keys: TenantKeys,
    regions: BTreeMap<String, Arc<dyn Store>>,
    access: Access,
    world: &World,
) -> Result<Context, OpenError> {
    let guarded = |store: Arc<dyn Store>| match access {
        Access::Read | Access::Examine => Arc::new(ReadOnlyStore::new(store)) as Arc<dyn Store>,
        Access::Write | Access::Retire => store,
    };
    let regions: BTreeMap<_, _> = regions.into_iter().map(|(name, store)| (name, guarded(store))).collect();
    let missing = || StoreError::Refused("no region is the master".into());
    let master = config.master().and_then(|region| regions.get(&region.name)).ok_or_else(missing)?;
    let store = Arc::clone(master);
    let documents = Documents::new(Arc::clone(&store), world.clone());
    let identity = match read_identity(&documents, config, &keys).await {
        Err(OpenError::Store(StoreError::Undecodable { .. })) if access == Access::Examine => {
            Identity::default()
        }
        Ok(None) if access == Access::Retire => Identity::default(),
        Ok(None) => {
            return Err(
                StoreError::Refused("the store holds no tenant: is this the right one?".into()).into()
            );
        }
        other => other?.unwrap_or_default(),
    };
    Ok(Context::new(config.clone(), identity, keys.tenant, store, regions, world.clone()))
}

async fn read_identity(
    documents: &Documents,
    config: &TenantConfig,
    keys: &TenantKeys,
) -> Result<Option<Identity>, OpenError> {
    let found: Option<TenantDocument> = documents.load(&Key::tenant()).await?;
    let Some(tenant) = found else { return Ok(None) };
    tenant.check(&opening(config, &keys.tenant))?;
    Ok(Some(Identity::of(tenant)))
}
