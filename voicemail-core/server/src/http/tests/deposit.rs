use super::*;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use voicemail_engine::mailbox::MessagePage;

#[tokio::test]
async fn a_deposit_is_acknowledged_listed_and_counted() {
    let api = Api::start().await;
    let fields: [(&str, &[u8]); 4] = [
        ("caller", b"+44 20 7946 0123"),
        ("callerName", "Zoë".as_bytes()),
        ("urgent", b"true"),
        ("audio", &speech(2)),
    ];
    let answer = api.deposit("1001", None, &fields).await.is(StatusCode::CREATED);
    let made: DepositAnswer = answer.json();
    assert_eq!((made.created, made.mwi.new, made.mwi.urgent_new), (true, 1, 1));
    assert_eq!(answer.header("location"), format!("{PREFIX}/mailboxes/1001/messages/{}", made.id));
    let page: MessagePage = api.get("/mailboxes/1001/messages").await.is(StatusCode::OK).json();
    let message = &page.messages[0];
    assert_eq!((message.id, message.duration_ms), (made.id, 2_000));
    assert_eq!(message.caller.as_deref(), Some("+44 20 7946 0123"));
    assert_eq!(message.caller_name.as_deref(), Some("Zoë"));
}

#[tokio::test]
async fn a_blank_or_absent_caller_is_withheld() {
    let api = Api::start().await;
    api.leave_message("1001", "  ").await;
    api.deposit("1001", None, &[("audio", &speech(1))]).await.is(StatusCode::CREATED);
    let page: MessagePage = api.get("/mailboxes/1001/messages").await.json();
    assert_eq!(page.messages.len(), 2);
    assert!(page.messages.iter().all(|message| message.caller.is_none()));
}

#[tokio::test]
async fn a_repeated_deposit_is_stored_once() {
    let api = Api::start().await;
    let key = key_of(jiff::Timestamp::now());
    let audio = speech(1);
    let fields: [(&str, &[u8]); 2] = [("caller", b"+442079460123"), ("audio", &audio)];
    let first: DepositAnswer = api.deposit("1001", Some(&key), &fields).await.is(StatusCode::CREATED).json();
    let again: DepositAnswer = api.deposit("1001", Some(&key), &fields).await.is(StatusCode::CREATED).json();
    assert_eq!((first.created, again.created, again.id, again.mwi.new), (true, false, first.id, 1));
    assert_eq!(first.id.to_string(), key);
}

#[tokio::test]
async fn one_key_with_two_bodies_or_two_callers_is_refused() {
    let api = Api::start().await;
    let key = key_of(jiff::Timestamp::now());
    let (audio, other) = (speech(1), speech(2));
    let caller: (&str, &[u8]) = ("caller", b"+442079460123");
    api.deposit("1001", Some(&key), &[caller, ("audio", &audio)]).await.is(StatusCode::CREATED);
    let answer = api.deposit("1001", Some(&key), &[caller, ("audio", &other)]).await;
    answer.is_problem(ProblemKind::IdReused);
    let answer = api.deposit("1001", Some(&key), &[("caller", b"+442079460124"), ("audio", &audio)]).await;
    answer.is_problem(ProblemKind::IdReused);
}

#[tokio::test]
async fn keys_that_cannot_be_seen_are_too_long_or_out_of_time_are_refused() {
    let api = Api::start().await;
    let fields: [(&str, &[u8]); 1] = [("audio", &speech(1))];
    let long = "x".repeat(256);
    for key in ["", "call 7", "\u{fc}", &long] {
        api.deposit("1001", Some(key), &fields).await.is_problem(ProblemKind::InvalidName);
    }
    let now = jiff::Timestamp::now();
    for at in [now - jiff::SignedDuration::from_hours(7 * 24), now + jiff::SignedDuration::from_mins(6)] {
        api.deposit("1001", Some(&key_of(at)), &fields).await.is_problem(ProblemKind::IdOutOfTime);
    }
}

#[tokio::test]
async fn a_key_of_any_form_is_one_message_a_mailbox_and_account() {
    let api = Api::start().await;
    let (audio, long) = (speech(1), "x".repeat(255));
    let caller: (&str, &[u8]) = ("caller", b"+442079460123");
    let fields = [caller, ("audio", &audio[..])];
    for key in ["1", "67e55044-10b1-426f-9247-bb680e5fe0c8", "a84b4c76e66710@pbx.example", &long] {
        let first: DepositAnswer =
            api.deposit("1001", Some(key), &fields).await.is(StatusCode::CREATED).json();
        let again: DepositAnswer =
            api.deposit("1001", Some(key), &fields).await.is(StatusCode::CREATED).json();
        assert_eq!((first.created, again.created, again.id), (true, false, first.id), "{key}");
        let other: DepositAnswer =
            api.deposit("1002", Some(key), &fields).await.is(StatusCode::CREATED).json();
        assert_ne!(other.id, first.id);
        let another = [caller, ("audio", &speech(2)[..])];
        api.deposit("1001", Some(key), &another).await.is_problem(ProblemKind::IdReused);
    }
    let mut request = api.deposit_request("1001", Some("1"), Body::from(multipart(&fields)));
    let token = format!("Bearer {}", api.token("another", &["telephony"]));
    request.headers_mut().insert("authorization", token.parse().unwrap());
    assert!(api.send(request).await.is(StatusCode::CREATED).json::<DepositAnswer>().created);
}

