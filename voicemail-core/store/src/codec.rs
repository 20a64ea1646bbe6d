//! How objects are written and read: JSON, with the version of their form. What a newer version wrote is told apart from what
//! can't be read at all.

use crate::StoreError;
use bytes::Bytes;
use voicemail_model::Envelope;

/// An object's bytes.
///
/// # Errors
/// `Refused` for a value that has no JSON.
pub fn encode<T: serde::Serialize>(value: &T) -> Result<Bytes, StoreError> {
    let failed = |error| StoreError::Refused(format!("an object can't be encoded: {error}"));
    serde_json::to_vec(value).map(Bytes::from).map_err(failed)
}

/// An object from its bytes.
///
/// # Errors
/// `NewerSchema` for what a newer version wrote, else `Undecodable`.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error: serde_json::Error| {
        match serde_json::from_slice::<Versioned>(bytes) {
            Ok(Versioned { schema }) if schema > Envelope::SCHEMA => newer(schema),
            _ => StoreError::Undecodable { what: "an object", column: error.column() },
        }
    })
}

/// An object that can't be understood but for its version.
#[derive(serde::Deserialize)]
struct Versioned {
    schema: u32,
}

/// Documents of a newer version are read as far as they are understood, but never written here.
///
/// # Errors
/// `NewerSchema`.
pub fn require_known(schema: u32) -> Result<(), StoreError> {
    if schema > Envelope::SCHEMA { Err(newer(schema)) } else { Ok(()) }
}

fn newer(found: u32) -> StoreError {
    StoreError::NewerSchema { found, known: Envelope::SCHEMA }
}

/// An envelope from its bytes.
///
/// # Errors
/// As those of [`decode`].
pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope, StoreError> {
    decode(bytes)
}
