use super::*;
use voicemail_engine::mailbox::{MessagePage, MessageView, ShownState};
use voicemail_model::Mwi;

#[tokio::test]
async fn messages_are_listed_newest_first_in_pages() {
    let api = Api::start().await;
    let mut left = Vec::new();
    for _ in 0..3 {
        left.push(api.leave_message("1001", "+442079460123").await);
    }
    let first: MessagePage = api.get("/mailboxes/1001/messages?limit=2").await.json();
    let rest = format!("/mailboxes/1001/messages?limit=2&cursor={}", first.next.unwrap());
    let rest: MessagePage = api.get(&rest).await.json();
    let listed: BTreeSet<String> =
        first.messages.iter().chain(&rest.messages).map(|message| message.id.to_string()).collect();
    assert_eq!((first.messages.len(), rest.messages.len(), rest.next), (2, 1, None));
    assert_eq!(listed, left.into_iter().collect());
    let times: Vec<&String> =
        first.messages.iter().chain(&rest.messages).map(|message| &message.received).collect();
    assert!(times.is_sorted_by(|left, right| left >= right));
}

#[tokio::test]
async fn several_states_are_one_list_and_the_oldest_may_come_first() {
    let api = Api::start().await;
    let mut left = Vec::new();
    for state in ["read", "new", "saved", "read", "saved"] {
        let id = api.leave_message("1001", "").await;
        let path = format!("/mailboxes/1001/messages/{id}");
        api.send_json(Method::PATCH, &path, json!({ "state": state })).await.is(StatusCode::OK);
        left.push((id, state));
    }
    api.delete(&format!("/mailboxes/1001/messages/{}", left[3].0)).await.is(StatusCode::OK);
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/mailboxes/1001/messages?state=read,saved&order=oldest&limit=2{cursor}");
        let page: MessagePage = api.get(&path).await.is(StatusCode::OK).json();
        listed.extend(page.messages.iter().map(|message| message.id.to_string()));
        let Some(next) = page.next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed, [&left[0], &left[2], &left[4]].map(|(id, _)| id.clone()));
    let all: MessagePage = api.get("/mailboxes/1001/messages?state=saved,trashed,new,read").await.json();
    assert_eq!(all.messages.len(), 5);
}

#[tokio::test]
async fn query_parameters_that_make_no_sense_are_refused() {
    let api = Api::start().await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "state=lost",
        "state=read,",
        "state=",
        "state=new&state=read",
        "order=best",
        "cursor=x",
        "caller=%2B44",
    ] {
        let answer = api.get(&format!("/mailboxes/1001/messages?{query}")).await;
        answer.is_problem(ProblemKind::InvalidValue);
    }
}

#[tokio::test]
async fn marking_moves_a_message_between_the_counts() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "").await;
    let path = format!("/mailboxes/1001/messages/{id}");
    let change = json!({ "state": "saved", "urgent": true });
    let view: MessageView = api.send_json(Method::PATCH, &path, change).await.is(StatusCode::OK).json();
    assert_eq!((view.state, view.urgent), (ShownState::Saved, true));
    let mwi: Mwi = api.get("/mailboxes/1001/mwi").await.json();
    assert_eq!(mwi, Mwi { new: 0, old: 1, urgent_new: 0, urgent_old: 1 });
    for body in [json!({ "state": "trashed" }), json!({ "colour": 1 }), json!([])] {
        let answer = api.send_json(Method::PATCH, &path, body).await;
        answer.is_problem(ProblemKind::InvalidRequest);
    }
}

#[tokio::test]
async fn a_message_is_changed_only_as_it_was_seen_if_asked_so() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "").await;
    let path = format!("/mailboxes/1001/messages/{id}");
    let seen = api.get(&path).await.is(StatusCode::OK).header("etag").to_owned();
    let mark = |state: &str| json!({ "state": state });
    let read = api.patch_if(&path, ("if-match", &seen), &mark("read")).await.is(StatusCode::OK);
    let now = read.header("etag").to_owned();
    assert_ne!(now, seen);
    assert_eq!(api.get(&path).await.header("etag"), now);
    api.patch_if(&path, ("if-match", &seen), &mark("new")).await.is_problem(ProblemKind::Changed);
    api.patch_if(&path, ("if-none-match", "*"), &mark("new")).await.is_problem(ProblemKind::Changed);
    assert_eq!(api.get(&path).await.json::<MessageView>().state, ShownState::Read);
    api.patch_if(&path, ("if-match", &now), &mark("saved")).await.is(StatusCode::OK);
    api.patch_if(&path, ("if-match", "*"), &mark("new")).await.is(StatusCode::OK);
}