#[tokio::test]
async fn a_key_with_the_time_of_the_call_needs_no_memory() {
    let api = Api::start().await;
    let left = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(100)).to_string();
    let audio = speech(1);
    let fields: [(&str, &[u8]); 3] =
        [("caller", b"+442079460123"), ("left", left.as_bytes()), ("audio", &audio)];
    let first: DepositAnswer =
        api.deposit("1001", Some("call-7"), &fields).await.is(StatusCode::CREATED).json();
    let again: DepositAnswer =
        api.deposit("1001", Some("call-7"), &fields).await.is(StatusCode::CREATED).json();
    assert_eq!((first.created, again.created, again.id), (true, false, first.id));
    assert_eq!(first.id.time().0, left.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    assert!(!api.stored().iter().any(|key| key.starts_with("deposit/")));
}

#[tokio::test]
async fn an_unknown_mailbox_remembers_no_key() {
    let api = Api::start().await;
    let before = api.stored();
    let answer = api.deposit("4711", Some("1"), &[("audio", &speech(1))]).await;
    answer.is_problem(ProblemKind::UnknownMailbox);
    assert_eq!(api.stored(), before);
}

#[tokio::test]
async fn mailboxes_have_the_names_that_pbxs_give_them() {
    let api = Api::start().await;
    for (name, path) in [
        ("1001@default", "1001@default"),
        ("j.smith", "j.smith"),
        ("#1*", "%231*"),
        ("+442079460123", "%2B442079460123"),
    ] {
        api.put(&format!("/mailboxes/{path}"), json!({})).await.is(StatusCode::OK);
        api.put("/users/alice", json!({ "mailboxes": [name], "groups": [] })).await.is(StatusCode::OK);
        let fields: [(&str, &[u8]); 2] = [("caller", b"+442079460123"), ("audio", &speech(1))];
        let made = api.deposit(path, None, &fields).await.is(StatusCode::CREATED);
        let location = made.header("location").strip_prefix(PREFIX).unwrap().to_owned();
        let message: Value = api.get(&location).await.is(StatusCode::OK).json();
        assert_eq!(message["mailbox"], name);
        assert!(api.get(&format!("{location}/audio")).await.is(StatusCode::OK).body == speech(1));
        let greeting = format!("/mailboxes/{path}/greetings/standard");
        let record = api.request(Method::PUT, &greeting).header("content-type", "audio/wav");
        let told: Value =
            api.send(record.body(Body::from(speech(1))).unwrap()).await.is(StatusCode::OK).json();
        let url = told["url"].as_str().unwrap().strip_prefix(PREFIX).unwrap();
        api.get(url).await.is(StatusCode::OK);
    }
    let listed: Value = api.get("/mailboxes?limit=100").await.is(StatusCode::OK).json();
    assert!(listed.to_string().contains("1001@default"), "{listed}");
    for bad in ["a%2Fb", "a%20b", "@x", "a@b@c", "%2E%2E"] {
        let answer = api.put(&format!("/mailboxes/{bad}"), json!({})).await;
        assert!(!answer.status.is_success(), "{bad}");
    }
}

