//! Fields that media servers send beside the audio, and how much of them is read.

use super::*;
use crate::http::upload::Upload;
use futures::stream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use voicemail_api::gdpr::GdprAnswer;
use voicemail_engine::mailbox::MessagePage;
use voicemail_model::Mwi;

const CALLER: (&str, &[u8]) = ("caller", b"+44 20 7946 0123");

fn codes(answer: &DepositAnswer) -> Vec<&str> {
    answer.notes.iter().map(|note| note.code.as_str()).collect()
}

async fn only_message(api: &Api) -> voicemail_engine::mailbox::MessageView {
    let page: MessagePage = api.get("/mailboxes/1001/messages").await.is(StatusCode::OK).json();
    assert_eq!(page.messages.len(), 1);
    page.messages.into_iter().next().unwrap()
}

#[tokio::test]
async fn what_decorates_a_recording_never_costs_it() {
    let long = "汉".repeat(300);
    /// A field, what is sent in it, the name that is shown, and the notes.
    type Case<'a> = (&'a str, &'a [u8], Option<&'a str>, &'a [&'a str]);
    let cases: [Case<'_>; 6] = [
        ("callerName", b"M\xFCller", Some("Müller"), &["caller-name-decoded"]),
        ("callerName", b"ACME\tLtd", Some("ACME Ltd"), &["caller-name-replaced"]),
        ("caller_name", long.as_bytes(), Some(&long[..255]), &["caller-name-cut"]),
        ("urgent", b"perhaps", None, &["urgent-ignored"]),
        ("colour", b"red", None, &["field-ignored"]),
        ("URGENT", b"yes", None, &[]),
    ];
    for (field, value, name, notes) in cases {
        let api = Api::start().await;
        let fields = [CALLER, (field, value), ("audio", &speech(1))];
        let made: DepositAnswer = api.deposit("1001", None, &fields).await.is(StatusCode::CREATED).json();
        assert_eq!(codes(&made), notes, "{field}");
        let message = only_message(&api).await;
        assert_eq!(message.caller_name.as_deref(), name, "{field}");
        assert_eq!(message.urgent, field == "URGENT");
    }
}

