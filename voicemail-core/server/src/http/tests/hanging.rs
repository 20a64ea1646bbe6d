//! A store that hangs: every caller has an answer within ten seconds, also one whose deposit is under way.

use super::*;
use futures::{StreamExt, stream};
use std::time::Duration;
use tokio::time::Instant;
use voicemail_engine::testing::{Switch, Switched};
use voicemail_store::retry::RetryStore;

const LONGEST: Duration = Duration::from_secs(10);

async fn start() -> (Api, Arc<Switch>) {
    let switch = Arc::new(Switch::default());
    let around = Arc::clone(&switch);
    let wrap = |store| {
        Arc::new(RetryStore::new(Arc::new(Switched(store, around)), voicemail_store::real_world()))
            as Arc<dyn Store>
    };
    let api = Api::start_over(wrap).await;
    api.put("/mailboxes/1001", json!({})).await.is(StatusCode::OK);
    api.put("/users/alice", json!({ "mailboxes": ["1001"] })).await.is(StatusCode::OK);
    (api, switch)
}

/// A deposit's body whose caller does something between its two halves.
fn halves(between: impl Future<Output = ()> + Send + 'static) -> Body {
    let whole = Bytes::from(multipart(&[("caller", b"+442079460123"), ("audio", &speech(2))]));
    let (first, rest) = (whole.slice(..9_000), whole.slice(9_000..));
    let rest = stream::once(async move {
        between.await;
        Ok::<_, std::io::Error>(rest)
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(rest))
}

fn is_told_to_come_back(answer: &Answer, since: Instant) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    assert!(since.elapsed() <= LONGEST, "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deposit_under_way_is_answered_and_found_by_its_retry() {
    let (api, switch) = start().await;
    let key = key_of(jiff::Timestamp::now());
    let hanging = Arc::clone(&switch);
    let body = halves(async move { hanging.hang(true) });
    let begun = Instant::now();
    let answer = api.send(api.deposit_request("1001", Some(&key), body)).await;
    is_told_to_come_back(&answer, begun);
    switch.hang(false);
    let again = api.deposit("1001", Some(&key), &[("caller", b"+442079460123"), ("audio", &speech(2))]).await;
    again.is(StatusCode::CREATED);
    let listed: Value = api.get("/mailboxes/1001/messages").await.is(StatusCode::OK).json();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "{listed}");
}

/// Of one call that hangs no look at the store tells.
#[tokio::test(start_paused = true)]
async fn a_caller_who_has_spoken_is_answered_though_the_store_answers_all_else() {
    let (api, switch) = start().await;
    let key = key_of(jiff::Timestamp::now());
    let spoken = [("caller", b"+442079460123".as_slice()), ("audio", &speech(2))];
    switch.hold_bodies(true);
    let begun = Instant::now();
    let answer = api.deposit("1001", Some(&key), &spoken).await;
    is_told_to_come_back(&answer, begun);
    switch.hold_bodies(false);
    api.deposit("1001", Some(&key), &spoken).await.is(StatusCode::CREATED);
    let listed: Value = api.get("/mailboxes/1001/messages").await.is(StatusCode::OK).json();
    assert_eq!(listed["messages"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test(start_paused = true)]
async fn lists_and_changes_are_answered() {
    let (api, switch) = start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    switch.hang(true);
    let message = format!("/mailboxes/1001/messages/{id}");
    let begun = Instant::now();
    let consumers = json!({ "caseid": "1", "consumers": [{ "phone": ["+442079460123"] }] });
    let (listed, deleted, forgotten) = tokio::join!(
        api.get("/mailboxes/1001/messages"),
        api.delete(&message),
        api.post("/gdpr/forgetme", consumers),
    );
    for answer in [listed, deleted, forgotten] {
        is_told_to_come_back(&answer, begun);
    }
    switch.hang(false);
    api.get("/mailboxes/1001/messages").await.is(StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_is_slow_himself_is_waited_for() {
    let (api, _switch) = start().await;
    let body = halves(tokio::time::sleep(Duration::from_secs(25)));
    api.send(api.deposit_request("1001", None, body)).await.is(StatusCode::CREATED);
}
