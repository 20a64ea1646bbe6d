//! From a region's configuration to its store.

use crate::hedge::{HedgedStore, Hedges};
use crate::object::{ObjectBackend, UploadBudget};
use crate::retry::RetryStore;
use crate::volume::{LockProbe, VolumeStore};
use crate::{Store, StoreError};
use std::sync::Arc;
use voicemail_api::config::{StorageConfig, TenantConfig};
use voicemail_model::clock::World;

/// The store that a configuration names, with time-outs, retries and second tries of what lasts unusually long.
///
/// # Errors
/// `Refused` for credentials that can't be read at all.
pub fn make_store(
    config: &TenantConfig,
    storage: &StorageConfig,
    world: &World,
    hedges: Hedges,
) -> Result<Arc<dyn Store>, StoreError> {
    let hedges = Arc::new(hedges);
    let (tenant, budget) = (&config.tenant_id, UploadBudget::new(config.upload_buffer_mib));
    let store: Arc<dyn Store> = match storage {
        StorageConfig::Volume { path, keep_free } => {
            Arc::new(VolumeStore::new(path, tenant, LockProbe::own_program()).keeping_free(*keep_free))
        }
        StorageConfig::AzureBlob(azure) => Arc::new(
            ObjectBackend::open_azure(azure, tenant, budget, world)?.with_hedges(Arc::clone(&hedges)),
        ),
        StorageConfig::S3(s3) => {
            Arc::new(ObjectBackend::open_s3(s3, tenant, budget, world)?.with_hedges(Arc::clone(&hedges)))
        }
    };
    Ok(Arc::new(RetryStore::new(Arc::new(HedgedStore::new(store, hedges)), world.clone())))
}
