//! Retention applied to a store that the real services filled.

use super::*;
use std::time::Duration;
use voicemail_api::config::ClassOfService;
use voicemail_api::config::TenantConfig;
use voicemail_api::gdpr::RunState;
use voicemail_engine::core::tool::Access;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, body, mailbox};
use voicemail_model::{Entry, MessageId, Time};
use voicemail_store::{Key, StoreError};

const DAY: Duration = Duration::from_secs(86_400);
const BOX: &str = "1001";

fn config(site: &Site, days: u32) -> TenantConfig {
    let class = ClassOfService { retention_days: days, ..ClassOfService::standard() };
    TenantConfig { classes_of_service: vec![class], ..site.config.clone() }
}

async fn apply(site: &Site, days: u32, access: Access) -> RetentionCounts {
    let context = site.open(&config(site, days), access).await;
    let report = apply_retention(&context, access == Access::Write, |_, result| {
        result.unwrap();
    });
    let report = report.await.unwrap();
    assert_eq!(report.failed, 0);
    report.classes["standard"]
}

async fn entry(site: &Site, id: MessageId) -> Entry {
    site.entry(BOX, id).await
}

fn counts(messages: u64, changed: u64, shortened: u64, expiring: u64) -> RetentionCounts {
    RetentionCounts { messages, changed, shortened, expiring }
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let site = Site::in_memory().await;
    let id = site.deposit(BOX, CALLER).await;
    site.pass_time(DAY * 10);
    site.deposit(BOX, OTHER_CALLER).await;
    let before = entry(&site, id).await;
    assert_eq!(apply(&site, 5, Access::Read).await, counts(2, 2, 2, 1));
    assert_eq!(apply(&site, 3_650, Access::Read).await, counts(2, 0, 0, 0));
    assert_eq!(entry(&site, id).await, before);
}

#[tokio::test]
async fn applied_it_expires_what_is_older_and_keeps_the_rest_for_as_long_as_the_class_says() {
    let site = Site::in_memory().await;
    let old = site.deposit(BOX, CALLER).await;
    site.pass_time(DAY * 10);
    let young = site.deposit(BOX, CALLER).await;
    apply(&site, 5, Access::Write).await;
    assert_eq!(apply(&site, 5, Access::Write).await, counts(2, 0, 0, 0), "a second time nothing changes");
    site.sweep().await;
    let left: Vec<MessageId> = site.index(BOX).await.entries.keys().copied().collect();
    assert_eq!(left, [young]);
    assert_ne!(old, young);
    assert_eq!(entry(&site, young).await.expires, site.now().plus(DAY * 5));
    // No due item but the one that was made for it knows of the new day.
    site.pass_time(DAY * 6);
    site.sweep().await;
    assert!(site.index(BOX).await.entries.is_empty());
}

#[tokio::test]
async fn a_longer_retention_saves_what_would_have_gone() {
    let site = Site::in_memory().await;
    let id = site.deposit(BOX, CALLER).await;
    apply(&site, 2, Access::Write).await;
    apply(&site, 30, Access::Write).await;
    site.pass_time(DAY * 20);
    site.sweep().await;
    assert!(site.index(BOX).await.entries.contains_key(&id));
    site.pass_time(DAY * 11);
    site.sweep().await;
    assert!(site.index(BOX).await.entries.is_empty());
}

#[tokio::test]
async fn flagged_and_held_messages_outlive_a_shorter_retention() {
    let site = Site::in_memory().await;
    let flagged = site.deposit(BOX, CALLER).await;
    let held = site.deposit(BOX, OTHER_CALLER).await;
    let state = site.core.gdpr.forget(body("c1", Some(CALLER), 20 * 86_400)).await.unwrap().run.state;
    assert_eq!(state, RunState::Marked);
    site.core.gdpr.export(body("c2", Some(OTHER_CALLER), 0)).await.unwrap();
    site.pass_time(DAY * 3);
    assert_eq!(apply(&site, 1, Access::Write).await, counts(2, 2, 2, 0));
    site.sweep().await;
    let index = site.index(BOX).await;
    assert!(index.entries.contains_key(&flagged) && index.entries.contains_key(&held));
    // Undone, its clock goes on from where it stood, also under a retention applied later.
    site.core.gdpr.undo(body("c1", None, 0)).await.unwrap();
    apply(&site, 2, Access::Write).await;
    let restored = entry(&site, flagged).await;
    assert_eq!(restored.expires, restored.received.plus(DAY * 5), "two days and three of pause");
}

