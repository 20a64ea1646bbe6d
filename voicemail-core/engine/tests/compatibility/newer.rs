//! Documents of a newer version: fields that aren't known survive every write of this version; a newer schema is read,
//! never written, and named.

use super::fixture::make;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use voicemail_engine::gdpr::ChainHead;
use voicemail_engine::mailbox::MailboxError;
use voicemail_engine::testing::is_document;
use voicemail_engine::testing::{CALLER, Site, hash, mailbox};
use voicemail_model::{
    Due, DueItem, Group, Index, MailboxSettings, Mark, RegisterEntry, Run, TenantDocument, Time, User,
};
use voicemail_store::documents::{Decision, Documents};
use voicemail_store::memory::MemoryStore;
use voicemail_store::{Key, Store, StoreError};

const NEW: &str = "fieldOfALaterVersion";
/// Fields whose values are maps by id, not shapes of their own.
const MAPS: [&str; 14] = [
    "entries",
    "gone",
    "holds",
    "forget",
    "runs",
    "clusters",
    "touched",
    "window",
    "regions",
    "kept",
    "generations",
    "groupIds",
    "classes",
    "refused",
];

/// Adds a field to a document and to everything in it that has a shape of its own.
fn add_fields(value: &mut Value, name: &str) {
    match value {
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, value)| add_fields(value, name));
            if !MAPS.contains(&name) {
                // A number that is another one if it is read inexactly.
                fields.insert(NEW.into(), json!({ "a": [1, 4.444_444_444_444_444_6e60] }));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| add_fields(value, name)),
        _ => {}
    }
}

async fn rewrite<D: Serialize + DeserializeOwned + Clone + Send + Sync>(store: &Arc<dyn Store>, key: &Key) {
    let documents = Documents::new(Arc::clone(store), voicemail_store::real_world());
    let same = |found: Option<D>, _| Decision::Write(found.unwrap(), ());
    documents.update::<D, _, _>(key, same).await.unwrap_or_else(|error| panic!("{key}: {error}"));
}

async fn rewrite_by_kind(store: &Arc<dyn Store>, key: &Key) {
    match key.as_str().split('/').next().unwrap() {
        "tenant" => rewrite::<TenantDocument>(store, key).await,
        "mb" if key.as_str().ends_with("/index") => rewrite::<Index>(store, key).await,
        "mb" => rewrite::<MailboxSettings>(store, key).await,
        "user" => rewrite::<User>(store, key).await,
        "group" => rewrite::<Group>(store, key).await,
        "mark" => rewrite::<Mark>(store, key).await,
        "gdpr" => rewrite::<Run>(store, key).await,
        "receipts" | "ledger" => rewrite::<ChainHead>(store, key).await,
        "register" => rewrite::<RegisterEntry>(store, key).await,
        _ => panic!("a document of an unknown kind: {key}"),
    }
}

fn without_header(mut value: Value) -> (Value, Value) {
    let header = value.as_object_mut().unwrap().remove("_").unwrap();
    (value, header)
}

#[tokio::test]
async fn unknown_fields_anywhere_in_any_document_survive_a_write() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(voicemail_store::real_world()));
    let mut documents = 0;
    for (key, bytes) in make().await.iter().filter(|(_, bytes)| is_document(bytes)) {
        let key = Key::listed(key).unwrap();
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        add_fields(&mut value, "");
        store.replace(&key, None, serde_json::to_vec(&value).unwrap().into()).await.unwrap();
        rewrite_by_kind(&store, &key).await;
        let written = store.load(&key).await.unwrap().unwrap().bytes;
        let (before, old_header) = without_header(value);
        let (after, header) = without_header(serde_json::from_slice(&written).unwrap());
        assert_eq!(before, after, "{key}");
        assert_eq!(header[NEW], old_header[NEW], "{key}");
        documents += 1;
    }
    assert!(documents > 10, "{documents}");
}

