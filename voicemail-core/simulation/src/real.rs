//! Random schedules over every real back end: the same operations, faults and invariants, with fewer seeds.
//!
//! A seed here isn't the schedule of the same seed in memory. On versioned buckets the end also shows that
//! nothing erased is left as an old version.

use super::ground::RealGround;
use super::play::play_on;
use super::world::SimWorld;
use std::cell::RefCell;
use std::sync::Arc;
use voicemail_api::config::StorageConfig;
use voicemail_store::Store;
use voicemail_store::object::{ObjectBackend, UploadBudget};
use voicemail_store::retry::RetryStore;
use voicemail_store::volume::{LockProbe, VolumeStore};
use voicemail_test_machine::servers::{AzureAccount, Azurite, Minio, S3Endpoint, loopback};
use voicemail_test_stores::object_stores::{FOLDER, ObjectPlace};

const SEEDS: u64 = 3;

/// `REAL_SEEDS=n` plays more; `SEED=n` plays one alone.
fn seeds() -> std::ops::Range<u64> {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match given("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..given("REAL_SEEDS").unwrap_or(SEEDS),
    }
}

fn play_all(store_of: impl Fn(u64) -> Arc<dyn Store>) {
    for seed in seeds() {
        let world = SimWorld::new(seed);
        let ground = RealGround::new(store_of(seed), world.clone());
        let verdict = play_on(world, Arc::new(ground));
        assert_eq!(verdict, Ok(()), "replay with SEED={seed}");
    }
}

fn wait<T>(future: impl Future<Output = anyhow::Result<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future).unwrap()
}

/// The place was made by the tests' own build of this crate; the store is of this one.
fn open(place: &ObjectPlace) -> Arc<dyn Store> {
    let storage: StorageConfig =
        serde_json::from_value(serde_json::to_value(&place.storage).unwrap()).unwrap();
    let (budget, world) = (UploadBudget::new(16), voicemail_store::real_world());
    let store = match &storage {
        StorageConfig::S3(s3) => ObjectBackend::open_s3(s3, "t", budget, &world),
        StorageConfig::AzureBlob(azure) => ObjectBackend::open_azure(azure, "t", budget, &world),
        StorageConfig::Volume { .. } => panic!("a volume is no object store"),
    };
    Arc::new(RetryStore::new(Arc::new(store.unwrap()), voicemail_store::real_world()))
}

#[test]
fn every_invariant_holds_in_random_schedules_on_a_volume() {
    // In memory where there is such a folder: syncing to a disk would only make it slow.
    let shared = std::path::Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
    play_all(|seed| {
        let mount = folder.path().join(seed.to_string());
        std::fs::create_dir(&mount).unwrap();
        Arc::new(VolumeStore::new(&mount, "t", LockProbe(Vec::new())))
    });
}

fn play_in_buckets(server: &S3Endpoint, versioned: bool) {
    let (admin, places) = (server.admin().unwrap(), RefCell::new(Vec::new()));
    play_all(|seed| {
        let bucket = format!("seed-{seed}");
        let place = wait(ObjectPlace::in_new_bucket(server, &bucket));
        if versioned {
            wait(admin.set_versioning(&bucket, true));
        }
        let store = open(&place);
        places.borrow_mut().push(place);
        store
    });
}

#[test]
fn every_invariant_holds_in_random_schedules_on_minio() {
    let server = wait(Minio::start(loopback()));
    play_in_buckets(&server.endpoint(), false);
}

#[test]
fn a_bucket_with_versions_keeps_none_of_what_was_deleted() {
    let server = wait(Minio::start(loopback()));
    play_in_buckets(&server.endpoint(), true);
    let admin = server.endpoint().admin().unwrap();
    for seed in seeds() {
        for kind in ["ca", "au", "due"] {
            let prefix = format!("{FOLDER}/v1/t/{kind}/");
            let versions = wait(admin.list_versions(&format!("seed-{seed}"), &prefix));
            assert!(
                versions.iter().all(|version| version.is_latest && !version.is_delete_marker),
                "{versions:#?}"
            );
        }
    }
}

#[test]
fn every_invariant_holds_in_random_schedules_on_azurite() {
    let server = wait(Azurite::start(loopback(), &[AzureAccount::random("simulated")]));
    let (endpoint, places) = (server.endpoint("simulated").unwrap(), RefCell::new(Vec::new()));
    play_all(|seed| {
        let place = wait(ObjectPlace::in_new_container(&endpoint, &format!("seed-{seed}")));
        let store = open(&place);
        places.borrow_mut().push(place);
        store
    });
}