#[tokio::test]
async fn the_trash_is_kept_for_as_long_as_was_promised() {
    let site = Site::in_memory().await;
    let id = site.deposit(BOX, CALLER).await;
    let keeps = ClassOfService { retention_days: 30, trash_hours: 240, ..ClassOfService::standard() };
    site.core.context.reload(TenantConfig { classes_of_service: vec![keeps], ..site.config.clone() });
    site.core.mailboxes.trash(&mailbox(BOX), id).await.unwrap();
    site.pass_time(DAY * 2);
    assert_eq!(apply(&site, 1, Access::Write).await, counts(1, 1, 1, 0));
    let until = entry(&site, id).await.trash.unwrap().until;
    site.sweep().await;
    assert!(site.index(BOX).await.entries.contains_key(&id), "restorable until then");
    site.pass_time(Duration::from_millis(u64::try_from(until.0 - site.now().0).unwrap()) + DAY);
    site.sweep().await;
    assert!(site.index(BOX).await.entries.is_empty());
}

#[tokio::test]
async fn one_unreadable_mailbox_is_counted_and_the_others_are_done() {
    let site = Site::in_memory().await;
    let id = site.deposit("1002", CALLER).await;
    site.write_document(&Key::index(&mailbox(BOX)), "not JSON").await;
    let context = site.open(&config(&site, 5), Access::Write).await;
    let mut failed = Vec::new();
    let show = |mailbox: &voicemail_model::MailboxId, result: Result<&MailboxPlan, &StoreError>| {
        if result.is_err() {
            failed.push(mailbox.to_string());
        }
    };
    let report = apply_retention(&context, true, show).await.unwrap();
    assert_eq!((report.failed, failed), (1, vec![BOX.to_owned()]));
    let expires: Time = site.entry("1002", id).await.expires;
    assert_eq!(expires, site.now().plus(DAY * 5));
}

fn gold(site: &Site) -> TenantConfig {
    let gold = ClassOfService {
        name: "gold".into(),
        max_messages: 200,
        retention_days: 365,
        trash_hours: 240,
        ..ClassOfService::standard()
    };
    let mut config = site.config.clone();
    config.classes_of_service.push(gold);
    config
}

/// A mailbox of a class that was taken out of the configuration afterwards.
async fn site_without_its_class() -> (Site, MessageId) {
    let site = Site::in_memory().await;
    site.core.context.reload(gold(&site));
    site.core.ensure_rules().await.unwrap();
    site.core.directory.put_mailbox(&mailbox(BOX), Some("gold".into()), None).await.unwrap();
    let id = site.deposit(BOX, CALLER).await;
    site.core.context.reload(site.config.clone());
    (site, id)
}

#[tokio::test]
async fn a_class_that_was_taken_out_keeps_its_last_limits() {
    let (site, old) = site_without_its_class().await;
    let view = site.core.directory.get_mailbox(&mailbox(BOX)).await.unwrap();
    assert_eq!((view.class_of_service.as_str(), view.max_messages), ("gold", 200));
    let reception = site.core.mailboxes.reception(&mailbox(BOX)).await.unwrap();
    assert_eq!((reception.class.retention_days, reception.left), (365, 199));
    // After a start, too.
    let restarted = site.replica().await;
    let new = voicemail_engine::testing::deposit_at(&restarted, BOX, CALLER).await.unwrap();
    assert_eq!(entry(&site, new).await.expires, site.now().plus(DAY * 365));
    let context = site.open(&site.config, Access::Write).await;
    let report = apply_retention(&context, true, |_, result| drop(result.unwrap().clone())).await.unwrap();
    assert_eq!((report.classes["gold"], report.unknown), (counts(2, 0, 0, 0), 0));
    assert_eq!(entry(&site, old).await.expires, site.now().plus(DAY * 365));
    restarted.mailboxes.trash(&mailbox(BOX), old).await.unwrap();
    assert_eq!(entry(&site, old).await.trash.unwrap().until, site.now().plus(DAY * 10));
}

#[tokio::test]
async fn a_class_that_nobody_knows_is_told_and_nothing_is_stamped_for_it() {
    let (site, id) = site_without_its_class().await;
    let ghost = |settings: &mut serde_json::Value| settings["classOfService"] = "ghost".into();
    site.edit(&Key::settings(&mailbox(BOX)), ghost).await;
    let context = site.open(&site.config, Access::Write).await;
    let report = apply_retention(&context, true, |_, result| drop(result.unwrap().clone())).await.unwrap();
    assert_eq!((report.unknown, report.failed), (1, 0));
    assert_eq!(entry(&site, id).await.expires, site.now().plus(DAY * 365));
}
