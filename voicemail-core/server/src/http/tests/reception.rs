use super::*;

impl Api {
    async fn record(&self, path: &str, audio: Vec<u8>) -> Answer {
        let request = self.request(Method::PUT, path).header("content-type", "audio/wav");
        self.send(request.body(Body::from(audio)).unwrap()).await
    }

    async fn reception(&self, mailbox: &str) -> Value {
        let path = format!("/mailboxes/{mailbox}/reception");
        let request = self.request_as(Method::GET, &path, "media", &["telephony"]);
        self.send(request.body(Body::empty()).unwrap()).await.is(StatusCode::OK).json()
    }

    fn greetings_stored(&self) -> usize {
        self.stored().iter().filter(|key| key.starts_with("greeting/")).count()
    }
}

#[tokio::test]
async fn a_media_server_is_told_what_to_play_and_what_is_allowed() {
    let api = Api::start().await;
    let bare = api.reception("1001").await;
    assert_eq!(
        bare,
        json!({
            "mailbox": "1001", "takesMessages": true, "full": false, "closed": false, "timeZone": "UTC",
            "limits": {
                "maxSeconds": 180, "minSeconds": 3, "messagesLeft": 10,
                "formats": [
                    "audio/wav;codec=pcm16", "audio/wav;codec=alaw", "audio/wav;codec=mulaw", "audio/wav;codec=pcm8",
                    "audio/wav;codec=pcm24", "audio/wav;codec=pcm32", "audio/wav;codec=float32",
                    "audio/wav;codec=float64", "audio/wav;codec=gsm610", "audio/wav;codec=ima-adpcm",
                    "audio/wav;codec=ms-adpcm",
                ],
            },
        })
    );
}

#[tokio::test]
async fn a_mailboxs_own_greeting_goes_before_the_tenants_and_the_disclaimer_before_both() {
    let api = Api::start().await;
    let kinds = async || {
        let reception = api.reception("1001").await;
        ["disclaimer", "greeting", "name"].map(|field| reception[field]["kind"].as_str().map(str::to_owned))
    };
    let some = |kind: &str| Some(kind.to_owned());
    for (path, expected) in [
        ("/greetings/default", [None, some("default"), None]),
        ("/greetings/disclaimer", [some("disclaimer"), some("default"), None]),
        ("/mailboxes/1001/greetings/name", [some("disclaimer"), some("default"), some("name")]),
        ("/mailboxes/1001/greetings/standard", [some("disclaimer"), some("standard"), some("name")]),
        ("/mailboxes/1001/greetings/alternate", [some("disclaimer"), some("alternate"), some("name")]),
    ] {
        let view: Value = api.record(path, speech(2)).await.is(StatusCode::OK).json();
        assert_eq!((&view["url"], &view["durationMs"]), (&json!(format!("{PREFIX}{path}")), &json!(2_000)));
        assert_eq!(kinds().await, expected, "{path}");
    }
    let never = json!({ "dates": [{ "from": "2001-01-01", "to": "2001-01-02" }] });
    let schedule = "/mailboxes/1001/greetings/alternate/schedule";
    api.get(schedule).await.is(StatusCode::NO_CONTENT);
    api.put(schedule, never).await.is(StatusCode::OK);
    assert_eq!(kinds().await[1], some("standard"));
    let always = json!({ "weekly": [], "dates": [{ "from": "2001-01-01", "to": "2999-01-02" }] });
    api.put(schedule, always.clone()).await.is(StatusCode::OK);
    assert_eq!(kinds().await[1], some("alternate"));
    assert_eq!(api.get(schedule).await.json::<Value>(), always);
    api.delete("/mailboxes/1001/greetings/alternate").await.is(StatusCode::NO_CONTENT);
    assert_eq!(kinds().await[1], some("standard"));
    api.delete("/mailboxes/1001/greetings/standard").await.is(StatusCode::NO_CONTENT);
    assert_eq!(kinds().await[1], some("default"));
    api.delete(schedule).await.is(StatusCode::NO_CONTENT);
    api.delete("/greetings/default").await.is(StatusCode::NO_CONTENT);
    assert_eq!(kinds().await, [some("disclaimer"), None, some("name")]);
}

