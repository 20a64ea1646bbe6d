//! The in-process S3 server and its oddities.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use voicemail_test_machine::servers::{Oddity, S3Keys, S3sServer, loopback};

use crate::{contract, versions};

async fn start(oddity: Oddity) -> (S3sServer, AmazonS3) {
    let server = S3sServer::start(loopback(), oddity).await.unwrap();
    server.endpoint().admin().unwrap().create_bucket("first").await.unwrap();
    let store = server.endpoint().builder("first").build().unwrap();
    (server, store)
}

async fn update(store: &AmazonS3, path: &Path, e_tag: &str, text: &'static str) -> Result<(), Error> {
    let basis = UpdateVersion { e_tag: Some(e_tag.to_owned()), version: None };
    store.put_opts(path, Bytes::from(text).into(), PutMode::Update(basis).into()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_keeps_objects_and_decides_races() {
    let (_server, store) = start(Oddity::None).await;
    contract::keeps_objects_and_decides_races(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_keeps_versions_and_tags() {
    let (server, _) = start(Oddity::None).await;
    versions::are_kept_until_deleted_one_by_one(&server.endpoint()).await;
    versions::tags_are_kept(&server.endpoint()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_keeps_its_data_over_a_stop_and_takes_new_keys() {
    let (mut server, store) = start(Oddity::None).await;
    contract::leaves_an_object(&store).await;
    server.stop().await;
    assert!(server.endpoint().admin().unwrap().create_bucket("second").await.is_err());
    server.start_again().await.unwrap();
    contract::finds_the_object(&store).await;
    server.set_keys(S3Keys::random());
    server.start_again().await.unwrap();
    contract::finds_the_object(&server.endpoint().builder("first").build().unwrap()).await;
    let refused = store.get(&Path::from("kept")).await.unwrap_err();
    assert!(refused.to_string().contains("InvalidAccessKeyId"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_pages_versions_even_when_those_of_the_page_before_are_deleted() {
    let (server, store) = start(Oddity::None).await;
    let admin = server.endpoint().admin().unwrap();
    admin.set_versioning("first", true).await.unwrap();
    for number in 0..5_u8 {
        store.put(&Path::from("many"), Bytes::from(vec![number]).into()).await.unwrap();
    }
    let all = admin.list_versions("first", "many").await.unwrap();
    assert_eq!(all.len(), 5);
    let (second, third) = (&all[1].version_id, &all[2].version_id);
    admin.delete_version("first", "many", second).await.unwrap();
    let path = format!("/first?versions&max-keys=1&key-marker=many&version-id-marker={second}");
    let page = admin.request(Method::GET, &path, &[], Bytes::new()).await.unwrap().check().unwrap().text();
    assert!(page.contains(&format!("<NextVersionIdMarker>{third}</NextVersionIdMarker>")), "{page}");
    assert_eq!(page.matches("<Version>").count(), 1, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3s_puts_the_parts_of_an_upload_together() {
    let (_server, store) = start(Oddity::None).await;
    let path = Path::from("parts");
    let mut upload = store.put_multipart(&path).await.unwrap();
    for text in ["one ", "two"] {
        upload.put_part(Bytes::from(text).into()).await.unwrap();
    }
    assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })));
    upload.complete().await.unwrap();
    assert_eq!(contract::read(&store, &path).await, "one two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_bare_etags_refuses_quoted_ones_only() {
    let (_server, store) = start(Oddity::BareEtagsOnly).await;
    let path = Path::from("document");
    let quoted = store.put(&path, Bytes::from_static(b"1").into()).await.unwrap().e_tag.unwrap();
    assert!(quoted.starts_with('"'));
    assert!(matches!(update(&store, &path, &quoted, "2").await, Err(Error::Precondition { .. })));
    assert_eq!(contract::read(&store, &path).await, "1");
    let wrong = "0".repeat(32);
    assert!(matches!(update(&store, &path, &wrong, "2").await, Err(Error::Precondition { .. })));
    update(&store, &path, quoted.trim_matches('"'), "2").await.unwrap();
    assert_eq!(contract::read(&store, &path).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_conditions_lets_every_writer_win() {
    let (_server, store) = start(Oddity::IgnoresConditions).await;
    let path = Path::from("document");
    for text in ["1", "2"] {
        store.put_opts(&path, Bytes::from(text).into(), PutMode::Create.into()).await.unwrap();
    }
    update(&store, &path, "\"bogus\"", "3").await.unwrap();
    assert_eq!(contract::read(&store, &path).await, "3");
}
