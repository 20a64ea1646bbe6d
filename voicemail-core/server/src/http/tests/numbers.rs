//! How callers are filed: by registered rules alone, and found again under all of them.

use super::*;
use voicemail_api::config::NumberPrefix;
use voicemail_model::{Envelope, TenantDocument};

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
    let key = voicemail_store::Key::tenant();
    let found = api.store.load(&key).await.unwrap().unwrap();
    api.store.replace(&key, Some(&found.revision), newer.into()).await.unwrap();
    for operation in ["forgetme", "exportme"] {
        let body = json!({ "caseid": "1", "consumers": [{ "phone": "+442079460123" }] });
        let answer = api.post(&format!("/gdpr/{operation}"), body).await.is(StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.json::<Problem>().detail.contains("upgraded"));
    }
}

#[tokio::test]
async fn requests_that_name_nobody_or_two_people_have_problems_of_their_own_without_the_number() {
    let api = Api::start().await;
    for (number, kind) in
        [("+266696687", ProblemKind::CallerWithheld), ("sip:unknown@192.0.2.7", ProblemKind::CallerWithheld)]
    {
        for operation in ["forgetme", "exportme"] {
            let body = json!({ "caseid": "1", "consumers": [{ "phone": ["+442079460123", number] }] });
            let answer = api.post(&format!("/gdpr/{operation}"), body).await;
            let problem: Problem = answer.is(StatusCode::UNPROCESSABLE_ENTITY).json();
            assert!(problem.kind.ends_with(kind.slug()), "{problem:?}");
            assert!(problem.detail.contains("number 2") && !problem.detail.contains(number), "{problem:?}");
        }
    }
    let core = api.core();
    let american =
        TenantConfig { default_number_region: "US".into(), ..core.context.config().as_ref().clone() };
    core.context.reload(american);
    core.ensure_rules().await.unwrap();
    let body =
        |dry_run: bool| json!({ "caseid": "1", "dryRun": dry_run, "consumers": [{ "phone": "6592345678" }] });
    api.post("/gdpr/forgetme", body(false)).await.is_problem(ProblemKind::AmbiguousNumber);
    api.post("/gdpr/forgetme", body(true)).await.is(StatusCode::OK);
}

#[tokio::test]
async fn a_tenants_own_words_for_nobody_are_no_numbers_of_a_plan() {
    let core = Api::start().await.core();
    let with = |text: &str| TenantConfig {
        withheld_callers: vec!["Amtsleitung".into(), text.into()],
        ..core.context.config().as_ref().clone()
    };
    let check = |config: TenantConfig| crate::configuration::parse(&config.to_yaml().unwrap());
    for good in ["+9990001", "Zentrale Durchwahl unbekannt"] {
        let refused = check(with(good)).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!refused.contains("withheldCallers"), "{refused}");
    }
    for bad in ["020 7946 0123", "442079460123", "+12025550123", " ", "sip:x@example.org", "..."] {
        let refused = check(with(bad)).unwrap_err().to_string();
        assert!(refused.contains("withheldCallers") && !refused.contains("7946"), "{bad}: {refused}");
    }
}
