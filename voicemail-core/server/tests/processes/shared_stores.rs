//! Cores as processes on object stores: several regions, one of which goes away and comes back; several clusters
//! on one store; credentials that are wrong first and right later.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use served::{Process, Setup, speech};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use voicemail_test_machine::servers::{AzureAccount, Azurite, Minio, S3Keys, loopback};
use voicemail_test_stores::object_stores::{FOLDER, ObjectPlace, write_s3_keys};

/// A region that answers again is looked at every ten seconds.
const DEADLINE: Duration = Duration::from_secs(45);
const CALLER: &str = "+442079460123";

/// The example's configuration for one cluster. All setups have the same tenant key.
fn configure(setup: &Setup, cluster: &str, region: &str, regions: &Value) {
    let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
    config["cluster"] = cluster.into();
    config["region"] = region.into();
    config["regions"] = regions.clone();
    config["classesOfService"][0]["maxMessages"] = 100.into();
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
}

fn region(name: &str, master: bool, place: &ObjectPlace) -> Value {
    json!({ "name": name, "master": master, "storage": serde_json::to_value(&place.storage).unwrap() })
}

/// One core and a client of it.
struct Core {
    process: Process,
    token: String,
}

impl Core {
    /// Starts a core that takes calls when this returns.
    fn start(setup: &Setup) -> Self {
        let mut core = Self::begin(setup);
        core.process.wait_for("open");
        core
    }

    fn begin(setup: &Setup) -> Self {
        Self { process: Process::start(setup), token: setup.token() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.process.api)
    }

    async fn provision(&self) {
        for (path, body) in [("mailboxes/1001", json!({})), ("users/alice", json!({ "mailboxes": ["1001"] }))]
        {
            let put = Client::new().put(self.url(path)).bearer_auth(&self.token).json(&body);
            assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
        }
    }

    async fn try_deposit(&self) -> Response {
        let audio = reqwest::multipart::Part::bytes(speech());
        let form = reqwest::multipart::Form::new().text("caller", CALLER).part("audio", audio);
        let post = Client::new().post(self.url("mailboxes/1001/messages")).bearer_auth(&self.token);
        post.multipart(form).send().await.unwrap()
    }

    async fn deposit(&self) -> String {
        let answer = self.try_deposit().await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{:?}", answer.text().await);
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str) -> Response {
        Client::new().get(self.url(path)).bearer_auth(&self.token).send().await.unwrap()
    }

