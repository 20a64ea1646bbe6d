//! `voicemail-operator import`: from the vendor's list of tenants and chart values to VoicemailTenant manifests.
//!
//! Flow: [`vendor`] reads `tenants.json` and `values.yaml` as the vendor's deployment keeps them, [`convert`] makes
//! a manifest of each tenant, and [`render`] writes them as YAML, headed by what could not be carried over. Nothing
//! is read from or written to a cluster.
//!
//! What can go wrong: a file that isn't what it should be, a tenant that can't be named in Kubernetes, or a store
//! that the values don't name and a flag must. Each error says which and what to do.

mod convert;
mod vendor;

pub use convert::{Conversion, convert};
pub use vendor::{Tenant, Values};

use std::path::PathBuf;
use voicemail_resources::VoicemailTenant;

/// Settings that the vendor's files don't hold.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The list of tenants: an array with name, tenant_id and tenant_uuid.
    pub tenants: PathBuf,
    /// Values of the vendor's chart.
    #[arg(long)]
    pub values: Option<PathBuf>,
    /// Namespace of the manifests; the values' deployment.namespace when absent, else voice.
    #[arg(long)]
    pub namespace: Option<String>,
    /// The region that this cluster serves; the values' currentRegion when absent.
    #[arg(long)]
    pub region: Option<String>,
    /// Country by which national numbers are read, such as GB.
    #[arg(long)]
    pub number_region: String,
    /// For BlobStorage: the storage account.
    #[arg(long)]
    pub azure_account: Option<String>,
    /// For BlobStorage: the container.
    #[arg(long)]
    pub azure_container: Option<String>,
    /// For S3: the bucket.
    #[arg(long)]
    pub s3_bucket: Option<String>,
    /// For S3: the region of the bucket.
    #[arg(long)]
    pub s3_region: Option<String>,
}

/// Why nothing is imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file can't be read.
    #[error("{file} can't be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file isn't what it should be.
    #[error("{file} isn't {expected}: {fault}")]
    Malformed {
        /// The file.
        file: String,
        /// The expected form.
        expected: &'static str,
        /// The fault.
        fault: String,
    },
    /// The values lack something that a flag must say.
    #[error("the values don't name {what}: write {flag}")]
    Missing {
        /// The missing value.
        what: &'static str,
        /// The flag.
        flag: &'static str,
    },
    /// A tenant can't be carried over.
    #[error("tenant {name:?}: {fault}")]
    Tenant {
        /// Its name.
        name: String,
        /// The fault.
        fault: String,
    },
}

/// Reads the files and returns the manifests as YAML.
///
/// # Errors
/// [`ImportError`].
pub fn run(arguments: &Arguments) -> Result<String, ImportError> {
    let tenants =
        vendor::parse_tenants(&read(&arguments.tenants)?, &arguments.tenants.display().to_string())?;
    let values = match &arguments.values {
        Some(file) => vendor::parse_values(&read(file)?, &file.display().to_string())?,
        None => Values::default(),
    };
    render(&convert(&tenants, &values, arguments)?)
}

fn read(file: &std::path::Path) -> Result<String, ImportError> {
    let name = file.display().to_string();
    std::fs::read_to_string(file).map_err(|source| ImportError::Unreadable { file: name, source })
}

/// The notes as comments, then a document for each tenant.
fn render(conversion: &Conversion) -> Result<String, ImportError> {
    let notes = conversion.notes.iter().map(|note| format!("# {note}\n"));
    let mut text: String = notes.collect();
    for tenant in &conversion.tenants {
        text.push_str("---\n");
        text.push_str(&render_tenant(tenant)?);
    }
    Ok(text)
}

fn render_tenant(tenant: &VoicemailTenant) -> Result<String, ImportError> {
    serde_yaml::to_string(tenant).map_err(|error| ImportError::Tenant {
        name: tenant.metadata.name.clone().unwrap_or_default(),
        fault: format!("its manifest can't be written: {error}"),
    })
}

#[cfg(test)]
mod tests;
