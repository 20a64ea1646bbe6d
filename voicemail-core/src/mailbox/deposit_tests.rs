//! Deposits that come late, into mailboxes of any name, on a store in memory and on a volume.

use super::{DepositRequest, KeyUse, MailboxError};
use crate::admin::Access;
use crate::fsck;
use crate::model::{CallerId, MessageId, Time};
use crate::simulation::tenant::recording;
use crate::testing::{CALLER, Site, hash, mailbox};
use std::time::Duration;

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
