//! Documents under lost replies, other versions and newer schemas.

use super::{A, B, BOX, Case};
use crate::tenant::mailbox;
use futures::FutureExt;
use voicemail_api::gdpr::RunState;
use voicemail_store::{Key, Versioned};

/// The index of the box, as stored, and a way to write it back changed.
fn rewrite(case: &Case, change: impl Fn(&Versioned) -> Vec<u8>) {
    let key = Key::index(&mailbox(BOX));
    let memory = &case.tenant.ground;
    let found = memory.load(&key).now_or_never().unwrap().unwrap().unwrap();
    let bytes = change(&found).into();
    memory.replace(&key, Some(&found.revision), bytes).now_or_never().unwrap().unwrap();
}

/// Our write, no reply, a minute, another's write, and the retry: the nonce is gone, the id is there.
#[test]
fn a_lost_reply_read_back_after_a_minute_and_anothers_change_is_recognised() {
    let mut case = Case::new();
    let id = case.id();
    let mut depositing = case.depositing(id, A);
    while case.tenant.index(BOX).entries.is_empty() {
        case.advance(&mut depositing, 1);
    }
    drop(depositing);
    case.pass_time(61);
    case.deposit(B);
    let again = case.run(case.depositing(id, A));
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(case.listed(), 2);
}

#[test]
fn an_old_version_beside_a_new_one_keeps_the_fields_it_does_not_know() {
    let mut case = Case::new();
    case.deposit(A);
    rewrite(&case, |found| {
        let mut value: serde_json::Value = serde_json::from_slice(&found.bytes).unwrap();
        value["colour"] = "green".into();
        for entry in value["entries"].as_object_mut().unwrap().values_mut() {
            entry["transcript"] = "later".into();
        }
        serde_json::to_vec(&value).unwrap()
    });
    case.deposit(B);
    let index = case.tenant.index(BOX);
    assert_eq!(index.unknown["colour"], "green");
    assert_eq!(index.entries.values().filter(|entry| entry.unknown.contains_key("transcript")).count(), 1);
}

#[test]
fn a_newer_schema_is_read_and_never_written() {
    let mut case = Case::new();
    case.deposit(A);
    rewrite(&case, |found| {
        String::from_utf8_lossy(&found.bytes).replacen("\"schema\":1", "\"schema\":2", 1).into_bytes()
    });
    let replica = case.replica.clone();
    let counts = case.run(async move { replica.mailboxes.mwi(&mailbox(BOX)).await });
    assert_eq!(counts.unwrap().new, 1);
    let refused = case.run(case.depositing(case.id(), A));
    assert!(refused.unwrap_err().to_string().contains("newer"));
}

#[test]
fn a_due_item_that_cannot_be_read_holds_up_no_other() {
    let mut case = Case::new();
    case.deposit(A);
    let poison = Key::listed("due/200001010000/aaa.unreadable").unwrap();
    case.tenant.ground.create(&poison, "not JSON".into()).now_or_never().unwrap().unwrap();
    case.purge("c1", A);
    assert_eq!(case.tenant.run("c1").map(|run| run.state), Some(RunState::Purged));
    assert_eq!(case.traces(A), Vec::<String>::new());
}