#[tokio::test]
async fn an_unknown_mailbox_takes_nothing() {
    let api = Api::start().await;
    let before = api.stored();
    let answer = api.deposit("4711", None, &[("audio", &speech(1))]).await;
    answer.is_problem(ProblemKind::UnknownMailbox);
    assert_eq!(api.stored(), before);
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_before_the_audio_is_read() {
    let api = Api::start().await;
    api.put("/mailboxes/3000", json!({ "classOfService": "tiny" })).await.is(StatusCode::OK);
    api.deposit("3000", None, &[("audio", &speech(1))]).await.is(StatusCode::CREATED);
    let head = "--cut\r\nContent-Disposition: form-data; name=\"audio\"\r\n\r\n";
    let never = stream::iter([Ok::<_, std::io::Error>(head)]).chain(stream::pending());
    let answer = api.send(api.deposit_request("3000", None, Body::from_stream(never))).await;
    answer.is_problem(ProblemKind::MailboxFull);
}

#[tokio::test]
async fn a_mailbox_whose_messages_last_long_enough_is_full_and_trash_makes_room() {
    let api = Api::start().await;
    api.put("/mailboxes/3000", json!({ "classOfService": "brief" })).await.is(StatusCode::OK);
    api.put("/users/alice", json!({ "mailboxes": ["3000"], "groups": [] })).await.is(StatusCode::OK);
    let deposit = || async { api.deposit("3000", None, &[("audio", &speech(2))]).await };
    let first = deposit().await.is(StatusCode::CREATED).json::<DepositAnswer>().id;
    // Two seconds of three are taken: there is room, though not for all of it.
    deposit().await.is(StatusCode::CREATED);
    let refused = deposit().await;
    refused.is_problem(ProblemKind::MailboxFull);
    assert!(refused.json::<Problem>().detail.contains("last 3 s"), "{refused:?}");
    api.delete(&format!("/mailboxes/3000/messages/{first}")).await.is(StatusCode::OK);
    deposit().await.is(StatusCode::CREATED);
}

#[tokio::test]
async fn audio_that_is_empty_truncated_or_no_wav_leaves_nothing() {
    let api = Api::start().await;
    let before = api.stored();
    let good = speech(1);
    for audio in [&b""[..], b"ID3 this is an mp3", &good[..good.len() - 1], &good[..30], &good[..44]] {
        let answer = api.deposit("1001", None, &[("caller", b"+442079460123"), ("audio", audio)]).await;
        answer.is_problem(ProblemKind::InvalidAudio);
    }
    assert_eq!(api.stored(), before);
}

#[tokio::test]
async fn audio_longer_than_the_class_allows_leaves_nothing() {
    let api = Api::start().await;
    api.put("/mailboxes/3000", json!({ "classOfService": "tiny" })).await.is(StatusCode::OK);
    let before = api.stored();
    let answer = api.deposit("3000", None, &[("audio", &speech(3))]).await;
    answer.is_problem(ProblemKind::AudioTooLong);
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(api.stored(), before);
}

#[tokio::test]
async fn a_body_that_stops_halfway_leaves_nothing() {
    let api = Api::start().await;
    let before = api.stored();
    let whole = multipart(&[("caller", b"+442079460123"), ("audio", &speech(1))]);
    // The last cut is right behind the audio: complete WAV, but no closing boundary.
    for cut in [40, 200, 4_000, whole.len() - 11] {
        let part = Bytes::copy_from_slice(&whole[..cut]);
        let answer = api.send(api.deposit_request("1001", None, Body::from(part.clone()))).await;
        answer.is_problem(ProblemKind::Interrupted);
        let broken = stream::iter([Ok(part), Err(std::io::Error::other("reset"))]);
        let answer = api.send(api.deposit_request("1001", None, Body::from_stream(broken))).await;
        answer.is_problem(ProblemKind::Interrupted);
    }
    assert_eq!(api.stored(), before);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_falls_silent_is_given_up() {
    let api = Api::start().await;
    let before = api.stored();
    let whole = multipart(&[("audio", &speech(1))]);
    let part = Bytes::copy_from_slice(&whole[..4_000]);
    let silent = stream::iter([Ok::<_, std::io::Error>(part)]).chain(stream::pending());
    let answer = api.send(api.deposit_request("1001", None, Body::from_stream(silent))).await;
    answer.is_problem(ProblemKind::Interrupted);
    assert_eq!(api.stored(), before);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_trickles_is_given_up_after_a_quarter_of_an_hour() {
    let api = Api::start().await;
    let before = api.stored();
    let bytes = multipart(&[("audio", &speech(1))]).into_iter().map(|byte| Bytes::from(vec![byte]));
    let slowly = stream::iter(bytes).then(|byte| async move {
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        Ok::<_, std::io::Error>(byte)
    });
    let started = tokio::time::Instant::now();
    // The field's header comes at once, the audio a byte at a time.
    let head = Bytes::from_static(b"--cut\r\nContent-Disposition: form-data; name=\"audio\"\r\n\r\n");
    let body = stream::iter([Ok(head)]).chain(slowly);
    let answer = api.send(api.deposit_request("1001", None, Body::from_stream(body))).await;
    assert!(started.elapsed() < std::time::Duration::from_secs(1_000));
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.stored(), before);
}

#[tokio::test]
async fn a_client_that_goes_after_its_last_byte_has_left_its_message() {
    let api = Api::start().await;
    let sent = CancellationToken::new();
    let told = sent.clone();
    let whole = Bytes::from(multipart(&[("audio", &speech(1))]));
    let last = stream::once(async move {
        told.cancel();
        Ok::<_, std::io::Error>(whole)
    });
    let request = api.deposit_request("1001", None, Body::from_stream(last));
    tokio::select! {
        biased;
        () = sent.cancelled() => {}
        _ = api.routes.clone().oneshot(request) => {}
    }
    api.app.uploads.close();
    api.app.uploads.wait().await;
    let page: MessagePage = api.get("/mailboxes/1001/messages").await.json();
    assert_eq!(page.messages.len(), 1);
}

#[tokio::test]
async fn a_body_without_audio_is_refused() {
    let api = Api::start().await;
    let before = api.stored();
    api.deposit("1001", None, &[("caller", b"1")]).await.is_problem(ProblemKind::InvalidRequest);
    assert_eq!(api.stored(), before);
}

#[tokio::test]
async fn a_body_that_is_not_multipart_is_refused() {
    let api = Api::start().await;
    let answer = api.post("/mailboxes/1001/messages", json!({})).await;
    answer.is_problem(ProblemKind::WrongType);
}