#[tokio::test]
async fn notes_never_repeat_what_was_sent() {
    let api = Api::start().await;
    let audio = speech(1);
    let fields: [(&str, &[u8]); 4] = [
        ("from", b"sip:\xFFsecret@x"),
        ("secret", b"secret"),
        ("callerName", b"\xFFsecret"),
        ("audio", &audio),
    ];
    let answer = api.deposit("1001", None, &fields).await.is(StatusCode::CREATED);
    assert_eq!(answer.json::<DepositAnswer>().notes.len(), 3);
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

#[tokio::test]
async fn every_name_for_the_caller_is_the_caller() {
    for field in ["caller", "CALLER", "callerId", "caller_id", "ani", "From"] {
        let api = Api::start().await;
        let fields = [(field, CALLER.1), ("audio", &speech(1))];
        let made: DepositAnswer = api.deposit("1001", None, &fields).await.is(StatusCode::CREATED).json();
        assert_eq!(codes(&made), Vec::<&str>::new());
        assert_eq!(only_message(&api).await.caller.as_deref(), Some("+44 20 7946 0123"), "{field}");
    }
}

#[tokio::test]
async fn one_caller_in_several_fields_is_taken_and_two_callers_are_refused() {
    let api = Api::start().await;
    let audio = speech(1);
    let audio: (&str, &[u8]) = ("audio", &audio);
    let before = api.stored();
    for other in [b"+442079460124".as_slice(), b"anonymous"] {
        let answer = api.deposit("1001", None, &[CALLER, ("ani", other), audio]).await;
        answer.is_problem(ProblemKind::InvalidValue);
    }
    assert_eq!(api.stored(), before);
    let same = [CALLER, CALLER, ("from", b"020 7946 0123"), ("callerId", b""), audio];
    api.deposit("1001", None, &same).await.is(StatusCode::CREATED);
    assert_eq!(only_message(&api).await.caller.as_deref(), Some("+44 20 7946 0123"));
}

#[tokio::test]
async fn a_caller_is_kept_whole_and_can_be_named_by_an_erasure() {
    let long = format!("sip:{}@pbx.example", "a".repeat(2_000));
    let cases = [
        (long.clone().into_bytes(), long, &[][..]),
        (b"sip:m\xFCller@pbx".to_vec(), "sip:m%FCller@pbx".to_owned(), &["caller-escaped"][..]),
    ];
    for (sent, shown, notes) in cases {
        let api = Api::start().await;
        let fields = [("caller", sent.as_slice()), ("audio", &speech(1))];
        let made: DepositAnswer = api.deposit("1001", None, &fields).await.is(StatusCode::CREATED).json();
        assert_eq!(codes(&made), notes);
        assert_eq!(only_message(&api).await.caller.as_deref(), Some(shown.as_str()));
        let body = json!({ "caseid": "c", "consumers": [{ "phone": shown.as_str() }] });
        let answer: GdprAnswer = api.post("/gdpr/forgetme", body).await.is(StatusCode::OK).json();
        assert_eq!(answer.consumers[&shown], json!([made.id]));
        assert_eq!(api.get("/mailboxes/1001/mwi").await.json::<Mwi>().new, 0);
    }
    let api = Api::start().await;
    let before = api.stored();
    let longer = [("caller", [b'1'; 2_049].as_slice()), ("audio", &speech(1))];
    api.deposit("1001", None, &longer).await.is_problem(ProblemKind::InvalidValue);
    assert_eq!(api.stored(), before);
}

#[tokio::test]
async fn what_decorates_behind_the_audio_is_told_and_a_caller_there_is_refused() {
    let api = Api::start().await;
    let audio = speech(1);
    let audio: (&str, &[u8]) = ("audio", &audio);
    let before = api.stored();
    for late in [CALLER, ("left", b"2026-09-21T14:13:20Z"), audio] {
        api.deposit("1001", None, &[audio, late]).await.is_problem(ProblemKind::InvalidAudio);
    }
    assert_eq!(api.stored(), before);
    let fields = [CALLER, audio, ("urgent", b"true"), ("submit", b"Send")];
    let made: DepositAnswer = api.deposit("1001", None, &fields).await.is(StatusCode::CREATED).json();
    assert_eq!(codes(&made), ["field-after-audio"]);
    assert!(!only_message(&api).await.urgent);
}

#[tokio::test]
async fn fields_that_are_not_known_are_read_past_up_to_a_mebibyte() {
    let api = Api::start().await;
    let audio = speech(1);
    let (most, more) = (vec![b'x'; 1_000_000], vec![b'x'; 1_100_000]);
    let deposit =
        async |junk: &[u8]| api.deposit("1001", None, &[("junk", junk), CALLER, ("audio", &audio)]).await;
    assert_eq!(codes(&deposit(&most).await.is(StatusCode::CREATED).json()), ["field-ignored"]);
    deposit(&more).await.is_problem(ProblemKind::BodyTooLarge);
}

#[tokio::test]
async fn an_account_that_never_names_a_caller_is_counted() {
    let api = Api::start().await;
    let counted = |count: u32| {
        let text = api.app.metrics.render();
        assert!(text.contains(&format!("voicemail_deposits_without_caller_total {count}\n")), "{text}");
    };
    api.deposit("1001", None, &[("audio", &speech(1))]).await.is(StatusCode::CREATED);
    counted(1);
    api.leave_message("1001", "+442079460123").await;
    api.deposit("1001", None, &[("audio", &speech(1))]).await.is(StatusCode::CREATED);
    counted(1);
}

#[tokio::test]
async fn a_message_that_is_repeated_later_counts_as_received_when_it_was_left() {
    let api = Api::start().await;
    let left = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(20)).to_string();
    let fields = [CALLER, ("left", left.as_bytes()), ("audio", &speech(1))];
    api.deposit("1001", None, &fields).await.is(StatusCode::CREATED);
    let message = only_message(&api).await;
    let received: jiff::Timestamp = message.received.parse().unwrap();
    assert_eq!(received.as_millisecond(), left.parse::<jiff::Timestamp>().unwrap().as_millisecond());
}

#[tokio::test]
async fn a_message_of_a_forgotten_caller_that_comes_late_is_never_listed() {
    let api = Api::start().await;
    let left = (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5)).to_string();
    let body = json!({ "caseid": "c", "consumers": [{ "phone": "+442079460123" }] });
    api.post("/gdpr/forgetme", body).await.is(StatusCode::OK);
    let late = [CALLER, ("left", left.as_bytes()), ("audio", &speech(1))];
    let made: DepositAnswer = api.deposit("1001", None, &late).await.is(StatusCode::CREATED).json();
    assert_eq!(made.mwi.new, 0);
    let page: MessagePage = api.get("/mailboxes/1001/messages").await.json();
    assert!(page.messages.is_empty());
    api.post("/gdpr/undoforget", json!({ "caseid": "c", "consumers": [] })).await.is(StatusCode::OK);
    assert_eq!(only_message(&api).await.id, made.id);
}

