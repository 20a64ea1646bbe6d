//! Acknowledged messages survive: core pods are killed under load, and everything that was promised is
//! there, and after a sweep nothing else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's failure is a panic")]

use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::ListParams;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use voicemail_api::config::TenantConfig;
use voicemail_model::{AudioKey, Index, MailboxId, MessageId, Time};
use voicemail_store::documents::Documents;
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{Key, Store};
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_tests::later::sweep_later;
use voicemail_tests::stage::{
    Api, Deposit, ExampleTenant, People, Promise, Report, Site, Tenant, TenantManifest, check_promises,
    deposit_until_acknowledged,
};

const NAMESPACE: &str = "messages-survive";
const BOXES: [&str; 3] = ["1001", "1002", "5000"];
const CLIENTS: usize = 8;
const MESSAGES: usize = 12;
const KILLS: usize = 6;
/// For one message until it is acknowledged.
const PATIENCE: Duration = Duration::from_secs(90);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_message_survives_sigkill_of_its_pods_and_no_orphan_is_left() {
    let mut manifest = TenantManifest::example().unwrap();
    manifest.document()["spec"]["classesOfService"][0]["maxMessages"] = 1_000.into();
    let example = ExampleTenant::open_as(NAMESPACE, manifest).await.unwrap();
    let People { media_server: caller, agent, .. } = example.serve(&BOXES).await.unwrap();
    let (site, tenant) = (&example.site, &example.tenant);

    let done = Arc::new(AtomicU32::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let killer = tokio::spawn(kill_pods(site.clone(), Arc::clone(&done), Arc::clone(&over)));
    let promises = deposit_under_fire(&caller, &done).await;
    over.store(true, Ordering::SeqCst);
    let kills = killer.await.unwrap();
    assert!(kills >= 2, "only {kills} processes were killed while clients deposited");

    tenant.wait_ready().await.unwrap();
    assert_eq!(promises.len(), CLIENTS * MESSAGES);
    // A Service leads to a killed process until its node has noticed.
    poll(PATIENCE, async || check_promises(&agent, &promises).await).await.unwrap();
    check_mwi(&agent).await;
    check_nothing_else_is_left(site, tenant).await;
    give_back(tenant.volume_folder().unwrap());
    tenant.remove().await.unwrap();
}

/// Eight clients, each of which repeats a message under its key until it is acknowledged.
async fn deposit_under_fire(caller: &Api, done: &Arc<AtomicU32>) -> Vec<Promise> {
    let studio = Studio::open().unwrap();
    let codings = [Coding::Pcm, Coding::ALaw, Coding::MuLaw];
    let spoken: Vec<Bytes> =
        codings.iter().map(|coding| studio.speak("please call me back", *coding).unwrap()).collect();
    let clients = (0..CLIENTS).map(|client| {
        let (caller, spoken, done) = (caller.clone(), spoken.clone(), Arc::clone(done));
        tokio::spawn(async move {
            let mut report = Report::default();
            for message in 0..MESSAGES {
                let audio = &spoken[(client + message) % spoken.len()];
                let mailbox = BOXES[(client + message) % BOXES.len()];
                let deposit = Deposit::new(mailbox, &format!("+4416329600{client:02}"), audio);
                deposit_until_acknowledged(&caller, deposit, PATIENCE, &mut report).await.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            }
            report.promises
        })
    });
    join_all(clients).await.into_iter().flat_map(Result::unwrap).collect()
}

/// Kills one core process after another, each once some more messages have been acknowledged.
async fn kill_pods(site: Site, done: Arc<AtomicU32>, over: Arc<AtomicBool>) -> usize {
    let mut kills = 0;
    let world = voicemail_store::real_world();
    let step = (CLIENTS * MESSAGES / (KILLS + 2)) as u32;
    while kills < KILLS && !over.load(Ordering::SeqCst) {
        if done.load(Ordering::SeqCst) < step * (kills as u32 + 1) {
            world.back_off(7).await;
            continue;
        }
        let victims = core_processes(&site).await;
        if let Some(victim) = victims.get(kills % victims.len().max(1)) {
            kill_process(*victim, Signal::KILL).unwrap();
            kills += 1;
        }
    }
    kills
}

/// Processes of the tenant's pods on the node, which are processes of this machine.
async fn core_processes(site: &Site) -> Vec<Pid> {
    let pods = site.api::<Pod>(NAMESPACE).unwrap().list(&ListParams::default()).await.unwrap();
    let uids: Vec<String> = pods.into_iter().filter_map(|pod| pod.metadata.uid).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let (cgroup, command) = (read("cgroup").replace('_', "-"), read("cmdline"));
        if command.starts_with("voicemail\0serve") && uids.iter().any(|uid| cgroup.contains(uid)) {
            found.extend(Pid::from_raw(number));
        }
    }
    found
}

