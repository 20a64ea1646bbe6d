//! An erasure looked at from outside: the program as a process, the wall clock, and a scan of every byte that the
//! store keeps: a volume, a bucket with versions, a container.
//!
//! Before the erasure the scan must find the number, the caller's hash and the audio, so that it can be believed
//! when it finds none of them afterwards, but for the hash in the ledger. No mailbox has any traffic in between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use served::{Process, Setup, speech};
use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};
use voicemail_model::TenantKey;
use voicemail_test_machine::servers::{AzureAccount, Azurite, Minio, loopback};
use voicemail_test_machine::traces::{Sought, Traces};
use voicemail_test_stores::object_stores::ObjectPlace;

const CALLER: &str = "+442079460123";
const OTHER: &str = "+442079460999";
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(120);

/// A recording that sounds like no other.
fn recording(seed: u32) -> Vec<u8> {
    let header = speech().len() - 8_000;
    let mut file = speech()[..header].to_vec();
    file.extend((0..8_000_u32).map(|n| ((n ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8));
    file
}

struct Scene {
    process: Process,
    token: String,
    client: Client,
    traces: Traces,
}

impl Scene {
    /// Two mailboxes with a message of the caller each, one of them a copy, and another caller's message.
    async fn start(setup: &Setup) -> Self {
        let mut process = Process::start(setup);
        process.wait_for("open");
        let hash = TenantKey::new(KEY).unwrap().hash(CALLER);
        let traces = Traces::default()
            .with_number(CALLER, "44")
            .with_caller_hash(hash.as_str())
            .with_audio(&recording(1)[44..]);
        // A scan takes longer than the service keeps an idle connection.
        let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let scene = Self { process, token: setup.token(), client, traces };
        for mailbox in ["1001", "1002"] {
            scene.call(Method::PUT, &format!("mailboxes/{mailbox}"), Some(json!({}))).await;
        }
        scene.call(Method::PUT, "users/alice", Some(json!({ "mailboxes": ["1001", "1002"] }))).await;
        let id = scene.deposit(CALLER, 1).await;
        scene.deposit(OTHER, 2).await;
        let path = format!("mailboxes/1001/messages/{id}/forward");
        scene.call(Method::POST, &path, Some(json!({ "to": ["1002"] }))).await;
        scene
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self
            .client
            .request(method, format!("{}/api/v1/{path}", self.process.api))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap_or_default()
    }

    async fn deposit(&self, caller: &str, seed: u32) -> String {
        let form = reqwest::multipart::Form::new()
            .text("caller", caller.to_owned())
            .part("audio", reqwest::multipart::Part::bytes(recording(seed)));
        let url = format!("{}/api/v1/mailboxes/1001/messages", self.process.api);
        let answer = self.client.post(url).bearer_auth(&self.token).multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn forget(&self, window: &str) -> Value {
        let body = json!({ "caseid": "c", "consumers": [{ "phone": [CALLER] }], "undoWindow": window });
        self.call(Method::POST, "gdpr/forgetme", Some(body)).await["run"].clone()
    }

    async fn run(&self) -> Value {
        self.call(Method::GET, "gdpr/cases/c", None).await["runs"][0].clone()
    }

    async fn wait_for_end(&self) -> Value {
        let mut run = Value::Null;
        until("the run ends", async || {
            run = self.run().await;
            run["state"] == "purged"
        })
        .await;
        run
    }

    /// The traces found below a folder, but for the hash in the ledger.
    fn found(&self, folder: &Path) -> BTreeSet<(Sought, String)> {
        let ledger = |file: &str| ["/mark/", "/ledger/", "/due/"].iter().any(|kept| file.contains(kept));
        let found = self.traces.scan(folder).unwrap().into_iter();
        let found = found.map(|trace| (trace.what, format!("/{}", trace.file.display())));
        found.filter(|(what, file)| *what != Sought::CallerHash || !ledger(file)).collect()
    }
}

/// Asks once a second, until the deadline.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        ticks.tick().await;
    }
}

fn kinds(found: &BTreeSet<(Sought, String)>) -> BTreeSet<Sought> {
    found.iter().map(|(what, _)| *what).collect()
}

const ALL: [Sought; 3] = [Sought::Number, Sought::CallerHash, Sought::Audio];

fn at(run: &Value, field: &str) -> Timestamp {
    run[field].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_window_of_a_minute_is_kept_by_the_wall_clock_and_a_volume_keeps_no_byte() {
    let setup = Setup::new();
    let scene = Scene::start(&setup).await;
    let store = setup.path().join("store");
    assert_eq!(kinds(&scene.found(&store)), BTreeSet::from(ALL));
    let before = Timestamp::now();
    let marked = scene.forget("1m").await;
    assert_eq!(scene.call(Method::GET, "mailboxes/1001/mwi", None).await["new"], 1, "hidden at once");
    let window = at(&marked, "purgeAt").duration_since(at(&marked, "markedAt")).as_secs();
    assert_eq!(window, 60);
    assert!(at(&marked, "markedAt").duration_since(before).as_secs() < 5);
    let run = scene.wait_for_end().await;
    // Superseded states of documents go half a minute after they were superseded.
    let late = at(&run, "erasedAt").duration_since(at(&marked, "purgeAt")).as_secs();
    assert!((0..60).contains(&late), "erased {late} s after its time");
    assert_eq!((&run["erased"], &run["matched"]), (&json!(2), &json!(2)));
    until("the volume keeps nothing", async || scene.found(&store).is_empty()).await;
    assert_eq!(scene.call(Method::GET, "mailboxes/1001/mwi", None).await["new"], 1, "the other caller's");
    scene.process.stop();
}

fn configure(setup: &Setup, place: &ObjectPlace) {
    let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
    config["regions"][0]["storage"] = serde_json::to_value(&place.storage).unwrap();
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
}

#[tokio::test]
async fn a_bucket_with_versions_keeps_no_byte_on_the_servers_disk() {
    voicemail_test_machine::install_crypto();
    let server = Minio::start(loopback()).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "erased").await.unwrap();
    server.endpoint().admin().unwrap().set_versioning("erased", true).await.unwrap();
    let setup = Setup::new();
    configure(&setup, &place);
    let scene = Scene::start(&setup).await;
    let data = server.data_folder();
    assert_eq!(kinds(&scene.found(&data)), BTreeSet::from(ALL));
    scene.forget("0s").await;
    let run = scene.wait_for_end().await;
    assert_eq!(run["erased"], 2);
    let kept: Vec<&str> =
        run["residualCopies"].as_array().unwrap().iter().map(|copy| copy["kind"].as_str().unwrap()).collect();
    assert_eq!(kept, ["backups"], "versions were removed with what they are of");
    // The server empties its own trash in the background.
    let mut left = BTreeSet::new();
    until("the server's disk keeps nothing", async || {
        left = scene.found(&data);
        left.is_empty()
    })
    .await;
    scene.process.stop();
}

#[tokio::test]
async fn a_container_keeps_no_byte() {
    voicemail_test_machine::install_crypto();
    let account = "erasures";
    let server = Azurite::start(loopback(), &[AzureAccount::random(account)]).await.unwrap();
    let endpoint = server.endpoint(account).unwrap();
    let place = ObjectPlace::in_new_container(&endpoint, "erased").await.unwrap();
    let setup = Setup::new();
    configure(&setup, &place);
    let scene = Scene::start(&setup).await;
    let bare = endpoint.builder("erased").build().unwrap();
    let before = copy(&bare).await;
    assert_eq!(kinds(&scene.found(before.path())), BTreeSet::from(ALL));
    scene.forget("0s").await;
    assert_eq!(scene.wait_for_end().await["erased"], 2);
    let after = copy(&bare).await;
    assert_eq!(scene.found(after.path()), BTreeSet::new());
    scene.process.stop();
}

/// Everything that a container holds, as files.
fn copy(bare: &impl ObjectStore) -> impl Future<Output = tempfile::TempDir> {
    use futures::TryStreamExt;
    async move {
        let folder = tempfile::tempdir().unwrap();
        let objects: Vec<_> = bare.list(None).try_collect().await.unwrap();
        assert!(!objects.is_empty());
        for object in objects {
            let bytes = bare.get(&object.location).await.unwrap().bytes().await.unwrap();
            let path = folder.path().join(object.location.as_ref());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }
}
