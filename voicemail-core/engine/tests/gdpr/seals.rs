//! The audit log's seals and the chains' checks, over a store that somebody takes things out of.

use futures::TryStreamExt;
use voicemail_api::gdpr::{LedgerHead, ProofsView};
use voicemail_api::proofs::verify_chains;
use voicemail_engine::core::tool::Access;
use voicemail_engine::fsck::check;
use voicemail_engine::testing::{CALLER, Site, body, mailbox, officer};
use voicemail_model::{AuditAction, AuditSubject};
use voicemail_store::{Family, Key};

const HOUR: u64 = 3_600;

async fn act(site: &Site, name: &str) {
    let subject = AuditSubject::mailbox(&mailbox("1001"));
    site.core.context.audit().record(&officer(name), AuditAction::Search, subject).await.unwrap();
}

fn keys(site: &Site) -> String {
    serde_json::json!({ "keys": site.core.gdpr.public_keys() }).to_string()
}

async fn faults(site: &Site, kept: Option<&LedgerHead>) -> String {
    let proofs = site.core.gdpr.proofs().await.unwrap();
    verify_chains(&proofs, kept, &keys(site)).unwrap().join("; ")
}

async fn listed(site: &Site, family: Family) -> Vec<Key> {
    let keys: Vec<String> = site.core.context.store().list(family.prefix()).try_collect().await.unwrap();
    keys.iter().filter_map(|key| Key::listed(key)).collect()
}

async fn codes(site: &Site) -> Vec<&'static str> {
    let context = site.open(&site.config, Access::Read).await;
    let mut found = Vec::new();
    check(&context, |finding| found.push(finding.code.slug())).await.unwrap();
    found
}

/// Two sealed hours with three acts, and an open one.
async fn sealed() -> (Site, ProofsView) {
    let site = Site::in_memory().await;
    for (acts, pause) in [(1, 5 * HOUR), (2, 3 * HOUR)] {
        for n in 0..acts {
            act(&site, &format!("a{n}")).await;
        }
        site.sweep_after(pause).await;
    }
    act(&site, "late").await;
    let proofs = site.core.gdpr.proofs().await.unwrap();
    assert_eq!((proofs.seals.len(), proofs.head.seals.as_ref().unwrap().number), (2, 2));
    (site, proofs)
}

#[tokio::test]
async fn each_closed_hour_with_acts_has_one_seal_and_a_quiet_tenant_writes_nothing() {
    let (site, proofs) = sealed().await;
    assert_eq!(faults(&site, Some(&proofs.head)).await, "");
    site.core.gdpr.seal_audit(None).await.unwrap();
    site.sweep_after(HOUR / 2).await;
    assert_eq!(site.core.gdpr.proofs().await.unwrap().seals.len(), 2, "the hour of the last act is open");
    site.sweep_after(3 * HOUR).await;
    let three = site.core.gdpr.proofs().await.unwrap();
    assert_eq!(three.seals.len(), 3);
    site.sweep_after(9 * HOUR).await;
    assert_eq!(site.core.gdpr.proofs().await.unwrap().head, three.head, "nothing was done since");
    assert_eq!(faults(&site, Some(&proofs.head)).await, "", "an older head is one of the chain's links");
    assert!(!codes(&site).await.contains(&"broken-chain"));
}

#[tokio::test]
async fn acts_that_are_removed_or_changed_in_a_sealed_hour_are_missed() {
    let (site, proofs) = sealed().await;
    let acts = listed(&site, Family::Audit).await;
    let store = site.core.context.store();
    let bytes = store.get(&acts[1]).await.unwrap().unwrap();
    store.delete(&acts[1]).await.unwrap();
    assert!(faults(&site, None).await.contains("2 acts were sealed, and there are 1"));
    let changed = String::from_utf8(bytes.to_vec()).unwrap().replace("a0", "a9").replace("a1", "a9");
    store.create(&acts[1], changed.into()).await.unwrap();
    assert!(faults(&site, None).await.contains("aren't those that were sealed"));
    store.delete(&acts[0]).await.unwrap();
    assert!(faults(&site, None).await.contains("all 1 acts are missing"));
    assert!(codes(&site).await.contains(&"broken-chain"));
    assert!(proofs.hours.len() == 2);
}

#[tokio::test]
async fn links_that_are_removed_are_missed_and_the_last_ones_by_the_head_outside() {
    let (site, proofs) = sealed().await;
    site.deposit("1001", CALLER).await;
    for case in ["b", "c"] {
        site.core.gdpr.forget(body(case, Some(CALLER), 0)).await.unwrap();
        site.sweep_after(60).await;
    }
    let head = site.core.gdpr.ledger(0).await.unwrap().head;
    assert_eq!(
        head.receipts.as_ref().unwrap().number,
        2,
        "it is outside with the next look of whoever keeps it"
    );
    assert_eq!(faults(&site, Some(&head)).await, "");
    let store = site.core.context.store();
    store.delete(&Key::chain_link("receipts", 2)).await.unwrap();
    assert!(faults(&site, None).await.contains("receipt 2, which the store's head names, is missing"));
    store.delete(&Key::chain_head("receipts")).await.unwrap();
    assert_eq!(faults(&site, None).await, "", "nobody else knows");
    assert!(faults(&site, Some(&head)).await.contains("receipt 2, which the head outside the store names"));
    store.delete(&Key::chain_link("seal", 1)).await.unwrap();
    assert!(faults(&site, None).await.contains("seals before number 2 are missing"));
    assert_eq!(proofs.seals.len(), 2);
    assert!(codes(&site).await.contains(&"broken-chain"));
}
