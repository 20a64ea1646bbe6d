//! moto.

use voicemail_test_machine::servers::{Moto, loopback};

use crate::{contract, versions};

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_objects_versions_and_tags() {
    let mut server = Moto::start(loopback()).await.unwrap();
    let endpoint = server.endpoint();
    endpoint.admin().unwrap().create_bucket("first").await.unwrap();
    // A second opinion on versions and tags alone: it looks at a condition and writes afterwards, so that under load
    // several creators win and increments are lost (docs/stores.md).
    contract::objects_are_read_back(&endpoint.builder("first").build().unwrap()).await;
    versions::are_kept_until_deleted_one_by_one(&endpoint).await;
    versions::tags_are_kept(&endpoint).await;
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    endpoint.admin().unwrap().create_bucket("second").await.unwrap();
}
