//! Azurite.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use object_store::ObjectStoreExt;
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use voicemail_test_machine::servers::azure_admin::random_key;
use voicemail_test_machine::servers::{AzureAccount, AzureEndpoint, Azurite, loopback};

use crate::contract;

async fn container(endpoint: &AzureEndpoint) -> MicrosoftAzure {
    endpoint.admin().unwrap().create_container("first").await.unwrap();
    endpoint.builder("first").build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_keeps_objects_and_decides_races() {
    let server = Azurite::start(loopback(), &[AzureAccount::random("anna")]).await.unwrap();
    let store = container(&server.endpoint("anna").unwrap()).await;
    contract::keeps_objects_and_decides_races(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_keeps_accounts_apart_and_takes_a_second_key() {
    let mut accounts = [AzureAccount::random("anna"), AzureAccount::random("bert")];
    let mut server = Azurite::start(loopback(), &accounts).await.unwrap();
    let (anna, bert) = (server.endpoint("anna").unwrap(), server.endpoint("bert").unwrap());
    let (of_anna, of_bert) = (container(&anna).await, container(&bert).await);
    contract::leaves_an_object(&of_anna).await;
    assert!(of_bert.get(&Path::from("kept")).await.is_err());
    let stranger = bert.account.key.clone();
    let forged = anna.builder("first").with_access_key(stranger).build().unwrap();
    assert!(forged.get(&Path::from("kept")).await.is_err());

    server.stop().await.unwrap();
    accounts[0].second_key = Some(random_key());
    server.set_accounts(&accounts);
    server.start_again().await.unwrap();
    let second = accounts[0].second_key.clone().unwrap();
    contract::finds_the_object(&of_anna).await;
    contract::finds_the_object(&anna.builder("first").with_access_key(second).build().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_serves_a_container_token_until_it_expires() {
    let server = Azurite::start(loopback(), &[AzureAccount::random("anna")]).await.unwrap();
    let endpoint = server.endpoint("anna").unwrap();
    contract::leaves_an_object(&container(&endpoint).await).await;
    let with_token = |seconds: i64| {
        let expires = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
        let token = endpoint.admin().unwrap().container_sas("first", "rwdl", expires).unwrap();
        MicrosoftAzureBuilder::new()
            .with_endpoint(endpoint.url.clone())
            .with_account("anna")
            .with_container_name("first")
            .with_allow_http(true)
            .with_config(AzureConfigKey::SasKey, token)
            .build()
            .unwrap()
    };
    contract::finds_the_object(&with_token(60)).await;
    contract::objects_are_read_back(&with_token(60)).await;
    let expired = with_token(-60).get(&Path::from("kept")).await.unwrap_err();
    assert!(expired.to_string().contains("403"), "{expired}");
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_tells_whether_soft_delete_is_on() {
    let server = Azurite::start(loopback(), &[AzureAccount::random("anna")]).await.unwrap();
    let admin = server.endpoint("anna").unwrap().admin().unwrap();
    let retention = |xml: String| {
        let start = xml.find("<DeleteRetentionPolicy>").unwrap();
        xml[start..xml.find("</DeleteRetentionPolicy>").unwrap()].to_owned()
    };
    admin.set_soft_delete(Some(7)).await.unwrap();
    let on = retention(admin.service_properties().await.unwrap());
    assert!(on.contains("<Enabled>true</Enabled>") && on.contains("<Days>7</Days>"), "{on}");
    admin.set_soft_delete(None).await.unwrap();
    let off = retention(admin.service_properties().await.unwrap());
    assert!(off.contains("<Enabled>false</Enabled>"), "{off}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_reached_under_the_address_it_was_given() {
    let other = "127.0.0.2".parse().unwrap();
    let server = Azurite::start(other, &[AzureAccount::random("anna")]).await.unwrap();
    assert_eq!(server.address().ip(), other);
    let admin = server.endpoint("anna").unwrap().admin().unwrap();
    admin.create_container("first").await.unwrap();
    let path = "/first?restype=container";
    let found = admin.request(Method::GET, path, &[], Bytes::new()).await.unwrap();
    assert!(found.check().unwrap().header("x-ms-request-id").is_some());
}