#[tokio::test]
async fn a_trashed_message_is_out_of_list_and_counts_until_restored() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "").await;
    let path = format!("/mailboxes/1001/messages/{id}");
    let trashed: MessageView = api.delete(&path).await.is(StatusCode::OK).json();
    assert!(trashed.state == ShownState::Trashed && trashed.trashed_until.is_some());
    assert_eq!(api.get("/mailboxes/1001/mwi").await.json::<Mwi>().new, 0);
    let list: MessagePage = api.get("/mailboxes/1001/messages").await.json();
    assert!(list.messages.is_empty());
    let trash: MessagePage = api.get("/mailboxes/1001/messages?state=trashed").await.json();
    assert_eq!(trash.messages.len(), 1);
    let restored: MessageView =
        api.post(&format!("{path}/restore"), json!({})).await.is(StatusCode::OK).json();
    assert_eq!(restored.state, ShownState::New);
    assert_eq!(api.get("/mailboxes/1001/mwi").await.json::<Mwi>().new, 1);
}

#[tokio::test]
async fn audio_is_played_as_it_was_deposited_whole_or_in_ranges() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "").await;
    let path = format!("/mailboxes/1001/messages/{id}/audio");
    let whole = api.get(&path).await.is(StatusCode::OK);
    assert_eq!(whole.body, speech(1));
    assert_eq!(whole.header("content-type"), "audio/wav");
    assert_eq!(whole.header("cache-control"), "private, no-store");
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());
    let with = async |name: &str, value: &str| {
        let request = api.request(Method::GET, &path).header(name, value);
        api.send(request.body(Body::empty()).unwrap()).await
    };
    let part = with("range", "bytes=10-19").await.is(StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, whole.body[10..20]);
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{}", whole.body.len()));
    let outside = with("range", "bytes=999999-").await;
    outside.is_problem(ProblemKind::WrongRange);
    assert_eq!(outside.header("content-range"), format!("bytes */{}", whole.body.len()));
    let known = with("if-none-match", whole.header("etag")).await.is(StatusCode::NOT_MODIFIED);
    assert!(known.body.is_empty());
}

#[tokio::test]
async fn a_head_request_tells_the_size_without_the_audio() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "").await;
    let request = api.request(Method::HEAD, &format!("/mailboxes/1001/messages/{id}/audio"));
    let answer = api.send(request.body(Body::empty()).unwrap()).await.is(StatusCode::OK);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("content-length"), speech(1).len().to_string());
}

#[tokio::test]
async fn another_users_mailbox_looks_like_one_that_is_not_there() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "").await;
    let base = "/mailboxes/1001";
    for path in ["/messages", "/mwi", &format!("/messages/{id}"), &format!("/messages/{id}/audio")] {
        api.get_as("alice", &format!("{base}{path}")).await.is(StatusCode::OK);
        let theirs = api.get_as("bob", &format!("{base}{path}")).await;
        theirs.is_problem(ProblemKind::UnknownMailbox);
        let none = api.get_as("bob", &format!("/mailboxes/4711{path}")).await;
        assert_eq!(theirs.body, none.body);
    }
    for (method, path) in [(Method::PATCH, ""), (Method::DELETE, ""), (Method::POST, "/restore")] {
        let path = format!("{base}/messages/{id}{path}");
        let request =
            api.request_as(method, &path, "bob", &["agent"]).header("content-type", "application/json");
        let answer = api.send(request.body(Body::from("{}")).unwrap()).await;
        answer.is_problem(ProblemKind::UnknownMailbox);
    }
}

#[tokio::test]
async fn members_share_their_groups_mailbox() {
    let api = Api::start().await;
    api.leave_message("2000", "+442079460123").await;
    for user in ["alice", "bob"] {
        let page: MessagePage = api.get_as(user, "/mailboxes/2000/messages").await.is(StatusCode::OK).json();
        assert_eq!(page.messages.len(), 1);
        let own: OwnMailboxes = api.get_as(user, "/me/mailboxes").await.is(StatusCode::OK).json();
        let counts: Vec<u32> = own.mailboxes.iter().map(|own| own.mwi.new).collect();
        assert_eq!(counts, [0, 1]);
    }
}

