use super::*;
use futures::future::join_all;
use std::collections::BTreeMap;

const PIN: &str = "739154";

impl Api {
    pub(super) async fn verify(&self, mailbox: &str, pin: &str) -> Answer {
        let path = format!("/mailboxes/{mailbox}/pin/verify");
        let request = self.request_as(Method::POST, &path, "media", &["telephony"]);
        let request = request.header("content-type", "application/json");
        self.send(request.body(Body::from(json!({ "pin": pin }).to_string())).unwrap()).await
    }

    async fn with_token(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(format!("{PREFIX}{path}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

#[tokio::test]
async fn a_right_pin_opens_this_mailbox_and_no_other() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    api.put("/mailboxes/1001/pin", json!({ "pin": PIN })).await.is(StatusCode::NO_CONTENT);
    let answer = api.verify("1001", PIN).await.is(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = answer.json::<Value>()["token"].as_str().unwrap().to_owned();
    let path = format!("/mailboxes/1001/messages/{id}");
    let get = async |path: &str| api.with_token(Method::GET, path, &token, json!({})).await;
    assert_eq!(get(&format!("{path}/audio")).await.is(StatusCode::OK).body, speech(1));
    let read = api.with_token(Method::PATCH, &path, &token, json!({ "state": "read" })).await;
    let read: voicemail_engine::mailbox::MessageView = read.is(StatusCode::OK).json();
    assert!(read.heard_by.is_empty(), "a PIN says nothing of who listened");
    get("/mailboxes/1002/messages").await.is_problem(ProblemKind::UnknownMailbox);
    for foreign in ["/me/mailboxes", "/mailboxes/1001", "/gdpr/cases/1"] {
        get(foreign).await.is_problem(ProblemKind::RoleMissing);
    }
    let forged = format!("{}0", &token[..token.len() - 1]);
    let forged = if forged == token { format!("{}1", &token[..token.len() - 1]) } else { forged };
    let refused = api.with_token(Method::GET, "/mailboxes/1001/messages", &forged, json!({})).await;
    refused.is_problem(ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn many_people_who_know_the_pin_are_let_in_at_once_and_do_not_count_against_one_another() {
    let api = Api::start().await;
    api.put("/mailboxes/1001/pin", json!({ "pin": PIN })).await.is(StatusCode::NO_CONTENT);
    for answer in join_all((0..12).map(|_| api.verify("1001", PIN))).await {
        answer.is(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_token_given_for_a_pin_is_renewed_while_that_is_the_pin_and_no_other_token_is() {
    let api = Api::start().await;
    let renew = "/mailboxes/1001/pin/renew";
    api.put("/mailboxes/1001/pin", json!({ "pin": PIN })).await.is(StatusCode::NO_CONTENT);
    let token_of = |answer: Answer| answer.json::<Value>()["token"].as_str().unwrap().to_owned();
    let mut token = token_of(api.verify("1001", PIN).await.is(StatusCode::OK));
    for _ in 0..3 {
        let answer = api.with_token(Method::POST, renew, &token, json!({})).await.is(StatusCode::OK);
        assert_eq!(answer.header("cache-control"), "no-store");
        token = token_of(answer);
        let listing = api.with_token(Method::GET, "/mailboxes/1001/messages", &token, json!({})).await;
        listing.is(StatusCode::OK);
    }
    let other = api.with_token(Method::POST, "/mailboxes/1002/pin/renew", &token, json!({})).await;
    other.is_problem(ProblemKind::UnknownMailbox);
    // Who signs in otherwise has no PIN's token to renew, and telephones without a PIN have none.
    api.post(renew, json!({})).await.is_problem(ProblemKind::PinNeeded);
    let request = api.request_as(Method::POST, renew, "media", &["telephony"]).body(Body::empty()).unwrap();
    api.send(request).await.is_problem(ProblemKind::RoleMissing);
    api.put("/mailboxes/1001/pin", json!({ "pin": "918273" })).await.is(StatusCode::NO_CONTENT);
    let changed = api.with_token(Method::POST, renew, &token, json!({})).await;
    changed.is_problem(ProblemKind::UnknownMailbox);
}

#[tokio::test]
async fn of_two_hundred_guesses_at_once_four_are_looked_at() {
    let api = Api::start().await;
    api.put("/mailboxes/1001/pin", json!({ "pin": PIN })).await.is(StatusCode::NO_CONTENT);
    let guesses = (0..200).map(|n| format!("{:06}", 204_806 + n * 7));
    let answers = join_all(guesses.map(async |guess| api.verify("1001", &guess).await.status)).await;
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    answers.iter().for_each(|status| *counts.entry(status.as_u16()).or_default() += 1);
    assert_eq!(counts, BTreeMap::from([(403, 4), (423, 196)]));
    let locked = api.verify("1001", PIN).await;
    let wait: u64 = locked.header("retry-after").parse().unwrap();
    assert!((550..=601).contains(&wait), "{wait}");
    locked.is_problem(ProblemKind::PinLocked);
    api.post("/mailboxes/1001/pin/unlock", json!({})).await.is(StatusCode::NO_CONTENT);
    api.verify("1001", PIN).await.is(StatusCode::OK);
}

#[tokio::test]
async fn pins_that_others_would_guess_are_refused_without_being_repeated() {
    let api = Api::start().await;
    for bad in ["123456", "12345", "100100", "777777", "abcdef"] {
        let answer = api.put("/mailboxes/1001/pin", json!({ "pin": bad })).await;
        let is_example = bad == "123456";
        assert!(is_example || !String::from_utf8_lossy(&answer.body).contains(bad), "{bad}");
        answer.is_problem(ProblemKind::InvalidValue);
    }
    api.verify("1001", "123456").await.is_problem(ProblemKind::NoPin);
}

#[tokio::test]
async fn a_pin_belongs_to_its_mailbox_and_goes_with_it() {
    let api = Api::start().await;
    let as_bob = |method: Method, path: &str| {
        let request =
            api.request_as(method, path, "bob", &["agent"]).header("content-type", "application/json");
        request.body(Body::from(json!({ "pin": PIN }).to_string())).unwrap()
    };
    api.send(as_bob(Method::PUT, "/mailboxes/1001/pin")).await.is_problem(ProblemKind::UnknownMailbox);
    api.send(as_bob(Method::PUT, "/mailboxes/1002/pin")).await.is(StatusCode::NO_CONTENT);
    api.send(as_bob(Method::PUT, "/mailboxes/2000/pin")).await.is(StatusCode::NO_CONTENT);
    // A change of settings leaves the PIN, and what is stored isn't the PIN.
    api.put("/mailboxes/1002", json!({ "label": "Bob" })).await.is(StatusCode::OK);
    api.verify("1002", PIN).await.is(StatusCode::OK);
    let stored = api.store.dump();
    assert!(stored.values().all(|bytes| !String::from_utf8_lossy(bytes).contains(PIN)));
    api.delete("/mailboxes/1002").await.is(StatusCode::NO_CONTENT);
    api.verify("1002", PIN).await.is_problem(ProblemKind::UnknownMailbox);
    api.put("/mailboxes/1002", json!({})).await.is(StatusCode::OK);
    api.verify("1002", PIN).await.is_problem(ProblemKind::NoPin);
    api.send(as_bob(Method::DELETE, "/mailboxes/2000/pin")).await.is(StatusCode::NO_CONTENT);
    api.verify("2000", PIN).await.is_problem(ProblemKind::NoPin);
}
