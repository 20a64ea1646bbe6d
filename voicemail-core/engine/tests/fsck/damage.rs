//! One damaged document or object takes down nothing but itself: the services around it go on, say clearly
//! what can't be read, and no erasure or export that misses something is called complete.

use bytes::Bytes;
use std::time::Duration;
use voicemail_api::gdpr::{CaseView, RunState};
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::mailbox::{MailboxError, MessageFilter};
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, body, hash, mailbox};
use voicemail_model::{MessageId, User};
use voicemail_store::{Key, StoreError};

const DAMAGED: &str = "1001";
const SOUND: &str = "1002";
const SECOND: Duration = Duration::from_secs(1);

fn filter() -> MessageFilter {
    MessageFilter { limit: 10, ..MessageFilter::default() }
}

async fn damage_index(site: &Site) -> Bytes {
    let key = Key::index(&mailbox(DAMAGED));
    let before = site.store.load(&key).await.unwrap().unwrap().bytes;
    site.write_document(&key, "{ not JSON").await;
    before
}

async fn damage_envelope(site: &Site, id: MessageId) -> (Key, Bytes) {
    let key = Key::envelope(&hash(CALLER), &mailbox(DAMAGED), id);
    let before = site.store.get(&key).await.unwrap().unwrap();
    site.write_object(&key, "{ not JSON").await;
    (key, before)
}

async fn state(site: &Site, case: &str) -> RunState {
    let view: CaseView = site.core.gdpr.case(&case.parse().unwrap()).await.unwrap();
    view.runs.last().unwrap().state
}

async fn listed(site: &Site, name: &str) -> usize {
    site.core.mailboxes.list(&mailbox(name), filter()).await.unwrap().messages.len()
}

fn is_undecodable(error: &MailboxError) -> bool {
    matches!(error, MailboxError::Store(StoreError::Undecodable { .. }))
}

#[tokio::test]
async fn a_mailbox_whose_index_cannot_be_read_says_so_and_others_go_on() {
    let site = Site::in_memory().await;
    let user = "alice".parse().unwrap();
    let both = User { mailboxes: vec![mailbox(DAMAGED), mailbox(SOUND)], ..User::default() };
    site.core.directory.put_user(&user, both).await.unwrap();
    site.deposit(DAMAGED, CALLER).await;
    let sound = site.deposit(SOUND, CALLER).await;
    damage_index(&site).await;
    assert!(is_undecodable(&site.core.mailboxes.list(&mailbox(DAMAGED), filter()).await.err().unwrap()));
    assert!(is_undecodable(&site.try_deposit(DAMAGED, CALLER).await.unwrap_err()));
    assert_eq!(listed(&site, SOUND).await, 1);
    site.deposit(SOUND, OTHER_CALLER).await;
    let own = site.core.directory.mailboxes_of(&user).await.unwrap();
    assert_eq!(own.iter().map(|own| own.mailbox.as_str()).collect::<Vec<_>>(), [SOUND]);
    // Its expiry fails every time; the other's is carried out.
    site.pass_time(Duration::from_secs(3_652 * 86_400));
    site.sweep().await;
    assert!(!site.index(SOUND).await.entries.contains_key(&sound));
}

#[tokio::test]
async fn an_erasure_that_meets_an_unreadable_envelope_hides_all_erases_the_rest_and_stays_open() {
    let site = Site::in_memory().await;
    let damaged = site.deposit(DAMAGED, CALLER).await;
    site.deposit(SOUND, CALLER).await;
    let (key, before) = damage_envelope(&site, damaged).await;
    let refused = site.core.gdpr.forget(body("c1", Some(CALLER), 60)).await;
    assert_eq!(refused.map(|_| ()), Err(GdprError::Unreadable { count: 1 }));
    assert_eq!((listed(&site, DAMAGED).await, listed(&site, SOUND).await), (0, 0), "both are hidden");
    for _ in 0..3 {
        site.pass_time(SECOND * 61);
        site.sweep().await;
    }
    assert_eq!(state(&site, "c1").await, RunState::Purging);
    assert!(site.index(SOUND).await.entries.is_empty(), "what can be read is erased");
    assert!(site.index(DAMAGED).await.entries.contains_key(&damaged));

    site.write_object(&key, before).await;
    site.sweep().await;
    assert_eq!(state(&site, "c1").await, RunState::Purged);
    assert!(site.index(DAMAGED).await.entries.is_empty());
}

