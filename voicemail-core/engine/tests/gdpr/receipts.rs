//! Receipts: signed, chained, one a run, and without personal data.

use super::run;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_engine::gdpr::ReceiptKey;
use voicemail_engine::testing::RECEIPT_KEY;
use voicemail_engine::testing::{CALLER, OTHER_CALLER, Site, body, hash};
use voicemail_model::{Receipt, SignedReceipt};

fn verify(signed: &SignedReceipt) -> Receipt {
    let key = UnparsedPublicKey::new(&ED25519, STANDARD.decode(&signed.public_key).unwrap());
    key.verify(signed.receipt.as_bytes(), &STANDARD.decode(&signed.signature).unwrap()).unwrap();
    serde_json::from_str(&signed.receipt).unwrap()
}

async fn receipt(site: &Site, case: &str, operation: Operation) -> (Receipt, String) {
    let signed = site.core.gdpr.receipt(&case.parse().unwrap(), operation, 1).await.unwrap();
    let hash = hex::encode(digest(&SHA256, signed.receipt.as_bytes()));
    (verify(&signed), hash)
}

#[tokio::test]
async fn every_end_has_a_receipt_that_names_the_one_before() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.deposit("1001", OTHER_CALLER).await;
    site.core.gdpr.export(body("export", Some(CALLER), 0)).await.unwrap();
    site.core.gdpr.forget(body("undone", Some(OTHER_CALLER), 60)).await.unwrap();
    site.core.gdpr.undo(body("undone", None, 0)).await.unwrap();
    site.purge("erased", CALLER).await;
    let (export, first) = receipt(&site, "export", Operation::ExportMe).await;
    let (undone, second) = receipt(&site, "undone", Operation::ForgetMe).await;
    let (erased, _) = receipt(&site, "erased", Operation::ForgetMe).await;
    assert_eq!((export.number, export.outcome, export.exported), (1, RunState::Ready, 1));
    assert_eq!((undone.number, undone.outcome, undone.previous), (2, RunState::Undone, first));
    assert_eq!((erased.number, erased.outcome, erased.previous), (3, RunState::Purged, second));
    assert_eq!((erased.erased, erased.regions[0].erased), (1, 1));
    assert!(erased.withheld_not_searched && !erased.messages_named);
    assert_eq!(run(&site, "erased").await.receipt_number, Some(3));
}

#[tokio::test]
async fn a_receipt_holds_neither_a_number_nor_a_hash_of_one() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    let signed = site.core.gdpr.receipt(&"c".parse().unwrap(), Operation::ForgetMe, 1).await.unwrap();
    let id = voicemail_model::RunId::new(&"c".parse().unwrap(), Operation::ForgetMe, 1);
    let stored = site.store.load(&voicemail_store::Key::run(&id)).await.unwrap().unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored.bytes).unwrap();
    // The digest that is shown is of this run alone; the one that finds a person's other runs stays inside.
    for personal in ["7946", hash(CALLER).as_str(), stored["subject"].as_str().unwrap()] {
        assert!(!signed.receipt.contains(personal), "{personal}: {}", signed.receipt);
    }
}

#[tokio::test]
async fn a_body_can_go_and_the_chain_still_tells_its_hash() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    site.purge("c", CALLER).await;
    let (_, hash) = receipt(&site, "c", Operation::ForgetMe).await;
    let link = site.store.get(&voicemail_store::Key::chain_link("receipts", 1)).await.unwrap().unwrap();
    let link: serde_json::Value = serde_json::from_slice(&link).unwrap();
    assert_eq!(link, serde_json::json!({ "number": 1, "previous": "", "hash": hash }));
}

#[test]
fn keys_are_only_appended_and_the_last_one_signs() {
    let new = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tenant.key"), [b'k'; 32]).unwrap();
    std::fs::write(folder.path().join("receipt.key"), RECEIPT_KEY).unwrap();
    let old = voicemail_engine::core::TenantKeys::read(folder.path()).unwrap().receipt.public_keys();
    std::fs::write(folder.path().join("receipt-2.key"), &new).unwrap();
    let both = voicemail_engine::core::TenantKeys::read(folder.path()).unwrap().receipt.public_keys();
    let newest = ReceiptKey::from_pem(&new).unwrap().public_keys();
    assert_eq!(both, [old, newest].concat());
}
