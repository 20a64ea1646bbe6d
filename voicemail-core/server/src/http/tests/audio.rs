//! Recordings as they are played: with their lengths put right, and in other forms.

use super::*;
use aws_lc_rs::digest::{SHA256, digest};
use voicemail_engine::mailbox::{MessagePage, MessageView};

const GSM: &[u8] = include_bytes!("../../../../audio/tests/fixtures/audio/gsm.wav");
const GSM_DECODED: &[u8] = include_bytes!("../../../../audio/tests/fixtures/audio/gsm.s16");

/// Two seconds as a recorder leaves them that writes into a pipe.
fn of_a_pipe() -> Vec<u8> {
    let mut file = speech(2);
    file[4..8].copy_from_slice(&0x7FFF_F024u32.to_le_bytes());
    file[40..44].copy_from_slice(&0x7FFF_F000u32.to_le_bytes());
    file
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

async fn left(api: &Api, audio: &[u8]) -> MessageView {
    let fields: [(&str, &[u8]); 2] = [("caller", b"+442079460123"), ("audio", audio)];
    api.deposit("1001", None, &fields).await.is(StatusCode::CREATED);
    let page: MessagePage = api.get("/mailboxes/1001/messages").await.json();
    page.messages.into_iter().next().unwrap()
}

async fn range(api: &Api, path: &str, range: &str) -> Answer {
    api.send(api.request(Method::GET, path).header("range", range).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_recording_of_a_pipe_is_played_with_its_length() {
    let api = Api::start().await;
    let message = left(&api, &of_a_pipe()).await;
    assert_eq!((message.duration_ms, message.size), (2_000, 16_044));
    let path = format!("/mailboxes/1001/messages/{}/audio", message.id);
    let whole = api.get(&path).await.is(StatusCode::OK);
    assert!(whole.body == speech(2));
    assert_eq!(message.sha256, sha256(&whole.body));
    assert_eq!(whole.header("etag"), format!("\"{}\"", message.sha256));
    for (from, to) in [(0usize, 6usize), (5, 5), (41, 60), (42, 16_043)] {
        let part = range(&api, &path, &format!("bytes={from}-{to}")).await.is(StatusCode::PARTIAL_CONTENT);
        assert!(part.body == whole.body[from..=to], "{from} to {to}");
    }
}

#[tokio::test]
async fn a_recording_is_stored_as_it_came() {
    let api = Api::start().await;
    left(&api, &of_a_pipe()).await;
    let stored = api.store.dump();
    let audio = stored.iter().find(|(key, _)| key.starts_with("au/")).unwrap();
    assert!(format!("{:?}", audio.1).len() > 16_000, "the audio isn't where it was looked for");
}

#[tokio::test]
async fn a_deposit_of_a_pipe_is_repeated_forwarded_and_exported_with_its_length() {
    let api = Api::start().await;
    let key = key_of(jiff::Timestamp::now());
    let audio = of_a_pipe();
    let fields: [(&str, &[u8]); 2] = [("caller", b"+442079460123"), ("audio", &audio)];
    for created in [true, false] {
        let made: DepositAnswer =
            api.deposit("1001", Some(&key), &fields).await.is(StatusCode::CREATED).json();
        assert_eq!(made.created, created);
    }
    let to = json!({ "to": ["2000"] });
    api.post(&format!("/mailboxes/1001/messages/{key}/forward"), to).await.is(StatusCode::OK);
    let page: MessagePage = api.get("/mailboxes/2000/messages").await.json();
    let copy = &page.messages[0];
    let played = api.get(&format!("/mailboxes/2000/messages/{}/audio", copy.id)).await.is(StatusCode::OK);
    assert!(played.body == speech(2));
    assert_eq!(copy.sha256, sha256(&played.body));
    let body = json!({ "caseid": "c", "consumers": [{ "phone": "+442079460123" }] });
    api.post("/gdpr/exportme", body).await.is(StatusCode::OK);
    let archive = api.get("/gdpr/cases/c/export").await.is(StatusCode::OK);
    let files = unpacked(&archive.body);
    assert!(files.iter().filter(|(_, bytes)| **bytes == speech(2)).count() == 2);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(manifest["messages"][0]["sha256"], sha256(&speech(2)));
}

fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).unwrap();
        assert!(files.insert(name.clone(), bytes).is_none(), "two files are {name}");
    }
    files
}

