//! A mailbox never takes more than its class allows, however many leave a message at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use futures::TryStreamExt;
use futures::future::join_all;
use voicemail_api::config::{ClassOfService, TenantConfig};
use voicemail_engine::mailbox::{Admitted, DepositRequest, MailboxError};
use voicemail_engine::testing::{CALLER, Site, hash, mailbox, recording};
use voicemail_model::{CallerId, MessageId};

const BOX: &str = "1001";

fn limit(site: &Site, class: ClassOfService) {
    let config = TenantConfig { classes_of_service: vec![class], ..site.config.clone() };
    site.core.context.reload(config);
}

async fn admit(site: &Site, id: MessageId) -> Result<Admitted, MailboxError> {
    let request = DepositRequest {
        mailbox: mailbox(BOX),
        id,
        caller: CallerId::new(CALLER),
        caller_name: None,
        urgent: false,
        left: None,
    };
    site.core.mailboxes.admit(request).await
}

async fn admit_many(site: &Site, count: usize) -> Vec<(MessageId, Admitted)> {
    let mut admitted = Vec::new();
    for _ in 0..count {
        let id = site.core.mailboxes.new_id();
        admitted.push((id, admit(site, id).await.unwrap_or_else(|error| panic!("{error}"))));
    }
    admitted
}

async fn count(site: &Site, prefix: &str) -> usize {
    site.store.list(prefix).try_collect::<Vec<String>>().await.unwrap().len()
}

#[tokio::test]
async fn of_many_that_were_admitted_only_as_many_as_fit_are_taken() {
    let site = Site::in_memory().await;
    limit(&site, ClassOfService { max_messages: 5, ..ClassOfService::standard() });
    let admitted = admit_many(&site, 32).await;
    let deposits = admitted.into_iter().map(|(_, one)| site.core.mailboxes.deposit(one, recording(1)));
    let answers = join_all(deposits).await;
    let taken = answers.iter().filter(|answer| answer.is_ok()).count();
    let full = answers.iter().filter(|answer| **answer == Err(MailboxError::Full { limit: 5 })).count();
    assert_eq!((taken, full), (5, 27), "{answers:?}");
    assert_eq!(site.index(BOX).await.listed(), 5);
    assert_eq!((count(&site, "au/").await, count(&site, "ca/").await), (5, 5), "the others' audio is gone");
    // What is remembered of those who found no room says nothing of them, and goes with their ids.
    let remembered = site.index(BOX).await.refused;
    assert!(remembered.len() == 27 && remembered.keys().all(|key| !key.contains(hash(CALLER).as_str())));
}

#[tokio::test]
async fn seconds_are_counted_when_a_message_is_inserted() {
    let site = Site::in_memory().await;
    let seconds = ClassOfService { quota_seconds: Some(2), ..ClassOfService::standard() };
    limit(&site, ClassOfService { max_messages: 50, ..seconds });
    for (number, (_, one)) in admit_many(&site, 4).await.into_iter().enumerate() {
        let answer = site.core.mailboxes.deposit(one, recording(1)).await;
        match number {
            0 | 1 => drop(answer.unwrap()),
            _ => assert_eq!(answer, Err(MailboxError::FullOfSeconds { limit: 2 })),
        }
    }
}

#[tokio::test]
async fn who_found_no_room_is_taken_with_the_same_key_once_there_is_some() {
    let site = Site::in_memory().await;
    limit(&site, ClassOfService { max_messages: 1, trash_hours: 0, ..ClassOfService::standard() });
    let mut admitted = admit_many(&site, 2).await;
    let ((late, second), (early, first)) = (admitted.pop().unwrap(), admitted.pop().unwrap());
    site.core.mailboxes.deposit(first, recording(1)).await.unwrap();
    let full = site.core.mailboxes.deposit(second, recording(1)).await;
    assert_eq!(full, Err(MailboxError::Full { limit: 1 }));
    assert!(matches!(admit(&site, late).await, Err(MailboxError::Full { limit: 1 })));
    // Repeated, the one that was taken is there, though the mailbox is full.
    let again = admit(&site, early).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!site.core.mailboxes.deposit(again, recording(1)).await.unwrap().created);
    site.core.mailboxes.trash(&mailbox(BOX), early).await.unwrap();
    let again = admit(&site, late).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(site.core.mailboxes.deposit(again, recording(1)).await.unwrap().created);
    site.sweep_after(10 * 86_400).await;
    assert!(site.index(BOX).await.visible(late).is_some());
}