    async fn list(&self) -> BTreeSet<String> {
        let page: Value = self.get("mailboxes/1001/messages").await.json().await.unwrap();
        let messages = page["messages"].as_array().unwrap_or_else(|| panic!("{page}"));
        messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn mwi(&self) -> Value {
        self.get("mailboxes/1001/mwi").await.json().await.unwrap()
    }

    async fn play(&self, id: &str) -> StatusCode {
        let answer = self.get(&format!("mailboxes/1001/messages/{id}/audio")).await;
        let status = answer.status();
        if status.is_success() {
            assert_eq!(answer.bytes().await.unwrap(), speech());
        }
        status
    }

    /// Whether `/readyz` says that a region answers.
    async fn sees(&self, name: &str) -> bool {
        let (status, readiness) = self.process.readiness().await;
        assert_eq!(status, StatusCode::OK, "{readiness}");
        let regions = readiness["regions"].as_array().unwrap();
        let region = regions.iter().find(|region| region["name"] == name);
        region.unwrap_or_else(|| panic!("{readiness}"))["reachable"].as_bool().unwrap()
    }

    async fn wait_until_sees(&self, name: &str, reachable: bool) {
        let end = Instant::now() + DEADLINE;
        while self.sees(name).await != reachable {
            assert!(Instant::now() < end, "region {name} isn't shown as reachable={reachable}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn audio_stays_in_the_region_of_its_deposit_and_one_that_is_away_takes_only_its_own_with_it() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut servers = Vec::new();
    for account in ["masteraccount", "otheraccount"] {
        servers.push(Azurite::start(loopback(), &[AzureAccount::random(account)]).await.unwrap());
    }
    let endpoints =
        [servers[0].endpoint("masteraccount").unwrap(), servers[1].endpoint("otheraccount").unwrap()];
    let eu = ObjectPlace::in_new_container(&endpoints[0], "voice").await.unwrap();
    let us = ObjectPlace::in_new_container(&endpoints[1], "voice").await.unwrap();
    let regions = json!([region("eu", true, &eu), region("us", false, &us)]);
    let (in_eu, in_us) = (Setup::new(), Setup::new());
    configure(&in_eu, "eu-cluster", "eu", &regions);
    configure(&in_us, "us-cluster", "us", &regions);
    let (here, there) = (Core::start(&in_eu), Core::start(&in_us));
    here.provision().await;
    let (near, far) = (here.deposit().await, there.deposit().await);
    let both = BTreeSet::from([near.clone(), far.clone()]);
    assert_eq!((here.list().await, there.list().await), (both.clone(), both.clone()));
    assert_eq!((here.play(&far).await, there.play(&near).await), (StatusCode::OK, StatusCode::OK));

    servers[1].stop().await.unwrap();
    assert_eq!(here.play(&far).await, StatusCode::SERVICE_UNAVAILABLE);
    here.wait_until_sees("us", false).await;
    assert!(here.sees("eu").await);
    let refused = there.try_deposit().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(there.list().await, both);
    let another = here.deposit().await;
    assert_eq!(there.play(&another).await, StatusCode::OK);

    servers[1].start_again().await.unwrap();
    here.wait_until_sees("us", true).await;
    let last = there.deposit().await;
    assert_eq!((here.play(&far).await, here.play(&last).await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(here.mwi().await, json!({ "new": 4, "old": 0, "urgentNew": 0, "urgentOld": 0 }));
}

#[tokio::test]
async fn while_the_master_is_away_deposits_are_asked_to_come_back_and_nothing_is_lost() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (mut master, other) =
        (Minio::start(loopback()).await.unwrap(), Minio::start(loopback()).await.unwrap());
    let eu = ObjectPlace::in_new_bucket(&master.endpoint(), "voice").await.unwrap();
    let us = ObjectPlace::in_new_bucket(&other.endpoint(), "voice").await.unwrap();
    let setup = Setup::new();
    configure(&setup, "one", "us", &json!([region("eu", true, &eu), region("us", false, &us)]));
    let core = Core::start(&setup);
    core.provision().await;
    let before = core.deposit().await;
    master.stop().await.unwrap();
    let refused = core.try_deposit().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(core.get("mailboxes/1001/messages").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    master.start_again().await.unwrap();
    let after = core.deposit().await;
    assert_eq!(core.list().await, BTreeSet::from([before.clone(), after]));
    assert_eq!(core.play(&before).await, StatusCode::OK);
}

#[tokio::test]
async fn two_clusters_on_one_bucket_show_the_same_lists_and_mwi() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = Minio::start(loopback()).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "shared").await.unwrap();
    let regions = json!([region("main", true, &place)]);
    two_clusters_share(&regions).await;
    let keys = server.endpoint().admin().unwrap().list_versions("shared", FOLDER).await.unwrap();
    assert_eq!(keys.iter().filter(|version| version.key.contains("/au/")).count(), 48);
}

#[tokio::test]
async fn two_clusters_on_one_volume_show_the_same_lists_and_mwi() {
    let folder = tempfile::tempdir().unwrap();
    let storage = json!({ "volume": { "path": folder.path() } });
    two_clusters_share(&json!([{ "name": "main", "master": true, "storage": storage }])).await;
}

/// Two groups of two processes; all deposit into one mailbox at once.
async fn two_clusters_share(regions: &Value) {
    let setups = [Setup::new(), Setup::new()];
    for (setup, cluster) in setups.iter().zip(["blue", "green"]) {
        configure(setup, cluster, "main", regions);
    }
    let cores: Vec<Core> = setups.iter().chain(&setups).map(Core::start).collect();
    cores[0].provision().await;
    let deposits = (0..48).map(|n| cores[n % cores.len()].deposit());
    let acknowledged: BTreeSet<String> = futures::future::join_all(deposits).await.into_iter().collect();
    assert_eq!(acknowledged.len(), 48);
    for core in &cores {
        assert_eq!(core.list().await, acknowledged);
        assert_eq!(core.mwi().await["new"], 48);
    }
    let some = acknowledged.first().unwrap();
    let path = cores[3].url(&format!("mailboxes/1001/messages/{some}"));
    let read = Client::new().patch(path).bearer_auth(&cores[3].token).json(&json!({ "state": "read" }));
    assert_eq!(read.send().await.unwrap().status(), StatusCode::OK);
    for core in &cores {
        assert_eq!(core.mwi().await, json!({ "new": 47, "old": 1, "urgentNew": 0, "urgentOld": 0 }));
        assert_eq!(core.play(some).await, StatusCode::OK);
    }
}

#[tokio::test]
async fn wrong_credentials_are_said_and_new_ones_open_the_store_without_a_restart() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut server = Minio::start(loopback()).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "voice").await.unwrap();
    write_s3_keys(place.credentials(), &S3Keys::random()).unwrap();
    let setup = Setup::new();
    configure(&setup, "one", "main", &json!([region("main", true, &place)]));
    let mut core = Core::begin(&setup);
    let refusal = core.process.wait_for("not open yet");
    assert_eq!(refusal["reason"], "CredentialsRefused", "{refusal}");
    assert_eq!(core.process.readiness().await.1["reason"], "CredentialsRefused");
    write_s3_keys(place.credentials(), &server.endpoint().keys).unwrap();
    core.process.wait_for("open");
    core.provision().await;
    core.deposit().await;

    let new = S3Keys::random();
    server.stop().await.unwrap();
    server.set_keys(new.clone());
    server.start_again().await.unwrap();
    assert_eq!(core.try_deposit().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    write_s3_keys(place.credentials(), &new).unwrap();
    let end = Instant::now() + DEADLINE;
    while core.try_deposit().await.status() != StatusCode::CREATED {
        assert!(Instant::now() < end, "the new keys weren't taken up");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