async fn check_mwi(agent: &Api) {
    for mailbox in BOXES {
        let (mwi, listed) = (agent.mwi(mailbox).await.unwrap(), agent.list(mailbox).await.unwrap());
        assert_eq!(mwi.new as usize, listed.len(), "the MWI of {mailbox} shows what its list shows");
    }
}

/// A day later a sweep has removed or completed everything that dead deposits left behind.
async fn check_nothing_else_is_left(site: &Site, tenant: &Tenant) {
    let keys = tempfile::tempdir().unwrap();
    copy_keys(site, keys.path()).await;
    let config = tenant_config(site).await;
    let volume = tenant.volume_folder().unwrap();
    let swept = sweep_later(&config, keys.path(), volume, DAY + Duration::from_secs(600)).await.unwrap();
    assert_eq!((swept.failed, swept.orphans, swept.completed), (0, 0, 0), "the last pass still found work");
    let store: Arc<dyn Store> = Arc::new(VolumeStore::new(volume, &config.tenant_id, LockProbe(Vec::new())));
    let (audio, envelopes) = stored(store.as_ref()).await;
    let mut expected = (BTreeSet::new(), BTreeSet::new());
    let documents = Documents::new(Arc::clone(&store), voicemail_store::real_world());
    for mailbox in BOXES {
        let mailbox: MailboxId = mailbox.parse().unwrap();
        let index: Index = documents.load(&Key::index(&mailbox)).await.unwrap().unwrap();
        for (id, entry) in &index.entries {
            assert!(entry.is_listed(), "{id} is neither listed nor gone");
            expected.0.insert(entry.audio.as_str().to_owned());
            expected.1.insert(Key::envelope(&entry.caller_hash, &mailbox, *id).as_str().to_owned());
        }
    }
    assert_eq!((audio, envelopes), expected, "audio and envelopes are those of the entries");
    assert_eq!(temporaries(volume), Vec::<PathBuf>::new());
}

/// This process's sweep wrote as another user than the pods, who must read all before the tenant goes.
fn give_back(volume: &Path) {
    use std::os::unix::fs::{MetadataExt, lchown};
    let user = std::fs::metadata(volume).unwrap().uid();
    let mut folders = vec![volume.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            lchown(&path, Some(user), Some(user)).unwrap();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
}

async fn stored(store: &dyn Store) -> (BTreeSet<String>, BTreeSet<String>) {
    let audio: BTreeSet<String> = store.list("au/").try_collect().await.unwrap();
    assert!(audio.iter().all(|key| AudioKey::parse(key).is_some()));
    (audio, store.list("ca/").try_collect().await.unwrap())
}

/// Temporary files of killed processes go after an hour by the file system's clock, which this test can't
/// move; any younger one is allowed.
fn temporaries(volume: &Path) -> Vec<PathBuf> {
    let hour_ago = std::time::SystemTime::now() - Duration::from_secs(3_600);
    let folders = std::fs::read_dir(volume.join("v1")).unwrap().flatten();
    let files =
        folders.filter_map(|tenant| std::fs::read_dir(tenant.path().join("tmp")).ok()).flatten().flatten();
    let old = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).is_ok_and(|at| at < hour_ago);
    files.map(|entry| entry.path()).filter(old).collect()
}

async fn copy_keys(site: &Site, folder: &Path) {
    let secret = site.api::<Secret>(NAMESPACE).unwrap().get("acme-voicemail-keys").await.unwrap();
    for (name, bytes) in secret.data.unwrap() {
        std::fs::write(folder.join(name), bytes.0).unwrap();
    }
}

async fn tenant_config(site: &Site) -> TenantConfig {
    let map = site.api::<ConfigMap>(NAMESPACE).unwrap().get("acme-voicemail").await.unwrap();
    TenantConfig::parse(&map.data.unwrap()["config.yaml"]).unwrap()
}

#[test]
fn ids_made_for_deposits_are_acceptable_now() {
    let world = voicemail_store::real_world();
    let id = MessageId::new(world.now(), &world.random());
    assert!(id.is_acceptable(world.now()) && id.time() <= Time(world.now().0 + 1));
}
