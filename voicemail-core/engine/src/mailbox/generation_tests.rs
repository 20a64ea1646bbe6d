//! Acts under way when a mailbox is closed and made again don't reach the new one.

use super::MailboxError;
use super::settings::change_settings;
use crate::testing::{CALLER, Site, mailbox};
use std::sync::Arc;
use voicemail_model::{
    Group, GroupId, IndexOp, IndexOutcome, MailboxSettings, Mwi, Preferences, User, UserId,
};
use voicemail_store::Key;
use voicemail_store::documents::Documents;

const BOX: &str = "1001";

async fn settings(site: &Site) -> MailboxSettings {
    let documents = Documents::new(Arc::clone(&site.store), site.world());
    documents.load(&Key::settings(&mailbox(BOX))).await.unwrap().unwrap()
}

fn welsh() -> Preferences {
    Preferences { language: Some("cy-GB".into()), ..Preferences::default() }
}

async fn make(site: &Site) {
    site.core.directory.put_mailbox(&mailbox(BOX), None, None).await.unwrap();
}

async fn set_language(site: &Site, generation: u32) -> Result<(), MailboxError> {
    let change = |settings: &mut MailboxSettings, _| {
        settings.preferences = welsh();
        (true, ())
    };
    change_settings(&site.core.context, &mailbox(BOX), generation, change).await
}

#[tokio::test]
async fn a_change_that_was_begun_before_is_refused() {
    let site = Site::in_memory().await;
    set_language(&site, 1).await.unwrap();
    site.core.directory.delete_mailbox(&mailbox(BOX)).await.unwrap();
    assert_eq!(set_language(&site, 1).await, Err(MailboxError::UnknownMailbox), "it is closed");
    make(&site).await;
    assert_eq!(set_language(&site, 1).await, Err(MailboxError::UnknownMailbox), "it is another one");
    assert_eq!(site.core.directory.preferences(&mailbox(BOX)).await.unwrap(), Preferences::default());
    set_language(&site, 2).await.unwrap();
    assert_eq!(settings(&site).await.generation, Some(2));
}

#[tokio::test]
async fn what_a_closing_left_behind_goes_before_the_mailbox_is_made_again() {
    let site = Site::in_memory().await;
    let directory = &site.core.directory;
    set_language(&site, 1).await.unwrap();
    directory.set_pin(&mailbox(BOX), "739154").await.unwrap();
    // The process that closed it died before anything else.
    let indexes = site.core.context.indexes();
    indexes.apply(&mailbox(BOX), IndexOp::Close { generation: 1 }).await.unwrap();
    make(&site).await;
    let settings = settings(&site).await;
    assert!(settings.pin.is_none() && settings.preferences.is_empty());
    assert_eq!((settings.generation, site.index(BOX).await.generation), (Some(2), 2));
    // The one who closed it goes on, and asks for the mailbox of then.
    let closed = indexes.apply(&mailbox(BOX), IndexOp::Close { generation: 1 }).await.unwrap();
    assert_eq!(closed.outcome, IndexOutcome::Done);
    assert!(!site.index(BOX).await.closed);
}

#[tokio::test]
async fn a_release_that_knows_no_generations_opens_a_mailbox_for_nobody_of_before() {
    let site = Site::in_memory().await;
    let (directory, ann): (_, UserId) = (&site.core.directory, "ann".parse().unwrap());
    directory.put_user(&ann, User { mailboxes: vec![mailbox(BOX)], ..User::default() }).await.unwrap();
    set_language(&site, 1).await.unwrap();
    site.edit(&Key::index(&mailbox(BOX)), |index| index["generation"] = 2.into()).await;
    assert_eq!(directory.rights(&ann, &mailbox(BOX)).await.unwrap(), None);
    assert_eq!(directory.preferences(&mailbox(BOX)).await.unwrap(), Preferences::default());
    set_language(&site, 2).await.unwrap();
    assert_eq!((settings(&site).await.generation, settings(&site).await.preferences), (Some(2), welsh()));
}

