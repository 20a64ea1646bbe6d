//! A volume that fills up, by bytes and by inodes, with two replicas on it: new messages are refused in time, and all
//! that makes room goes on working when others have taken the very last of it. And one that goes read-only.
//!
//! Mounts a small tmpfs for each test, so it runs as root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::served;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use served::{Process, Setup, speech_of};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const CALLER: &str = "+442079460123";
const DEADLINE: Duration = Duration::from_secs(60);

/// A file system of a size of its own at a setup's store, until dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(setup: &Setup, options: &str) -> Self {
        let store = setup.path().join("store");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&store).status().unwrap();
        assert!(mounted.success(), "a tmpfs can't be mounted: run the tests as root");
        Self(store)
    }

    fn others(&self) -> PathBuf {
        self.0.join("others")
    }

    /// Others take every byte that is left.
    fn fill_bytes(&self) {
        fs::create_dir_all(self.others()).unwrap();
        let mut file = File::create(self.others().join("bytes")).unwrap();
        while write_or_full(&mut file, &[b'x'; 4_096]) {}
    }

    /// Others take every inode that is left.
    fn fill_inodes(&self) {
        fs::create_dir_all(self.others()).unwrap();
        let make = |number: u32| match File::create(self.others().join(format!("{number}"))) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::StorageFull => false,
            Err(error) => panic!("{error}"),
        };
        let made = (0..).take_while(|number| make(*number)).count();
        assert!(made < 10_000);
    }

    fn remount(&self, mode: &str) {
        let options = format!("remount,{mode}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(done.success(), "{options}");
    }

    fn let_go(&self) {
        fs::remove_dir_all(self.others()).unwrap();
    }

    fn reserved(&self) -> usize {
        let found = fs::read_dir(self.0.join("v1")).unwrap().next().unwrap().unwrap().path();
        let names = fs::read_dir(found.join("tmp/reserve")).unwrap();
        names
            .filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with("bytes."))
            .count()
    }
}

