//! versitygw.

use std::sync::Arc;

use voicemail_test_machine::servers::{Versitygw, loopback};

use crate::{contract, versions};

#[tokio::test(flavor = "multi_thread")]
async fn versitygw_keeps_objects_decides_races_and_keeps_versions_and_tags() {
    let server = Versitygw::start(loopback()).await.unwrap();
    let endpoint = server.endpoint();
    endpoint.admin().unwrap().create_bucket("first").await.unwrap();
    contract::keeps_objects_and_decides_races(Arc::new(endpoint.builder("first").build().unwrap())).await;
    versions::are_kept_until_deleted_one_by_one(&endpoint).await;
    versions::tags_are_kept(&endpoint).await;
}
