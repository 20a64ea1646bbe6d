//! Making, writing and reading the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::config::{ClassOfService, TenantConfig};
use voicemail_api::gdpr::RunState;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, START, Site, Tree, body, mailbox};
use voicemail_model::{Group, MessageChange, MessageId, MessageState, Time, User};
use voicemail_store::memory::MemoryStore;

/// When the tree was left.
pub(super) const END: Time = Time(START.0 + 3_600_000);
pub(super) const ERASED: &str = "+442079460003";
pub(super) const RESTORED: &str = "+442079460004";
pub(super) const HIDDEN: &str = "+442079460005";

pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Every kind of thing that a store holds, in every state.
pub(super) async fn fill(site: &Site) {
    let class = ClassOfService { trash_hours: 48, retention_days: 3_650, ..ClassOfService::standard() };
    site.core.context.reload(TenantConfig { classes_of_service: vec![class], ..site.config.clone() });
    provision(site).await;
    leave_messages(site).await;
    site.pass_time(Duration::from_secs(60));
    exercise_rights(site).await;
    site.clock_to(END);
    site.sweep().await;
}

async fn provision(site: &Site) {
    let directory = &site.core.directory;
    for (name, label) in [("1001", Some("Front desk")), ("1002", None), ("1003", None)] {
        directory.put_mailbox(&mailbox(name), None, label.map(str::to_owned)).await.unwrap();
    }
    let desk = Group::sharing(mailbox("1002"));
    directory.put_group(&"desk".parse().unwrap(), desk).await.unwrap();
    let user =
        User { mailboxes: vec![mailbox("1001")], groups: vec!["desk".parse().unwrap()], ..User::default() };
    directory.put_user(&"agent-1".parse().unwrap(), user).await.unwrap();
    directory.delete_mailbox(&mailbox("1003")).await.unwrap();
}

async fn leave_messages(site: &Site) {
    let mailboxes = &site.core.mailboxes;
    site.deposit("1001", CALLER).await;
    let read: MessageId = site.deposit("1001", CALLER).await;
    let change =
        MessageChange { state: Some(MessageState::Read), urgent: Some(true), ..MessageChange::default() };
    mailboxes.change(&mailbox("1001"), read, change, None).await.unwrap();
    site.deposit("1001", "anonymous").await;
    let trashed = site.deposit("1001", OTHER_CALLER).await;
    mailboxes.trash(&mailbox("1001"), trashed).await.unwrap();
    for caller in [ERASED, RESTORED, HIDDEN] {
        site.deposit("1002", caller).await;
    }
}

async fn exercise_rights(site: &Site) {
    let gdpr = &site.core.gdpr;
    site.purge("erased", ERASED).await;
    let case = gdpr.case(&"erased".parse().unwrap()).await.unwrap();
    assert_eq!(case.runs[0].state, RunState::Purged);
    gdpr.forget(body("restored", Some(RESTORED), 86_400)).await.unwrap();
    gdpr.undo(body("restored", None, 0)).await.unwrap();
    gdpr.forget(body("open", Some(HIDDEN), 20 * 86_400)).await.unwrap();
    gdpr.export(body("export", Some(CALLER), 0)).await.unwrap();
}

/// A tree made now.
pub(super) async fn make() -> Tree {
    let memory: Arc<std::sync::OnceLock<Arc<MemoryStore>>> = Arc::default();
    let kept = Arc::clone(&memory);
    let site = Site::open_at(START, move |world| {
        let store = Arc::new(MemoryStore::new(world));
        kept.set(Arc::clone(&store)).ok().unwrap();
        store
    })
    .await;
    fill(&site).await;
    memory.get().unwrap().dump()
}

pub(super) fn write(folder: &Path, tree: &Tree) {
    assert!(!folder.exists(), "{} is there: a tree is never made again", folder.display());
    for (key, bytes) in tree {
        let file = folder.join(key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

pub(super) fn read(folder: &Path) -> Tree {
    fn walk(root: &Path, folder: &Path, tree: &mut Tree) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(root, &path, tree);
            } else {
                let key = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                tree.insert(key, fs::read(&path).unwrap().into());
            }
        }
    }
    let mut tree = Tree::new();
    walk(folder, folder, &mut tree);
    tree
}

#[tokio::test]
async fn a_tree_is_the_same_each_time_it_is_made_and_is_read_back_as_written() {
    let (tree, again) = (make().await, make().await);
    assert!(tree.iter().eq(again.iter()), "clock and randomness are the test's own");
    for kind in ["tenant", "mb/", "user/", "group/", "ca/", "mark/", "gdpr/", "due/", "au/"] {
        assert!(tree.keys().any(|key| key.starts_with(kind)), "nothing of {kind}");
    }
    let scratch = tempfile::tempdir().unwrap();
    let target = std::env::var("VOICEMAIL_WRITE_FIXTURE").ok();
    let target = target.map_or_else(|| scratch.path().join("tree"), |name| folder(&name));
    write(&target, &tree);
    assert_eq!(read(&target), tree);
}