#[tokio::test]
async fn telephony_sees_every_mwi_state_but_no_message() {
    let api = Api::start().await;
    let ask = async |path: &str| {
        let request = api.request_as(Method::GET, path, "media", &["telephony"]);
        api.send(request.body(Body::empty()).unwrap()).await
    };
    ask("/mailboxes/1001/mwi").await.is(StatusCode::OK);
    ask("/mailboxes/1001/messages").await.is_problem(ProblemKind::RoleMissing);
    ask("/mailboxes/4711/mwi").await.is_problem(ProblemKind::UnknownMailbox);
}

#[tokio::test]
async fn a_client_that_knows_a_mailbox_is_told_so_until_it_changes() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    for path in ["/mailboxes/1001/messages", "/mailboxes/1001/mwi"] {
        let etag = api.get(path).await.is(StatusCode::OK).header("etag").to_owned();
        let ask = async || {
            let request = api.request(Method::GET, path).header("if-none-match", &etag);
            api.send(request.body(Body::empty()).unwrap()).await
        };
        let known = ask().await.is(StatusCode::NOT_MODIFIED);
        assert!(known.body.is_empty() && known.header("etag") == etag);
        let urgent = json!({ "urgent": path.ends_with("messages") });
        api.send_json(Method::PATCH, &format!("/mailboxes/1001/messages/{id}"), urgent)
            .await
            .is(StatusCode::OK);
        assert_ne!(ask().await.is(StatusCode::OK).header("etag"), etag);
    }
}

