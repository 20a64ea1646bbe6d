//! A restore: the store is found to be behind and isn't served until what was erased since is erased again.

use super::run;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use voicemail_api::gdpr::{LedgerView, RunState};
use voicemail_engine::core::{Core, OpenError, TenantKeys};
use voicemail_engine::fsck::{Severity, check};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_engine::testing::RECEIPT_KEY;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, hash, key};
use voicemail_engine::testing::{Tree, load_tree};
use voicemail_model::Time;
use voicemail_store::Store;
use voicemail_store::memory::MemoryStore;

/// A tenant whose store can be copied.
async fn start() -> (Site, Arc<MemoryStore>) {
    let kept: Arc<OnceLock<Arc<MemoryStore>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let site = Site::open_at(voicemail_engine::testing::START, move |world| {
        let store = Arc::new(MemoryStore::new(world));
        keep.set(Arc::clone(&store)).ok().unwrap();
        store
    })
    .await;
    for name in ["1001", "1002"] {
        site.core.directory.put_mailbox(&voicemail_engine::testing::mailbox(name), None, None).await.unwrap();
    }
    (site, Arc::clone(kept.get().unwrap()))
}

async fn restore(backup: &Tree, now: Time) -> Site {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(voicemail_store::real_world()));
    load_tree(store.as_ref(), backup).await;
    Site::open_at(now, |_| store).await
}

/// Whether a core opens the store, given what is known outside it.
async fn open(site: &Site, ledger: &LedgerView) -> Result<(), OpenError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_string(&ledger.head).unwrap()).unwrap();
    let mut config = site.config.clone();
    config.gdpr.expected_head = Some(file.path().to_owned());
    let keys = TenantKeys { tenant: key(), receipt: ReceiptKey::from_pem(RECEIPT_KEY).unwrap() };
    let regions = BTreeMap::from([("r".to_owned(), Arc::clone(&site.store))]);
    Core::open_on(&config, keys, regions, site.world()).await.map(drop)
}

#[tokio::test]
async fn the_erased_stay_erased_and_everything_else_of_the_backup_plays() {
    let (site, memory) = start().await;
    site.deposit("1001", CALLER).await;
    let other = site.deposit("1001", OTHER_CALLER).await;
    site.deposit("1002", CALLER).await;
    let withheld = site.deposit("1002", "anonymous").await;
    let backup = memory.dump();
    site.purge("c", CALLER).await;
    site.core.gdpr.forget(super::naming("w", &[("1002", withheld)], "0s")).await.unwrap();
    site.sweep_after(1).await;
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    assert_eq!((ledger.head.epoch, ledger.entries.len()), (2, 2));
    assert!(open(&site, &ledger).await.is_ok());

    let restored = restore(&backup, site.now()).await;
    let refused = open(&restored, &ledger).await.unwrap_err();
    assert_eq!(refused.reason(), "RestoreDetected");
    let replayed = restored.core.gdpr.replay(&ledger).await.unwrap();
    assert_eq!((replayed.runs, replayed.erased, replayed.head.clone()), (2, 3, ledger.head.clone()));
    assert!(open(&restored, &ledger).await.is_ok());
    assert_eq!(restored.core.gdpr.replay(&ledger).await.unwrap().runs, 0, "once is enough");

    assert_eq!(run(&restored, "c").await.state, RunState::Purged);
    assert!(restored.index("1001").await.visible(other).is_some());
    assert!(restored.index("1002").await.entries.is_empty());
    let holders = restored.holders(hash(CALLER).as_str()).await;
    let kept = |key: &String| ["mark/", "ledger/", "due/"].iter().any(|p| key.starts_with(p));
    assert!(holders.iter().all(kept), "{holders:?}");
    let mut found = Vec::new();
    let context = restored.open(&restored.config, voicemail_engine::core::tool::Access::Read).await;
    check(&context, |finding| found.extend((finding.severity != Severity::Note).then(|| finding.clone())))
        .await
        .unwrap();
    assert_eq!(found, []);
}

#[tokio::test]
async fn a_run_that_the_backup_knows_as_marked_is_carried_out_again_under_its_old_name() {
    let (site, memory) = start().await;
    site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(voicemail_engine::testing::body("c", Some(CALLER), 3_600)).await.unwrap();
    let backup = memory.dump();
    site.sweep_after(3_600).await;
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    let restored = restore(&backup, site.now()).await;
    assert_eq!(open(&restored, &ledger).await.unwrap_err().reason(), "RestoreDetected");
    restored.core.gdpr.replay(&ledger).await.unwrap();
    let case = restored.core.gdpr.case(&"c".parse().unwrap()).await.unwrap();
    assert_eq!((case.runs.len(), case.runs[0].state, case.runs[0].erased), (1, RunState::Purged, 1));
    // The due items of the backup find it ended.
    restored.sweep_after(1).await;
    assert!(restored.index("1001").await.entries.is_empty());
}

