//! Whom a number means: in national spellings under rule sets that follow one another or stand side by side, without
//! its plus, and where it stands for nobody.

use super::run;
use voicemail_api::config::TenantConfig;
use voicemail_api::gdpr::{GdprBody, RunState};
use voicemail_engine::core::Core;
use voicemail_engine::gdpr::GdprError;
use voicemail_engine::testing::{CALLER, Site, body, deposit_at, hash, key, mailbox};
use voicemail_model::{CallerId, MessageId, RunId};
use voicemail_store::Key;

const NATIONAL: &str = "020 7946 0123";
const BRITISH: &str = "+44 20 7946 0123";
const GERMAN: &str = "+49 20 7946 0123";

/// Numbers at home are read as that country's from now on.
async fn read_as(core: &Core, region: &str) {
    let config = core.context.config().as_ref().clone();
    core.context.reload(TenantConfig { default_number_region: region.into(), ..config });
    core.ensure_rules().await.unwrap();
}

/// Messages of the same person at home and of a stranger, left while numbers were German.
async fn moved_from_germany() -> (Site, MessageId, MessageId) {
    let site = Site::in_memory().await;
    read_as(&site.core, "DE").await;
    let own = site.deposit("1001", NATIONAL).await;
    let stranger = site.deposit("1001", GERMAN).await;
    read_as(&site.core, "GB").await;
    (site, own, stranger)
}

async fn count(site: &Site, phone: &str) -> u64 {
    let body = GdprBody { dry_run: true, ..body("count", Some(phone), 0) };
    site.core.gdpr.export(body).await.unwrap().run.matched
}

async fn visible(site: &Site, id: MessageId) -> bool {
    site.index("1001").await.visible(id).is_some()
}

#[tokio::test]
async fn a_number_at_home_means_no_stranger_whom_rules_of_old_read_it_as() {
    let (site, own, stranger) = moved_from_germany().await;
    let later = [site.deposit("1001", NATIONAL).await, site.deposit("1001", BRITISH).await];
    assert_eq!(
        [count(&site, NATIONAL).await, count(&site, BRITISH).await, count(&site, GERMAN).await],
        [3, 3, 2]
    );
    site.purge("c", NATIONAL).await;
    assert_eq!(run(&site, "c").await.erased, 3);
    assert!(visible(&site, stranger).await);
    for id in [own, later[0], later[1]] {
        assert!(!site.index("1001").await.entries.contains_key(&id));
    }
    site.sweep_after(2 * 86_400).await;
    assert!(visible(&site, stranger).await, "passes after the end leave strangers alone, too");
}

#[tokio::test]
async fn a_cluster_that_still_files_by_other_rules_hides_its_own_and_no_stranger() {
    let (site, own, stranger) = moved_from_germany().await;
    let german = site.replica().await;
    read_as(&german, "DE").await;
    site.core.gdpr.forget(body("c", Some(NATIONAL), 3_600)).await.unwrap();
    assert!(visible(&site, stranger).await && !visible(&site, own).await);
    let late = deposit_at(&german, "1001", NATIONAL).await.unwrap();
    let theirs = deposit_at(&german, "1001", GERMAN).await.unwrap();
    assert!(!visible(&site, late).await, "the mark covers it");
    assert!(visible(&site, theirs).await);
    site.sweep_after(3_600).await;
    assert_eq!(run(&site, "c").await.state, RunState::Purged);
    assert!(visible(&site, theirs).await && visible(&site, stranger).await);
    assert!(!site.index("1001").await.entries.contains_key(&late));
}

#[tokio::test]
async fn a_ledger_that_is_replayed_leaves_strangers_alone() {
    let (site, own, stranger) = moved_from_germany().await;
    site.purge("c", NATIONAL).await;
    let ledger = site.core.gdpr.ledger(0).await.unwrap();
    let (other, _, _) = (moved_from_germany().await, (), ());
    let mut ledger = ledger;
    ledger.store_id = other.0.core.context.identity().store_id.clone();
    // The restored store has messages of its own under the same hashes.
    let replayed = other.0.core.gdpr.replay(&ledger).await.unwrap();
    assert_eq!(replayed.erased, 1);
    assert!(visible(&other.0, other.2).await && !visible(&other.0, other.1).await);
    assert!(visible(&site, stranger).await && !visible(&site, own).await);
}

