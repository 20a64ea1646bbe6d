//! S3 and Azure Blob on real servers: the store contract, versions, tags, settings that the probe must notice,
//! credentials that change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's failure is a panic")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use voicemail_api::config::{EtagQuoting, StorageConfig};
use voicemail_model::Time;
use voicemail_store::probe::{Report, probe};
use voicemail_store::retry::RetryStore;
use voicemail_store::{BodyStream, Hindrance, History, Keeper, Key, Store, StoreError};
use voicemail_test_machine::install_crypto;
use voicemail_test_machine::servers::{
    AzureAccount, Azurite, Minio, Moto, Oddity, S3Endpoint, S3Keys, S3Proxy, S3sServer, Versitygw, loopback,
};
use voicemail_test_stores::object_stores::{FOLDER, ObjectPlace, TENANT, write_s3_keys};
use voicemail_test_stores::store_contract;

const ACCOUNT: &str = "voiceaccount";

async fn minio() -> Minio {
    install_crypto();
    Minio::start(loopback()).await.unwrap()
}

async fn azurite() -> Azurite {
    install_crypto();
    Azurite::start(loopback(), &[AzureAccount::random(ACCOUNT)]).await.unwrap()
}

fn key(text: &str) -> Key {
    Key::listed(text).unwrap()
}

async fn examine(place: &ObjectPlace) -> Report {
    probe(place.open_patient().unwrap().as_ref(), &voicemail_store::real_world()).await
}