#[tokio::test]
async fn a_restored_store_that_erased_other_things_since_is_found_out() {
    let (site, memory) = start().await;
    site.deposit("1001", CALLER).await;
    site.deposit("1001", OTHER_CALLER).await;
    let backup = memory.dump();
    site.purge("c", CALLER).await;
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    let restored = restore(&backup, site.now()).await;
    restored.purge("d", OTHER_CALLER).await;
    assert_eq!(open(&restored, &ledger).await.unwrap_err().reason(), "RestoreDetected");
    assert!(restored.core.gdpr.replay(&ledger).await.is_err(), "it doesn't follow");
}

#[tokio::test(start_paused = true)]
async fn a_core_that_serves_finds_out_when_its_store_is_behind_what_is_known_outside() {
    let (site, _) = start().await;
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |head: &voicemail_api::gdpr::LedgerHead| {
        std::fs::write(file.path(), serde_json::to_string(head).unwrap()).unwrap();
    };
    write(&ledger.head);
    let mut config = site.config.clone();
    config.gdpr.expected_head = Some(file.path().to_owned());
    site.core.context.reload(config);
    let mut found = std::pin::pin!(site.core.await_restore());
    tokio::select! {
        what = &mut found => panic!("{what}"),
        () = tokio::time::sleep(std::time::Duration::from_secs(3_600)) => {}
    }
    write(&voicemail_api::gdpr::LedgerHead {
        epoch: ledger.head.epoch + 1,
        hash: "ab".into(),
        ..voicemail_api::gdpr::LedgerHead::default()
    });
    assert!(found.await.contains("restored from a backup"));
}

async fn hold(site: &Site, name: &str, id: voicemail_model::MessageId) {
    let body = voicemail_api::gdpr::HoldBody { reason: "claim of a customer".into() };
    site.core.gdpr.hold(&voicemail_engine::testing::mailbox(name), id, &body, "counsel").await.unwrap();
}

#[tokio::test]
async fn a_held_message_is_hidden_by_the_replay_and_goes_with_the_end_of_its_hold() {
    for named in [false, true] {
        let (site, memory) = start().await;
        let id = site.deposit("1001", if named { "anonymous" } else { CALLER }).await;
        hold(&site, "1001", id).await;
        let backup = memory.dump();
        match named {
            true => drop(site.core.gdpr.forget(super::naming("c", &[("1001", id)], "0s")).await.unwrap()),
            false => site.purge("c", CALLER).await,
        }
        site.sweep_after(1).await;
        let ledger = site.core.gdpr.ledger(0).await.unwrap();

        let restored = restore(&backup, site.now()).await;
        assert!(restored.index("1001").await.visible(id).is_some(), "as it was in the backup");
        restored.core.gdpr.replay(&ledger).await.unwrap();
        let index = restored.index("1001").await;
        assert!(index.entries.contains_key(&id) && index.visible(id).is_none());
        assert_eq!(run(&restored, "c").await.held, 1);
        restored.core.gdpr.release(&voicemail_engine::testing::mailbox("1001"), id).await.unwrap();
        assert!(!restored.index("1001").await.entries.contains_key(&id));
    }
}

#[tokio::test]
async fn the_end_of_a_hold_looks_at_the_ledger_when_nothing_else_tells_of_the_erasure() {
    let (site, _) = start().await;
    let id = site.deposit("1001", CALLER).await;
    let other = site.deposit("1001", OTHER_CALLER).await;
    hold(&site, "1001", id).await;
    hold(&site, "1001", other).await;
    site.purge("c", CALLER).await;
    // Neither flag nor mark is left.
    let clear =
        voicemail_model::IndexOp::ClearFlags { run: serde_json::from_str("\"c/forgetme.1\"").unwrap() };
    site.core.context.indexes().try_apply(&voicemail_engine::testing::mailbox("1001"), clear).await.unwrap();
    site.store.delete(&voicemail_store::Key::mark(&hash(CALLER))).await.unwrap();
    for id in [id, other] {
        site.core.gdpr.release(&voicemail_engine::testing::mailbox("1001"), id).await.unwrap();
    }
    let index = site.index("1001").await;
    assert!(!index.entries.contains_key(&id) && index.visible(other).is_some());
}

/// The backup of a moment, and the same store as it was when the ledger was last kept.
async fn restored_with(site: &Site, backup: &Tree) -> Site {
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    let restored = restore(backup, site.now()).await;
    assert_eq!(open(&restored, &ledger).await.unwrap_err().reason(), "RestoreDetected");
    restored.core.gdpr.replay(&ledger).await.unwrap();
    assert!(open(&restored, &ledger).await.is_ok());
    assert_eq!(restored.core.gdpr.replay(&ledger).await.unwrap().brought_back, 0, "once is enough");
    restored
}

