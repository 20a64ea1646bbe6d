//! Two replicas of one tenant, each with its own mount of one volume: what one acknowledges the other shows at once, and
//! nothing is lost when both write or when one dies.
//!
//! Here both have the same local folder. `cargo nfs-guest` runs the same tests in a kernel with an NFS server and two
//! clients of it, whose mounts it names in `VOICEMAIL_MOUNTS`; `cargo network-stores` on GlusterFS and CephFS.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod served;

use futures::future::join_all;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use served::{Process, Setup, speech};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);
/// Messages that cross from one replica to the other, in each direction.
const ROUNDS: usize = 10;

/// A new folder of one volume, as each of two clients sees it.
struct Volume {
    seen: [PathBuf; 2],
    /// Kept until the end.
    _local: Option<tempfile::TempDir>,
}

impl Volume {
    fn new() -> Self {
        let Some(mounts) = std::env::var_os("VOICEMAIL_MOUNTS") else {
            let local = tempfile::tempdir().unwrap();
            let path = local.path().to_owned();
            return Self { seen: [path.clone(), path], _local: Some(local) };
        };
        let mounts: Vec<PathBuf> = std::env::split_paths(&mounts).collect();
        let [first, second] = mounts.as_slice() else { panic!("VOICEMAIL_MOUNTS names two mounts") };
        let folder = tempfile::Builder::new().disable_cleanup(true).tempdir_in(first).unwrap();
        let name = folder.path().file_name().unwrap();
        Self { seen: [first.join(name), second.join(name)], _local: None }
    }

    fn start(&self, client: usize) -> Replica {
        let mut replica = Replica::begin(&self.seen[client]);
        replica.process.wait_for("open");
        replica
    }

    fn start_both(&self) -> [Replica; 2] {
        [self.start(0), self.start(1)]
    }
}

struct Replica {
    process: Process,
    token: String,
    client: Client,
    /// Its configuration and keys.
    _setup: Setup,
}

impl Replica {
    fn begin(volume: &Path) -> Self {
        let setup = Setup::new();
        let mut config: Value = serde_yaml::from_str(&setup.example()).unwrap();
        config["regions"][0]["storage"] = json!({ "volume": { "path": volume } });
        config["classesOfService"][0]["maxMessages"] = 1_000.into();
        config["classesOfService"][0]["trashHours"] = 0.into();
        setup.write_config(&serde_yaml::to_string(&config).unwrap());
        let process = Process::start(&setup);
        Self { process, token: setup.token(), client: Client::new(), _setup: setup }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1/mailboxes/1001{path}", self.process.api);
        self.client.request(method, url).bearer_auth(&self.token)
    }

    async fn provision(&self) {
        let mailbox = self.request(Method::PUT, "").json(&json!({})).send().await.unwrap();
        assert_eq!(mailbox.status(), StatusCode::OK);
        let url = format!("{}/api/v1/users/alice", self.process.api);
        let user = self.client.put(url).bearer_auth(&self.token).json(&json!({ "mailboxes": ["1001"] }));
        assert_eq!(user.send().await.unwrap().status(), StatusCode::OK);
    }

    /// The message's id, if the deposit was acknowledged.
    async fn try_deposit(&self) -> Option<String> {
        let form = reqwest::multipart::Form::new().part("audio", reqwest::multipart::Part::bytes(speech()));
        let answer = self.request(Method::POST, "/messages").multipart(form).send().await.ok()?;
        if answer.status() != StatusCode::CREATED {
            return None;
        }
        Some(answer.json::<Value>().await.ok()?["id"].as_str()?.to_owned())
    }

    async fn deposit(&self) -> String {
        self.try_deposit().await.expect("a deposit is acknowledged")
    }