fn detail(report: &Report, property: &str) -> (bool, String) {
    let found = report.findings.iter().find(|finding| finding.property == property);
    found.map(|finding| (finding.holds, finding.detail.clone())).unwrap_or_else(|| panic!("{report:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_keeps_the_contract() {
    let server = minio().await;
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "contract").await.unwrap();
    store_contract::run_all(Arc::new(place.open().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azurite_keeps_the_contract() {
    let server = azurite().await;
    let place = ObjectPlace::in_new_container(&server.endpoint(ACCOUNT).unwrap(), "contract").await.unwrap();
    store_contract::run_all(Arc::new(place.open().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_server_of_the_tests_keeps_the_contract_with_and_without_versions() {
    install_crypto();
    let server = S3sServer::start(loopback(), Oddity::None).await.unwrap();
    for (bucket, versions) in [("plain", false), ("versioned", true)] {
        let place = ObjectPlace::in_new_bucket(&server.endpoint(), bucket).await.unwrap();
        server.endpoint().admin().unwrap().set_versioning(bucket, versions).await.unwrap();
        store_contract::run_all(Arc::new(place.open().unwrap())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opinion_on_versions_agrees_that_a_deletion_leaves_none() {
    install_crypto();
    let server = Moto::start(loopback()).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "opinion").await.unwrap();
    let admin = server.endpoint().admin().unwrap();
    admin.set_versioning("opinion", true).await.unwrap();
    let (store, envelope) = (place.open_patient().unwrap(), key("ca/ab/abc/1001/x"));
    store.create(&envelope, "first".into()).await.unwrap();
    store.delete(&envelope).await.unwrap();
    store.create(&envelope, "second".into()).await.unwrap();
    assert_eq!(store.get(&envelope).await.unwrap().unwrap(), "second");
    store.delete(&envelope).await.unwrap();
    let left = admin.list_versions("opinion", FOLDER).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_only_bare_etags_is_found_out_and_given_them_unless_told_otherwise() {
    install_crypto();
    let server = S3sServer::start(loopback(), Oddity::BareEtagsOnly).await.unwrap();
    let mut place = ObjectPlace::in_new_bucket(&server.endpoint(), "bare").await.unwrap();
    let report = examine(&place).await;
    assert!(report.failure().is_none(), "{report:#?}");
    assert!(detail(&report, "etag-quoting").1.contains("without quotes"), "{report:#?}");
    for (quoting, serves) in [(EtagQuoting::Bare, true), (EtagQuoting::Rfc, false)] {
        let StorageConfig::S3(s3) = &mut place.storage else { panic!("not S3") };
        s3.etag_quoting = Some(quoting);
        assert_eq!(examine(&place).await.failure().is_none(), serves, "{quoting:?}");
        if serves {
            store_contract::run_all(Arc::new(place.open().unwrap())).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_conditions_is_refused_with_what_it_ignores() {
    install_crypto();
    let server = S3sServer::start(loopback(), Oddity::IgnoresConditions).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "careless").await.unwrap();
    let (holds, text) = detail(&examine(&place).await, "create-is-exclusive");
    assert!(!holds && text.contains("it ignores If-None-Match"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_servers_pass_the_probe_with_tags() {
    let (server, emulator) = (minio().await, azurite().await);
    let places = [
        ObjectPlace::in_new_bucket(&server.endpoint(), "probed").await.unwrap(),
        ObjectPlace::in_new_container(&emulator.endpoint(ACCOUNT).unwrap(), "probed").await.unwrap(),
    ];
    for place in places {
        let report = examine(&place).await;
        assert!(report.failure().is_none(), "{report:#?}");
        assert_eq!(detail(&report, "index-tags"), (true, "holds".into()));
    }
}

fn body(bytes: usize) -> BodyStream {
    const CHUNK: usize = 70_000;
    let chunk =
        move |n: usize| Bytes::from(vec![u8::try_from(n % 251).unwrap(); CHUNK.min(bytes - n * CHUNK)]);
    stream::iter((0..bytes.div_ceil(CHUNK)).map(move |n| Ok(chunk(n)))).boxed()
}

async fn digest(mut chunks: impl StreamExt<Item = Bytes> + Unpin) -> String {
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk);
    }
    voicemail_test_machine::digest::sha256_hex(&all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_several_parts_is_stored_whole_and_read_in_ranges() {
    const SIZE: usize = 12_345_678;
    let (server, emulator) = (minio().await, azurite().await);
    let places = [
        ObjectPlace::in_new_bucket(&server.endpoint(), "parts").await.unwrap(),
        ObjectPlace::in_new_container(&emulator.endpoint(ACCOUNT).unwrap(), "parts").await.unwrap(),
    ];
    for place in places {
        let (store, name) = (place.open_patient().unwrap(), key("au/2026112309/1/long"));
        assert_eq!(store.put(&name, body(SIZE)).await.unwrap(), SIZE as u64);
        let sent = digest(body(SIZE).map(Result::unwrap)).await;
        let whole = store.read(&name, None).await.unwrap().unwrap();
        assert_eq!((whole.size, digest(whole.bytes.map(Result::unwrap)).await), (SIZE as u64, sent));
        let part = store.read(&name, Some(6_999_999..7_000_001)).await.unwrap().unwrap();
        let part: Vec<Bytes> = part.bytes.try_collect().await.unwrap();
        assert_eq!(part.concat(), [99, 100]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_no_version_and_pruning_leaves_only_the_head() {
    let server = minio().await;
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "versions").await.unwrap();
    let admin = server.endpoint().admin().unwrap();
    admin.set_versioning("versions", true).await.unwrap();
    let report = examine(&place).await;
    assert!(detail(&report, "versions").1.contains("keeps versions"), "{report:#?}");

    // A store that wasn't told by a probe learns it from its first write.
    let store = place.open_patient().unwrap();
    let document = key("mb/00/1001/index");
    let mut basis = store.replace(&document, None, "0".into()).await.unwrap();
    for n in 1..4 {
        basis = store.replace(&document, Some(&basis), Bytes::from(n.to_string())).await.unwrap();
    }
    store.create(&key("ca/ab/abc/1001/x"), "envelope".into()).await.unwrap();
    let prefix = format!("{FOLDER}/v1/{TENANT}/");
    assert_eq!(admin.list_versions("versions", &prefix).await.unwrap().len(), 5);
    let mut other = None;
    for n in 0..3 {
        let name = key("mb/01/1002/index");
        other = Some(store.replace(&name, other.as_ref(), Bytes::from(n.to_string())).await.unwrap());
    }
    assert_eq!(store.unpruned().await.unwrap(), ["mb/00/1001/index", "mb/01/1002/index"]);
    assert_eq!(store.prune_history(History::Of(&document), Time(0)).await.unwrap(), None);
    assert_eq!(store.unpruned().await.unwrap(), ["mb/01/1002/index"]);
    assert_eq!(store.prune_history(History::All, Time(0)).await.unwrap(), None);
    assert_eq!(store.unpruned().await.unwrap(), Vec::<String>::new());
    assert_eq!(store.load(&key("mb/01/1002/index")).await.unwrap().unwrap().bytes, "2");
    store.delete(&key("mb/01/1002/index")).await.unwrap();
    assert_eq!(admin.list_versions("versions", &prefix).await.unwrap().len(), 2);
    assert_eq!(store.load(&document).await.unwrap().unwrap().bytes, "3");
    for name in [&document, &key("ca/ab/abc/1001/x"), &key("ca/ab/abc/1001/never")] {
        store.delete(name).await.unwrap();
    }
    assert_eq!(admin.list_versions("versions", &prefix).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifecycle_rule_that_would_delete_settings_fails_the_probe_by_its_name() {
    let server = minio().await;
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "ruled").await.unwrap();
    let rule = |prefix: &str| {
        format!(
            "<LifecycleConfiguration><Rule><ID>tidy-up</ID><Status>Enabled</Status><Filter><Prefix>{prefix}</Prefix>\
             </Filter><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"
        )
    };
    let admin = server.endpoint().admin().unwrap();
    admin.set_lifecycle("ruled", &rule("logs/")).await.unwrap();
    assert_eq!(detail(&examine(&place).await, "no-lifecycle-rule"), (true, "holds".into()));
    admin.set_lifecycle("ruled", &rule("voice/")).await.unwrap();
    let (holds, text) = detail(&examine(&place).await, "no-lifecycle-rule");
    assert!(!holds && text.contains("tidy-up"), "{text}");
}

async fn keeps(place: &ObjectPlace) -> Vec<Keeper> {
    place.open_patient().unwrap().keeps().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_keeps_of_what_is_deleted_is_found_out() {
    let server = minio().await;
    let admin = server.endpoint().admin().unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "keeping").await.unwrap();
    assert_eq!(keeps(&place).await, []);

    // Versions go with what they are of, once they are known: the store learns of them by asking.
    admin.set_versioning("keeping", true).await.unwrap();
    let store = place.open_patient().unwrap();
    let other = place.open_patient().unwrap();
    other.create(&key("ca/ab/abc/1001/x"), "envelope".into()).await.unwrap();
    assert_eq!(store.keeps().await.unwrap(), []);
    store.delete(&key("ca/ab/abc/1001/x")).await.unwrap();
    assert_eq!(admin.list_versions("keeping", FOLDER).await.unwrap(), []);

    admin.create_locking_bucket("locking").await.unwrap();
    let place = ObjectPlace::in_bucket(&server.endpoint(), "locking", FOLDER).unwrap();
    assert_eq!(keeps(&place).await, [], "a bucket that can lock locks nothing by itself");
    for (time, days) in [("<Days>30</Days>", 30), ("<Years>1</Years>", 366)] {
        admin.set_retention("locking", time).await.unwrap();
        assert_eq!(keeps(&place).await, [Keeper { kind: "immutability", days: Some(days) }], "{time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_holds_fast_is_deleted_as_far_as_it_lets_and_stays_a_copy_that_is_told_of() {
    let server = minio().await;
    let admin = server.endpoint().admin().unwrap();
    admin.create_locking_bucket("fast").await.unwrap();
    admin.set_retention("fast", "<Days>30</Days>").await.unwrap();
    let place = ObjectPlace::in_bucket(&server.endpoint(), "fast", FOLDER).unwrap();
    let (store, name) = (place.open_patient().unwrap(), key("ca/ab/abc/1001/x"));
    store.create(&name, "envelope".into()).await.unwrap();
    store.delete(&name).await.unwrap();
    assert_eq!(store.get(&name).await.unwrap(), None, "nobody can read it by its name");
    let left = admin.list_versions("fast", FOLDER).await.unwrap();
    assert!(left.iter().any(|version| !version.is_delete_marker), "{left:?}");
    assert_eq!(keeps(&place).await, [Keeper { kind: "immutability", days: Some(30) }]);
    // It is a document's superseded states that are kept, too.
    let document = key("mb/00/1001/index");
    let first = store.replace(&document, None, "1".into()).await.unwrap();
    store.replace(&document, Some(&first), "2".into()).await.unwrap();
    store.prune_history(History::Of(&document), Time(0)).await.unwrap();
    assert_eq!(store.load(&document).await.unwrap().unwrap().bytes, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_keeps_deleted_blobs_says_for_how_long() {
    let server = azurite().await;
    let place = ObjectPlace::in_new_container(&server.endpoint(ACCOUNT).unwrap(), "soft").await.unwrap();
    assert_eq!(keeps(&place).await, []);
    server.endpoint(ACCOUNT).unwrap().admin().unwrap().set_soft_delete(Some(7)).await.unwrap();
    assert_eq!(keeps(&place).await, [Keeper { kind: "softDelete", days: Some(7) }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_keeps_deleted_blobs_fails_the_probe() {
    let server = azurite().await;
    let place = ObjectPlace::in_new_container(&server.endpoint(ACCOUNT).unwrap(), "kept").await.unwrap();
    let admin = server.endpoint(ACCOUNT).unwrap().admin().unwrap();
    admin.set_soft_delete(Some(7)).await.unwrap();
    let (holds, text) = detail(&examine(&place).await, "no-soft-delete");
    assert!(!holds && text.contains("turn blob soft delete off"), "{text}");
    admin.set_soft_delete(None).await.unwrap();
    assert!(examine(&place).await.failure().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_token_serves_as_well_as_the_accounts_key() {
    let server = azurite().await;
    let place = ObjectPlace::in_new_container(&server.endpoint(ACCOUNT).unwrap(), "signed").await.unwrap();
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let admin = server.endpoint(ACCOUNT).unwrap().admin().unwrap();
    let token = admin.container_sas("signed", "racwdlt", expires).unwrap();
    std::fs::remove_file(place.credentials().join("accountKey")).unwrap();
    std::fs::write(place.credentials().join("sasToken"), &token).unwrap();
    let report = examine(&place).await;
    assert!(report.failure().is_none(), "{report:#?}");
    store_contract::run_all(Arc::new(place.open().unwrap())).await;

    let forged = token.replace("sig=", "sig=A");
    std::fs::write(place.credentials().join("sasToken"), &forged).unwrap();
    let error = place.open().unwrap().get(&key("probe/x")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Credentials(_)), "{error:?}");
    assert!(!error.to_string().contains("sig="), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rotated_keys_are_taken_up_without_a_restart_and_torn_ones_are_not() {
    let mut server = minio().await;
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "rotated").await.unwrap();
    let store = place.open_patient().unwrap();
    store.create(&key("probe/first"), "1".into()).await.unwrap();
    let new = S3Keys::random();
    server.stop().await.unwrap();
    server.set_keys(new.clone());
    server.start_again().await.unwrap();
    let refused = store.get(&key("probe/first")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Credentials(_)), "{refused:?}");

    std::fs::write(place.credentials().join("secretAccessKey"), "").unwrap();
    let torn = store.get(&key("probe/first")).await.unwrap_err();
    assert!(matches!(torn, StoreError::Credentials(_)), "{torn:?}");
    write_s3_keys(place.credentials(), &new).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while store.get(&key("probe/first")).await != Ok(Some("1".into())) {
        assert!(tokio::time::Instant::now() < deadline, "the new keys weren't taken up within 10 s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Starts of a server that are tried; a race shows what it shows only now and then.
const STARTS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_look_first_and_write_afterwards_are_refused_at_every_start() {
    install_crypto();
    let (proxy, moto) = (S3Proxy::start(loopback()).await.unwrap(), Moto::start(loopback()).await.unwrap());
    for (name, server) in [("s3proxy", proxy.endpoint()), ("moto", moto.endpoint())] {
        for start in 0..starts() {
            let place = ObjectPlace::in_new_bucket(&server, &format!("races{start}")).await.unwrap();
            let report = examine(&place).await;
            let failure = report.failure().unwrap_or_else(|| panic!("{name}, start {start}: {report:#?}"));
            println!("{name} {start}: {} {}", failure.property, failure.detail);
            let words = if name == "moto" { "simulator" } else { "writes afterwards" };
            assert!(failure.detail.contains(words), "{name}: {failure:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_decide_races_are_admitted_at_every_start_within_seconds_and_requests() {
    let (minio, azurite, gateway) =
        (minio().await, azurite().await, Versitygw::start(loopback()).await.unwrap());
    let ours = S3sServer::start(loopback(), Oddity::None).await.unwrap();
    for start in 0..starts() {
        let bucket = format!("admitted{start}");
        let places = [
            ObjectPlace::in_new_bucket(&minio.endpoint(), &bucket).await.unwrap(),
            ObjectPlace::in_new_bucket(&gateway.endpoint(), &bucket).await.unwrap(),
            ObjectPlace::in_new_bucket(&ours.endpoint(), &bucket).await.unwrap(),
            ObjectPlace::in_new_container(&azurite.endpoint(ACCOUNT).unwrap(), &bucket).await.unwrap(),
        ];
        for place in places {
            let (backend, began) = (Arc::new(place.open().unwrap()), std::time::Instant::now());
            let store = RetryStore::new(backend.clone(), voicemail_store::real_world());
            let report = probe(&store, &voicemail_store::real_world()).await;
            println!("{}: {} requests, {:?}", place.storage.place(), backend.requests(), began.elapsed());
            assert!(report.failure().is_none(), "{}, start {start}: {report:#?}", place.storage.place());
            assert!(backend.requests() <= 2_000, "{} requests", backend.requests());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_writes_is_read_its_cause_told_and_its_recovery_found() {
    install_crypto();
    let server = S3sServer::start(loopback(), Oddity::None).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "refusing").await.unwrap();
    let store = place.open_patient().unwrap();
    let (kept, new) = (key("mb/00/1/kept"), |n: usize| key(&format!("mb/00/1/new{n}")));
    store.create(&kept, "kept".into()).await.unwrap();
    assert_eq!(store.hindrance(), None);
    let refusals = [
        ("QuotaExceeded", StatusCode::FORBIDDEN, "StorageFull"),
        ("XMinioStorageFull", StatusCode::INSUFFICIENT_STORAGE, "StorageFull"),
        ("AccessDenied", StatusCode::FORBIDDEN, "WritesForbidden"),
        ("KMS.DisabledException", StatusCode::BAD_REQUEST, "EncryptionDemanded"),
        ("ObjectLocked", StatusCode::CONFLICT, "StorageLocked"),
    ];
    for (number, (code, status, reason)) in refusals.into_iter().enumerate() {
        server.refuse_writes(Some((code, status)));
        let small = store.create(&new(number), "x".into()).await.unwrap_err();
        let body = stream::iter([Ok(Bytes::from_static(b"audio"))]).boxed();
        let large = store.put(&key("au/2026/refused"), body).await.unwrap_err();
        let replaced = store.replace(&key("tenant"), None, "x".into()).await.unwrap_err();
        for error in [&small, &large, &replaced] {
            assert_eq!(Hindrance::of(error).map(|found| found.reason()), Some(reason), "{code}: {error:?}");
            assert!(!error.may_be_applied(), "{error:?}");
        }
        assert_eq!(store.hindrance().map(|found| found.reason()), Some(reason));
        assert_eq!(store.get(&kept).await.unwrap().unwrap(), "kept");
        store.clock().await.unwrap();
        assert!(store.tend().await.is_err(), "{code}: it still refuses");
        server.refuse_writes(None);
        store.tend().await.unwrap();
        assert_eq!(store.hindrance(), None, "{code}: nobody wrote but the look itself");
    }
}

/// A way to a server on which every answer takes 30 ms longer.
async fn far_away(server: &str) -> String {
    let server = server.trim_start_matches("http://").to_owned();
    let listener = tokio::net::TcpListener::bind((loopback(), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let Ok(far) = tokio::net::TcpStream::connect(server).await else { return };
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                tokio::join!(pass_on(from_near, to_far), pass_on(from_far, to_near));
            });
        }
    });
    format!("http://{address}")
}

/// Passes on what comes, 15 ms later.
async fn pass_on(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        tokio::time::sleep(Duration::from_millis(15)).await;
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_thirty_milliseconds_away_is_probed_within_ten_seconds() {
    install_crypto();
    let server = S3sServer::start(loopback(), Oddity::None).await.unwrap();
    let near = server.endpoint();
    near.admin().unwrap().create_bucket("far").await.unwrap();
    let far = S3Endpoint::new(far_away(&near.url).await, near.keys.clone());
    let place = ObjectPlace::in_bucket(&far, "far", FOLDER).unwrap();
    let (backend, began) = (Arc::new(place.open().unwrap()), std::time::Instant::now());
    let report = probe(
        &RetryStore::new(backend.clone(), voicemail_store::real_world()),
        &voicemail_store::real_world(),
    )
    .await;
    assert!(report.failure().is_none(), "{report:#?}");
    println!("{} requests, {:?}", backend.requests(), began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!((500..=2_000).contains(&backend.requests()), "{} requests", backend.requests());
}

/// More by `VOICEMAIL_PROBE_STARTS`, when the probe or a server changes.
fn starts() -> usize {
    std::env::var("VOICEMAIL_PROBE_STARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(STARTS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_to_a_folder_keeps_the_contract() {
    install_crypto();
    let server = Versitygw::start(loopback()).await.unwrap();
    let place = ObjectPlace::in_new_bucket(&server.endpoint(), "contract").await.unwrap();
    store_contract::run_all(Arc::new(place.open().unwrap())).await;
}