#[tokio::test]
async fn an_index_that_was_lost_is_made_again_for_its_people() {
    let site = Site::in_memory().await;
    let (directory, ann): (_, UserId) = (&site.core.directory, "ann".parse().unwrap());
    for _ in 0..2 {
        directory.delete_mailbox(&mailbox(BOX)).await.unwrap();
        make(&site).await;
    }
    directory.put_user(&ann, User { mailboxes: vec![mailbox(BOX)], ..User::default() }).await.unwrap();
    set_language(&site, 3).await.unwrap();
    site.store.delete(&Key::index(&mailbox(BOX))).await.unwrap();
    make(&site).await;
    assert_eq!(site.index(BOX).await.generation, 3);
    assert_eq!(directory.preferences(&mailbox(BOX)).await.unwrap(), welsh());
    assert!(directory.rights(&ann, &mailbox(BOX)).await.unwrap().is_some());
    // A closed mailbox isn't.
    directory.delete_mailbox(&mailbox(BOX)).await.unwrap();
    site.store.delete(&Key::index(&mailbox(BOX))).await.unwrap();
    make(&site).await;
    assert_eq!(directory.rights(&ann, &mailbox(BOX)).await.unwrap(), None);
}

/// One mailbox by three ways, of which the first is of before.
#[tokio::test]
async fn of_several_ways_to_a_mailbox_those_of_before_do_not_count() {
    let site = Site::in_memory().await;
    let (directory, ann): (_, UserId) = (&site.core.directory, "ann".parse().unwrap());
    let names: [GroupId; 2] = ["old".parse().unwrap(), "new".parse().unwrap()];
    for name in &names {
        directory.put_group(name, Group::sharing(mailbox(BOX))).await.unwrap();
    }
    let user = User {
        mailboxes: vec![mailbox(BOX)],
        groups: names.to_vec(),
        read_only_groups: [names[1].clone()].into(),
        ..User::default()
    };
    directory.put_user(&ann, user).await.unwrap();
    directory.delete_mailbox(&mailbox(BOX)).await.unwrap();
    make(&site).await;
    site.deposit(BOX, CALLER).await;
    assert!(directory.mailboxes_of(&ann).await.unwrap().is_empty());
    directory.put_group(&names[1], Group::sharing(mailbox(BOX))).await.unwrap();
    let own = directory.mailboxes_of(&ann).await.unwrap();
    assert_eq!((own.len(), own[0].read_only, own[0].mwi), (1, true, Mwi { new: 1, ..Mwi::default() }));
    assert_eq!(directory.rights(&ann, &mailbox(BOX)).await.unwrap(), Some(super::Rights::Read));
}

#[tokio::test]
async fn another_replica_lets_nobody_of_before_in() {
    let site = Site::in_memory().await;
    let (other, ann): (_, UserId) = (site.replica().await, "ann".parse().unwrap());
    let user = User { mailboxes: vec![mailbox(BOX)], ..User::default() };
    site.core.directory.put_user(&ann, user).await.unwrap();
    assert!(other.directory.rights(&ann, &mailbox(BOX)).await.unwrap().is_some());
    site.core.directory.delete_mailbox(&mailbox(BOX)).await.unwrap();
    make(&site).await;
    assert_eq!(other.directory.rights(&ann, &mailbox(BOX)).await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_read_leaves_the_rest_of_a_list() {
    let site = Site::in_memory().await;
    let directory = &site.core.directory;
    for name in ["ann", "ben"] {
        directory.put_user(&name.parse().unwrap(), User::default()).await.unwrap();
        directory.put_group(&name.parse().unwrap(), Group::sharing(mailbox("1002"))).await.unwrap();
    }
    let ann: UserId = "ann".parse().unwrap();
    site.write_document(&Key::user(&ann), "not JSON").await;
    site.write_document(&Key::group(&"ann".parse().unwrap()), "not JSON").await;
    site.write_document(&Key::index(&mailbox(BOX)), "not JSON").await;
    let users = directory.list_users(None, 10).await.unwrap().items;
    let groups = directory.list_groups(None, 10).await.unwrap().items;
    let boxes = directory.list_mailboxes(None, 10).await.unwrap().items;
    assert_eq!((users[0].0.as_str(), users.len()), ("ben", 1));
    assert_eq!((groups[0].0.as_str(), groups.len()), ("ben", 1));
    assert_eq!((boxes[0].mailbox.as_str(), boxes.len()), ("1002", 1));
}
