//! Versions, delete markers and tags of S3 servers.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutOptions, TagSet};
use voicemail_test_machine::servers::S3Endpoint;

use crate::contract::read;

/// Two writes and a delete leave three entries, each of which can be deleted alone.
pub(crate) async fn are_kept_until_deleted_one_by_one(endpoint: &S3Endpoint) {
    let admin = endpoint.admin().unwrap();
    admin.create_bucket("versioned").await.unwrap();
    assert_eq!(admin.versioning("versioned").await.unwrap(), None);
    admin.set_versioning("versioned", true).await.unwrap();
    assert_eq!(admin.versioning("versioned").await.unwrap().as_deref(), Some("Enabled"));

    let store = endpoint.builder("versioned").build().unwrap();
    let path = Path::from("a/b");
    for text in ["one", "two"] {
        assert!(store.put(&path, Bytes::from(text).into()).await.unwrap().version.is_some());
    }
    store.delete(&path).await.unwrap();
    assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })));

    let found = admin.list_versions("versioned", "a/").await.unwrap();
    let seen: Vec<_> = found.iter().map(|one| (one.is_delete_marker, one.is_latest)).collect();
    let expected = if found[0].is_delete_marker {
        vec![(true, true), (false, false), (false, false)]
    } else {
        // moto lists all versions before all delete markers.
        vec![(false, false), (false, false), (true, true)]
    };
    assert_eq!(seen, expected, "{found:?}");
    let marker = found.iter().find(|one| one.is_delete_marker).unwrap();
    admin.delete_version("versioned", "a/b", &marker.version_id).await.unwrap();
    assert_eq!(read(&store, &path).await, "two");
    for version in found.iter().filter(|one| !one.is_delete_marker) {
        admin.delete_version("versioned", "a/b", &version.version_id).await.unwrap();
    }
    assert_eq!(admin.list_versions("versioned", "a/").await.unwrap(), []);
}

/// Tags given with a write are read back.
pub(crate) async fn tags_are_kept(endpoint: &S3Endpoint) {
    let admin = endpoint.admin().unwrap();
    admin.create_bucket("tagged").await.unwrap();
    let store = endpoint.builder("tagged").build().unwrap();
    let mut tags = TagSet::default();
    tags.push("case", "17");
    let options = PutOptions { tags, ..PutOptions::default() };
    store.put_opts(&Path::from("one"), Bytes::from_static(b"x").into(), options).await.unwrap();
    assert_eq!(admin.tags("tagged", "one").await.unwrap(), [("case".to_owned(), "17".to_owned())]);
}
