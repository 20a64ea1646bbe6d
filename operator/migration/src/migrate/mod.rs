//! `voicemail-operator migrate`: from the former API version, `voicemail.dev/v1alpha1`, to the present one.
//!
//! Flow: `-f FILE` converts manifests and prints them. `--cluster` converts what a cluster has stored ([`cluster`]): all objects are
//! converted and checked first, their originals kept, and only then is anything changed; `--dry-run` ends there.
//!
//! What can go wrong: an object that the present version refuses. It is named with its field, and nothing is changed.

mod cluster;
pub mod convert;
mod crd;
mod originals;
mod request;
mod tenant;

use convert::{FORMER, Unconvertible, convert};
use jiff::Timestamp;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use voicemail_runtime::calls::CallError;

/// Arguments of the command.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["cluster", "file"]))]
pub struct Arguments {
    /// Convert what the cluster has stored.
    #[arg(long)]
    pub cluster: bool,
    /// Convert the manifests in this file, and print them; other objects stay as they are.
    #[arg(short, long)]
    pub file: Option<PathBuf>,
    /// Check everything and change nothing.
    #[arg(long, requires = "cluster")]
    pub dry_run: bool,
    /// Namespace of the Secrets that keep the originals.
    #[arg(long, env = "POD_NAMESPACE", default_value = "voicemail-system")]
    pub namespace: String,
    /// File that keeps the originals, too.
    #[arg(long, requires = "cluster")]
    pub originals: Option<PathBuf>,
}

/// Why nothing, or not everything, was converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The file with manifests, or with originals.
    #[error("{0}: {1}")]
    File(PathBuf, #[source] std::io::Error),
    /// It isn't YAML.
    #[error("the manifests can't be read: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// Objects can't be converted, or the present version refuses them.
    #[error("nothing was changed, for the present version refuses:\n{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// A CRD didn't become what it was made in time.
    #[error("the API server doesn't serve {0} yet: run the command again")]
    NotServed(String),
    /// A call failed: what was done stays done, and the next run goes on from there.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Converts manifests; returns them as one text of YAML.
///
/// # Errors
/// [`MigrateError`].
pub fn convert_file(file: &PathBuf) -> Result<String, MigrateError> {
    let text = std::fs::read_to_string(file).map_err(|error| MigrateError::File(file.clone(), error))?;
    let (mut converted, mut faults) = (String::new(), Vec::new());
    for document in serde_yaml::Deserializer::from_str(&text) {
        let object = Value::deserialize(document)?;
        if object.is_null() {
            continue;
        }
        match convert_one(&object, Timestamp::now()) {
            Ok(object) => converted.push_str(&format!("---\n{}", serde_yaml::to_string(&object)?)),
            Err(fault) => faults.push(format!("{}: {fault}", object["metadata"]["name"])),
        }
    }
    if faults.is_empty() { Ok(converted) } else { Err(MigrateError::Refused(faults)) }
}

fn convert_one(object: &Value, now: Timestamp) -> Result<Value, Unconvertible> {
    if object["apiVersion"] != FORMER {
        return Ok(object.clone());
    }
    convert(object, now).map(|converted| converted.object)
}

/// Converts what a cluster has stored; returns what was done, a sentence a line.
///
/// # Errors
/// [`MigrateError`].
pub async fn convert_cluster(client: &Client, arguments: &Arguments) -> Result<String, MigrateError> {
    cluster::migrate(client, arguments).await
}