#[tokio::test]
async fn members_of_a_group_see_who_deals_with_a_message_and_who_listened() {
    let api = Api::start().await;
    let id = api.leave_message("2000", "+442079460123").await;
    let path = format!("/mailboxes/2000/messages/{id}");
    let claim = format!("{path}/claim");
    let mine: MessageView = api.put(&claim, json!({})).await.is(StatusCode::OK).json();
    assert_eq!(mine.claimed_by.as_ref().map(ToString::to_string).as_deref(), Some("alice"));
    assert!(mine.claimed_at.is_some() && mine.heard_by.is_empty());
    let as_bob = async |method: Method, path: &str, body: Value| {
        let request =
            api.request_as(method, path, "bob", &["agent"]).header("content-type", "application/json");
        api.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    as_bob(Method::PUT, &claim, json!({})).await.is_problem(ProblemKind::Claimed);
    as_bob(Method::DELETE, &claim, json!({})).await.is_problem(ProblemKind::Claimed);
    let his: MessageView =
        as_bob(Method::PUT, &claim, json!({ "takeOver": true })).await.is(StatusCode::OK).json();
    assert_eq!(his.claimed_by.as_ref().map(ToString::to_string).as_deref(), Some("bob"));
    as_bob(Method::PATCH, &path, json!({ "state": "read" })).await.is(StatusCode::OK);
    let listed: MessagePage = api.get("/mailboxes/2000/messages").await.json();
    let heard: Vec<String> = listed.messages[0].heard_by.keys().map(ToString::to_string).collect();
    assert_eq!(heard, ["bob"]);
    let free: MessageView = as_bob(Method::DELETE, &claim, json!({})).await.is(StatusCode::OK).json();
    assert_eq!((free.claimed_by, free.claimed_at), (None, None));
}

#[tokio::test]
async fn playing_a_message_neither_marks_it_nor_says_that_somebody_listened() {
    let api = Api::start().await;
    let id = api.leave_message("2000", "").await;
    api.get(&format!("/mailboxes/2000/messages/{id}/audio")).await.is(StatusCode::OK);
    let view: MessageView = api.get(&format!("/mailboxes/2000/messages/{id}")).await.json();
    assert_eq!((view.state, view.heard_by.len()), (ShownState::New, 0));
}

#[tokio::test]
async fn whoever_listens_marks_a_new_message_read_and_takes_nobodys_saving_back() {
    let api = Api::start().await;
    let path = format!("/mailboxes/1001/messages/{}", api.leave_message("1001", "").await);
    let change = async |body: Value| -> MessageView {
        api.send_json(Method::PATCH, &path, body).await.is(StatusCode::OK).json()
    };
    let heard = change(json!({ "heard": true })).await;
    assert_eq!((heard.state, heard.heard_by.len()), (ShownState::Read, 1));
    change(json!({ "state": "saved" })).await;
    assert_eq!(change(json!({ "heard": true })).await.state, ShownState::Saved);
}

#[tokio::test]
async fn a_read_only_member_lists_and_plays_and_changes_nothing() {
    let api = Api::start().await;
    let id = api.leave_message("2000", "").await;
    let user = json!({ "mailboxes": ["1001"], "groups": ["sales"], "readOnlyGroups": ["sales"] });
    api.put("/users/alice", user.clone()).await.is(StatusCode::OK);
    assert_eq!(api.get("/users/alice").await.json::<Value>(), user);
    let path = format!("/mailboxes/2000/messages/{id}");
    for readable in ["/mailboxes/2000/messages", "/mailboxes/2000/mwi", &path, &format!("{path}/audio")] {
        api.get(readable).await.is(StatusCode::OK);
    }
    api.delete(&path).await.is_problem(ProblemKind::ReadOnly);
    for (method, tail) in [(Method::PATCH, ""), (Method::PUT, "/claim"), (Method::POST, "/restore")] {
        api.send_json(method, &format!("{path}{tail}"), json!({})).await.is_problem(ProblemKind::ReadOnly);
    }
    let own: OwnMailboxes = api.get("/me/mailboxes").await.json();
    let read_only: Vec<bool> = own.mailboxes.iter().map(|own| own.read_only).collect();
    assert_eq!(read_only, [false, true]);
    let stranger = json!({ "mailboxes": ["1001"], "readOnlyGroups": ["sales"] });
    api.put("/users/alice", stranger).await.is_problem(ProblemKind::InvalidValue);
}

#[tokio::test]
async fn a_message_is_forwarded_once_a_key_and_both_sides_tell_of_it() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    let path = format!("/mailboxes/1001/messages/{id}");
    let key = key_of(jiff::Timestamp::now());
    let body = json!({ "to": ["2000", "1002", "7777"] });
    for _ in 0..2 {
        let request = api.request(Method::POST, &format!("{path}/forward")).header("idempotency-key", &key);
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        let answer: Value = api.send(request.unwrap()).await.is(StatusCode::OK).json();
        let taken: Vec<&str> = answer["forwarded"]
            .as_array()
            .unwrap()
            .iter()
            .map(|copy| copy["mailbox"].as_str().unwrap())
            .collect();
        assert_eq!(taken, ["2000", "1002"]);
        assert_eq!(answer["refused"][0]["mailbox"], "7777");
        assert_eq!(answer["refused"][0]["problem"]["type"], "/problems/unknown-mailbox");
    }
    let original: MessageView = api.get(&path).await.json();
    assert_eq!(
        original.forwarded_to.iter().map(|copy| copy.mailbox.as_str()).collect::<Vec<_>>(),
        ["2000", "1002"]
    );
    let copies: MessagePage = api.get("/mailboxes/2000/messages").await.json();
    let [copy] = copies.messages.as_slice() else { panic!("not one copy") };
    let origin = copy.forwarded_from.as_ref().unwrap();
    assert_eq!((origin.mailbox.as_str(), origin.id.to_string(), origin.by.as_str()), ("1001", id, "alice"));
    assert_eq!(
        (&copy.caller, &copy.received, &copy.sha256),
        (&original.caller, &original.received, &original.sha256)
    );
    let played = api.get(&format!("/mailboxes/2000/messages/{}/audio", copy.id)).await;
    assert_eq!(played.body, speech(1));
    assert_eq!(api.get("/mailboxes/2000/mwi").await.json::<Mwi>().new, 1);
}

#[tokio::test]
async fn a_forward_that_makes_no_sense_is_refused_as_a_whole() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "").await;
    let path = format!("/mailboxes/1001/messages/{id}/forward");
    for to in [json!([]), json!(["1001"]), json!(vec!["2000"; 21])] {
        api.post(&path, json!({ "to": to })).await.is_problem(ProblemKind::InvalidValue);
    }
    let unknown = format!("/mailboxes/1001/messages/{}/forward", key_of(jiff::Timestamp::now()));
    api.post(&unknown, json!({ "to": ["2000"] })).await.is_problem(ProblemKind::UnknownMessage);
    let others = api.leave_message("1002", "").await;
    let foreign = format!("/mailboxes/1002/messages/{others}/forward");
    api.post(&foreign, json!({ "to": ["2000"] })).await.is_problem(ProblemKind::UnknownMailbox);
}
