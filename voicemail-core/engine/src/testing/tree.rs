//! A store's whole contents, as bytes by key.

use bytes::Bytes;
use std::collections::BTreeMap;
use voicemail_store::{Key, Store};

/// Bytes by key.
pub type Tree = BTreeMap<String, Bytes>;

/// Documents have a header; all else are objects.
pub fn is_document(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|value| value.get("_").is_some())
}

/// Puts a tree into an empty store.
pub async fn load_tree(store: &dyn Store, tree: &Tree) {
    for (key, bytes) in tree {
        let key = Key::listed(key).unwrap();
        if is_document(bytes) {
            store.replace(&key, None, bytes.clone()).await.unwrap();
        } else {
            store.create(&key, bytes.clone()).await.unwrap();
        }
    }
}
