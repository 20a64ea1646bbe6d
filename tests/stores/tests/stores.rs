//! The store contract over every back end, and what only a volume can show: several processes, kills, a
//! stopped lock holder, pruning, and leftovers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's failure is a panic")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use voicemail_model::Time;
use voicemail_store::memory::MemoryStore;
use voicemail_store::probe::probe;
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_store::{History, Key, Store};
use voicemail_test_machine::slow_mount::SlowMount;
use voicemail_test_stores::store_contract;

const WRITER: &str = env!("CARGO_BIN_EXE_volume-writer");

fn volume(folder: &Path) -> Arc<dyn Store> {
    Arc::new(VolumeStore::new(folder, "t", LockProbe(Vec::new())))
}

fn key(text: &str) -> Key {
    Key::listed(text).unwrap()
}

#[tokio::test]
async fn the_memory_store_keeps_the_contract() {
    store_contract::run_all(Arc::new(MemoryStore::new(voicemail_store::real_world()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    store_contract::run_all(volume(folder.path())).await;
}

/// Behind a network each look at a folder is some round trips, and an erasure looks at all documents.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_all_documents_has_several_looks_under_way() {
    const PAUSE: Duration = Duration::from_millis(2);
    let mount = SlowMount::start().await.unwrap();
    let store = volume(&mount.path());
    for number in 0..200 {
        let key = key(&format!("mb/{:02}/{number}/index", number % 16));
        store.replace(&key, None, "x".into()).await.unwrap();
    }
    mount.set(PAUSE).unwrap();
    let (before, begun) = (mount.operations().unwrap(), Instant::now());
    let later = store.prune_history(History::All, Time(i64::MAX)).await.unwrap();
    let (took, made) = (begun.elapsed(), mount.operations().unwrap() - before);
    mount.set(Duration::ZERO).unwrap();
    let one_by_one = PAUSE * u32::try_from(made).unwrap();
    println!("{made} operations in {took:?}, which one behind the other take {one_by_one:?}");
    assert_eq!(later, None, "no document has a superseded state");
    assert!(made >= 200, "only {made} operations: the documents weren't looked at");
    assert!(took * 3 < one_by_one, "{made} operations took {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_pass_the_probe() {
    let folder = tempfile::tempdir().unwrap();
    let world = voicemail_store::real_world();
    // The child of the lock probe is the util-linux program: -E names its exit status when it finds the lock.
    let child = ["flock", "-n", "-E", "3"].map(String::from).to_vec();
    let store = VolumeStore::new(folder.path(), "t", LockProbe(child_before(child)));
    for report in [probe(&store, &world).await, probe(&MemoryStore::new(world.clone()), &world).await] {
        assert!(report.failure().is_none(), "{report:#?}");
    }
}

/// `flock -n -E 3 FILE true`: the probe puts the file last, so a shell turns the two round.
fn child_before(child: Vec<String>) -> Vec<String> {
    vec!["sh".into(), "-c".into(), format!("{} \"$0\" true", child.join(" "))]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_reaches_no_other_process_fails_the_probe_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let store = VolumeStore::new(folder.path(), "t", LockProbe(vec!["true".into()]));
    let report = probe(&store, &voicemail_store::real_world()).await;
    let failure = report.failure().expect("the probe passed");
    assert_eq!(failure.property, "medium");
    assert!(failure.detail.contains("nolock"), "{}", failure.detail);
}

fn start_writer(folder: &Path, name: &str, times: u32) -> Child {
    Command::new(WRITER).arg(folder).args([name, &times.to_string()]).stdout(Stdio::piped()).spawn().unwrap()
}

fn acknowledged(child: &mut Child) -> Vec<String> {
    BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect()
}

async fn stored(folder: &Path) -> Vec<String> {
    let found = volume(folder).load(&key("mb/00/1/index")).await.unwrap().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&found.bytes).unwrap();
    serde_json::from_value(value["numbers"].clone()).unwrap()
}

#[tokio::test]
async fn no_acknowledged_write_of_four_processes_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers: Vec<Child> = (0..4).map(|n| start_writer(folder.path(), &format!("w{n}"), 40)).collect();
    for writer in &mut writers {
        assert_eq!(acknowledged(writer).len(), 40);
        assert!(writer.wait().unwrap().success());
    }
    let stored = stored(folder.path()).await;
    assert_eq!(stored.len(), 160);
    assert_eq!(stored.iter().collect::<BTreeSet<_>>().len(), 160);
}

#[tokio::test]
async fn no_acknowledged_write_is_lost_when_writers_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut promised = BTreeSet::new();
    for round in 0..10 {
        let mut victim = start_writer(folder.path(), &format!("victim{round}"), 10_000);
        let mut other = start_writer(folder.path(), &format!("other{round}"), 5);
        promised.extend(acknowledged(&mut other));
        other.wait().unwrap();
        victim.kill().unwrap();
        promised.extend(acknowledged(&mut victim));
        victim.wait().unwrap();
    }
    let stored: BTreeSet<String> = stored(folder.path()).await.into_iter().collect();
    assert!(promised.is_subset(&stored), "lost: {:?}", promised.difference(&stored).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_lock_holder_delays_writers_and_stops_none() {
    let folder = tempfile::tempdir().unwrap();
    let (store, name) = (volume(folder.path()), key("mb/00/1/index"));
    let first = store.replace(&name, None, "1".into()).await.unwrap();
    let lock = folder.path().join("v1/t/mb/00/1/index.doc/lock");
    let mut holder = Command::new(WRITER)
        .args(["hold".as_ref(), lock.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let start = Instant::now();
    let second = store.replace(&name, Some(&first), "2".into()).await;
    let waited = start.elapsed();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(second.is_ok(), "{second:?}");
    assert!(waited >= Duration::from_secs(2) && waited < Duration::from_secs(5), "{waited:?}");
}

#[tokio::test]
async fn a_writer_that_slept_past_the_pruning_of_its_basis_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let name = key("mb/00/1/index");
    let store = volume(folder.path());
    let mut revision = store.replace(&name, None, "1".into()).await.unwrap();
    let stale = revision.clone();
    for text in ["2", "3", "4"] {
        revision = store.replace(&name, Some(&revision), text.into()).await.unwrap();
    }
    let document = folder.path().join("v1/t/mb/00/1/index.doc");
    for number in 1..=3 {
        std::fs::remove_file(document.join(format!("r.{number:020}.json"))).unwrap();
    }
    // Another process without any memory of the head: the stale number could be linked again.
    let refused = volume(folder.path()).replace(&name, Some(&stale), "x".into()).await;
    assert!(refused.as_ref().is_err_and(voicemail_store::StoreError::may_be_applied), "{refused:?}");
    let head = volume(folder.path()).load(&name).await.unwrap().unwrap();
    assert_eq!((head.bytes, head.revision), ("4".into(), revision));
}

#[tokio::test]
async fn superseded_revisions_are_kept_for_thirty_seconds_and_the_head_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (store, name) = (volume(folder.path()), key("mb/00/1/index"));
    let first = store.replace(&name, None, "1".into()).await.unwrap();
    let start = store.clock().await.unwrap();
    let prune = |then| store.prune_history(History::Of(&name), then);
    assert_eq!(prune(start).await.unwrap(), None, "one revision is nothing to prune");
    store.replace(&name, Some(&first), "2".into()).await.unwrap();
    let now = store.clock().await.unwrap();
    let later = prune(now).await.unwrap().expect("the first revision is younger than 30 s");
    let wait = later.since(now);
    assert!((28..=30).contains(&wait.as_secs()) || wait == Duration::from_secs(30), "{wait:?}");
    assert_eq!(store.load(&name).await.unwrap().unwrap().bytes, "2");
}

#[tokio::test]
async fn revisions_whose_writer_died_are_found_after_a_start_whatever_else_fails() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["mb/00/1/index", "mb/01/2/index", "gdpr/c/forgetme.1"].map(key);
    let writer = volume(folder.path());
    for name in &names {
        let first = writer.replace(name, None, "names a caller".into()).await.unwrap();
        writer.replace(name, Some(&first), "doesn't any more".into()).await.unwrap();
    }
    drop(writer);
    // A revision that can't be removed: it is a folder.
    let broken = folder.path().join("v1/t/mb/00/0/index.doc");
    std::fs::create_dir_all(broken.join("r.00000000000000000001.json")).unwrap();
    std::fs::write(broken.join("r.00000000000000000002.json"), "{}").unwrap();
    let store = volume(folder.path());
    let old = names.map(|name| folder.path().join(format!("v1/t/{name}.doc/r.00000000000000000001.json")));
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut failed = false;
    // The broken one is the youngest: its turn may come after the others are gone.
    while !failed || old.iter().any(|path| path.exists()) {
        assert!(
            Instant::now() < deadline,
            "superseded revisions are still there, or the folder that can't be pruned isn't told of ({failed}): {old:?}"
        );
        failed |= store.tidy().await.is_err();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let now = store.clock().await.unwrap();
    assert!(store.prune_history(History::All, now).await.is_err(), "an erasure can't be sure of it either");
    assert_eq!(store.unpruned().await.unwrap(), Vec::<String>::new(), "one old revision isn't many");
}

#[tokio::test]
async fn what_is_superseded_later_holds_no_pruning_up() {
    let folder = tempfile::tempdir().unwrap();
    let (store, name) = (volume(folder.path()), key("mb/00/1/index"));
    let before = store.clock().await.unwrap();
    let mut revision = store.replace(&name, None, "0".into()).await.unwrap();
    for text in ["1", "2", "3"] {
        revision = store.replace(&name, Some(&revision), text.into()).await.unwrap();
    }
    let long_ago = before.minus(Duration::from_secs(1));
    for of in [History::Of(&name), History::All] {
        assert_eq!(store.prune_history(of, long_ago).await.unwrap(), None);
        assert!(store.prune_history(of, store.clock().await.unwrap()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn temporary_files_of_a_crash_are_removed_after_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let store = volume(folder.path());
    store.create(&key("probe/x"), "x".into()).await.unwrap();
    let tmp = folder.path().join("v1/t/tmp");
    let (old, young) = (tmp.join("t.old"), tmp.join("t.young"));
    for path in [&old, &young] {
        std::fs::write(path, "half a message").unwrap();
    }
    let two_hours_ago = std::time::SystemTime::now() - Duration::from_secs(7_200);
    std::fs::File::options().write(true).open(&old).unwrap().set_modified(two_hours_ago).unwrap();
    store.tidy().await.unwrap();
    assert!(!old.exists() && young.exists());
}