#[tokio::test]
async fn one_case_takes_its_own_subject_in_any_spelling_and_no_stranger() {
    for (first, same, stranger) in [(NATIONAL, BRITISH, GERMAN), (BRITISH, NATIONAL, GERMAN)] {
        let (site, ..) = moved_from_germany().await;
        let run = site.core.gdpr.forget(body("c", Some(first), 3_600)).await.unwrap().run.id;
        let again = site.core.gdpr.forget(body("c", Some(same), 3_600)).await.unwrap();
        assert_eq!(again.run.id, run);
        let refused = site.core.gdpr.forget(body("c", Some(stranger), 3_600)).await;
        assert_eq!(refused.err().unwrap(), GdprError::OpenWithOtherConsumers);
    }
    let (site, ..) = moved_from_germany().await;
    site.core.gdpr.forget(body("c", Some(GERMAN), 3_600)).await.unwrap();
    let refused = site.core.gdpr.forget(body("c", Some(NATIONAL), 3_600)).await;
    assert_eq!(refused.err().unwrap(), GdprError::OpenWithOtherConsumers);
}

/// As the release before wrote it: every hash was the subject's, and the tenant's first rules told subjects apart.
async fn of_before(site: &Site, case: &str, callers: &[&str], digest_of: &str) -> Key {
    let id: RunId = serde_json::from_value(format!("{case}/forgetme.1").into()).unwrap();
    let callers: Vec<_> = callers.iter().map(|caller| hash(caller)).collect();
    let digest = key().tag("subject", digest_of.as_bytes());
    site.edit(&Key::run(&id), |run| {
        run.as_object_mut().unwrap().remove("doubtful");
        run["callers"] = serde_json::to_value(&callers).unwrap();
        run["subject"] = digest.into();
    })
    .await;
    Key::run(&id)
}

#[tokio::test]
async fn an_open_run_of_the_release_before_is_recognised_and_lets_strangers_go() {
    let (site, own, stranger) = moved_from_germany().await;
    let first = site.core.gdpr.forget(body("c", Some(NATIONAL), 7_200)).await.unwrap().run.id;
    of_before(&site, "c", &["+442079460123", "+492079460123"], "+442079460123").await;
    let flag = voicemail_model::IndexOp::Flag {
        run: serde_json::from_value(first.clone().into()).unwrap(),
        purge_at: site.now(),
        messages: [(stranger, hash("+492079460123"))].into(),
    };
    site.core.context.indexes().try_apply(&mailbox("1001"), flag).await.unwrap();
    assert!(!visible(&site, stranger).await, "the release before hid it");

    let again = site.core.gdpr.forget(body("c", Some(BRITISH), 7_200)).await.unwrap();
    assert_eq!(again.run.id, first);
    let refused = site.core.gdpr.forget(body("c", Some(GERMAN), 7_200)).await;
    assert_eq!(refused.err().unwrap(), GdprError::OpenWithOtherConsumers);
    site.sweep_after(7_200).await;
    assert_eq!(run(&site, "c").await.state, RunState::Purged);
    assert!(visible(&site, stranger).await);
    assert!(!site.index("1001").await.entries.contains_key(&own));
}

#[tokio::test]
async fn a_number_that_may_mean_two_people_is_refused_and_counted_for_both() {
    let site = Site::in_memory().await;
    read_as(&site.core, "US").await;
    let either = site.deposit("1001", "6592345678").await;
    let american = site.deposit("1001", "+1 659 234 5678").await;
    let singaporean = site.deposit("1001", "+65 9234 5678").await;
    for forget in [true, false] {
        let body = body("c", Some("659-234-5678"), 0);
        let refused =
            if forget { site.core.gdpr.forget(body).await } else { site.core.gdpr.export(body).await };
        assert_eq!(refused.err().unwrap(), GdprError::AmbiguousNumber { position: 1 });
    }
    assert!(site.core.gdpr.case(&"c".parse().unwrap()).await.is_err(), "nothing was begun");
    assert_eq!(count(&site, "6592345678").await, 3);
    assert_eq!([count(&site, "+16592345678").await, count(&site, "+6592345678").await], [2, 2]);
    site.purge("c", "+65 9234 5678").await;
    assert!(
        visible(&site, american).await && !visible(&site, either).await && !visible(&site, singaporean).await
    );
}

#[tokio::test]
async fn who_stands_for_nobody_is_refused_by_position_before_anything_is_begun() {
    let site = Site::in_memory().await;
    site.deposit("1001", CALLER).await;
    for nobody in ["+266696687", "anonymous", "sip:unknown@192.0.2.7", "Número oculto", "0000000"] {
        let mut asked = body("c", Some(CALLER), 0);
        asked.consumers.push(serde_json::json!({ "phone": [CALLER, nobody] }));
        for dry_run in [true, false] {
            let asked = GdprBody { dry_run, ..asked.clone() };
            let refused = site.core.gdpr.forget(asked.clone()).await.err().unwrap();
            assert_eq!(refused, GdprError::CallerWithheld { position: 3 }, "{nobody}");
            assert!(!refused.to_string().contains(nobody));
            assert_eq!(site.core.gdpr.export(asked).await.err().unwrap(), refused);
        }
    }
    assert!(site.core.gdpr.case(&"c".parse().unwrap()).await.is_err());
}

