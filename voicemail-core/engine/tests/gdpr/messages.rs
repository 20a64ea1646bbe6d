//! Callers without a number, by mailbox and message ids.

use super::{forward, naming, run, state};
use voicemail_api::gdpr::{GdprBody, RunState};
use voicemail_engine::testing::{CALLER, Site, body, mailbox};

const WITHHELD: &str = "anonymous";

#[tokio::test]
async fn a_named_message_is_hidden_undone_and_erased_with_its_copies_and_no_other() {
    let site = Site::in_memory().await;
    let (id, other) = (site.deposit("1001", WITHHELD).await, site.deposit("1001", WITHHELD).await);
    let copy = forward(&site, "1001", id, "1002").await;
    let copy_of_copy = forward(&site, "1002", copy, "1001").await;
    let answer = site.core.gdpr.forget(naming("c", &[("1001", id)], "1h")).await.unwrap();
    assert_eq!((answer.run.state, answer.run.matched, answer.messages.len()), (RunState::Marked, 3, 3));
    let listed = site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap();
    assert_eq!(listed.new, 1, "the other message alone");
    site.core.gdpr.undo(GdprBody { caseid: "c".into(), ..GdprBody::default() }).await.unwrap();
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 3);
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1002")).await.unwrap().new, 1);

    site.core.gdpr.forget(naming("d", &[("1001", id)], "0s")).await.unwrap();
    site.sweep_after(1).await;
    let ended = run(&site, "d").await;
    assert_eq!((ended.state, ended.erased), (RunState::Purged, 3));
    assert!(site.core.mailboxes.message(&mailbox("1001"), other).await.is_ok());
    for gone in [id, copy, copy_of_copy] {
        let holders = site.holders(&gone.to_string()).await;
        let kept = |key: &String| {
            ["mark/message/", "ledger/", "due/"].iter().any(|known| key.starts_with(known))
                || key.ends_with("/index")
        };
        assert!(holders.iter().all(kept), "{holders:?}");
        assert!(!site.index("1001").await.entries.contains_key(&gone));
    }
}

#[tokio::test]
async fn a_message_in_the_trash_is_erased_too() {
    let site = Site::in_memory().await;
    let mut config = site.core.context.config().as_ref().clone();
    config.classes_of_service[0].trash_hours = 48;
    site.core.context.reload(config);
    let id = site.deposit("1001", WITHHELD).await;
    site.core.mailboxes.trash(&mailbox("1001"), id).await.unwrap();
    site.core.gdpr.forget(naming("c", &[("1001", id)], "0s")).await.unwrap();
    site.sweep_after(1).await;
    assert_eq!(run(&site, "c").await.erased, 1);
}

#[tokio::test]
async fn numbers_and_messages_can_be_named_together_and_an_unknown_message_is_no_error() {
    let site = Site::in_memory().await;
    let (withheld, of_caller) = (site.deposit("1001", WITHHELD).await, site.deposit("1002", CALLER).await);
    let unknown = site.core.mailboxes.new_id();
    let mut both = naming("c", &[("1001", withheld), ("1002", unknown)], "0s");
    both.consumers = body("c", Some(CALLER), 0).consumers;
    let answer = site.core.gdpr.forget(both).await.unwrap();
    assert_eq!(answer.consumers[CALLER], serde_json::json!([of_caller.to_string()]));
    assert_eq!(answer.messages.len(), 1, "the withheld one");
    site.sweep_after(1).await;
    assert_eq!((state(&site, "c").await, run(&site, "c").await.erased), (RunState::Purged, 2));
}

#[tokio::test]
async fn messages_are_exported_by_name() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", WITHHELD).await;
    let export = site.core.gdpr.export(naming("c", &[("1001", id)], "0s")).await.unwrap();
    assert_eq!((export.run.state, export.run.exported), (RunState::Ready, 1));
    assert!(site.core.gdpr.export_archive(&"c".parse().unwrap()).await.is_ok());
    let messages = naming("c", &[("not a mailbox!", id)], "0s");
    assert!(site.core.gdpr.export(messages).await.is_err());
}

#[tokio::test]
async fn a_copy_that_is_being_made_across_a_whole_purge_is_refused() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", WITHHELD).await;
    let entry = site.entry("1001", id).await;
    site.core.gdpr.forget(naming("c", &[("1001", id)], "0s")).await.unwrap();
    site.sweep_after(1).await;
    // What a frozen forwarder does when it wakes: its envelope is there, its entry isn't.
    let origin = voicemail_model::Forwarding {
        mailbox: mailbox("1001"),
        id,
        by: "ann".parse().unwrap(),
        at: site.now(),
        through: Some(Vec::new()),
        unknown: serde_json::Map::new(),
    };
    let mut envelope = voicemail_model::Envelope::of_entry(&entry, None, 1, 1);
    envelope.forwarded_from = Some(origin);
    let finished = site.finish_late("1002", envelope).await;
    assert_eq!(finished, Err(voicemail_engine::mailbox::MailboxError::Gone));
    assert!(site.index("1002").await.entries.is_empty());
}