#[tokio::test]
async fn a_greeting_is_played_as_it_was_recorded_and_replaced_as_a_whole() {
    let api = Api::start().await;
    let path = "/mailboxes/1001/greetings/standard";
    api.get(path).await.is_problem(ProblemKind::UnknownGreeting);
    api.record(path, speech(1)).await.is(StatusCode::OK);
    let first = api.get(path).await.is(StatusCode::OK);
    assert_eq!((first.body.as_ref(), first.header("content-type")), (speech(1).as_slice(), "audio/wav"));
    let known = api.request(Method::GET, path).header("if-none-match", first.header("etag"));
    api.send(known.body(Body::empty()).unwrap()).await.is(StatusCode::NOT_MODIFIED);
    let range = api.request(Method::GET, path).header("range", "bytes=4-7");
    let part = api.send(range.body(Body::empty()).unwrap()).await.is(StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, first.body[4..8]);
    api.record(path, b"no audio".to_vec()).await.is_problem(ProblemKind::InvalidAudio);
    api.record(path, speech(301)).await.is_problem(ProblemKind::AudioTooLong);
    api.put(path, json!({})).await.is_problem(ProblemKind::WrongType);
    assert_eq!(api.get(path).await.body, first.body, "what was refused replaces nothing");
    api.record(path, speech(2)).await.is(StatusCode::OK);
    assert_eq!(api.get(path).await.body, speech(2));
    for unknown in ["/mailboxes/1001/greetings/default", "/greetings/standard"] {
        api.get(unknown).await.is_problem(ProblemKind::InvalidName);
    }
}

#[tokio::test]
async fn owners_record_members_who_only_listen_and_strangers_do_not() {
    let api = Api::start().await;
    let ask = async |method: Method, path: &str, user: &str, roles: &[&str]| {
        let request = api.request_as(method, path, user, roles).header("content-type", "audio/wav");
        api.send(request.body(Body::from(speech(1))).unwrap()).await
    };
    let (own, group) = ("/mailboxes/1001/greetings/standard", "/mailboxes/2000/greetings/standard");
    ask(Method::PUT, own, "alice", &["agent"]).await.is(StatusCode::OK);
    ask(Method::PUT, group, "bob", &["agent"]).await.is(StatusCode::OK);
    ask(Method::PUT, own, "root", &["admin"]).await.is(StatusCode::OK);
    ask(Method::PUT, own, "bob", &["agent"]).await.is_problem(ProblemKind::UnknownMailbox);
    ask(Method::GET, own, "bob", &["agent"]).await.is_problem(ProblemKind::UnknownMailbox);
    ask(Method::GET, own, "media", &["telephony"]).await.is(StatusCode::OK);
    ask(Method::PUT, own, "media", &["telephony"]).await.is_problem(ProblemKind::RoleMissing);
    ask(Method::PUT, "/greetings/default", "alice", &["agent"]).await.is_problem(ProblemKind::RoleMissing);
    let reader = json!({ "mailboxes": ["1002"], "groups": ["sales"], "readOnlyGroups": ["sales"] });
    api.put("/users/bob", reader).await.is(StatusCode::OK);
    ask(Method::PUT, group, "bob", &["agent"]).await.is_problem(ProblemKind::ReadOnly);
    ask(Method::GET, group, "bob", &["agent"]).await.is(StatusCode::OK);
}

