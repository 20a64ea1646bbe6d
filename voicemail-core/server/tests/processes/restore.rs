//! A core that serves while its store turns out to be an older one: it stops, and goes on once what was erased since is
//! erased again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::{Client, StatusCode, multipart};
use serde_json::{Value, json};
use served::{PROGRAM, Process, Setup, speech};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const CALLER: &str = "+442079460123";
const OTHER: &str = "+442079460999";
const DEADLINE: Duration = Duration::from_secs(30);

struct Site {
    setup: Setup,
    process: Process,
}

impl Site {
    fn start() -> Self {
        let setup = Setup::new();
        let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
        config["gdpr"]["expectedHead"] = json!(setup.path().join("head.json"));
        setup.write_config(&serde_yaml::to_string(&config).unwrap());
        let process = open(&setup);
        Self { setup, process }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let url = format!("{}/api/v1/{path}", self.process.api);
        let answer = Client::new().get(url).bearer_auth(self.setup.token()).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Value) {
        let url = format!("{}/api/v1/{path}", self.process.api);
        let request = Client::new().request(method, url).bearer_auth(self.setup.token()).json(&body);
        request.send().await.unwrap().error_for_status().unwrap();
    }

    async fn deposit(&self, caller: &'static str) -> String {
        let form = multipart::Form::new().text("caller", caller);
        let form = form.part("audio", multipart::Part::bytes(speech()));
        let url = format!("{}/api/v1/mailboxes/1001/messages", self.process.api);
        let post = Client::new().post(url).bearer_auth(self.setup.token()).multipart(form);
        let answer: Value = post.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    async fn listed(&self) -> Vec<String> {
        let (status, page) = self.get("mailboxes/1001/messages").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let messages = page["messages"].as_array().unwrap();
        messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Erases the caller; gives the ledger once it holds that.
    async fn erase(&self) -> Value {
        let request = json!({ "caseid": "c", "undoWindow": "0s", "consumers": [{ "phone": [CALLER] }] });
        self.send(reqwest::Method::POST, "gdpr/forgetme", request).await;
        let end = Instant::now() + DEADLINE;
        loop {
            let (_, ledger) = self.get("gdpr/ledger").await;
            if ledger["head"]["epoch"] == 1 {
                return ledger;
            }
            assert!(Instant::now() < end, "nothing was erased: {ledger}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn open(setup: &Setup) -> Process {
    let mut process = Process::start(setup);
    process.wait_for("open");
    process
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_serves_an_older_store_stops_until_the_erasures_are_replayed_and_then_serves_again() {
    let mut site = Site::start();
    for (path, body) in [("mailboxes/1001", json!({})), ("users/alice", json!({ "mailboxes": ["1001"] }))] {
        site.send(reqwest::Method::PUT, path, body).await;
    }
    let (erased, kept) = (site.deposit(CALLER).await, site.deposit(OTHER).await);
    let (store, backup) = (site.setup.path().join("store"), site.setup.path().join("backup"));
    copy(&store, &backup);
    let ledger = site.erase().await;
    site.process.stop();
    fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);

    // Nobody has told it yet.
    site.process = open(&site.setup);
    let mut both = [erased, kept.clone()];
    let mut listed = site.listed().await;
    both.sort();
    listed.sort();
    assert_eq!(listed, both);

    // What the operator keeps outside the store comes into the pod.
    fs::write(site.setup.path().join("head.json"), ledger["head"].to_string()).unwrap();
    let said = site.process.wait_for("not open yet");
    assert_eq!(said["reason"], "RestoreDetected");
    let (status, readiness) = site.process.readiness().await;
    assert_eq!((status, &readiness["reason"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("RestoreDetected")));
    assert_eq!(readiness["ready"], false);
    for path in ["mailboxes/1001/messages", "gdpr/cases", "mailboxes/1001/mwi"] {
        assert_eq!(site.get(path).await.0, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }

    let kept_outside = site.setup.path().join("ledger.json");
    fs::write(&kept_outside, ledger.to_string()).unwrap();
    let mut replay = Command::new(PROGRAM);
    replay.args(["admin", "replay-erasures", "--config"]).arg(site.setup.config());
    let replayed = replay.arg("--ledger").arg(&kept_outside).output().unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    site.process.wait_for("open");
    assert_eq!(site.process.readiness().await.0, StatusCode::OK);
    assert_eq!(site.listed().await, [kept]);
    site.process.stop();
}
