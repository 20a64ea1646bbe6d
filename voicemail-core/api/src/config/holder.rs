//! Which tenant of its cluster a core serves for, as the operator writes it beside the configuration.
//!
//! A file of its own: a core of a former release refuses a configuration with fields that it doesn't know, and is to start
//! again under a newer operator until it is its turn to be replaced.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Name of the file, in the folder of the configuration.
pub const HOLDER_FILE: &str = "holder.json";

/// A tenant of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: a name may be given again.
    pub uid: String,
}

impl Holder {
    /// Whether another tenant is the same one, or took its place: two of a namespace and name are never there at a time.
    pub fn is_succeeded_by(&self, other: &Self) -> bool {
        (&self.namespace, &self.name) == (&other.namespace, &other.name)
    }

    /// Reads the file beside a configuration. None without Kubernetes, or under an operator of a former release.
    ///
    /// # Errors
    /// It is there and can't be read: what it would guard mustn't go unguarded.
    pub fn read_beside(config: &Path) -> std::io::Result<Option<Self>> {
        let file = config.with_file_name(HOLDER_FILE);
        match std::fs::read(file) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_beside_the_configuration_is_read_and_may_be_missing_but_not_broken() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        assert!(Holder::read_beside(&config).unwrap().is_none());
        std::fs::write(folder.path().join(HOLDER_FILE), r#"{"namespace":"voice","name":"acme","uid":"1"}"#)
            .unwrap();
        assert_eq!(Holder::read_beside(&config).unwrap().unwrap().to_string(), "voice/acme");
        std::fs::write(folder.path().join(HOLDER_FILE), "{").unwrap();
        assert!(Holder::read_beside(&config).is_err());
    }
}
