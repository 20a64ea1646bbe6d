//! The header of a stored document: schema, revision count, and the nonces of its recent writes.

use crate::StoreError;
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::time::Duration;
use voicemail_model::Time;

/// Newest schema of documents that this program writes.
pub(super) const SCHEMA: u32 = 1;

/// How long a write's nonce is kept.
const NONCE_LIFE: Duration = Duration::from_secs(60);

/// Header fields, flattened beside the document's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    schema: u32,
    revision: u64,
    nonces: Vec<(String, Time)>,
    /// Fields of newer versions.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Header {
    /// Of a document that isn't there yet.
    pub(super) fn first() -> Self {
        Self { schema: SCHEMA, revision: 0, nonces: Vec::new(), unknown: Map::new() }
    }

    pub(super) fn has_nonce(&self, nonce: &str) -> bool {
        self.nonces.iter().any(|(known, _)| known == nonce)
    }

    fn next(mut self, nonce: &str, now: Time) -> Self {
        let horizon = now.minus(NONCE_LIFE);
        self.nonces.retain(|(_, written)| *written > horizon);
        self.nonces.push((nonce.to_owned(), now));
        Self { revision: self.revision + 1, ..self }
    }
}

/// A document with its header, as stored.
#[derive(Serialize, Deserialize)]
pub struct Body<D> {
    #[serde(rename = "_")]
    header: Header,
    #[serde(flatten)]
    body: D,
}

/// The header of a document whose body can't be understood.
#[derive(Deserialize)]
struct Headed {
    #[serde(rename = "_")]
    header: Header,
}

pub(super) struct Stored<D> {
    pub(super) header: Header,
    pub(super) body: D,
}

pub(super) fn decode<D: DeserializeOwned>(bytes: &[u8]) -> Result<Stored<D>, StoreError> {
    let stored: Body<D> = serde_json::from_slice(bytes).map_err(|error| {
        // A document of a newer version may have a shape that isn't known here: that is no damage.
        match serde_json::from_slice::<Headed>(bytes) {
            Ok(Headed { header }) if header.schema > SCHEMA => {
                StoreError::NewerSchema { found: header.schema, known: SCHEMA }
            }
            _ => StoreError::Undecodable { what: "a document", column: error.column() },
        }
    })?;
    Ok(Stored { header: stored.header, body: stored.body })
}

pub(super) fn encode<D: Serialize>(
    body: &D,
    previous: Option<Header>,
    nonce: &str,
    now: Time,
) -> Result<(Bytes, Header), StoreError> {
    let previous = previous.unwrap_or_else(Header::first);
    if previous.schema > SCHEMA {
        return Err(StoreError::NewerSchema { found: previous.schema, known: SCHEMA });
    }
    let stored = Body { header: Header { schema: SCHEMA, ..previous.next(nonce, now) }, body };
    let bytes = serde_json::to_vec(&stored)
        .map_err(|error| StoreError::Refused(format!("a document can't be encoded: {error}")))?;
    Ok((Bytes::from(bytes), stored.header))
}