#[tokio::test]
async fn a_request_that_waits_for_its_erasure_is_there_again_and_is_carried_out_in_time() {
    let (site, memory) = start().await;
    let id = site.deposit("1001", CALLER).await;
    let other = site.deposit("1001", OTHER_CALLER).await;
    let backup = memory.dump();
    site.core.gdpr.forget(voicemail_engine::testing::body("c", Some(CALLER), 86_400)).await.unwrap();
    let asked = run(&site, "c").await;

    let restored = restored_with(&site, &backup).await;
    let index = restored.index("1001").await;
    assert!(index.visible(id).is_none() && index.visible(other).is_some());
    let again = run(&restored, "c").await;
    assert_eq!((again.state, again.purge_at, again.id), (RunState::Marked, asked.purge_at, asked.id));
    let late = restored.deposit("1001", CALLER).await;
    assert!(
        restored.index("1001").await.visible(late).is_none(),
        "the mark covers what comes within its cut-off"
    );
    restored.sweep_after(86_400).await;
    assert_eq!(run(&restored, "c").await.state, RunState::Purged);
    assert_eq!(restored.index("1001").await.entries.len(), 1);
}

#[tokio::test]
async fn a_request_that_comes_back_can_be_undone() {
    let (site, memory) = start().await;
    let id = site.deposit("1001", CALLER).await;
    let backup = memory.dump();
    site.core.gdpr.forget(voicemail_engine::testing::body("c", Some(CALLER), 86_400)).await.unwrap();
    let restored = restored_with(&site, &backup).await;
    restored.core.gdpr.undo(voicemail_engine::testing::body("c", None, 0)).await.unwrap();
    assert!(restored.index("1001").await.visible(id).is_some());
}

#[tokio::test]
async fn an_undo_since_the_backup_is_carried_out_again() {
    for in_backup in [false, true] {
        let (site, memory) = start().await;
        let id = site.deposit("1001", CALLER).await;
        let before = memory.dump();
        site.core.gdpr.forget(voicemail_engine::testing::body("c", Some(CALLER), 86_400)).await.unwrap();
        let backup = if in_backup { memory.dump() } else { before };
        site.core.gdpr.undo(voicemail_engine::testing::body("c", None, 0)).await.unwrap();
        let restored = restored_with(&site, &backup).await;
        assert!(restored.index("1001").await.visible(id).is_some());
        assert_eq!(run(&restored, "c").await.state, RunState::Undone);
        restored.sweep_after(2 * 86_400).await;
        assert!(restored.index("1001").await.visible(id).is_some());
    }
}

/// As a storage system's own asynchronous replication leaves it after a failover.
#[tokio::test]
async fn a_copy_that_is_minutes_old_is_found_out_by_what_was_erased_since_and_later_by_the_hours_sealed_since()
 {
    let (site, memory) = start().await;
    site.deposit("1001", CALLER).await;
    let copy = memory.dump();
    site.sweep_after(300).await;
    let head = site.core.gdpr.ledger(0).await.unwrap();
    let failed_over = restore(&copy, site.now()).await;
    assert!(
        open(&failed_over, &head).await.is_ok(),
        "five minutes in which nothing was erased: nobody can tell"
    );
    site.core.gdpr.forget(voicemail_engine::testing::body("c", Some(CALLER), 0)).await.unwrap();
    site.sweep_after(60).await;
    let head = site.core.gdpr.ledger(0).await.unwrap();
    let failed_over = restore(&copy, site.now()).await;
    assert_eq!(open(&failed_over, &head).await.unwrap_err().reason(), "RestoreDetected");

    let (site, memory) = start().await;
    let copy = memory.dump();
    let subject = voicemail_model::AuditSubject::mailbox(&voicemail_engine::testing::mailbox("1001"));
    let (audit, by) = (site.core.context.audit(), voicemail_engine::testing::officer("ann"));
    audit.record(&by, voicemail_model::AuditAction::Search, subject).await.unwrap();
    site.sweep_after(3 * 3_600).await;
    let head = site.core.gdpr.ledger(0).await.unwrap();
    let failed_over = restore(&copy, site.now()).await;
    let refused = open(&failed_over, &head).await.unwrap_err();
    assert_eq!(refused.reason(), "RestoreDetected", "an act was sealed since: {refused}");
    failed_over.core.gdpr.replay(&head).await.unwrap();
    assert!(open(&failed_over, &head).await.is_ok(), "told, it goes on from there");
}

