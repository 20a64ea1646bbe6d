//! Deposits that come late, into mailboxes of any name, on a store in memory and on a volume.

use super::{DepositRequest, KeyUse, MailboxError};
use crate::core::tool::Access;
use crate::fsck;
use crate::testing::recording;
use crate::testing::{CALLER, Site, hash, mailbox};
use std::time::Duration;
use voicemail_model::{CallerId, MessageId, Time};

const DAY: Duration = Duration::from_secs(86_400);

async fn deposit(site: &Site, name: &str, left: Option<Time>) -> Result<MessageId, MailboxError> {
    let mailboxes = &site.core.mailboxes;
    let used = KeyUse { purpose: "deposit", mailbox: &mailbox(name), account: "pbx", key: "a84b4c76e66710" };
    let id = mailboxes.id_of_key(used, left).await?;
    let request = DepositRequest {
        mailbox: mailbox(name),
        id,
        caller: CallerId::new(CALLER),
        caller_name: None,
        urgent: false,
        left,
    };
    let admitted = mailboxes.admit(request).await?;
    mailboxes.deposit(admitted, recording(1)).await.map(|deposited| deposited.id)
}

/// Whether a check of the whole store finds nothing.
async fn is_clean(site: &Site) -> bool {
    let context = site.open(&site.config, Access::Examine).await;
    fsck::check(&context, |finding| println!("{finding:?}")).await.unwrap().is_clean()
}

async fn live(site: &Site, name: &str) {
    site.core.directory.put_mailbox(&mailbox(name), None, None).await.unwrap();
    let left = site.now().minus(DAY * 5);
    let late = deposit(site, name, Some(left)).await.unwrap();
    let now = deposit(site, name, None).await.unwrap();
    assert_eq!(deposit(site, name, Some(left)).await.unwrap(), late);
    assert_eq!(deposit(site, name, None).await.unwrap(), now);
    let entry = site.entry(name, late).await;
    assert_eq!((entry.received, late.time()), (left, left));
    assert!(is_clean(site).await);
    site.sweep_after(2 * 86_400).await;
    assert!(is_clean(site).await);
    site.core.mailboxes.trash(&mailbox(name), late).await.unwrap();
    site.purge("c1", CALLER).await;
    site.sweep_after(3_600).await;
    assert!(!site.index(name).await.entries.contains_key(&now));
    assert!(is_clean(site).await);
    site.core.directory.delete_mailbox(&mailbox(name)).await.unwrap();
    for _ in 0..3 {
        site.sweep_after(5 * 86_400).await;
    }
    assert!(is_clean(site).await);
    assert!(site.holders(hash(CALLER).as_str()).await.iter().all(|key| !key.starts_with("deposit/")));
}

#[tokio::test]
async fn late_messages_of_any_mailbox_live_and_go_as_others_do_in_memory() {
    for name in ["1001", "1001@default", "*98"] {
        live(&Site::in_memory().await, name).await;
    }
}

#[tokio::test]
async fn late_messages_of_any_mailbox_live_and_go_as_others_do_on_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    // The longest names of files: of a key, and of its due items.
    let longest = format!("{}@#", "*".repeat(62));
    live(&Site::on_volume(folder.path()).await, &longest).await;
}

#[tokio::test]
async fn a_message_that_retention_would_have_deleted_already_is_refused() {
    let site = Site::in_memory().await;
    let mut config = site.core.context.config().as_ref().clone();
    config.classes_of_service[0].retention_days = 2;
    site.core.context.reload(config);
    let late = deposit(&site, "1001", Some(site.now().minus(DAY * 3))).await;
    assert!(matches!(late, Err(MailboxError::Invalid(_))), "{late:?}");
    let left = site.now().minus(DAY);
    let kept = deposit(&site, "1001", Some(left)).await.unwrap();
    assert_eq!(site.entry("1001", kept).await.expires, left.plus(DAY * 2));
}

/// A sweep by a clock that was ahead carried out the due item of a day that comes again.
#[tokio::test]
async fn a_message_expires_though_a_clock_was_ahead_meanwhile() {
    let site = Site::in_memory().await;
    let begun = site.now();
    let first = site.deposit("1001", CALLER).await;
    site.clock_to(site.entry("1001", first).await.expires.plus(DAY * 2));
    site.sweep().await;
    assert!(site.index("1001").await.entries.is_empty());
    site.clock_to(begun);
    let second = site.deposit("1001", CALLER).await;
    site.clock_to(site.entry("1001", second).await.expires.plus(DAY * 2));
    site.sweep().await;
    assert!(site.index("1001").await.entries.is_empty(), "nothing looks for it any more");
}

/// Admitted before the end of the day on which it expires, and stored after it.
#[tokio::test]
async fn a_message_that_expires_while_it_is_left_is_looked_for() {
    let site = Site::in_memory().await;
    let mut config = site.core.context.config().as_ref().clone();
    config.classes_of_service[0].retention_days = 2;
    site.core.context.reload(config);
    let end = site.now().end_of_day();
    site.clock_to(end.minus(Duration::from_secs(60)));
    let left = site.now().plus(Duration::from_secs(30)).minus(DAY * 2);
    let request = |id| DepositRequest {
        mailbox: mailbox("1001"),
        id,
        caller: CallerId::new(CALLER),
        caller_name: None,
        urgent: false,
        left: Some(left),
    };
    let mailboxes = &site.core.mailboxes;
    let early = mailboxes.admit(request(mailboxes.new_id())).await.unwrap_or_else(|e| panic!("{e}"));
    let late = mailboxes.admit(request(mailboxes.new_id())).await.unwrap_or_else(|e| panic!("{e}"));
    let gone = mailboxes.deposit(early, recording(1)).await.unwrap();
    mailboxes.trash(&mailbox("1001"), gone.id).await.unwrap();
    site.clock_to(end.plus(Duration::from_secs(120)));
    site.sweep().await;
    mailboxes.deposit(late, recording(1)).await.unwrap();
    site.sweep_after(3 * 86_400).await;
    assert!(site.index("1001").await.entries.is_empty(), "nothing looks for it any more");
}
