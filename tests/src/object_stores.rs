//! Stores of voicemail-core on the servers of the tests.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tempfile::TempDir;
use voicemail_core::clock::World;
use voicemail_core::config::{AzureBlobConfig, AzureCredentials, S3Config, S3Credentials, StorageConfig};
use voicemail_core::store::Store;
use voicemail_core::store::object::{ObjectBackend, UploadBudget};
use voicemail_core::store::retry::RetryStore;

use crate::servers::{Azurite, KeyPair, Minio};

/// The tenant whose tree the tests write.
pub const TENANT: &str = "t1";
const BUDGET_MIB: u32 = 64;

/// A store, its configuration, and the folder with its credentials.
pub struct ObjectPlace {
    /// As a tenant's configuration names it.
    pub storage: StorageConfig,
    credentials: TempDir,
}

impl ObjectPlace {
    /// A folder of a bucket.
    pub fn in_bucket(endpoint: &str, keys: &KeyPair, bucket: &str, prefix: &str) -> Result<Self> {
        let credentials = tempfile::tempdir()?;
        write_key_pair(credentials.path(), keys)?;
        let storage = StorageConfig::S3(S3Config {
            bucket: bucket.into(),
            prefix: Some(prefix.into()),
            region: "us-east-1".into(),
            endpoint: Some(endpoint.into()),
            etag_quoting: None,
            credentials: S3Credentials::Files { dir: credentials.path().to_owned() },
        });
        Ok(Self { storage, credentials })
    }

    /// A new bucket of a MinIO.
    pub async fn on_minio(minio: &Minio, bucket: &str) -> Result<Self> {
        minio.make_bucket(bucket).await?;
        Self::in_bucket(&minio.endpoint(), &minio.keys(), bucket, "voice/mail")
    }

    /// A container of an emulated account, by its shared key.
    pub fn in_container(endpoint: &str, account: &str, key: &str, container: &str) -> Result<Self> {
        let credentials = tempfile::tempdir()?;
        std::fs::write(credentials.path().join("accountKey"), key)?;
        let storage = StorageConfig::AzureBlob(AzureBlobConfig {
            account: account.into(),
            container: container.into(),
            prefix: None,
            endpoint: Some(endpoint.into()),
            credentials: AzureCredentials::Files { dir: credentials.path().to_owned() },
        });
        Ok(Self { storage, credentials })
    }

    /// A new container of an Azurite.
    pub async fn on_azurite(azurite: &Azurite, account: &str, container: &str) -> Result<Self> {
        azurite.make_container(account, container).await?;
        let key = &azurite.account(account)?.key;
        Self::in_container(&azurite.endpoint(account), account, key, container)
    }

    /// Where its credentials are; new files are taken up within a second.
    pub fn credentials(&self) -> &Path {
        self.credentials.path()
    }

    /// The back end itself.
    pub fn open(&self) -> Result<ObjectBackend> {
        let (world, budget) = (World::real(), UploadBudget::new(BUDGET_MIB));
        Ok(match &self.storage {
            StorageConfig::S3(s3) => ObjectBackend::open_s3(s3, TENANT, budget, &world)?,
            StorageConfig::AzureBlob(azure) => ObjectBackend::open_azure(azure, TENANT, budget, &world)?,
            StorageConfig::Volume { .. } => anyhow::bail!("a volume is no object store"),
        })
    }

    /// The store as a core uses it: with time-outs and retries.
    pub fn open_patient(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(RetryStore::new(Arc::new(self.open()?), World::real())))
    }
}

/// Writes the files that S3 credentials are read from.
pub fn write_key_pair(folder: &Path, keys: &KeyPair) -> Result<()> {
    crate::command::write_whole(&folder.join("accessKeyId"), &keys.id)?;
    crate::command::write_whole(&folder.join("secretAccessKey"), &keys.secret)
}
