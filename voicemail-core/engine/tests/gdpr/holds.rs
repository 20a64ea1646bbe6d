//! Legal holds: on the message, not on the account, and their end takes the erasure up again.

use super::{DAY, run, state};
use voicemail_api::gdpr::{HoldBody, RunState};
use voicemail_engine::testing::{CALLER, Site, body, hash, mailbox};
use voicemail_model::MessageId;

fn reason() -> HoldBody {
    HoldBody { reason: "claim of a customer".into() }
}

async fn hold(site: &Site, id: MessageId) {
    let held = site.core.gdpr.hold(&mailbox("1001"), id, &reason(), "counsel").await.unwrap();
    assert_eq!((held.reason, held.by.as_deref()), (reason().reason, Some("counsel")));
}

#[tokio::test]
async fn a_hold_keeps_its_message_and_no_other_of_the_caller() {
    let site = Site::in_memory().await;
    let (kept, gone) = (site.deposit("1001", CALLER).await, site.deposit("1001", CALLER).await);
    hold(&site, kept).await;
    site.purge("c", CALLER).await;
    let ended = run(&site, "c").await;
    assert_eq!((ended.state, ended.erased, ended.held), (RunState::Purged, 1, 1));
    assert_eq!((ended.kept[0].reason.as_str(), ended.kept[0].messages), ("claim of a customer", 1));
    let index = site.index("1001").await;
    assert!(index.entries.contains_key(&kept) && !index.entries.contains_key(&gone));
    assert!(index.visible(kept).is_none(), "the mark hides it still");
    site.sweep_after(40 * DAY).await;
    assert!(site.index("1001").await.entries.contains_key(&kept), "kept after the passes and retention");
}

#[tokio::test]
async fn holds_are_kept_and_counted_once_however_many_rounds_an_erasure_takes() {
    let site = Site::in_memory().await;
    let boxes = ["2001", "2002", "2003"];
    let mut all = Vec::new();
    for name in boxes {
        site.core.directory.put_mailbox(&mailbox(name), None, None).await.unwrap();
        for _ in 0..700 {
            all.push((name, site.deposit(name, CALLER).await));
        }
    }
    // The first and the last that a search finds, and those beside a round's border.
    let held = [all[0], all[999], all[1_000], all[2_099]];
    for (name, id) in held {
        site.core.gdpr.hold(&mailbox(name), id, &reason(), "counsel").await.unwrap();
    }
    site.purge("c", CALLER).await;
    let ended = run(&site, "c").await;
    assert_eq!((ended.state, ended.erased, ended.held), (RunState::Purged, 2_096, 4));
    let mut left = Vec::new();
    for name in boxes {
        left.extend(site.index(name).await.entries.keys().map(|id| (name, *id)));
    }
    assert_eq!(left, held);
}

#[tokio::test]
async fn the_end_of_a_hold_runs_the_erasure_again() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    hold(&site, id).await;
    site.purge("c", CALLER).await;
    site.sweep_after(60 * DAY).await;
    site.core.gdpr.release(&mailbox("1001"), id).await.unwrap();
    assert!(!site.index("1001").await.entries.contains_key(&id));
    let ended = run(&site, "c").await;
    assert_eq!((ended.held, ended.late), (0, 1));
    let holders = site.holders(hash(CALLER).as_str()).await;
    assert!(
        holders.iter().all(|key| ["mark/", "ledger/", "due/"].iter().any(|p| key.starts_with(p))),
        "{holders:?}"
    );
}

#[tokio::test]
async fn a_hold_that_ends_while_its_worker_dies_is_taken_up_by_the_sweeper() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    hold(&site, id).await;
    site.purge("c", CALLER).await;
    let message = voicemail_model::MessageName::new(&mailbox("1001"), id);
    let due = voicemail_model::Due::Released { message, reason: reason().reason }.at(site.now());
    let bytes = voicemail_store::codec::encode(&due).unwrap();
    site.store.create(&voicemail_store::Key::due(&due), bytes).await.unwrap();
    let op = voicemail_model::IndexOp::EndLegalHold(id);
    site.core.context.indexes().try_apply(&mailbox("1001"), op).await.unwrap();
    site.sweep_after(1).await;
    assert!(!site.index("1001").await.entries.contains_key(&id));
}

#[tokio::test]
async fn what_its_owner_deletes_is_only_hidden_while_it_is_held() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    hold(&site, id).await;
    site.core.mailboxes.trash(&mailbox("1001"), id).await.unwrap();
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 0);
    site.sweep_after(2 * DAY).await;
    assert!(site.index("1001").await.entries.contains_key(&id));
    site.core.gdpr.release(&mailbox("1001"), id).await.unwrap();
    site.sweep_after(2 * DAY).await;
    assert!(!site.index("1001").await.entries.contains_key(&id), "then it goes");
}

#[tokio::test]
async fn an_undo_shows_a_held_message_again_with_its_hold() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    hold(&site, id).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap();
    assert_eq!(state(&site, "c").await, RunState::Marked);
    site.core.gdpr.undo(body("c", None, 0)).await.unwrap();
    assert!(site.index("1001").await.visible(id).unwrap().legal_hold.is_some());
}

#[tokio::test]
async fn reasons_that_hold_numbers_and_messages_that_are_none_are_refused() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    let personal = HoldBody { reason: "caller +44 20 7946 0001".into() };
    assert!(site.core.gdpr.hold(&mailbox("1001"), id, &personal, "x").await.is_err());
    let unknown = site.core.mailboxes.new_id();
    assert!(site.core.gdpr.hold(&mailbox("1001"), unknown, &reason(), "x").await.is_err());
    assert!(site.core.gdpr.legal_hold(&mailbox("1001"), id).await.is_err());
}

/// The mark couldn't reach it: its mailbox was unreadable from then until the erasure had begun.
#[tokio::test]
async fn a_held_message_in_a_mailbox_that_was_unreadable_is_hidden_by_the_erasure() {
    let site = Site::in_memory().await;
    let (id, other) = (site.deposit("1001", CALLER).await, site.deposit("1002", CALLER).await);
    hold(&site, id).await;
    let key = voicemail_store::Key::index(&mailbox("1001"));
    let good = site.store.load(&key).await.unwrap().unwrap().bytes;
    site.write_document(&key, "not JSON").await;
    assert!(site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.is_err());
    site.try_sweep_after(1).await;
    assert_eq!(state(&site, "c").await, RunState::Purging);
    assert!(!site.index("1002").await.entries.contains_key(&other));
    site.write_document(&key, good).await;
    for _ in 0..3 {
        site.try_sweep_after(120).await;
    }
    assert_eq!((state(&site, "c").await, run(&site, "c").await.held), (RunState::Purged, 1));
    assert!(site.index("1001").await.visible(id).is_none(), "kept, and hidden");
}
