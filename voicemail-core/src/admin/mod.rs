//! What an administrator runs beside the cores: `voicemail admin …`.
//!
//! Flow: [`open`] reads keys, stores and tenant document without probing, registering or sweeping; over
//! read-only stores unless something is to be changed. The work itself is one file a command; the checker
//! is [`fsck`](crate::fsck).
//!
//! What can go wrong: the store isn't this tenant's, or doesn't answer: nothing is done then.

mod progress;
mod replay;
mod retention;
mod retire;
mod show;

pub use replay::{read_ledger, run_replay_erasures};

pub use progress::Progress;
pub use retention::{MailboxPlan, RetentionCounts, RetentionReport, apply_retention};
pub use retire::{Purpose, Retirement, run_retire};
pub use show::{CommandResult, run_apply_retention, run_fsck};

use crate::clock::World;
use crate::config::TenantConfig;
use crate::context::{Context, Identity};
use crate::core::{OpenError, TenantKeys, make_store, opening};
use crate::model::TenantDocument;
use crate::store::documents::Documents;
use crate::store::read_only::ReadOnlyStore;
use crate::store::{Key, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a tool may do to the stores.
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
        regions.insert(region.name.clone(), make_store(config, &region.storage, world)?);
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

#[cfg(test)]
mod tests;