#[tokio::test]
async fn one_id_in_two_mailboxes_makes_two_files_of_an_export() {
    let api = Api::start().await;
    let key = key_of(jiff::Timestamp::now());
    for (mailbox, seconds) in [("1001", 1), ("1002", 2), ("2000", 3)] {
        let fields: [(&str, &[u8]); 2] = [("caller", b"+442079460123"), ("audio", &speech(seconds))];
        api.deposit(mailbox, Some(&key), &fields).await.is(StatusCode::CREATED);
    }
    let body = json!({ "caseid": "c", "consumers": [{ "phone": "+442079460123" }] });
    api.post("/gdpr/exportme", body).await.is(StatusCode::OK);
    let files = unpacked(&api.get("/gdpr/cases/c/export").await.is(StatusCode::OK).body);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let output: Value = serde_json::from_slice(&files["output.json"]).unwrap();
    let mut named = Vec::new();
    for message in manifest["messages"].as_array().unwrap() {
        let name = message["file"].as_str().unwrap();
        assert_eq!(message["sha256"], sha256(&files[name]), "{name}");
        let mailbox = message["mailbox"].as_str().unwrap();
        assert!(named.is_empty() || name == format!("{key}-{mailbox}.wav"), "{name}");
        named.push(name.trim_end_matches(".wav").to_owned());
    }
    assert_eq!(named.len(), 3);
    assert_eq!(named[0], key);
    assert_eq!(output["consumers"]["+442079460123"], json!(named));
    let page = String::from_utf8_lossy(&files["index.html"]).into_owned();
    assert!(named.iter().all(|name| page.contains(&format!("{name}.wav"))));
}

#[tokio::test]
async fn what_a_browser_cannot_play_is_converted_when_it_asks() {
    let api = Api::start().await;
    let message = left(&api, GSM).await;
    assert_eq!(message.duration_ms, 160);
    let path = format!("/mailboxes/1001/messages/{}/audio", message.id);
    assert!(api.get(&path).await.is(StatusCode::OK).body == GSM);
    let converted = api.get(&format!("{path}?codec=pcm16")).await.is(StatusCode::OK);
    assert!(converted.body[44..] == *GSM_DECODED);
    assert_ne!(converted.header("etag"), format!("\"{}\"", message.sha256));
    assert_eq!(converted.header("content-length"), converted.body.len().to_string());
    for (from, to) in [(0usize, 43usize), (40, 50), (1_000, 2_603)] {
        let part = range(&api, &format!("{path}?codec=pcm16"), &format!("bytes={from}-{to}")).await;
        let part = part.is(StatusCode::PARTIAL_CONTENT);
        assert!(part.body == converted.body[from..=to], "{from} to {to}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{to}/{}", converted.body.len()));
    }
    let known = api.request(Method::GET, &format!("{path}?codec=pcm16"));
    let known = known.header("if-none-match", converted.header("etag")).body(Body::empty()).unwrap();
    api.send(known).await.is(StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_greeting_is_told_and_served_in_the_form_asked_for() {
    let api = Api::start().await;
    let format = WavFormat { codec: Codec::Pcm16, channels: 2, rate: 48_000 };
    let mut studio = format.header(192_000);
    studio.extend((0..192_000u32).map(|n| (n % 97) as u8));
    let path = "/mailboxes/1001/greetings/standard";
    let record = api.request(Method::PUT, path).header("content-type", "audio/wav");
    let told: Value =
        api.send(record.body(Body::from(studio.clone())).unwrap()).await.is(StatusCode::OK).json();
    assert_eq!(
        (&told["codec"], &told["sampleRate"], &told["channels"]),
        (&json!("pcm16"), &json!(48_000), &json!(2))
    );
    let reception: Value = api.get("/mailboxes/1001/reception").await.json();
    assert_eq!(reception["greeting"], told);
    assert!(api.get(path).await.is(StatusCode::OK).body == studio);
    let narrow = api.get(&format!("{path}?codec=mulaw&rate=8000")).await.is(StatusCode::OK);
    assert_eq!(
        WavFormat::of_file(&narrow.body),
        Some(WavFormat { codec: Codec::MuLaw, channels: 1, rate: 8_000 })
    );
    assert_eq!(narrow.body.len(), 44 + 8_000);
    let part = range(&api, &format!("{path}?codec=mulaw&rate=8000"), "bytes=4000-5999").await;
    assert!(part.is(StatusCode::PARTIAL_CONTENT).body == narrow.body[4_000..6_000]);
    let accepting = async |accept: &str| {
        let request = api.request(Method::GET, path).header("accept", accept);
        api.send(request.body(Body::empty()).unwrap()).await.is(StatusCode::OK)
    };
    let asked = "audio/ogg, audio/wav; codec=mulaw; rate=8000, */*";
    assert!(accepting(asked).await.body == narrow.body);
    for stored in ["*/*", "audio/wav", "audio/wav;codec=opus", "audio/ogg"] {
        assert!(accepting(stored).await.body == studio, "{stored}");
    }
    // What is stored so already is what was recorded, tag and all.
    let record = api.request(Method::PUT, path).header("content-type", "audio/wav");
    api.send(record.body(Body::from(speech(1))).unwrap()).await.is(StatusCode::OK);
    let same = accepting("audio/wav;codec=alaw;rate=8000").await;
    assert!(same.body == speech(1));
    assert_eq!(same.header("etag"), format!("\"{}\"", sha256(&speech(1))));
    for unknown in ["codec=mp3", "rate=4000", "rate=x"] {
        api.get(&format!("{path}?{unknown}")).await.is_problem(ProblemKind::InvalidValue);
    }
}
