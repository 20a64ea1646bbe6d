//! The memory of a tenant ends with it, as a whole.

use super::*;
use crate::tenant::tests::tenant;

fn key(uid: &str) -> TenantKey {
    TenantKey { uid: uid.into(), ..TenantKey::of(&tenant(|_| {})) }
}

fn memories() -> Memories {
    Memories::new(Arc::default(), 1)
}

/// Fills each part of a memory.
fn fill(memories: &Memories, key: &TenantKey) {
    memories.found_right("ConfigMap", key, "x", (Version::of(&Default::default()), "w".into()));
    memories.of(key, |memory| {
        memory.messages.note_write(Instant::now());
        memory.ledger.note_end(Instant::now());
    });
}

fn is_fresh(memories: &Memories, key: &TenantKey) -> bool {
    memories.of(key, |memory| {
        let fresh = TenantMemory { uid: memory.uid.clone(), ..TenantMemory::default() };
        format!("{memory:?}") == format!("{fresh:?}")
    })
}

#[test]
fn a_tenant_that_took_a_name_begins_with_nothing_of_the_one_before_it() {
    let memories = memories();
    memories.meet(&key("1"), false);
    fill(&memories, &key("1"));
    memories.meet(&key("1"), false);
    assert!(!is_fresh(&memories, &key("1")), "it is met at each reconcile");
    memories.meet(&key("2"), false);
    assert!(is_fresh(&memories, &key("2")));
    fill(&memories, &key("1"));
    assert!(is_fresh(&memories, &key("2")), "what is noted late of the former one goes nowhere");
}

#[test]
fn of_a_tenant_that_is_gone_nothing_is_left_and_its_objects_are_known_until_they_go() {
    let memories = memories();
    memories.meet(&key("1"), true);
    fill(&memories, &key("1"));
    let version = Version::of(&Default::default());
    memories.end_list("PersistentVolumeClaim", None);
    memories.note_child("PersistentVolumeClaim", "voice", "acme", "acme-voicemail", version);
    memories.note_child("NetworkPolicy", "voice", "acme", "acme-old", version);
    memories.forget("voice", "acme");
    assert!(
        !memories.is_absent("PersistentVolumeClaim", &key("2"), "acme-voicemail"),
        "it outlives its tenant"
    );
    assert!(is_fresh(&memories, &key("2")) && memories.orphans(&key("2")).is_empty());
    fill(&memories, &key("1"));
    assert!(is_fresh(&memories, &key("1")), "what is noted late of one that is gone goes nowhere");
    memories.note_child_gone("PersistentVolumeClaim", "voice", "acme", "acme-voicemail");
    memories.note_child_gone("NetworkPolicy", "voice", "acme", "acme-old");
    assert_eq!(memories.count(), 0);
}

#[test]
fn a_request_that_ended_before_its_tenant_was_read_counts_for_it() {
    let memories = memories();
    memories.at("voice", "acme", |memory| memory.ledger.note_end(Instant::now()));
    memories.meet(&key("1"), false);
    assert!(memories.of(&key("1"), |memory| memory.ledger.is_due(Instant::now())));
}