#[tokio::test]
async fn a_request_that_waits_for_a_second_person_is_there_again() {
    let (site, memory) = start().await;
    let id = site.deposit("1001", CALLER).await;
    let backup = memory.dump();
    let asked = voicemail_api::gdpr::GdprBody {
        require_approval: true,
        ..voicemail_engine::testing::body("c", Some(CALLER), 3_600)
    };
    site.core.gdpr.forget(asked).await.unwrap();
    let restored = restored_with(&site, &backup).await;
    assert_eq!(run(&restored, "c").await.state, RunState::AwaitingApproval);
    assert!(restored.index("1001").await.visible(id).is_some());
    let approval = voicemail_api::gdpr::ApproveBody::default();
    restored
        .core
        .gdpr
        .approve(&"c".parse().unwrap(), &approval, &voicemail_engine::testing::officer("second"))
        .await
        .unwrap();
    assert!(restored.index("1001").await.visible(id).is_none());
}

#[tokio::test]
async fn a_hold_since_the_backup_keeps_its_message_from_the_erasure_that_came_later() {
    let (site, memory) = start().await;
    let (kept, gone) = (site.deposit("1001", CALLER).await, site.deposit("1001", CALLER).await);
    let backup = memory.dump();
    hold(&site, "1001", kept).await;
    site.purge("c", CALLER).await;
    let restored = restored_with(&site, &backup).await;
    let index = restored.index("1001").await;
    assert!(index.entries.contains_key(&kept) && !index.entries.contains_key(&gone));
    assert!(index.visible(kept).is_none() && index.entries[&kept].legal_hold.is_some());
}

#[tokio::test]
async fn a_hold_that_ended_since_the_backup_does_not_come_back() {
    for erased in [false, true] {
        let (site, memory) = start().await;
        let id = site.deposit("1001", CALLER).await;
        hold(&site, "1001", id).await;
        let backup = memory.dump();
        if erased {
            site.purge("c", CALLER).await;
        }
        site.core.gdpr.release(&voicemail_engine::testing::mailbox("1001"), id).await.unwrap();
        let restored = restored_with(&site, &backup).await;
        let index = restored.index("1001").await;
        assert_eq!(index.entries.contains_key(&id), !erased);
        assert!(index.entries.get(&id).is_none_or(|entry| entry.legal_hold.is_none()));
    }
}

async fn receipt_of(site: &Site, case: &str) -> voicemail_model::Receipt {
    let signed =
        site.core.gdpr.receipt(&case.parse().unwrap(), voicemail_api::gdpr::Operation::ForgetMe, 1).await;
    serde_json::from_str(&signed.unwrap().receipt).unwrap()
}

/// Receipts that were issued after the backup are in people's hands: their numbers are taken.
#[tokio::test]
async fn no_receipts_number_is_given_twice_after_a_restore() {
    let (site, memory) = start().await;
    site.deposit("1001", CALLER).await;
    site.deposit("1001", OTHER_CALLER).await;
    site.purge("before", "+442079460009").await;
    let backup = memory.dump();
    site.purge("c", CALLER).await;
    site.core.gdpr.export(voicemail_engine::testing::body("e", Some(OTHER_CALLER), 0)).await.unwrap();
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    let receipts = ledger.head.receipts.clone().unwrap();
    assert_eq!((receipts.number, receipt_of(&site, "c").await.number), (3, 2));

    let restored = restore(&backup, site.now()).await;
    assert_eq!(open(&restored, &ledger).await.unwrap_err().reason(), "RestoreDetected");
    restored.core.gdpr.replay(&ledger).await.unwrap();
    let again = receipt_of(&restored, "c").await;
    assert_eq!((again.number, again.replayed, again.previous), (4, true, receipts.hash));
    restored.purge("after", OTHER_CALLER).await;
    assert_eq!(receipt_of(&restored, "after").await.number, 5);
    assert!(open(&restored, &ledger).await.is_ok());
}

#[tokio::test]
async fn a_restore_that_lost_nothing_but_receipts_is_found_out_and_mended() {
    let (site, memory) = start().await;
    site.deposit("1001", CALLER).await;
    let backup = memory.dump();
    site.core.gdpr.export(voicemail_engine::testing::body("e", Some(CALLER), 0)).await.unwrap();
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    assert!(open(&site, &ledger).await.is_ok());
    let restored = restore(&backup, site.now()).await;
    assert_eq!(open(&restored, &ledger).await.unwrap_err().reason(), "RestoreDetected");
    restored.core.gdpr.replay(&ledger).await.unwrap();
    assert!(open(&restored, &ledger).await.is_ok());
    restored.purge("c", CALLER).await;
    assert_eq!(receipt_of(&restored, "c").await.number, 2);
}
