//! How a spec points at other objects, always of its own namespace, so that no right in another one is lent.

// The KubeSchema derive repeats each struct inside a function, where `pub` reaches nobody.
#![allow(unreachable_pub)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names an object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reference {
    /// Its name, such as acme.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Points at a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// The Secret, by its name.
    pub secret_ref: Reference,
}

impl SecretSource {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.secret_ref.name
    }
}

/// Points at certificates that are trusted: PEM under the key ca.crt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct CaRef {
    /// ConfigMap, or Secret.
    #[serde(default)]
    pub kind: CaKind,
    /// Its name, such as company-ca.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The kind of object that holds trusted certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum CaKind {
    /// A ConfigMap: certificates of an authority are public.
    #[default]
    ConfigMap,
    /// A Secret, as issuers of certificates write it.
    Secret,
}
