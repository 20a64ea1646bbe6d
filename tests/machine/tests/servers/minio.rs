//! MinIO.

use std::sync::Arc;

use voicemail_test_machine::servers::{Minio, S3Keys, loopback};

use crate::{contract, versions};

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_objects_and_decides_races() {
    let server = Minio::start(loopback()).await.unwrap();
    server.endpoint().admin().unwrap().create_bucket("first").await.unwrap();
    contract::keeps_objects_and_decides_races(Arc::new(server.endpoint().builder("first").build().unwrap()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_its_data_over_stop_and_kill_and_takes_new_keys() {
    let mut server = Minio::start(loopback()).await.unwrap();
    let before = server.endpoint();
    before.admin().unwrap().create_bucket("first").await.unwrap();
    let old = before.builder("first").build().unwrap();
    contract::leaves_an_object(&old).await;
    server.stop().await.unwrap();
    assert!(before.admin().unwrap().create_bucket("second").await.is_err());
    server.start_again().await.unwrap();
    contract::finds_the_object(&old).await;
    server.kill().unwrap();
    server.set_keys(S3Keys::random());
    server.start_again().await.unwrap();
    contract::finds_the_object(&server.endpoint().builder("first").build().unwrap()).await;
    let refused = before.admin().unwrap().create_bucket("second").await.unwrap_err();
    assert!(refused.to_string().contains("InvalidAccessKeyId"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_versions_tags_and_lifecycle_rules() {
    let server = Minio::start(loopback()).await.unwrap();
    let endpoint = server.endpoint();
    let admin = endpoint.admin().unwrap();
    versions::are_kept_until_deleted_one_by_one(&endpoint).await;
    versions::tags_are_kept(&endpoint).await;
    let rules = "<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix></Prefix>\
                 </Filter><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
                 </NoncurrentVersionExpiration></Rule></LifecycleConfiguration>";
    admin.set_lifecycle("versioned", rules).await.unwrap();
    let path = "/versioned?lifecycle";
    let kept = admin.request(http::Method::GET, path, &[], bytes::Bytes::new()).await.unwrap();
    assert!(kept.text().contains("<NoncurrentDays>1</NoncurrentDays>"), "{}", kept.text());
}
