//! The reference's three limitations, none of which holds here, and failures that others met.

use super::{DAY, forward, run, state};
use std::time::Duration;
use voicemail_api::gdpr::{GdprBody, RunState};
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::mailbox::MailboxError;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, body, hash, mailbox};
use voicemail_model::{MessageChange, MessageState};

#[tokio::test]
async fn mwi_is_right_at_once_when_hidden_when_erased_and_without_any_traffic() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.deposit("1001", OTHER_CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), DAY)).await.unwrap();
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 1);
    site.sweep_after(DAY).await;
    assert_eq!(state(&site, "c").await, RunState::Purged);
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 1);
}

#[tokio::test]
async fn what_is_marked_a_minute_after_a_sweep_still_goes_at_its_own_24_hours() {
    let site = Site::in_memory().await;
    site.sweep().await;
    site.pass_time(Duration::from_secs(60));
    site.deposit("1001", CALLER).await;
    let marked = site.core.gdpr.forget(body("c", Some(CALLER), DAY)).await.unwrap().run;
    assert_eq!(marked.purge_at, Some(site.now().plus(Duration::from_secs(DAY)).rfc3339()));
    site.sweep_after(DAY - 1).await;
    assert_eq!(state(&site, "c").await, RunState::Marked, "not a second before");
    site.sweep_after(1).await;
    let erased = run(&site, "c").await;
    assert_eq!((erased.state, erased.erased_at), (RunState::Purged, marked.purge_at));
}

#[tokio::test]
async fn an_agent_can_neither_read_nor_forward_a_marked_message_and_moves_no_deadline() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    let marked = site.core.gdpr.forget(body("c", Some(CALLER), DAY)).await.unwrap().run;
    let (name, mailboxes) = (mailbox("1001"), &site.core.mailboxes);
    assert!(matches!(mailboxes.audio(&name, id, None).await, Err(MailboxError::UnknownMessage)));
    let change = MessageChange { state: Some(MessageState::Read), ..MessageChange::default() };
    assert_eq!(mailboxes.change(&name, id, change, None).await.err(), Some(MailboxError::UnknownMessage));
    let request = voicemail_engine::mailbox::ForwardRequest {
        from: name,
        id,
        to: mailbox("1002"),
        key: mailboxes.new_id(),
        by: "ann".parse().unwrap(),
    };
    assert_eq!(mailboxes.forward(&request).await, Err(MailboxError::UnknownMessage));
    assert_eq!(run(&site, "c").await.purge_at, marked.purge_at);
    site.sweep_after(DAY).await;
    assert_eq!(state(&site, "c").await, RunState::Purged);
}

#[tokio::test]
async fn an_undo_works_to_the_last_second_and_never_after_however_late_the_sweeper_is() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), DAY)).await.unwrap();
    site.pass_time(Duration::from_secs(DAY - 1));
    assert_eq!(site.core.gdpr.undo(body("c", None, 0)).await.unwrap().run.state, RunState::Undone);
    assert!(site.index("1001").await.visible(id).is_some());
    site.core.gdpr.forget(body("d", Some(CALLER), DAY)).await.unwrap();
    site.pass_time(Duration::from_secs(DAY));
    assert_eq!(site.core.gdpr.undo(body("d", None, 0)).await.err(), Some(GdprError::TooLateToUndo));
}

/// The ledger is written before the first deletion, and holds no number.
#[tokio::test]
async fn the_ledger_is_entered_before_the_first_deletion() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap();
    // An index that can't be read stops the purge before its first deletion.
    let key = voicemail_store::Key::index(&mailbox("1001"));
    let whole = site.store.load(&key).await.unwrap().unwrap().bytes;
    site.write_document(&key, "{").await;
    site.pass_time(Duration::from_secs(1));
    site.sweep().await;
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    assert_eq!((ledger.head.epoch, ledger.entries.len()), (1, 1));
    assert!(
        ledger.entries[0].text.contains(hash(CALLER).as_str()) && !ledger.entries[0].text.contains("7946")
    );
    site.write_document(&key, whole).await;
    assert!(site.entry("1001", id).await.forget.len() == 1);
    site.sweep_after(1).await;
    assert_eq!(
        (state(&site, "c").await, site.core.gdpr.ledger(0).await.unwrap().head.epoch),
        (RunState::Purged, 1)
    );
}

#[tokio::test]
async fn ledger_entries_go_when_no_backup_can_be_as_old_and_the_head_stays() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    let head = site.core.gdpr.ledger(0).await.unwrap().head;
    for days in [1, 2, 7, 41, 41] {
        site.sweep_after(days * DAY).await;
    }
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    assert_eq!((ledger.head, ledger.entries.len()), (head, 0));
    site.sweep_after(DAY).await;
    assert_eq!(
        site.holders(hash(CALLER).as_str()).await,
        Vec::<String>::new(),
        "nothing holds the caller for ever"
    );
}

#[tokio::test]
async fn an_exports_end_is_checked_when_it_is_read_and_not_by_a_sweeper_alone() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap();
    site.pass_time(Duration::from_secs(7 * DAY));
    let refused = site.core.gdpr.export_archive(&"c".parse().unwrap()).await.err();
    assert_eq!(refused, Some(GdprError::NotExportable));
}

#[tokio::test]
async fn an_exports_messages_are_held_against_their_owner_and_retention_until_it_ends() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap();
    site.core.mailboxes.trash(&mailbox("1001"), id).await.unwrap();
    site.sweep_after(2 * DAY).await;
    assert!(site.index("1001").await.entries.contains_key(&id));
    assert!(site.core.gdpr.export_archive(&"c".parse().unwrap()).await.is_ok());
    site.sweep_after(6 * DAY).await;
    site.sweep_after(DAY).await;
    assert!(!site.index("1001").await.entries.contains_key(&id), "deleted by its owner a week ago");
}

#[tokio::test]
async fn nothing_that_waits_to_be_sent_names_a_caller() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    forward(&site, "1001", id, "1002").await;
    site.core.leave_mwi().await.unwrap();
    let waiting = site.holders("7946").await;
    assert!(waiting.iter().all(|key| key.starts_with("mb/") || key.starts_with("ca/")), "{waiting:?}");
    site.purge("c", CALLER).await;
    assert_eq!(site.holders("7946").await, Vec::<String>::new());
    let holders = site.holders(hash(CALLER).as_str()).await;
    let kept = |key: &String| ["mark/", "ledger/", "due/"].iter().any(|p| key.starts_with(p));
    assert!(holders.iter().all(kept), "{holders:?}");
}

#[tokio::test]
async fn a_request_that_is_recreated_erases_nothing_twice() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    let keyed = || GdprBody { request_key: Some("ns/name".into()), ..body("c", Some(CALLER), 0) };
    site.core.gdpr.forget(keyed()).await.unwrap();
    site.sweep_after(1).await;
    site.pass_time(Duration::from_secs(60));
    let later = site.deposit("1001", CALLER).await;
    assert_eq!(site.core.gdpr.forget(keyed()).await.unwrap().run.state, RunState::Purged);
    site.sweep_after(DAY).await;
    assert!(site.index("1001").await.visible(later).is_some());
}
