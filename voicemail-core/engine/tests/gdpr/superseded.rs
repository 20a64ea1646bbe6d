//! An erasure and the superseded states of documents.

use super::state;
use std::time::Duration;
use voicemail_api::gdpr::RunState;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, body, mailbox};
use voicemail_model::Time;

fn named(old: &[(String, Time, bytes::Bytes)]) -> Vec<&String> {
    let names = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).contains(CALLER);
    old.iter().filter(|(.., bytes)| names(bytes)).map(|(key, ..)| key).collect()
}

#[tokio::test]
async fn states_of_a_mailbox_that_the_message_left_long_ago_go_with_the_caller() {
    let (site, memory) = Site::in_memory_with_history().await;
    let id = site.deposit("1001", CALLER).await;
    site.core.mailboxes.trash(&mailbox("1001"), id).await.unwrap();
    site.sweep_after(40 * 86_400).await;
    assert!(!site.index("1001").await.entries.contains_key(&id), "it is deleted");
    site.deposit("1002", OTHER_CALLER).await;
    // The writers of these died, and nobody remembers them.
    assert_ne!(named(&memory.superseded()), Vec::<&String>::new());
    site.pass_time(Duration::from_secs(75));
    site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap();
    for _ in 0..4 {
        site.sweep_after(31).await;
    }
    assert_eq!(state(&site, "c").await, RunState::Purged);
    assert_eq!(named(&memory.superseded()), Vec::<&String>::new());
}

#[tokio::test]
async fn a_mailbox_that_is_always_busy_does_not_put_the_end_off() {
    let (site, _) = Site::in_memory_with_history().await;
    site.deposit("1001", CALLER).await;
    site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap();
    for _ in 0..6 {
        for _ in 0..3 {
            site.deposit("1001", OTHER_CALLER).await;
            site.pass_time(Duration::from_secs(5));
        }
        site.sweep().await;
    }
    assert_eq!(state(&site, "c").await, RunState::Purged);
}