fn write_or_full(file: &mut File, bytes: &[u8]) -> bool {
    match file.write_all(bytes) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::StorageFull => false,
        Err(error) => panic!("{error}"),
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// One replica and a client of it.
struct Replica {
    process: Process,
    token: String,
}

impl Replica {
    fn start(setup: &Setup) -> Self {
        let mut process = Process::start(setup);
        process.wait_for("open");
        Self { process, token: setup.token() }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let url = format!("{}/api/v1/{path}", self.process.api);
        let request = Client::new().request(method, url).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    async fn pass(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let said = format!("{method} {path}");
        let answer = self.call(method, path, body).await;
        let (status, text) = (answer.status(), answer.bytes().await.unwrap());
        let shown = String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned();
        assert!(status.is_success(), "{said}: {status}: {shown}");
        serde_json::from_slice(&text).unwrap_or(Value::Null)
    }

    async fn deposit(&self, seconds: usize) -> Response {
        let audio = reqwest::multipart::Part::bytes(speech_of(seconds));
        let form = reqwest::multipart::Form::new().text("caller", CALLER).part("audio", audio);
        let url = format!("{}/api/v1/mailboxes/1001/messages", self.process.api);
        Client::new().post(url).bearer_auth(&self.token).multipart(form).send().await.unwrap()
    }

    async fn messages(&self) -> Vec<String> {
        let page = self.pass(Method::GET, "mailboxes/1001/messages?limit=100", None).await;
        let messages = page["messages"].as_array().unwrap();
        messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn reason(&self) -> String {
        let (status, readiness) = self.process.readiness().await;
        assert_eq!(status, StatusCode::OK, "a replica leaves the Service: {readiness}");
        readiness["reason"].as_str().unwrap().to_owned()
    }

    async fn wait_for_reason(&self, wanted: &[&str]) {
        let end = Instant::now() + DEADLINE;
        loop {
            let reason = self.reason().await;
            if wanted.contains(&reason.as_str()) {
                return;
            }
            assert!(Instant::now() < end, "readiness says {reason}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn wait_for_purge(&self) {
        let end = Instant::now() + DEADLINE;
        loop {
            let case = self.pass(Method::GET, "gdpr/cases/full", None).await;
            if case["runs"][0]["state"] == "purged" {
                return;
            }
            assert!(Instant::now() < end, "{case}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn configure(setup: &Setup) {
    let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
    config["classesOfService"][0]["maxMessages"] = 1_000.into();
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
}

/// Deposits until one is refused for want of room; that answer.
async fn deposit_until_full(replica: &Replica, seconds: usize) -> Value {
    for _ in 0..1_000 {
        let answer = replica.deposit(seconds).await;
        if answer.status() == StatusCode::CREATED {
            continue;
        }
        assert_eq!(answer.status(), StatusCode::INSUFFICIENT_STORAGE, "{:?}", answer.text().await);
        assert!(answer.headers().contains_key("retry-after"));
        return answer.json().await.unwrap();
    }
    panic!("the volume takes everything");
}

/// With no room at all: play, mark, delete and erase by both replicas, one that starts anew among them.
async fn empty_it(setup: &Setup, replicas: &[Replica; 2], fill: impl Fn()) {
    let [one, other] = replicas;
    let ids = one.messages().await;
    assert!(ids.len() >= 4, "{ids:?}");
    fill();
    let message = |id: &str| format!("mailboxes/1001/messages/{id}");
    one.pass(Method::GET, &format!("{}/audio", message(&ids[0])), None).await;
    other.pass(Method::PATCH, &message(&ids[1]), Some(json!({ "state": "read" }))).await;
    let audio = [2, 3].map(|n: usize| format!("{}/audio", message(&ids[n])));
    tokio::join!(one.pass(Method::GET, &audio[0], None), other.pass(Method::GET, &audio[1], None));
    one.wait_for_reason(&["StorageFull"]).await;
    let third = Replica::start(setup);
    third.pass(Method::DELETE, &message(&ids[0]), None).await;
    third.wait_for_reason(&["StorageFull"]).await;
    assert_eq!(other.deposit(1).await.status(), StatusCode::INSUFFICIENT_STORAGE);
    let consumers = json!({ "caseid": "full", "consumers": [{ "phone": [CALLER] }], "undoWindow": "0s" });
    other.pass(Method::POST, "gdpr/forgetme", Some(consumers)).await;
    one.wait_for_purge().await;
    assert_eq!(other.messages().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_volume_without_a_free_byte_can_be_emptied_and_recovers() {
    let setup = Setup::new();
    let volume = Mounted::new(&setup, "size=6m");
    configure(&setup);
    let replicas = [Replica::start(&setup), Replica::start(&setup)];
    replicas[0].pass(Method::PUT, "mailboxes/1001", Some(json!({}))).await;
    replicas[0].pass(Method::PUT, "users/alice", Some(json!({ "mailboxes": ["1001"] }))).await;
    let refused = deposit_until_full(&replicas[0], 60).await;
    assert_eq!(refused["type"], "/problems/storage-full", "{refused}");
    replicas[1].wait_for_reason(&["StorageFull", "StorageLow"]).await;
    empty_it(&setup, &replicas, || volume.fill_bytes()).await;
    volume.let_go();
    replicas[0].wait_for_reason(&["Ready"]).await;
    assert_eq!(replicas[1].deposit(1).await.status(), StatusCode::CREATED);
    assert_eq!(volume.reserved(), 16, "the reserve is whole again");
    let text = reqwest::get(format!("{}/metrics", replicas[0].process.metrics)).await.unwrap().text().await;
    assert!(text.unwrap().contains("reason=\"StorageFull\"} 0"));
}

#[tokio::test]
async fn a_volume_without_a_free_inode_can_be_emptied_and_recovers() {
    let setup = Setup::new();
    let volume = Mounted::new(&setup, "size=256m,nr_inodes=600");
    configure(&setup);
    let replicas = [Replica::start(&setup), Replica::start(&setup)];
    replicas[0].pass(Method::PUT, "mailboxes/1001", Some(json!({}))).await;
    replicas[0].pass(Method::PUT, "users/alice", Some(json!({ "mailboxes": ["1001"] }))).await;
    deposit_until_full(&replicas[1], 1).await;
    empty_it(&setup, &replicas, || volume.fill_inodes()).await;
    volume.let_go();
    replicas[1].wait_for_reason(&["Ready"]).await;
    assert_eq!(replicas[0].deposit(1).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_volume_that_goes_read_only_can_be_listened_to_and_who_did_is_recorded_later() {
    let setup = Setup::new();
    let volume = Mounted::new(&setup, "size=16m");
    configure(&setup);
    let replica = Replica::start(&setup);
    replica.pass(Method::PUT, "mailboxes/1001", Some(json!({}))).await;
    replica.pass(Method::PUT, "users/alice", Some(json!({ "mailboxes": ["1001"] }))).await;
    assert_eq!(replica.deposit(1).await.status(), StatusCode::CREATED);
    let id = replica.messages().await[0].clone();
    volume.remount("ro");
    let refused = replica.deposit(1).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json::<Value>().await.unwrap()["type"], "/problems/writes-refused");
    replica.wait_for_reason(&["StorageLocked"]).await;
    replica.pass(Method::GET, &format!("mailboxes/1001/messages/{id}/audio"), None).await;
    let other = Replica::start(&setup);
    assert_eq!(other.messages().await.len(), 1, "one that starts meanwhile serves what is stored");
    other.wait_for_reason(&["StorageLocked"]).await;
    volume.remount("rw");
    replica.wait_for_reason(&["Ready"]).await;
    assert_eq!(replica.deposit(1).await.status(), StatusCode::CREATED);
    let end = Instant::now() + DEADLINE;
    loop {
        let events = replica.pass(Method::GET, "audit", None).await.to_string();
        if events.contains("listen") && events.contains(&id) {
            return;
        }
        assert!(Instant::now() < end, "who listened isn't recorded: {events}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn the_room_that_deposits_leave_is_a_setting() {
    let setup = Setup::new();
    let _volume = Mounted::new(&setup, "size=16m");
    let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
    config["regions"][0]["storage"]["volume"]["keepFree"] = json!({ "mebibytes": 64, "percent": 50 });
    setup.write_config(&serde_yaml::to_string(&config).unwrap());
    let replica = Replica::start(&setup);
    replica.pass(Method::PUT, "mailboxes/1001", Some(json!({}))).await;
    let taken = deposit_until_full(&replica, 120).await;
    assert_eq!(taken["status"], 507);
    let left = free_mib(&setup.path().join("store"));
    assert!((6..=8).contains(&left), "{left} MiB are left of 16");
}

fn free_mib(folder: &Path) -> u64 {
    let found = rustix::fs::statvfs(folder).unwrap();
    found.f_bavail * found.f_frsize / (1 << 20)
}
