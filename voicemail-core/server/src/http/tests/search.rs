//! Searching for messages, and the record of who did what.

use super::*;
use voicemail_engine::search::FoundPage;

impl Api {
    async fn search(&self, body: Value) -> FoundPage {
        self.post("/messages/search", body).await.is(StatusCode::OK).json()
    }

    /// Actions on record, without the reading of the record itself and the provisioning that each test begins with.
    pub(super) async fn acts(&self) -> Vec<String> {
        let page: Value = self.get("/audit").await.is(StatusCode::OK).json();
        let events = page["events"].as_array().unwrap().clone();
        let actions = events.iter().map(|event| event["action"].as_str().unwrap().to_owned());
        let begun = ["readAudit", "putMailbox", "putUser", "putGroup"];
        let mut acts: Vec<String> = actions.filter(|action| !begun.contains(&action.as_str())).collect();
        // Acts of one millisecond are in no order.
        acts.sort();
        acts
    }
}

const CALLER: &str = "+442079460123";

#[tokio::test]
async fn a_callers_messages_are_found_in_any_spelling_without_number_or_audio() {
    let api = Api::start().await;
    let first = api.leave_message("1001", CALLER).await;
    let second = api.leave_message("2000", "020 7946 0123").await;
    api.leave_message("1001", "+442079460999").await;
    let found = api.search(json!({ "caller": "+44 20 7946 0123" })).await;
    let ids: Vec<String> = found.messages.iter().map(|message| message.id.to_string()).collect();
    assert_eq!(ids, [first.clone(), second.clone()]);
    let text = serde_json::to_string(&found).unwrap();
    assert!(!text.contains("9460123"), "{text}");
    let one = api.search(json!({ "caller": CALLER, "mailbox": "2000" })).await;
    assert_eq!(one.messages.len(), 1);
    let page = api.search(json!({ "caller": CALLER, "limit": 1 })).await;
    let rest = api.search(json!({ "caller": CALLER, "limit": 1, "cursor": page.next.unwrap() })).await;
    assert_eq!((rest.messages[0].id.to_string(), rest.next), (second, None));
    assert!(api.search(json!({ "caller": "+442079460777" })).await.messages.is_empty());
}

#[tokio::test]
async fn messages_are_found_by_the_time_of_their_call() {
    let api = Api::start().await;
    for mailbox in ["1001", "2000", "1002"] {
        api.leave_message(mailbox, CALLER).await;
    }
    let now = jiff::Timestamp::now();
    let at = |seconds: i64| (now + jiff::SignedDuration::from_secs(seconds)).to_string();
    let found = api.search(json!({ "from": at(-60), "to": at(60) })).await;
    assert_eq!(found.messages.len(), 3);
    let mut paged = Vec::new();
    let mut cursor = None;
    loop {
        let page = api.search(json!({ "from": at(-60), "to": at(60), "limit": 2, "cursor": cursor })).await;
        paged.extend(page.messages);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, found.messages);
    assert!(api.search(json!({ "from": at(-7_200), "to": at(-3_600) })).await.messages.is_empty());
}

#[tokio::test]
async fn what_an_erasure_covers_is_not_found_until_it_is_taken_back() {
    let api = Api::start().await;
    api.leave_message("1001", CALLER).await;
    let now = jiff::Timestamp::now();
    let at = |seconds: i64| (now + jiff::SignedDuration::from_secs(seconds)).to_string();
    let case = json!({ "caseid": "1", "consumers": [{ "phone": [CALLER] }] });
    let ways = [json!({ "caller": CALLER }), json!({ "from": at(-60), "to": at(60) })];
    for (path, count) in [("/gdpr/forgetme", 0), ("/gdpr/undoforget", 1)] {
        api.post(path, case.clone()).await.is(StatusCode::OK);
        for way in &ways {
            assert_eq!(api.search(way.clone()).await.messages.len(), count, "{path} {way}");
        }
    }
}

#[tokio::test]
async fn a_search_takes_a_caller_or_a_range_of_time() {
    let api = Api::start().await;
    for bad in [
        json!({}),
        json!({ "caller": "1", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z" }),
        json!({ "caller": " " }),
        json!({ "from": "2026-01-01T00:00:00Z" }),
        json!({ "from": "2026-01-01", "to": "2026-01-02" }),
        json!({ "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" }),
        json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z" }),
        json!({ "caller": "1", "limit": 0 }),
        json!({ "caller": "1", "cursor": "x" }),
    ] {
        api.post("/messages/search", bad).await.is_problem(ProblemKind::InvalidValue);
    }
}

#[tokio::test]
async fn who_listened_searched_exported_and_erased_is_on_record_without_numbers() {
    let api = Api::start().await;
    let id = api.leave_message("1001", CALLER).await;
    for _ in 0..2 {
        api.get(&format!("/mailboxes/1001/messages/{id}/audio")).await.is(StatusCode::OK);
    }
    api.search(json!({ "caller": CALLER })).await;
    api.post("/mailboxes/1001/pin/unlock", json!({})).await.is(StatusCode::NO_CONTENT);
    let case = json!({ "caseid": "1", "consumers": [{ "phone": [CALLER] }] });
    api.post("/gdpr/exportme", case.clone()).await.is(StatusCode::OK);
    api.post("/gdpr/forgetme", case.clone()).await.is(StatusCode::OK);
    api.post("/gdpr/undoforget", case).await.is(StatusCode::OK);
    assert_eq!(api.acts().await, ["export", "forget", "listen", "search", "undoForget", "unlockPin"]);
    let all: Value = api.get("/audit").await.is(StatusCode::OK).json();
    let event = all["events"].as_array().unwrap().iter().find(|event| event["action"] == "listen").unwrap();
    let page: Value = api.get("/audit?limit=1").await.is(StatusCode::OK).json();
    assert_eq!((&event["subject"]["message"], &event["user"]), (&json!(id), &json!("alice")));
    assert!(page["next"].is_string());
    for (key, bytes) in api.store.dump() {
        if key.starts_with("audit/") {
            assert!(!String::from_utf8_lossy(&bytes).contains("9460123"), "{key}");
        }
    }
    for (filter, acts) in [
        ("action=listen,search", vec!["listen", "search"]),
        ("user=alice&action=listen&mailbox=1001", vec!["listen"]),
        ("mailbox=1002&action=listen", vec![]),
        ("case=1&action=export,forget,undoForget,listen", vec!["export", "forget", "undoForget"]),
        ("actor=nobody", vec![]),
    ] {
        let page: Value = api.get(&format!("/audit?{filter}")).await.is(StatusCode::OK).json();
        let mut found: Vec<_> =
            page["events"].as_array().unwrap().iter().map(|event| &event["action"]).collect();
        found.sort_by_key(|action| action.to_string());
        assert_eq!(found, acts, "{filter}");
    }
    for bad in ["?action=dance", "?action=listen,", "?mailbox=a%20b", "?case=%00", "?user="] {
        let answer = api.get(&format!("/audit{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    for bad in
        ["?limit=0", "?from=x", "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "?cursor=x&limit=2000"]
    {
        api.get(&format!("/audit{bad}")).await.is_problem(ProblemKind::InvalidValue);
    }
}
