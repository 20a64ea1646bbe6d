//! Reading what is stored, without the services' own readers.

use serde::de::DeserializeOwned;
use serde_json::Value;
use voicemail_store::{Key, Store, StoreError};

/// Newest schema that this program knows.
const KNOWN: u64 = 1;

/// The object under a key.
#[derive(Clone, Debug)]
pub(super) enum Read<T> {
    /// Nothing.
    Missing,
    /// The expected document.
    Good(T),
    /// Of a newer version, which may mean more than is understood here.
    Newer(Option<T>),
    /// Damaged or foreign.
    Undecodable,
}

impl<T> Read<T> {
    /// The value, as far as it is understood.
    pub(super) fn value(&self) -> Option<&T> {
        match self {
            Self::Good(value) | Self::Newer(Some(value)) => Some(value),
            _ => None,
        }
    }
}

/// A document: its header says its schema.
pub(super) async fn document<T: DeserializeOwned>(
    store: &dyn Store,
    key: &Key,
) -> Result<Read<T>, StoreError> {
    let Some(found) = store.load(key).await? else { return Ok(Read::Missing) };
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(&found.bytes) else {
        return Ok(Read::Undecodable);
    };
    let header = fields.remove("_").unwrap_or_default();
    let whole = header["revision"].is_u64() && header["nonces"].is_array();
    Ok(match header["schema"].as_u64().filter(|_| whole) {
        Some(schema) => judge(schema, Value::Object(fields)),
        None => Read::Undecodable,
    })
}

/// An immutable object: its schema is a field, and 1 in the first that had none.
pub(super) async fn object<T: DeserializeOwned>(store: &dyn Store, key: &Key) -> Result<Read<T>, StoreError> {
    let Some(bytes) = store.get(key).await? else { return Ok(Read::Missing) };
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { return Ok(Read::Undecodable) };
    Ok(judge(value["schema"].as_u64().unwrap_or(KNOWN), value))
}

fn judge<T: DeserializeOwned>(schema: u64, value: Value) -> Read<T> {
    match (serde_json::from_value(value).ok(), schema > KNOWN) {
        (value, true) => Read::Newer(value),
        (Some(value), false) => Read::Good(value),
        (None, false) => Read::Undecodable,
    }
}