    async fn list(&self) -> BTreeSet<String> {
        let answer = self.request(Method::GET, "/messages?limit=200").send().await.unwrap();
        let page: Value = answer.json().await.unwrap();
        let messages = page["messages"].as_array().unwrap_or_else(|| panic!("{page}"));
        messages.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn play(&self, id: &str) -> StatusCode {
        let answer = self.request(Method::GET, &format!("/messages/{id}/audio")).send().await.unwrap();
        let status = answer.status();
        if status.is_success() {
            assert_eq!(answer.bytes().await.unwrap(), speech());
        }
        status
    }

    async fn delete(&self, id: &str) {
        let deleted = self.request(Method::DELETE, &format!("/messages/{id}")).send().await.unwrap();
        assert!(deleted.status().is_success(), "{}", deleted.status());
    }
}

#[tokio::test]
async fn what_one_replica_acknowledges_the_other_shows_at_once() {
    let volume = Volume::new();
    let both = volume.start_both();
    both[0].provision().await;
    for round in 0..2 * ROUNDS {
        let (here, there) = (&both[round % 2], &both[(round + 1) % 2]);
        assert!(there.list().await.is_empty(), "it has looked, and remembers what it didn't find");
        let id = here.deposit().await;
        assert_eq!(there.list().await, BTreeSet::from([id.clone()]), "round {round}: listed");
        assert_eq!(there.play(&id).await, StatusCode::OK, "round {round}: played");
        there.delete(&id).await;
        assert!(here.list().await.is_empty(), "round {round}: deleted");
        assert_eq!(here.play(&id).await, StatusCode::NOT_FOUND, "round {round}");
    }
}

#[tokio::test]
async fn two_replicas_that_write_at_once_lose_nothing() {
    let volume = Volume::new();
    let both = volume.start_both();
    both[0].provision().await;
    let callers = (0..8).map(|n| {
        let replica = &both[n % 2];
        async move {
            let mut left = Vec::new();
            for _ in 0..6 {
                left.push(replica.deposit().await);
            }
            left
        }
    });
    let left: BTreeSet<String> = join_all(callers).await.into_iter().flatten().collect();
    assert_eq!(left.len(), 48);
    for replica in &both {
        assert_eq!(replica.list().await, left);
    }
}

#[tokio::test]
async fn what_a_replica_acknowledged_before_it_was_killed_is_played_by_the_other() {
    let volume = Volume::new();
    let [mut dying, living] = volume.start_both();
    dying.provision().await;
    let mut acknowledged = BTreeSet::new();
    for _ in 0..5 {
        acknowledged.insert(dying.deposit().await);
    }
    let under_way = join_all((0..4).map(|_| dying.try_deposit()));
    let child = rustix::process::Pid::from_child(&dying.process.child);
    let kill = async {
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
    };
    let (answered, ()) = tokio::join!(under_way, kill);
    dying.process.child.wait().unwrap();
    acknowledged.extend(answered.into_iter().flatten());
    let listed = living.list().await;
    assert!(listed.is_superset(&acknowledged), "{acknowledged:?} of {listed:?}");
    for id in &listed {
        assert_eq!(living.play(id).await, StatusCode::OK, "{id}");
    }
    // The dead one's locks are gone with it, or taken over.
    acknowledged.insert(living.deposit().await);
    assert!(living.list().await.is_superset(&acknowledged));
}

#[tokio::test]
#[ignore = "needs a mount of NFS without lookupcache=none: cargo nfs-guest has one"]
async fn a_mount_whose_client_remembers_missing_names_is_refused_in_words() {
    let mount = std::env::var("VOICEMAIL_REFUSED_MOUNT").expect("VOICEMAIL_REFUSED_MOUNT names a mount");
    let replica = Replica::begin(Path::new(&mount));
    let end = Instant::now() + DEADLINE;
    loop {
        let (status, readiness) = replica.process.readiness().await;
        let said = readiness.to_string();
        if said.contains("mountOptions: [lookupcache=none]") {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            return;
        }
        assert!(Instant::now() < end && status != StatusCode::OK, "{status} {said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
