//! The product's stores on the servers of the tests.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tempfile::TempDir;
use voicemail_api::config::{AzureBlobConfig, AzureCredentials, S3Config, S3Credentials, StorageConfig};
use voicemail_store::Store;
use voicemail_store::object::{ObjectBackend, UploadBudget};
use voicemail_store::retry::RetryStore;

use voicemail_test_machine::command::write_whole;
use voicemail_test_machine::servers::s3_admin::REGION;
use voicemail_test_machine::servers::{AzureEndpoint, S3Endpoint, S3Keys};

/// The tenant whose tree the tests write.
pub const TENANT: &str = "t1";
/// The folder of a new bucket.
pub const FOLDER: &str = "voice/mail";
const BUDGET_MIB: u32 = 64;

/// A store, its configuration, and the folder with its credentials.
pub struct ObjectPlace {
    /// As a tenant's configuration names it.
    pub storage: StorageConfig,
    credentials: TempDir,
}

impl ObjectPlace {
    /// A folder of a bucket that is there already.
    pub fn in_bucket(server: &S3Endpoint, bucket: &str, prefix: &str) -> Result<Self> {
        let credentials = tempfile::tempdir()?;
        write_s3_keys(credentials.path(), &server.keys)?;
        let storage = StorageConfig::S3(S3Config {
            bucket: bucket.into(),
            prefix: Some(prefix.into()),
            region: REGION.into(),
            endpoint: Some(server.url.clone()),
            etag_quoting: None,
            sts_endpoint: None,
            encryption: None,
            restore_archived: None,
            credentials: S3Credentials::Files { dir: credentials.path().to_owned() },
        });
        Ok(Self { storage, credentials })
    }

    /// A folder of a new bucket.
    pub async fn in_new_bucket(server: &S3Endpoint, bucket: &str) -> Result<Self> {
        server.admin()?.create_bucket(bucket).await?;
        Self::in_bucket(server, bucket, FOLDER)
    }

    /// A container that is there already, by its account's shared key.
    pub fn in_container(server: &AzureEndpoint, container: &str) -> Result<Self> {
        let credentials = tempfile::tempdir()?;
        write_whole(&credentials.path().join("accountKey"), &server.account.key)?;
        let storage = StorageConfig::AzureBlob(AzureBlobConfig {
            account: server.account.name.clone(),
            container: container.into(),
            prefix: None,
            endpoint: Some(server.url.clone()),
            encryption: None,
            restore_archived: None,
            credentials: AzureCredentials::Files { dir: credentials.path().to_owned() },
        });
        Ok(Self { storage, credentials })
    }

    /// A new container.
    pub async fn in_new_container(server: &AzureEndpoint, container: &str) -> Result<Self> {
        server.admin()?.create_container(container).await?;
        Self::in_container(server, container)
    }

    /// Where its credentials are; new files are taken up within a second.
    pub fn credentials(&self) -> &Path {
        self.credentials.path()
    }

    /// The back end itself.
    pub fn open(&self) -> Result<ObjectBackend> {
        let (world, budget) = (voicemail_store::real_world(), UploadBudget::new(BUDGET_MIB));
        Ok(match &self.storage {
            StorageConfig::S3(s3) => ObjectBackend::open_s3(s3, TENANT, budget, &world)?,
            StorageConfig::AzureBlob(azure) => ObjectBackend::open_azure(azure, TENANT, budget, &world)?,
            StorageConfig::Volume { .. } => anyhow::bail!("a volume is no object store"),
        })
    }

    /// The store as a core uses it: with time-outs and retries.
    pub fn open_patient(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(RetryStore::new(Arc::new(self.open()?), voicemail_store::real_world())))
    }
}

/// Writes the files that S3 credentials are read from.
pub fn write_s3_keys(folder: &Path, keys: &S3Keys) -> Result<()> {
    write_whole(&folder.join("accessKeyId"), &keys.access_key)?;
    write_whole(&folder.join("secretAccessKey"), &keys.secret_key)
}
