//! A mailbox or a group that is deleted and made again has nobody of before in it, through whichever door they come.

use super::events::Listener;
use super::*;
use voicemail_engine::mailbox::OwnMailbox;

const PIN: &str = "739154";
const CALLER: &str = "+442079460123";

impl Api {
    async fn make_again(&self, path: &str, body: Value) {
        self.delete(path).await.is(StatusCode::NO_CONTENT);
        self.put(path, body).await.is(StatusCode::OK);
    }

    async fn send_with(&self, bearer: &str, method: &Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(format!("{PREFIX}{path}"));
        let request = request.header("authorization", format!("Bearer {bearer}"));
        let request = request.header("content-type", "application/json");
        let body = if *method == Method::PATCH { json!({ "state": "read" }) } else { json!({}) };
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Every door of a mailbox and its message is shut for whoever holds that token.
    async fn is_shut_for(&self, bearer: &str, mailbox: &str, id: &str) {
        let of_box = format!("/mailboxes/{mailbox}");
        let of_message = format!("{of_box}/messages/{id}");
        for (method, path) in [
            (Method::GET, format!("{of_box}/messages")),
            (Method::GET, of_message.clone()),
            (Method::GET, format!("{of_message}/audio")),
            (Method::PATCH, of_message.clone()),
            (Method::DELETE, of_message.clone()),
            (Method::PUT, format!("{of_message}/claim")),
            (Method::GET, format!("{of_box}/mwi")),
            (Method::GET, format!("{of_box}/preferences")),
            (Method::DELETE, format!("{of_box}/pin")),
            (Method::GET, format!("{of_box}/greetings/alternate/schedule")),
        ] {
            let answer = self.send_with(bearer, &method, &path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}: {answer:?}");
            answer.is_problem(ProblemKind::UnknownMailbox);
        }
    }

    async fn boxes_of(&self, user: &str) -> Vec<String> {
        let own: Value = self.get_as(user, "/me/mailboxes").await.is(StatusCode::OK).json();
        let own: Vec<OwnMailbox> = serde_json::from_value(own["mailboxes"].clone()).unwrap();
        own.into_iter().map(|own| own.mailbox.to_string()).collect()
    }

    async fn user(&self, user: &str) -> UserBody {
        self.get(&format!("/users/{user}")).await.is(StatusCode::OK).json()
    }
}

#[tokio::test]
async fn a_mailbox_that_is_made_again_is_not_its_old_peoples() {
    let api = Api::start().await;
    let alice = api.token("alice", &["agent"]);
    api.leave_message("1001", CALLER).await;
    assert_eq!(api.boxes_of("alice").await, ["1001", "2000"]);
    let tag = api.get("/users/alice").await.header("etag").to_owned();
    api.make_again("/mailboxes/1001", json!({})).await;
    let id = api.leave_message("1001", CALLER).await;
    api.is_shut_for(&alice, "1001", &id).await;
    assert_eq!(api.boxes_of("alice").await, ["2000"]);
    assert_eq!(api.user("alice").await.mailboxes, []);
    let listed: Value = api.get("/users").await.json();
    assert_eq!(listed["users"][0]["mailboxes"], json!([]));
    let body = json!({ "mailboxes": ["1001"], "groups": ["sales"] });
    api.put_if("/users/alice", ("if-match", &tag), &body).await.is_problem(ProblemKind::Changed);
    // Provisioned anew, it is theirs.
    api.put("/users/alice", body).await.is(StatusCode::OK);
    assert_eq!(api.boxes_of("alice").await, ["1001", "2000"]);
    api.send_with(&alice, &Method::GET, &format!("/mailboxes/1001/messages/{id}/audio"))
        .await
        .is(StatusCode::OK);
}

#[tokio::test]
async fn whoever_changes_a_user_by_what_they_were_shown_brings_nobody_back() {
    let api = Api::start().await;
    api.make_again("/mailboxes/1001", json!({})).await;
    let shown = api.get("/users/alice").await.is(StatusCode::OK);
    let mut body: Value = shown.json();
    body["mailboxes"].as_array_mut().unwrap().push("1002".into());
    let etag = shown.header("etag").to_owned();
    api.put_if("/users/alice", ("if-match", &etag), &body).await.is(StatusCode::OK);
    assert_eq!(api.boxes_of("alice").await, ["1002", "2000"]);
}

#[tokio::test]
async fn a_groups_mailbox_that_is_made_again_is_not_its_members() {
    let api = Api::start().await;
    let bob = api.token("bob", &["agent"]);
    api.make_again("/mailboxes/2000", json!({})).await;
    let id = api.leave_message("2000", CALLER).await;
    api.is_shut_for(&bob, "2000", &id).await;
    assert_eq!(api.boxes_of("bob").await, ["1002"]);
    // The group's administrator says whose it is now.
    api.put("/groups/sales", json!({ "mailbox": "2000" })).await.is(StatusCode::OK);
    assert_eq!(api.boxes_of("bob").await, ["1002", "2000"]);
}

#[tokio::test]
async fn a_group_that_is_made_again_has_no_members() {
    let api = Api::start().await;
    let bob = api.token("bob", &["agent"]);
    let id = api.leave_message("2000", CALLER).await;
    api.make_again("/groups/sales", json!({ "mailbox": "2000" })).await;
    api.is_shut_for(&bob, "2000", &id).await;
    assert_eq!(api.boxes_of("bob").await, ["1002"]);
    assert_eq!(api.user("bob").await.groups, []);
    // A group whose mailbox changes stays the one that its members are in.
    api.put("/users/bob", json!({ "groups": ["sales"] })).await.is(StatusCode::OK);
    api.put("/groups/sales", json!({ "mailbox": "1001" })).await.is(StatusCode::OK);
    assert_eq!(api.boxes_of("bob").await, ["1001"]);
}

#[tokio::test]
async fn a_token_for_a_pin_opens_nothing_that_was_made_since() {
    let api = Api::start().await;
    api.put("/mailboxes/1001/pin", json!({ "pin": PIN })).await.is(StatusCode::NO_CONTENT);
    let verified = api.post("/mailboxes/1001/pin/verify", json!({ "pin": PIN })).await.is(StatusCode::OK);
    let token = verified.json::<Value>()["token"].as_str().unwrap().to_owned();
    let opens = async || api.send_with(&token, &Method::GET, "/mailboxes/1001/messages").await;
    opens().await.is(StatusCode::OK);
    let message = api.leave_message("1001", CALLER).await;
    let ticket =
        Request::post(format!("{PREFIX}/tickets")).header("authorization", format!("Bearer {token}"));
    let ticket = ticket.header("content-type", "application/json");
    let body = json!({ "purpose": "audio", "mailbox": "1001", "message": message }).to_string();
    let ticket: Value = api.send(ticket.body(Body::from(body)).unwrap()).await.is(StatusCode::CREATED).json();
    api.make_again("/mailboxes/1001", json!({})).await;
    let id = api.leave_message("1001", CALLER).await;
    api.is_shut_for(&token, "1001", &id).await;
    let path = format!(
        "{PREFIX}/mailboxes/1001/messages/{message}/audio?ticket={}",
        ticket["ticket"].as_str().unwrap()
    );
    let played = api.send(Request::get(path).body(Body::empty()).unwrap()).await;
    played.is_problem(ProblemKind::UnknownMailbox);
    api.post("/mailboxes/1001/pin/verify", json!({ "pin": PIN })).await.is_problem(ProblemKind::NoPin);
}

#[tokio::test]
async fn what_its_people_preferred_goes_with_a_mailbox() {
    let api = Api::start().await;
    api.put("/mailboxes/1001", json!({ "label": "Alice" })).await.is(StatusCode::OK);
    let preferences = json!({ "optOut": "+442079460999", "language": "cy-GB", "timeZone": "Europe/London" });
    api.put("/mailboxes/1001/preferences", preferences).await.is(StatusCode::OK);
    let reception = async || api.get("/mailboxes/1001/reception").await.is(StatusCode::OK).body;
    let has = |body: &Bytes, text: &str| String::from_utf8_lossy(body).contains(text);
    assert!(has(&reception().await, "+442079460999"));
    api.delete("/mailboxes/1001").await.is(StatusCode::NO_CONTENT);
    let kept = |text: &str| api.store.dump().values().any(|bytes| has(bytes, text));
    assert!(!kept("+442079460999") && !kept("Alice"), "it goes when the mailbox is closed");
    api.put("/mailboxes/1001", json!({})).await.is(StatusCode::OK);
    let now = reception().await;
    assert!(!has(&now, "+442079460999") && !has(&now, "cy-GB"), "{now:?}");
}

#[tokio::test]
async fn a_stream_says_that_a_mailbox_is_gone_and_nothing_of_the_next_one() {
    let api = Api::start().await;
    let running = api.run();
    let mut alice: Listener = api.listen("alice", None).await;
    assert_eq!(alice.state().await.0.len(), 2);
    api.delete("/mailboxes/1001").await.is(StatusCode::NO_CONTENT);
    let gone = alice.next().await;
    assert!(gone.name == "gone" && gone.data.contains("1001"), "{gone:?}");
    api.put("/mailboxes/1001", json!({})).await.is(StatusCode::OK);
    api.leave_message("1001", CALLER).await;
    api.leave_message("2000", CALLER).await;
    alice.mwi("2000", 1, 0).await;
    let mut anew: Listener = api.listen("alice", None).await;
    assert_eq!(anew.state().await.0.len(), 1);
    let body = json!({ "mailboxes": ["1001"], "groups": ["sales"] });
    api.put("/users/alice", body).await.is(StatusCode::OK);
    alice.mwi("1001", 1, 0).await;
    running.abort();
}

#[tokio::test]
async fn a_token_for_a_pin_opens_nothing_once_the_pin_is_another_or_none() {
    let api = Api::start().await;
    let verify = async |pin: &str| {
        let verified = api.post("/mailboxes/1001/pin/verify", json!({ "pin": pin })).await.is(StatusCode::OK);
        verified.json::<Value>()["token"].as_str().unwrap().to_owned()
    };
    let list = async |bearer: &str| api.send_with(bearer, &Method::GET, "/mailboxes/1001/messages").await;
    api.put("/mailboxes/1001/pin", json!({ "pin": PIN })).await.is(StatusCode::NO_CONTENT);
    let token = verify(PIN).await;
    list(&token).await.is(StatusCode::OK);
    api.put("/mailboxes/1001/pin", json!({ "pin": "602718" })).await.is(StatusCode::NO_CONTENT);
    list(&token).await.is_problem(ProblemKind::UnknownMailbox);
    let newer = verify("602718").await;
    list(&newer).await.is(StatusCode::OK);
    // The same digits again are another PIN.
    api.put("/mailboxes/1001/pin", json!({ "pin": PIN })).await.is(StatusCode::NO_CONTENT);
    list(&token).await.is_problem(ProblemKind::UnknownMailbox);
    let last = verify(PIN).await;
    api.delete("/mailboxes/1001/pin").await.is(StatusCode::NO_CONTENT);
    list(&last).await.is_problem(ProblemKind::UnknownMailbox);
}

#[tokio::test]
async fn two_authorization_headers_are_refused_whichever_of_them_is_good() {
    let api = Api::start().await;
    let good = format!("Bearer {}", api.token("alice", &["agent"]));
    for (first, second) in [(good.as_str(), good.as_str()), (&good, "Bearer x"), ("Bearer x", &good)] {
        let request = Request::get(format!("{PREFIX}/me/mailboxes"));
        let request = request.header("authorization", first).header("authorization", second);
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(ProblemKind::InvalidValue);
    }
}