/// As the release before wrote it: a copy knew the message before it alone.
async fn without_lineage(site: &Site, boxes: &[&str]) {
    for name in boxes {
        let key = voicemail_store::Key::index(&mailbox(name));
        site.edit(&key, |index| {
            for (_, entry) in index["entries"].as_object_mut().unwrap() {
                if let Some(from) = entry.get_mut("forwarded_from") {
                    from.as_object_mut().unwrap().remove("through");
                }
            }
        })
        .await;
    }
}

/// A message and its copies, each of the one before: in 1001, 1002, 1003 and 1004.
async fn chain(site: &Site) -> [voicemail_model::MessageId; 4] {
    for name in ["1003", "1004"] {
        site.core.directory.put_mailbox(&mailbox(name), None, None).await.unwrap();
    }
    let first = site.deposit("1001", WITHHELD).await;
    let second = forward(site, "1001", first, "1002").await;
    let third = forward(site, "1002", second, "1003").await;
    [first, second, third, forward(site, "1003", third, "1004").await]
}

async fn is_there(site: &Site, name: &str, id: voicemail_model::MessageId) -> bool {
    site.index(name).await.visible(id).is_some()
}

#[tokio::test]
async fn copies_are_erased_whatever_of_their_chain_was_deleted() {
    for (deleted, named) in [(&[1][..], 0), (&[1, 2], 0), (&[0], 0), (&[0, 1, 2], 0), (&[1], 1), (&[0, 2], 2)]
    {
        let site = Site::in_memory().await;
        let (ids, other) = (chain(&site).await, site.deposit("1004", WITHHELD).await);
        let boxes = ["1001", "1002", "1003", "1004"];
        for at in deleted {
            site.core.mailboxes.trash(&mailbox(boxes[*at]), ids[*at]).await.unwrap();
            assert!(!site.index(boxes[*at]).await.entries.contains_key(&ids[*at]));
        }
        site.core.gdpr.forget(naming("c", &[(boxes[named], ids[named])], "0s")).await.unwrap();
        site.sweep_after(1).await;
        assert_eq!(state(&site, "c").await, RunState::Purged);
        for at in named..4 {
            assert!(!is_there(&site, boxes[at], ids[at]).await, "{deleted:?} {named}: {at}");
        }
        assert!(is_there(&site, "1004", other).await);
    }
}

#[tokio::test]
async fn copies_of_the_release_before_are_told_by_their_recording_or_keep_the_run_open() {
    let boxes = ["1001", "1002", "1003", "1004"];
    for first_is_there in [true, false] {
        let site = Site::in_memory().await;
        let ids = chain(&site).await;
        for at in if first_is_there { 1..3 } else { 0..3 } {
            site.core.mailboxes.trash(&mailbox(boxes[at]), ids[at]).await.unwrap();
        }
        without_lineage(&site, &["1004"]).await;
        site.core.gdpr.forget(naming("c", &[("1001", ids[0])], "0s")).await.unwrap();
        site.try_sweep_after(1).await;
        if first_is_there {
            assert_eq!(state(&site, "c").await, RunState::Purged);
        } else {
            assert_eq!(state(&site, "c").await, RunState::Purging, "the copy can't be excluded");
            assert!(is_there(&site, "1004", ids[3]).await);
            site.core.gdpr.forget(naming("d", &[("1004", ids[3])], "0s")).await.unwrap();
            site.try_sweep_after(1).await;
            site.try_sweep_after(60).await;
            assert_eq!(state(&site, "c").await, RunState::Purged);
        }
        assert!(!is_there(&site, "1004", ids[3]).await);
    }
}

/// Two mailboxes may hold one id: what was moved away of the other one isn't the subject's.
#[tokio::test]
async fn what_was_quarantined_of_another_mailbox_with_the_same_id_stays() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", WITHHELD).await;
    let quarantined = |name: &str| {
        let withheld = voicemail_model::CallerHash::withheld();
        let key = voicemail_store::Key::envelope(&withheld, &mailbox(name), id);
        voicemail_store::Key::quarantine(site.now(), &key)
    };
    for name in ["1001", "1002", "x.1001"] {
        site.store.create(&quarantined(name), "damaged".into()).await.unwrap();
    }
    site.core.gdpr.forget(naming("c", &[("1001", id)], "0s")).await.unwrap();
    site.sweep_after(1).await;
    assert!(site.store.get(&quarantined("1001")).await.unwrap().is_none());
    for name in ["1002", "x.1001"] {
        assert!(site.store.get(&quarantined(name)).await.unwrap().is_some(), "{name}");
    }
}