/// Left as algorithm 2 filed it, which took every text for a caller's.
async fn left_under_the_second_algorithm(site: &Site, texts: &[&str]) -> Vec<MessageId> {
    site.edit(&Key::tenant(), |tenant| tenant["rule_sets"][0]["algorithm"] = 2.into()).await;
    site.core.context.refresh_identity().await.unwrap();
    let mut left = Vec::new();
    for text in texts {
        let id = site.core.mailboxes.new_id();
        let request = voicemail_engine::mailbox::DepositRequest {
            mailbox: mailbox("1001"),
            id,
            caller: CallerId::named(text),
            caller_name: None,
            urgent: false,
            left: None,
        };
        let admitted = site.core.mailboxes.admit(request).await.unwrap();
        let recording = voicemail_engine::testing::recording(1);
        site.core.mailboxes.deposit(admitted, recording).await.unwrap();
        left.push(id);
    }
    site.core.ensure_rules().await.unwrap();
    left
}

#[tokio::test]
async fn spellings_that_older_rules_filed_elsewhere_are_found() {
    let site = Site::in_memory().await;
    let texts = ["+5215512345678", "+525512345678", "0052 1 55 1234 5678", "5491123456789"];
    left_under_the_second_algorithm(&site, &texts).await;
    site.deposit("1001", "+525512345678").await;
    assert_eq!(count(&site, "+525512345678").await, 4);
    assert_eq!(count(&site, "+52 1 55 1234 5678").await, 4);
    assert_eq!(count(&site, "+54 11 2345 6789").await, 1);
}

#[tokio::test]
async fn a_withheld_caller_who_was_filed_as_a_person_is_found_and_filed_anew() {
    use voicemail_engine::fsck::{Code, Finding, check, repair};
    let site = Site::in_memory().await;
    let texts = ["+266696687", "sip:unknown@192.0.2.7", "unbekannt", "+442079460123"];
    let left = left_under_the_second_algorithm(&site, &texts).await;
    let before: Vec<_> =
        site.index("1001").await.entries.values().map(|entry| entry.digest.clone()).collect();
    let context = site.open(&site.config, voicemail_engine::core::tool::Access::Write).await;
    let found = || async {
        let mut found: Vec<Finding> = Vec::new();
        check(&context, |finding| found.push(finding.clone())).await.unwrap();
        found.retain(|finding| finding.severity != voicemail_engine::fsck::Severity::Note);
        found
    };
    let findings = found().await;
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::CallerWithheld; 3]);
    for finding in &findings {
        assert_eq!(repair(&context, finding).await.unwrap(), Some("filed anew"));
    }
    assert_eq!(found().await, []);
    let index = site.index("1001").await;
    for (id, text) in left.iter().zip(texts) {
        let (entry, nobody) = (&index.entries[id], text != "+442079460123");
        assert_eq!(entry.caller_hash.is_withheld() && entry.caller.is_none(), nobody, "{text}");
        let envelope = Key::envelope(&entry.caller_hash, &mailbox("1001"), *id);
        assert!(site.store.get(&envelope).await.unwrap().is_some());
        assert!(site.store.read(&Key::audio(&entry.audio), None).await.unwrap().is_some());
    }
    let after: Vec<_> = index.entries.values().map(|entry| entry.digest.clone()).collect();
    assert_eq!(after, before);
    for (text, kind) in [("+266696687", "ca/"), ("sip:unknown@192.0.2.7", "ca/"), ("unbekannt", "au/")] {
        let left = site.holders(hash(text).as_str()).await;
        assert!(!left.iter().any(|key| key.starts_with(kind)), "{text}: {left:?}");
    }
    assert_eq!(count(&site, "+442079460123").await, 1);
}

#[tokio::test]
async fn an_agents_search_by_caller_leaves_strangers_out() {
    use voicemail_engine::search::{MessageSearch, SearchBy};
    let (site, own, _) = moved_from_germany().await;
    let sought = voicemail_engine::gdpr::find_caller(&site.core.context, NATIONAL).await.unwrap();
    let by = MessageSearch { by: SearchBy::Caller(sought), mailbox: None, limit: 10, cursor: None };
    let page = site.core.mailboxes.search(by).await.unwrap();
    assert_eq!(page.messages.iter().map(|found| found.id).collect::<Vec<_>>(), [own]);
}
