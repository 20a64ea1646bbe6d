//! The first schema's tree, opened by this version.

use super::fixture::{self, END, ERASED, HIDDEN, RESTORED, folder};
use futures::TryStreamExt;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_engine::core::tool::Access;
use voicemail_engine::fsck::{Severity, check};
use voicemail_engine::mailbox::{MessageFilter, ShownState};
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, body, hash, mailbox};
use voicemail_model::{MailboxId, Mwi};
use voicemail_store::Store;
use voicemail_store::memory::MemoryStore;
use voicemail_store::volume::{LockProbe, VolumeStore};

async fn open(on_volume: Option<&std::path::Path>) -> Site {
    let tree = fixture::read(&folder("store-schema-1"));
    let store: Arc<dyn Store> = match on_volume {
        Some(folder) => Arc::new(VolumeStore::new(folder, "t", LockProbe(Vec::new()))),
        None => Arc::new(MemoryStore::new(voicemail_store::real_world())),
    };
    voicemail_engine::testing::load_tree(store.as_ref(), &tree).await;
    Site::open_at(END.plus(Duration::from_secs(600)), |_| store).await
}

/// Callers of a list, oldest first, of messages that can be played.
async fn play(site: &Site, name: &str, state: Option<ShownState>) -> Vec<Option<String>> {
    let mailbox: MailboxId = mailbox(name);
    let filter =
        MessageFilter { states: state.into_iter().collect(), limit: 100, ..MessageFilter::default() };
    let mut callers = Vec::new();
    for message in site.core.mailboxes.list(&mailbox, filter).await.unwrap().messages {
        let audio = site.core.mailboxes.audio(&mailbox, message.id, None).await.unwrap();
        let chunks: Vec<bytes::Bytes> = audio.bytes.try_collect().await.unwrap();
        assert_eq!(chunks.concat(), [1; 16]);
        callers.push(message.caller);
    }
    callers.sort();
    callers
}

async fn traces(site: &Site, caller: &str) -> Vec<String> {
    let mut found = Vec::new();
    for prefix in ["ca/", "au/"] {
        let keys: Vec<String> = site.store.list(prefix).try_collect().await.unwrap();
        found.extend(keys.into_iter().filter(|key| key.contains(hash(caller).as_str())));
    }
    found
}

async fn expect_clean(site: &Site) {
    let context = site.open(&site.config, Access::Read).await;
    let mut found = Vec::new();
    let show = |finding: &voicemail_engine::fsck::Finding| {
        if finding.severity != Severity::Note {
            found.push(finding.clone());
        }
    };
    check(&context, show).await.unwrap();
    assert_eq!(found, []);
}

async fn open_list_play_and_forget(site: Site) {
    let given = |caller: &str| Some(caller.to_owned());
    assert_eq!(play(&site, "1001", None).await, [None, given(CALLER), given(CALLER)]);
    assert_eq!(play(&site, "1001", Some(ShownState::Trashed)).await, [given(OTHER_CALLER)]);
    assert_eq!(play(&site, "1002", None).await, [given(RESTORED)]);
    let counts = Mwi { new: 2, old: 1, urgent_new: 0, urgent_old: 1 };
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap(), counts);
    assert_eq!(site.core.directory.mailboxes_of(&"agent-1".parse().unwrap()).await.unwrap().len(), 2);
    assert!(site.core.mailboxes.mwi(&mailbox("1003")).await.is_err(), "closed");
    expect_clean(&site).await;

    let gdpr = &site.core.gdpr;
    assert!(gdpr.receipt(&"erased".parse().unwrap(), Operation::ForgetMe, 1).await.is_ok());
    assert_eq!(traces(&site, ERASED).await, Vec::<String>::new());
    let archive = gdpr.export_archive(&"export".parse().unwrap()).await.unwrap();
    assert!(archive.try_collect::<Vec<_>>().await.unwrap().len() > 4);
    gdpr.undo(body("open", None, 0)).await.unwrap();
    assert_eq!(play(&site, "1002", None).await, [given(RESTORED), given(HIDDEN)]);
    site.purge("mine", CALLER).await;
    assert_eq!(traces(&site, CALLER).await, Vec::<String>::new());
    let state = gdpr.case(&"mine".parse().unwrap()).await.unwrap().runs[0].state;
    // On a volume the end waits for superseded states.
    assert!(matches!(state, RunState::Purged | RunState::Purging), "{state:?}");
    // Beyond the cutoff's margin the caller is nobody special.
    site.pass_time(Duration::from_secs(10));
    site.deposit("1001", CALLER).await;
    expect_clean(&site).await;
}

/// Its documents name no generation and no group's id: they mean what is there until that is deleted.
#[tokio::test]
async fn people_of_the_first_schemas_store_are_its_people_until_something_is_deleted() {
    let site = open(None).await;
    let (directory, agent) = (&site.core.directory, "agent-1".parse().unwrap());
    let boxes = async || -> Vec<String> {
        let own = directory.mailboxes_of(&agent).await.unwrap();
        own.into_iter().map(|own| own.mailbox.to_string()).collect()
    };
    assert_eq!(boxes().await, ["1001", "1002"]);
    directory.put_mailbox(&mailbox("1001"), None, None).await.unwrap();
    let desk = directory.get_group(&"desk".parse().unwrap()).await.unwrap();
    directory.put_group(&"desk".parse().unwrap(), desk.clone()).await.unwrap();
    assert_eq!(boxes().await, ["1001", "1002"], "a change deletes nothing");
    // What an open erasure covers would keep the mailbox from being made again.
    site.core.gdpr.undo(body("open", None, 0)).await.unwrap();
    directory.delete_mailbox(&mailbox("1001")).await.unwrap();
    site.sweep_after(3_600).await;
    directory.put_mailbox(&mailbox("1001"), None, None).await.unwrap();
    assert_eq!(boxes().await, ["1002"]);
    directory.delete_group(&"desk".parse().unwrap()).await.unwrap();
    directory.put_group(&"desk".parse().unwrap(), desk).await.unwrap();
    assert_eq!(boxes().await, Vec::<String>::new());
    assert!(directory.get_user(&agent).await.unwrap().mailboxes.is_empty());
    // Closed by that release, opened by this one.
    directory.put_mailbox(&mailbox("1003"), None, None).await.unwrap();
    assert!(site.index("1003").await.bound);
}

#[tokio::test]
async fn the_first_schemas_store_is_opened_listed_played_and_forgotten_in_memory() {
    open_list_play_and_forget(open(None).await).await;
}

#[tokio::test]
async fn the_first_schemas_store_is_opened_listed_played_and_forgotten_on_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    open_list_play_and_forget(open(Some(folder.path())).await).await;
}