#[tokio::test]
async fn services_keep_what_a_newer_version_wrote_into_what_they_change() {
    let site = Site::in_memory().await;
    let directory = &site.core.directory;
    let id = site.deposit("1001", CALLER).await;
    let (user, group) = ("u".parse().unwrap(), "g".parse().unwrap());
    let desk = Group::sharing(mailbox("1001"));
    directory.put_group(&group, desk.clone()).await.unwrap();
    directory.put_user(&user, User::default()).await.unwrap();
    let keys =
        [Key::index(&mailbox("1001")), Key::settings(&mailbox("1001")), Key::user(&user), Key::group(&group)];
    for key in &keys {
        site.edit(key, |value| add_fields(value, "")).await;
    }
    directory.put_mailbox(&mailbox("1001"), None, Some("Desk".into())).await.unwrap();
    directory.put_group(&group, desk).await.unwrap();
    directory.put_user(&user, User { mailboxes: vec![mailbox("1001")], ..User::default() }).await.unwrap();
    site.deposit("1001", CALLER).await;
    for key in &keys {
        let bytes = site.store.load(key).await.unwrap().unwrap().bytes;
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(value.get(NEW).is_some() && value["_"].get(NEW).is_some(), "{key}");
    }
    assert!(site.entry("1001", id).await.unknown.contains_key(NEW));
}

#[tokio::test]
async fn a_newer_schema_of_any_document_is_read_and_never_written() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(voicemail_store::real_world()));
    for (key, bytes) in make().await.iter().filter(|(_, bytes)| is_document(bytes)) {
        let key = Key::listed(key).unwrap();
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        value["_"]["schema"] = 2.into();
        let newer = serde_json::to_vec(&value).unwrap();
        store.replace(&key, None, newer.clone().into()).await.unwrap();
        let documents = Documents::new(Arc::clone(&store), voicemail_store::real_world());
        assert!(documents.load::<Value>(&key).await.unwrap().is_some(), "{key}");
        let write = |found: Option<Value>, _| Decision::Write(found.unwrap(), ());
        let refused = documents.update(&key, write).await;
        assert_eq!(refused, Err(StoreError::NewerSchema { found: 2, known: 1 }), "{key}");
        assert_eq!(store.load(&key).await.unwrap().unwrap().bytes, newer, "{key}");
    }
}

#[tokio::test]
async fn a_newer_shape_is_named_as_newer_and_not_as_damage() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    let archive = |index: &mut Value| {
        index["_"]["schema"] = 2.into();
        index["entries"][id.to_string()]["state"] = "archived".into();
    };
    site.edit(&Key::index(&mailbox("1001")), archive).await;
    let refused = site.core.mailboxes.mwi(&mailbox("1001")).await;
    assert_eq!(refused, Err(MailboxError::Store(StoreError::NewerSchema { found: 2, known: 1 })));
}

/// A newer version's envelope without an entry, and its due item: left to that version.
#[tokio::test]
async fn newer_objects_are_read_and_nothing_is_made_of_them() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    let key = Key::envelope(&hash(CALLER), &mailbox("1001"), id);
    let mut envelope: Value = serde_json::from_slice(&site.store.get(&key).await.unwrap().unwrap()).unwrap();
    envelope["schema"] = 2.into();
    site.write_object(&key, serde_json::to_vec(&envelope).unwrap()).await;
    let forget = |index: &mut Value| {
        index["entries"].as_object_mut().unwrap().clear();
    };
    site.edit(&Key::index(&mailbox("1001")), forget).await;
    let item = DueItem { schema: 2, at: site.now(), due: Due::Retain { mailbox: mailbox("1002") } };
    let due = Key::due(&item);
    site.store.create(&due, serde_json::to_vec(&item).unwrap().into()).await.unwrap();

    site.pass_time(Duration::from_secs(3_600));
    site.sweep().await;
    assert!(site.index("1001").await.entries.is_empty(), "not completed");
    assert!(site.store.get(&key).await.unwrap().is_some() && site.store.get(&due).await.unwrap().is_some());
    // Read it is: an erasure finds it.
    site.purge("c1", CALLER).await;
    assert!(site.store.get(&key).await.unwrap().is_none());
}

#[test]
fn a_due_item_of_the_first_version_says_no_schema_and_is_of_the_first() {
    let stored = r#"{"at":1,"kind":"retain","mailbox":"1001"}"#;
    let item: DueItem = serde_json::from_str(stored).unwrap();
    assert_eq!(item, Due::Retain { mailbox: mailbox("1001") }.at(Time(1)));
}
