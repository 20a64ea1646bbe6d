//! Event streams in process: what a client is told, in which order, and when the stream ends.

use super::*;
use axum::body::BodyDataStream;
use axum::http::request::Builder;
use futures::StreamExt;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use voicemail_engine::mwi::{MwiEvent, MwiGone, MwiState};
use voicemail_model::{MessageId, Mwi};

const DEADLINE: Duration = Duration::from_secs(10);

/// One event as it came.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) name: String,
    id: String,
    pub(super) data: String,
}

/// A client of the stream.
pub(super) struct Listener {
    status: StatusCode,
    body: BodyDataStream,
    text: String,
}

impl Listener {
    /// The next event; comments are left out. `None` when the stream ended.
    async fn try_next(&mut self) -> Option<Received> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let found = block.lines().find_map(|line| line.strip_prefix(name));
                    found.map(|value| value.trim().to_owned()).unwrap_or_default()
                };
                if !field("event:").is_empty() {
                    return Some(Received { name: field("event:"), id: field("id:"), data: field("data:") });
                }
                continue;
            }
            let chunk = timeout(DEADLINE, self.body.next()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no event came after {:?}", self.text))?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    pub(super) async fn next(&mut self) -> Received {
        self.try_next().await.expect("the stream ended")
    }

    pub(super) async fn state(&mut self) -> (Vec<MwiEvent>, String) {
        let event = self.next().await;
        assert_eq!(event.name, "state", "{event:?}");
        (serde_json::from_str::<MwiState>(&event.data).unwrap().mailboxes, event.id)
    }

    /// Waits for an MWI event of that kind, however many come before it.
    pub(super) async fn mwi(&mut self, mailbox: &str, new: u32, old: u32) -> String {
        loop {
            let event = self.next().await;
            assert_eq!(event.name, "mwi", "{event:?}");
            let mwi: MwiEvent = serde_json::from_str(&event.data).unwrap();
            if mwi == expected(mailbox, new, old) {
                return event.id;
            }
        }
    }
}

fn expected(mailbox: &str, new: u32, old: u32) -> MwiEvent {
    MwiEvent::new(&mailbox.parse().unwrap(), &Mwi { new, old, ..Mwi::default() })
}

impl Api {
    /// Starts what a core runs beside its routes.
    pub(super) fn run(&self) -> JoinHandle<()> {
        let core = self.app.core().unwrap();
        tokio::spawn(async move { core.context.mwi().run(&core.context).await })
    }

    pub(super) async fn listen(&self, user: &str, last: Option<&str>) -> Listener {
        self.listen_with(&self.token(user, &["agent"]), last).await
    }

    async fn listen_with(&self, token: &str, last: Option<&str>) -> Listener {
        let request = Request::get(format!("{PREFIX}/mwi/events"));
        self.listen_by(request, token, last, Body::empty()).await
    }

    /// As an account of that name with the role telephony.
    async fn watch(&self, account: &str, mailboxes: &[&str], last: Option<&str>) -> Listener {
        let request = Request::post(format!("{PREFIX}/mwi/watch")).header("content-type", "application/json");
        let body = json!({ "mailboxes": mailboxes }).to_string();
        self.listen_by(request, &self.token(account, &["telephony"]), last, body.into()).await
    }