#[tokio::test]
async fn a_full_and_a_closed_mailbox_say_so_and_a_closed_one_loses_its_greetings() {
    let api = Api::start().await;
    api.put("/mailboxes/1001", json!({ "classOfService": "tiny" })).await.is(StatusCode::OK);
    api.leave_message("1001", "+442079460123").await;
    let full = api.reception("1001").await;
    assert_eq!((&full["full"], &full["takesMessages"]), (&json!(true), &json!(false)));
    assert_eq!(full["limits"]["messagesLeft"], 0);
    api.record("/mailboxes/1001/greetings/standard", speech(1)).await.is(StatusCode::OK);
    api.delete("/mailboxes/1001").await.is(StatusCode::NO_CONTENT);
    let closed = api.reception("1001").await;
    assert_eq!((&closed["closed"], &closed["takesMessages"]), (&json!(true), &json!(false)));
    assert_eq!(closed["greeting"], Value::Null);
    let missing = api.request_as(Method::GET, "/mailboxes/4711/reception", "media", &["telephony"]);
    api.send(missing.body(Body::empty()).unwrap()).await.is_problem(ProblemKind::UnknownMailbox);
    api.put("/mailboxes/1001", json!({})).await.is(StatusCode::OK);
    assert_eq!(api.reception("1001").await["greeting"], Value::Null, "opened again it is a new mailbox");
    assert_eq!(api.greetings_stored(), 1, "the audio waits for its due item");
}

#[tokio::test]
async fn preferences_of_a_mailbox_go_before_what_is_usual() {
    let api = Api::start().await;
    let path = "/mailboxes/1001/preferences";
    assert_eq!(api.get(path).await.json::<Value>(), json!({}));
    let own = json!({ "optOut": "sip:desk@example.com", "language": "de-CH", "timeZone": "Europe/Zurich" });
    api.put(path, own.clone()).await.is(StatusCode::OK);
    assert_eq!(api.get(path).await.json::<Value>(), own);
    let reception = api.reception("1001").await;
    for field in ["optOut", "language", "timeZone"] {
        assert_eq!(reception[field], own[field]);
        api.put(path, json!({ field: "no such thing" })).await.is_problem(ProblemKind::InvalidValue);
    }
    api.put(path, json!({})).await.is(StatusCode::OK);
    assert_eq!(api.reception("1001").await["timeZone"], "UTC");
}

#[tokio::test]
async fn a_telephone_tells_what_waits_there_and_receipts_have_it_until_nothing_does() {
    let api = Api::start().await;
    let tell = async |roles: &[&str], front: &str, body: Value| {
        let path = format!("/telephony/fronts/{front}");
        let request = api.request_as(Method::PUT, &path, "media", roles);
        let request = request.header("content-type", "application/json");
        api.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let named = async || {
        let dry = json!({ "caseid": "c", "consumers": [{ "phone": ["+442079460123"] }], "dryRun": true });
        let answer: Value = api.post("/gdpr/forgetme", dry).await.is(StatusCode::OK).json();
        answer["run"]["residualCopies"].clone()
    };
    let waits = json!({ "spooled": 2, "oldest": "2026-09-21T14:13:20Z" });
    tell(&["telephony"], "sip-0", waits.clone()).await.is(StatusCode::NO_CONTENT);
    assert_eq!(named().await[0]["kind"], "spool");
    for good in [json!({ "spooled": 2.0 }), json!({ "spooled": 3, "oldest": null })] {
        tell(&["telephony"], "sip-0", good).await.is(StatusCode::NO_CONTENT);
    }
    for bad in [
        json!({ "spooled": -1 }),
        json!({ "spooled": 1.5 }),
        json!({ "spooled": 1_000_001 }),
        json!({ "spooled": 1, "oldest": "then" }),
    ] {
        tell(&["telephony"], "sip-0", bad).await.is_problem(ProblemKind::InvalidValue);
    }
    tell(&["agent", "privacy"], "sip-0", waits.clone()).await.is_problem(ProblemKind::RoleMissing);
    tell(&["telephony"], "+442079460123", waits).await.is_problem(ProblemKind::InvalidName);
    // Of one that is gone for good.
    tell(&["admin"], "sip-0", json!({ "spooled": 0 })).await.is(StatusCode::NO_CONTENT);
    assert_eq!(named().await, Value::Null);
}