#[tokio::test]
async fn times_that_are_too_old_or_ahead_are_refused() {
    let api = Api::start().await;
    let now = jiff::Timestamp::now();
    let before = api.stored();
    for hours in [-6 * 24 - 1, 1] {
        let left = (now + jiff::SignedDuration::from_hours(hours)).to_string();
        let fields = [CALLER, ("left", left.as_bytes()), ("audio", &speech(1))];
        api.deposit("1001", None, &fields).await.is_problem(ProblemKind::InvalidValue);
    }
    assert_eq!(api.stored(), before);
    // A clock that is a little ahead makes no message of the future.
    let left = (now + jiff::SignedDuration::from_secs(60)).to_string();
    let fields = [CALLER, ("left", left.as_bytes()), ("audio", &speech(1))];
    api.deposit("1001", None, &fields).await.is(StatusCode::CREATED);
    let received: jiff::Timestamp = only_message(&api).await.received.parse().unwrap();
    assert!(received <= jiff::Timestamp::now());
}

/// A body that begins like that and goes on with 700 MB, and how much of it was taken.
fn endless(head: &'static [u8]) -> (Request<Body>, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&taken);
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let rest = stream::iter((0..700 * 1024 / 64).map(move |_| {
        counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Ok::<_, std::io::Error>(chunk.clone())
    }));
    let body = stream::iter([Ok(Bytes::from_static(head))]);
    let request = Request::post("/").header("content-type", "multipart/form-data; boundary=cut");
    (request.body(Body::from_stream(futures::StreamExt::chain(body, rest))).unwrap(), taken)
}

#[tokio::test]
async fn a_field_without_an_end_is_given_up_after_little_of_it() {
    let heads: [(&'static [u8], u64); 5] = [
        // What is read past, what names the caller, a header, a preamble, one header line.
        (b"--cut\r\nContent-Disposition: form-data; name=\"colour\"\r\n\r\n", 1024 * 1024),
        (b"--cut\r\nContent-Disposition: form-data; name=\"caller\"\r\n\r\n", 1024 * 1024),
        (b"--cut\r\nContent-Disposition: form-data; name=\"", 8 * 1024),
        (b"--", 8 * 1024),
        (b"--cut\r\nX-Long: ", 8 * 1024),
    ];
    for (head, most) in heads {
        let (request, taken) = endless(head);
        let refused = Upload::begin(request).await.err().unwrap();
        assert_eq!(refused.kind(), ProblemKind::BodyTooLarge, "{}", String::from_utf8_lossy(head));
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken <= most + 64 * 1024, "{taken} bytes were taken after {head:?}");
    }
}

#[tokio::test]
async fn many_fields_that_are_kept_are_too_much_together() {
    let callers: Vec<Vec<u8>> = (0..5u8).map(|n| vec![b'a' + n; 2_000]).collect();
    let mut fields: Vec<(&str, &[u8])> = callers.iter().map(|caller| ("caller", caller.as_slice())).collect();
    let audio = speech(1);
    fields.push(("audio", &audio));
    let api = Api::start().await;
    api.deposit("1001", None, &fields).await.is_problem(ProblemKind::BodyTooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_field_that_trickles_in_is_given_up_after_half_a_minute() {
    let api = Api::start().await;
    let head = Bytes::from_static(b"--cut\r\nContent-Disposition: form-data; name=\"colour\"\r\n\r\n");
    let slowly = futures::StreamExt::then(stream::iter(0..1_000), |_| async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
    });
    let body = futures::StreamExt::chain(stream::iter([Ok(head)]), slowly);
    let started = tokio::time::Instant::now();
    let answer = api.send(api.deposit_request("1001", None, Body::from_stream(body))).await;
    answer.is_problem(ProblemKind::BodyTooLarge);
    // Two seconds more are given to a refused body.
    assert!(started.elapsed() < Duration::from_secs(34), "{:?}", started.elapsed());
}