#[tokio::test]
async fn an_erasure_that_meets_an_unreadable_index_goes_on_when_it_is_restored() {
    let site = Site::in_memory().await;
    site.deposit(DAMAGED, CALLER).await;
    site.deposit(SOUND, CALLER).await;
    let before = damage_index(&site).await;
    let refused = site.core.gdpr.forget(body("c1", Some(CALLER), 0)).await;
    assert_eq!(refused.map(|_| ()), Err(GdprError::Unreadable { count: 1 }));
    site.pass_time(SECOND);
    site.sweep().await;
    assert_eq!(state(&site, "c1").await, RunState::Purging);
    assert!(site.index(SOUND).await.entries.is_empty());
    site.write_document(&Key::index(&mailbox(DAMAGED)), before).await;
    site.sweep().await;
    assert_eq!(state(&site, "c1").await, RunState::Purged);
    assert!(site.index(DAMAGED).await.entries.is_empty());
}

#[tokio::test]
async fn an_undo_is_not_kept_from_its_work_by_an_unreadable_envelope() {
    let site = Site::in_memory().await;
    let damaged = site.deposit(DAMAGED, CALLER).await;
    damage_envelope(&site, damaged).await;
    site.core.gdpr.forget(body("c1", Some(CALLER), 60)).await.err().unwrap();
    assert_eq!(listed(&site, DAMAGED).await, 0);
    site.core.gdpr.undo(body("c1", None, 0)).await.unwrap();
    assert_eq!((listed(&site, DAMAGED).await, state(&site, "c1").await), (1, RunState::Undone));
}

#[tokio::test]
async fn an_export_that_misses_something_is_not_handed_out() {
    let site = Site::in_memory().await;
    let damaged = site.deposit(DAMAGED, CALLER).await;
    site.deposit(SOUND, CALLER).await;
    let (key, before) = damage_envelope(&site, damaged).await;
    let refused = site.core.gdpr.export(body("c1", Some(CALLER), 0)).await;
    assert_eq!(refused.map(|_| ()), Err(GdprError::Unreadable { count: 1 }));
    assert_eq!(state(&site, "c1").await, RunState::Collecting);
    site.write_object(&key, before).await;
    let answer = site.core.gdpr.export(body("c1", Some(CALLER), 0)).await.unwrap();
    assert_eq!((answer.run.state, answer.run.exported), (RunState::Ready, 2));
    // Damaged later, the archive isn't streamed without it.
    site.write_object(&key, "{ not JSON").await;
    assert!(site.core.gdpr.export_archive(&"c1".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn a_run_that_cannot_be_read_stops_no_sweep_of_others() {
    let site = Site::in_memory().await;
    site.deposit(SOUND, CALLER).await;
    site.write_document(&Key::listed("gdpr/aa/forgetme.1").unwrap(), "{ not JSON").await;
    site.purge("c1", CALLER).await;
    assert_eq!(state(&site, "c1").await, RunState::Purged);
    assert!(site.core.gdpr.case(&"aa".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn a_lost_index_costs_no_message_until_it_is_restored() {
    let site = Site::in_memory().await;
    let id = site.deposit(DAMAGED, CALLER).await;
    let key = Key::index(&mailbox(DAMAGED));
    let before = site.store.load(&key).await.unwrap().unwrap().bytes;
    site.store.delete(&key).await.unwrap();
    site.pass_time(Duration::from_secs(3 * 86_400));
    site.sweep().await;
    site.write_document(&key, before).await;
    assert!(site.core.mailboxes.audio(&mailbox(DAMAGED), id, None).await.is_ok());
}

#[tokio::test]
async fn an_unreadable_mark_keeps_no_message_visible_and_the_run_open() {
    let site = Site::in_memory().await;
    site.deposit(DAMAGED, CALLER).await;
    site.deposit(SOUND, OTHER_CALLER).await;
    let key = Key::mark(&hash(CALLER));
    site.write_document(&key, "{ not JSON").await;
    let mut both = body("c1", Some(CALLER), 60);
    both.consumers.extend(body("c1", Some(OTHER_CALLER), 60).consumers);
    let refused = site.core.gdpr.forget(both).await;
    assert_eq!(refused.map(|_| ()), Err(GdprError::Unreadable { count: 1 }));
    assert_eq!((listed(&site, DAMAGED).await, listed(&site, SOUND).await), (0, 0), "both are hidden");
    site.pass_time(SECOND * 61);
    site.sweep().await;
    assert_ne!(state(&site, "c1").await, RunState::Purged);
    assert!(is_undecodable(&site.try_deposit(DAMAGED, CALLER).await.unwrap_err()), "nothing slips in");
}
