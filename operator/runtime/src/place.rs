//! Where an object is: its namespace and name as one text, for maps, logs and what people read.

use kube::{Resource, ResourceExt};

/// `NAMESPACE/NAME`.
pub fn place(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// The place of an object.
pub fn place_of<K: Resource>(object: &K) -> String {
    place(object.meta().namespace.as_deref().unwrap_or_default(), &object.name_any())
}