    async fn listen_by(&self, request: Builder, token: &str, last: Option<&str>, body: Body) -> Listener {
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = last.iter().fold(request, |request, last| request.header("last-event-id", *last));
        let response = self.routes.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        Listener {
            status: response.status(),
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    fn subscribers(&self) -> String {
        let text = self.app.metrics.render();
        text.lines()
            .find(|line| line.starts_with("voicemail_mwi_subscribers "))
            .unwrap_or_default()
            .to_owned()
    }
}

#[tokio::test]
async fn a_stream_begins_with_all_mwi_states_and_follows_every_change() {
    let api = Api::start().await;
    let _hub = api.run();
    api.leave_message("2000", "").await;
    let mut alice = api.listen("alice", None).await;
    assert_eq!(alice.status, StatusCode::OK);
    assert_eq!(alice.state().await.0, [expected("1001", 0, 0), expected("2000", 1, 0)]);
    let id = api.leave_message("1001", "+442079460123").await;
    alice.mwi("1001", 1, 0).await;
    let path = format!("/mailboxes/1001/messages/{id}");
    api.send_json(Method::PATCH, &path, json!({ "state": "read" })).await.is(StatusCode::OK);
    alice.mwi("1001", 0, 1).await;
    api.send_json(Method::PATCH, &path, json!({ "state": "new" })).await.is(StatusCode::OK);
    alice.mwi("1001", 1, 0).await;
    api.delete(&path).await.is(StatusCode::OK);
    alice.mwi("1001", 0, 0).await;
    api.post(&format!("{path}/restore"), json!({})).await.is(StatusCode::OK);
    alice.mwi("1001", 1, 0).await;
}

#[tokio::test]
async fn one_user_takes_no_more_streams_than_a_user_may_and_another_one_is_served() {
    let api = Api::start().await;
    let token = api.token("alice", &["agent"]);
    let mut held = Vec::new();
    for _ in 0..32 {
        held.push(api.listen("alice", None).await);
    }
    assert_eq!(api.listen_with(&token, None).await.status, StatusCode::TOO_MANY_REQUESTS);
    api.listen("bob", None).await;
    drop(held.pop());
    api.listen("alice", None).await;
}

#[tokio::test]
async fn nobody_hears_of_mailboxes_that_are_not_theirs() {
    let api = Api::start().await;
    let _hub = api.run();
    let mut bob = api.listen("bob", None).await;
    bob.state().await;
    api.leave_message("1001", "").await;
    api.leave_message("2000", "").await;
    let first = bob.next().await;
    assert_eq!(serde_json::from_str::<MwiEvent>(&first.data).unwrap(), expected("2000", 1, 0));
    let mut nobody = api.listen("carol", None).await;
    assert!(nobody.state().await.0.is_empty());
    let telephony = api.listen_with(&api.token("media", &["telephony"]), None).await;
    assert_eq!(telephony.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_telephone_follows_the_mailboxes_that_it_names_and_no_others() {
    let api = Api::start().await;
    let _hub = api.run();
    api.leave_message("2000", "").await;
    let mut phone = api.watch("media", &["2000", "1001", "7777", "2000"], None).await;
    assert_eq!(phone.status, StatusCode::OK);
    // One that isn't there isn't told of.
    assert_eq!(phone.state().await.0, [expected("1001", 0, 0), expected("2000", 1, 0)]);
    api.leave_message("1002", "").await;
    let id = api.leave_message("1001", "").await;
    phone.mwi("1001", 1, 0).await;
    let path = format!("/mailboxes/1001/messages/{id}");
    api.send_json(Method::PATCH, &path, json!({ "state": "read" })).await.is(StatusCode::OK);
    let last = phone.mwi("1001", 0, 1).await;
    api.put("/mailboxes/7777", json!({})).await.is(StatusCode::OK);
    phone.mwi("7777", 0, 0).await;
    api.delete("/mailboxes/7777").await.is(StatusCode::NO_CONTENT);
    let gone = phone.next().await;
    assert_eq!(serde_json::from_str::<MwiGone>(&gone.data).unwrap().mailbox.as_str(), "7777", "{gone:?}");
    // It comes back, and knows the state.
    let mut again = api.watch("media", &["1001", "2000", "7777"], Some(&last)).await;
    let comment = timeout(DEADLINE, again.body.next()).await.unwrap().unwrap().unwrap();
    assert!(comment.ends_with(b": unchanged\n\n"), "{comment:?}");
}

#[tokio::test]
async fn only_telephones_name_mailboxes_and_no_more_than_are_read_at_once() {
    let api = Api::start().await;
    let names: Vec<String> = (0..501).map(|number| format!("{}", 3_000 + number)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(api.watch("media", &names[..500], None).await.status, StatusCode::OK);
    for wrong in [&names[..], &[], &["../x"]] {
        assert_eq!(api.watch("media", wrong, None).await.status, StatusCode::BAD_REQUEST, "{}", wrong.len());
    }
    for role in ["agent", "admin", "privacy"] {
        let token = api.token("alice", &[role]);
        let request = Request::post(format!("{PREFIX}/mwi/watch")).header("content-type", "application/json");
        let body = json!({ "mailboxes": ["1001"] }).to_string();
        assert_eq!(api.listen_by(request, &token, None, body.into()).await.status, StatusCode::FORBIDDEN);
    }
    // Its streams are counted by themselves: neither a user of that name nor another account has fewer of its own.
    let mut held = Vec::new();
    for _ in 0..1_000 {
        held.push(api.watch("alice", &["1001"], None).await);
    }
    assert_eq!(api.watch("alice", &["1001"], None).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(api.watch("bob", &["1001"], None).await.status, StatusCode::OK);
    assert_eq!(api.listen("alice", None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn erasure_and_undo_reach_the_stream() {
    let api = Api::start().await;
    let _hub = api.run();
    api.leave_message("1001", "+442079460123").await;
    let mut alice = api.listen("alice", None).await;
    assert_eq!(alice.state().await.0[0], expected("1001", 1, 0));
    let body = json!({ "caseid": "7", "consumers": [{ "phone": ["+442079460123"] }] });
    api.post("/gdpr/forgetme", body.clone()).await.is(StatusCode::OK);
    alice.mwi("1001", 0, 0).await;
    api.post("/gdpr/undoforget", body).await.is(StatusCode::OK);
    alice.mwi("1001", 1, 0).await;
}

#[tokio::test]
async fn membership_and_closed_mailboxes_reach_the_stream() {
    let api = Api::start().await;
    let _hub = api.run();
    let mut alice = api.listen("alice", None).await;
    alice.state().await;
    api.put("/users/alice", json!({ "mailboxes": ["1001", "1002"], "groups": [] })).await.is(StatusCode::OK);
    let gone = alice.next().await;
    assert_eq!(gone.name, "gone");
    assert_eq!(serde_json::from_str::<MwiGone>(&gone.data).unwrap().mailbox.as_str(), "2000");
    alice.mwi("1002", 0, 0).await;
    api.put("/users/alice", json!({ "mailboxes": ["1002"], "groups": ["sales"] })).await.is(StatusCode::OK);
    assert_eq!(alice.next().await.name, "gone");
    alice.mwi("2000", 0, 0).await;
    api.put("/groups/sales", json!({ "mailbox": "1001" })).await.is(StatusCode::OK);
    assert_eq!(alice.next().await.name, "gone");
    alice.mwi("1001", 0, 0).await;
    api.delete("/mailboxes/1002").await.is(StatusCode::NO_CONTENT);
    let gone: MwiGone = serde_json::from_str(&alice.next().await.data).unwrap();
    assert_eq!(gone.mailbox.as_str(), "1002");
}

#[tokio::test]
async fn a_client_that_comes_back_is_told_only_what_changed_meanwhile() {
    let api = Api::start().await;
    let _hub = api.run();
    let mut first = api.listen("alice", None).await;
    let (_, start) = first.state().await;
    api.leave_message("1001", "").await;
    let last = first.mwi("1001", 1, 0).await;
    drop(first);
    let mut again = api.listen("alice", Some(&last)).await;
    let comment = timeout(DEADLINE, again.body.next()).await.unwrap().unwrap().unwrap();
    assert!(comment.ends_with(b": unchanged\n\n") && comment.starts_with(b"retry: "), "{comment:?}");
    api.leave_message("2000", "").await;
    again.mwi("2000", 1, 0).await;
    let mut outdated = api.listen("alice", Some(&start)).await;
    assert_eq!(outdated.state().await.0, [expected("1001", 1, 0), expected("2000", 1, 0)]);
    // Another user's state with the same counts isn't the same state.
    let mut bob = api.listen("bob", Some(&last)).await;
    assert_eq!(bob.state().await.0[0].mailbox.as_str(), "1002");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_told_the_newest_state_at_the_end() {
    let api = Api::start().await;
    let _hub = api.run();
    let mut alice = api.listen("alice", None).await;
    alice.state().await;
    for _ in 0..5 {
        api.leave_message("1001", "").await;
    }
    // Another client that reads tells when the last change was seen.
    let mut other = api.listen("alice", None).await;
    assert_eq!(other.state().await.0[0], expected("1001", 5, 0));
    let next = alice.next().await;
    assert_eq!(serde_json::from_str::<MwiEvent>(&next.data).unwrap(), expected("1001", 5, 0));
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let api = Api::start().await;
    let _hub = api.run();
    // Accepted for 30 s longer, as every token: half a second or so is left.
    let exp = jsonwebtoken::get_current_timestamp() - 29;
    let claims = json!({ "iss": "https://id.example", "aud": "voicemail", "sub": "alice", "exp": exp, "roles": ["agent"] });
    let token = encode(&Header::new(Algorithm::ES256), &claims, &api.key).unwrap();
    let mut alice = api.listen_with(&token, None).await;
    alice.state().await;
    assert!(alice.try_next().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_when_the_replica_is_stopped_and_no_new_one_begins() {
    let api = Api::start().await;
    let core = api.app.core().unwrap();
    core.context.mwi().count_in(&api.app.metrics);
    let mut alice = api.listen("alice", None).await;
    alice.state().await;
    assert_eq!(api.subscribers(), "voicemail_mwi_subscribers 1");
    api._stage.send_replace(Stage::Stopping(core));
    assert!(alice.try_next().await.is_none());
    drop(alice);
    assert_eq!(api.subscribers(), "voicemail_mwi_subscribers 0");
    assert_eq!(api.listen("alice", None).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn what_no_event_announced_is_found_by_the_timer_and_counted() {
    let api = Api::start().await;
    let core = api.app.core().unwrap();
    core.context.mwi().count_in(&api.app.metrics);
    let config = core.context.config();
    let mwi = voicemail_api::config::MwiConfig {
        reconcile_every: Some(Duration::from_millis(50)),
        ..config.mwi.clone()
    };
    core.context.reload(TenantConfig { mwi, ..config.as_ref().clone() });
    let _hub = api.run();
    let mut alice = api.listen("alice", None).await;
    alice.state().await;
    // Another replica, whose hints nobody hears.
    let regions = BTreeMap::from([("main".to_owned(), Arc::clone(&api.store) as Arc<dyn Store>)]);
    let other = Core::open_on(&config, keys_of(7), regions, voicemail_store::real_world()).await.unwrap();
    let mailbox = "1001".parse().unwrap();
    let id: MessageId = api.leave_message("1001", "").await.parse().unwrap();
    alice.mwi("1001", 1, 0).await;
    let drift = |api: &Api| api.app.metrics.render().contains("voicemail_mwi_drift_total 1\n");
    assert!(!drift(&api));
    let read = voicemail_model::MessageChange {
        state: Some(voicemail_model::MessageState::Read),
        ..voicemail_model::MessageChange::default()
    };
    other.mailboxes.change(&mailbox, id, read, None).await.unwrap();
    alice.mwi("1001", 0, 1).await;
    assert!(drift(&api), "{}", api.app.metrics.render());
    let user = voicemail_model::User { mailboxes: vec![mailbox], ..voicemail_model::User::default() };
    other.directory.put_user(&"alice".parse().unwrap(), user).await.unwrap();
    assert_eq!(alice.next().await.name, "gone");
}
