//! How callers are filed: by registered rules alone, and found again under all of them.

use super::*;
use crate::config::NumberPrefix;
use crate::model::{Envelope, TenantDocument};

impl Api {
    fn core(&self) -> Arc<Core> {
        match &*self._stage.borrow() {
            Stage::Open(core) => Arc::clone(core),
            _ => panic!("not open"),
        }
    }

    /// The rule set of each message, in the order of their ids.
    fn rules_used(&self) -> Vec<u32> {
        let dump = self.store.dump();
        let envelopes = dump.iter().filter(|(key, _)| key.starts_with("ca/"));
        let mut found: Vec<(String, u32)> = envelopes
            .map(|(key, bytes)| {
                let envelope: Envelope = serde_json::from_slice(bytes).unwrap();
                (key.rsplit('/').next().unwrap().to_owned(), envelope.rules)
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, rules)| rules).collect()
    }

    fn registered(&self) -> Vec<u32> {
        let tenant: TenantDocument = serde_json::from_slice(&self.store.dump()["tenant"]).unwrap();
        tenant.rule_sets.iter().map(|rules| rules.id).collect()
    }
}

#[tokio::test]
async fn a_reloaded_prefix_is_used_once_it_is_registered_and_a_forget_finds_both_forms() {
    let api = Api::start().await;
    let before = api.leave_message("1001", "9020 7946 0123").await;
    let core = api.core();
    let nine = NumberPrefix { prefix: "9".into(), replace_with: String::new(), digits: None };
    let new = TenantConfig { number_prefixes: vec![nine], ..core.context.config().as_ref().clone() };
    core.context.reload(new);
    let between = api.leave_message("1001", "9020 7946 0123").await;
    assert_eq!((api.rules_used(), api.registered()), (vec![1, 1], vec![1]), "not registered yet");
    core.ensure_rules().await.unwrap();
    let after = api.leave_message("1001", "9020 7946 0123").await;
    assert_eq!((api.rules_used(), api.registered()), (vec![1, 1, 2], vec![1, 2]));

    let body = json!({ "caseid": "1", "consumers": [{ "phone": "9020 7946 0123" }] });
    let answer: Value = api.post("/gdpr/forgetme", body).await.json();
    let mut found: Vec<String> =
        serde_json::from_value(answer["consumers"]["9020 7946 0123"].clone()).unwrap();
    found.sort();
    assert_eq!(found, [before, between, after]);
}

#[tokio::test]
async fn a_withheld_caller_shows_no_caller_and_is_filed_as_withheld() {
    let api = Api::start().await;
    for text in ["Anonymous", "sip:anonymous@anonymous.invalid", ""] {
        let id = api.leave_message("1001", text).await;
        let message: Value = api.get(&format!("/mailboxes/1001/messages/{id}")).await.json();
        assert_eq!(message.get("caller"), None, "{text}");
        assert!(api.stored().contains(&format!("ca/withheld/1001/{id}")), "{text}");
    }
}

#[tokio::test]
async fn a_search_waits_for_an_upgrade_when_a_newer_version_files_by_its_own_rules() {
    let api = Api::start().await;
    let newer =
        String::from_utf8_lossy(&api.store.dump()["tenant"]).replace("\"algorithm\":3", "\"algorithm\":9");
    let key = crate::store::Key::tenant();
    let found = api.store.load(&key).await.unwrap().unwrap();
    api.store.replace(&key, Some(&found.revision), newer.into()).await.unwrap();
    for operation in ["forgetme", "exportme"] {
        let body = json!({ "caseid": "1", "consumers": [{ "phone": "+442079460123" }] });
        let answer = api.post(&format!("/gdpr/{operation}"), body).await.is(StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.json::<Problem>().detail.contains("upgraded"));
    }
}
